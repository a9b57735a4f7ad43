"""Errors that say what is wrong, where, the value seen, the nearest right name and the next command."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence


class MlbkgError(Exception):
    """The work failed. ``str(error)`` is the whole message, ready for a terminal: names out of files cannot steer it.

    Parameters
    ----------
    what: one line that says what is wrong, with the value seen.
    details: one line per problem, printed indented below ``what``.
    where: file, line, branch or sample, for machines (``--json``); people read it in ``what``.
    hint: what to do next, usually a command.
    """

    exit_code = 1

    def __init__(self, what: str, *, details: Sequence[str] = (), where: str = "", hint: str = "") -> None:
        self.what = harmless(what)
        super().__init__(self.what)
        self.details = tuple(map(harmless, details))
        self.where = where
        self.hint = harmless(hint)

    def __str__(self) -> str:
        lines = [self.what, *(f"  {line}" for line in self.details)]
        return "\n".join([*lines, self.hint] if self.hint else lines)


class ConfigError(MlbkgError):
    """The config or the command line is wrong; nothing was done."""

    exit_code = 2


class NtupleError(MlbkgError):
    """A ROOT file, tree or branch is missing, unreadable or of the wrong kind."""


class ExpressionError(MlbkgError):
    """A cut or feature expression cannot be parsed or uses what is not allowed."""


class EmptySampleError(MlbkgError):
    """No candidate is left where some are needed."""


class WeightError(MlbkgError):
    """Weights are negative, not finite or sum to nothing."""


class FeatureMismatchError(MlbkgError):
    """Data and model, or config and model, do not have the same features."""


class ParityError(MlbkgError):
    """An exported model does not give the trained model's answers; it was not written."""


class FitError(MlbkgError):
    """A fit model is wrong, or a fit did not converge."""


class LimitError(MlbkgError):
    """A limit cannot be computed as asked."""


class BlindError(MlbkgError):
    """Blinded data would have been read."""


class UnknownNameError(ConfigError):
    """A name that is not in a registry."""


UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode categories of what moves the cursor, turns the direction of writing, or cannot be seen."""


def is_plain(text: str, *, lines: bool = False) -> bool:
    """Whether a terminal shows ``text`` as it is. lines: it may have several, and tabs."""
    return text.isprintable() or not any(_is_unseen(letter, "\n\t" if lines else "") for letter in text)


def harmless(text: str) -> str:
    """``text`` with what a terminal would obey, but for lines and tabs, spelled out."""
    if text.isprintable():
        return text
    return "".join(f"\\x{ord(letter):02x}" if _is_unseen(letter, "\n\t") else letter for letter in text)


def _is_unseen(letter: str, allowed: str) -> bool:
    return letter not in allowed and unicodedata.category(letter) in UNSEEN


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``, upper and lower case alike, or None where nothing is near."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` or an empty string."""
    near = nearest(name, known)
    return f"; did you mean '{near}'?" if near else ""
