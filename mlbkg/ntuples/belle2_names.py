"""basf2 variable names and the ROOT branch names made of them.

The codes are those of basf2's ``framework/utilities/src/MakeROOTCompatible.cc``. As there, underscores stay as they are
and every character without a code is dropped; so ``unescape`` is a guess for a name that held ``__`` before
(``__production__`` comes back as ``%oduction__``), and :func:`resolve` tries the exact spelling first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set

_CODES = {
    " ": "__sp",
    "!": "__em",
    '"': "__dq",
    "#": "__hs",
    "$": "__do",
    "%": "__pr",
    "&": "__am",
    "'": "__sq",
    "(": "__bo",
    ")": "__bc",
    "*": "__mu",
    "+": "__pl",
    ",": "__cm",
    "-": "__mi",
    ".": "__pt",
    "/": "__sl",
    ":": "__cl",
    ";": "__sm",
    "<": "__st",
    "=": "__eq",
    ">": "__gt",
    "?": "__qm",
    "@": "__at",
    "[": "__so",
    "\\": "__bl",
    "]": "__sc",
    "^": "__ha",
    "`": "__to",
    "{": "__co",
    "|": "__pi",
    "}": "__cc",
    "~": "__ti",
    "§": "__pa",
    "°": "__ci",
    "´": "__tc",
}
_CHARACTERS = {code: character for character, code in _CODES.items()}
_SPECIAL = re.compile(r"[^A-Za-z0-9_]")
_CODE = re.compile("|".join(_CHARACTERS))


def escape(name: str) -> str:
    """``useCMSFrame(E)`` -> ``useCMSFrame__boE__bc``; a name without special characters comes back unchanged."""
    return _SPECIAL.sub(lambda found: _CODES.get(found.group(), ""), name)


def unescape(name: str) -> str:
    """``useCMSFrame__boE__bc`` -> ``useCMSFrame(E)``."""
    return _CODE.sub(lambda found: _CHARACTERS[found.group()], name)


def resolve(name: str, available: Iterable[str]) -> str | None:
    """The name in ``available`` that ``name`` means, or None.

    Tried in order: the exact name, its escaped and its unescaped spelling, and the one name that differs in spaces only
    (basf2 writes ``daughter(0, pt)`` for what most people type as ``daughter(0,pt)``).
    """
    names = available if isinstance(available, Mapping | Set) else dict.fromkeys(available)
    for spelling in (name, escape(name), unescape(name)):
        if spelling in names:
            return spelling
    plain = _without_spaces(name)
    if not _SPECIAL.search(plain):
        return None
    alike = [candidate for candidate in names if _without_spaces(candidate) == plain]
    return alike[0] if len(alike) == 1 else None


def _without_spaces(name: str) -> str:
    return unescape(name).replace(" ", "")
