"""How a file is refused, and how what it says reaches a terminal."""

from __future__ import annotations

from mlbkg.errors import MlbkgError, harmless

_LONGEST = 200


def refused(where: str, reason: str) -> MlbkgError:
    return MlbkgError(
        f"{where} is not a model that mlbkg opens: {reason}",
        where=where,
        hint="Nothing of it was run. Copy it again from where it was made, or make it anew: mlbkg train, mlbkg import-…",
    )


def damaged(where: str, reason: str) -> MlbkgError:
    return MlbkgError(
        f"{where} is not a valid ONNX file: {reason}",
        where=where,
        hint="Copy it again: it may have been cut off on its way.",
    )


def shown(text: object) -> str:
    """A name out of a file, for a message: short, in one line, and nothing in it that a terminal would obey."""
    letters = str(text)
    cut = letters[:_LONGEST] + ("…" if len(letters) > _LONGEST else "")
    return harmless(cut.replace("\n", " ").replace("\t", " "))
