"""The words in a TMVA weight file as numbers and names, and what is said where they are none."""

from __future__ import annotations

from collections.abc import Mapping

from mlbkg.errors import MlbkgError


def unreadable(where: str, reason: str) -> MlbkgError:
    return MlbkgError(f"{where} cannot be read as a TMVA weight file: {reason}", where=where)


def decimal(attributes: Mapping[str, str], name: str) -> float:
    """A number as C++ writes it, ``inf`` and ``nan`` included. Raises ``ValueError`` where it is missing or none."""
    text = attributes.get(name)
    if text is None or "_" in text or not text.isascii():
        raise ValueError(f"{name} is {shown(text)}")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} is {shown(text)}") from None


def integer(attributes: Mapping[str, str], name: str) -> int:
    """As :func:`decimal`, of 31 bits and a sign."""
    text = attributes.get(name)
    if text is None or len(text) > 20 or "_" in text or not text.isascii():
        raise ValueError(f"{name} is {shown(text)}")
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"{name} is {shown(text)}") from None
    if abs(value) >= 2**31:
        raise ValueError(f"{name} is {shown(text)}")
    return value


def flag(attributes: Mapping[str, str], name: str) -> bool:
    """As :func:`decimal`, of 0 and 1."""
    text = attributes.get(name)
    if text not in ("0", "1"):
        raise ValueError(f"{name} is {shown(text)}")
    return text == "1"


def decoded(text: str) -> str:
    """A name out of the file: UTF-8 where it is that, Latin-1 else."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def shown(text: str | None) -> str:
    return "missing" if text is None else repr(decoded(text)[:60])
