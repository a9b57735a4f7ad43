"""From the text of an expression to text that formulate's grammar takes.

formulate knows the precedence of C, but not basf2 names, ``and or not``, ``&`` between conditions, chained comparisons, or
functions without a ROOT name; it also reads ``tau`` or ``hbar`` as constants, where we may have branches. So every name and
number becomes a symbol ``v0, v1, ...``, every call ``f(x)`` becomes ``where(v1, x)``, and what reads differently in C and in
Python is either made explicit here or refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from mlbkg.errors import ExpressionError, did_you_mean
from mlbkg.ntuples.belle2_names import resolve, unescape
from mlbkg.ntuples.expression_functions import CONSTANTS, FUNCTIONS, find_function

MAX_LENGTH = 4096
MAX_DEPTH = 50


@dataclass(frozen=True)
class Column:
    name: str


Leaf = Column | bool | int | float

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | `(?P<quoted>[^`]+)`
      | (?P<name>[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*)
      | (?P<sign>\*\*|&&|\|\||<=|>=|==|!=|[-+*/%<>!&|~(),])""",
    re.VERBOSE | re.ASCII,
)
_WORDS = {"and": "&&", "or": "||", "not": "not"}
_COMPARISONS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte", "==": "eq", "!=": "neq"}
_ADVICE = {
    "=": "compare with ==",
    "^": "powers are written **",
    "?": "write where(condition, a, b)",
    "'": "a name with special characters goes into `backticks`",
    '"': "a name with special characters goes into `backticks`",
    "[": "elements of a list cannot be picked",
    ".": "a name with a dot goes into `backticks`",
    "`": "the closing backtick is missing",
}


@dataclass(frozen=True)
class Token:
    """An operator, bracket or comma (``sign``), the name of a function (``call``), or else the leaf with that number."""

    position: int
    sign: str = ""
    call: str = ""
    leaf: int = -1


@dataclass(frozen=True)
class Spelled:
    """``text`` for formulate: ``v0`` is the first of ``leaves``, ``where(f0, ...)`` a call of the first of ``operations``.

    ``origins``: (offset in ``text``, offset in the user's text) of every token.
    """

    text: str
    leaves: tuple[Leaf, ...]
    operations: tuple[str, ...]
    origins: tuple[tuple[int, int], ...]


def fail(what: str, text: str, position: int, hint: str = "") -> NoReturn:
    """Raise :class:`ExpressionError` with a caret below the character at ``position``."""
    start = max(0, position - 60)
    window = re.sub(r"\s", " ", text[start : position + 60])
    what = f"{what} (character {position + 1})"
    raise ExpressionError(what, details=[window, " " * (position - start) + "^"], where=text[:200], hint=hint)


def spell(text: str, *, known: Iterable[str] | None = None) -> Spelled:
    """Raises :class:`ExpressionError` for what no grammar could take."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"an expression of {len(text)} characters is too long; at most {MAX_LENGTH} are read",
            where=text[:200],
            hint="Split it into features",
        )
    if not text.strip():
        raise ExpressionError("an expression is empty", where=text)
    lexer = _Lexer(text, dict.fromkeys(known or ()))
    tokens = lexer.tokens()
    return _Speller(text, tokens, lexer.leaves).spell()


class _Lexer:
    def __init__(self, text: str, known: dict[str, None]) -> None:
        self._text = text
        self._known = known
        special = {spelling for name in known for spelling in (name, unescape(name)) if not re.fullmatch(r"\w+", spelling)}
        self._special = sorted(special, key=len, reverse=True)
        self.leaves: list[Leaf] = []

    def tokens(self) -> list[Token]:
        tokens: list[Token] = []
        position = 0
        while position < len(self._text):
            token, position = self._next(position)
            if token is not None:
                tokens.append(token)
        return tokens

    def _next(self, position: int) -> tuple[Token | None, int]:
        special = self._special_name(position)
        if special is not None:
            return self._leaf(position, Column(special)), position + len(special)
        found = _TOKEN.match(self._text, position)
        if found is None:
            character = self._text[position]
            fail(f"unexpected {character!r}", self._text, position, _capital(_ADVICE.get(character, "")))
        end = found.end()
        if found["space"]:
            return None, end
        if found["sign"]:
            return Token(position, found["sign"]), end
        if found["quoted"]:
            return self._leaf(position, Column(found["quoted"])), end
        if found["number"]:
            if re.match(r"[\w.]", self._text[end : end + 1]):
                fail(f"'{found['number']}{self._text[end]}' does not make a number", self._text, position)
            return self._leaf(position, _number(found["number"])), end
        return self._name(position, found["name"])

    def _name(self, position: int, name: str) -> tuple[Token, int]:
        end = position + len(name)
        if name in _WORDS:
            return Token(position, _WORDS[name]), end
        if self._text[end:].lstrip().startswith("("):
            return self._call(position, name)
        if "::" in name:
            fail(f"'{name}' is not a column", self._text, position, "A name with special characters goes into `backticks`")
        if name in CONSTANTS and name not in self._known:
            return self._leaf(position, CONSTANTS[name]), end
        return self._leaf(position, Column(name)), end

    def _call(self, position: int, name: str) -> tuple[Token, int]:
        function = find_function(name)
        if function is not None:
            return Token(position, call=function), position + len(name)
        end = self._closing(position + len(name))
        whole = self._text[position:end]
        if resolve(whole, self._known) is not None:
            return self._leaf(position, Column(whole)), end
        fail(
            f"unknown function '{name}'{did_you_mean(name, FUNCTIONS)}",
            self._text,
            position,
            f"For a column of that name write `{whole}` in backticks" if len(whole) <= 60 else "",
        )

    def _closing(self, start: int) -> int:
        """Just after the bracket that closes the first one after ``start``."""
        depth = 0
        for position in range(start, len(self._text)):
            depth += {"(": 1, ")": -1}.get(self._text[position], 0)
            if depth == 0 and self._text[position] == ")":
                return position + 1
        fail("this bracket is never closed", self._text, self._text.index("(", start))

    def _special_name(self, position: int) -> str | None:
        """A known column with special characters (``jet1_b-tag``) that the text spells here without spaces."""
        if position and re.match(r"[\w.]", self._text[position - 1]):
            return None
        for name in self._special:
            end = position + len(name)
            if not self._text.startswith(name, position) or re.match(r"\w", self._text[end : end + 1]):
                continue
            words = re.findall(r"[A-Za-z_]\w*", name)
            if words and all(word in self._known or find_function(word) for word in words):
                fail(
                    f"'{name}' is a column, and so are its parts",
                    self._text,
                    position,
                    f"Write `{name}` in backticks, or spaces",
                )
            return name
        return None

    def _leaf(self, position: int, leaf: Leaf) -> Token:
        self.leaves.append(leaf)
        return Token(position, leaf=len(self.leaves) - 1)


Pieces = list[tuple[str, int]]
"""Text for formulate, each piece with the position in the user's text that an error there is reported at."""


@dataclass(frozen=True)
class _Item:
    """An operator (``sign``), or an operand with its brackets and arguments."""

    sign: str
    pieces: Pieces
    position: int


class _Speller:
    """One pass over the tokens, group by group; a group is what stands between brackets or commas."""

    def __init__(self, text: str, tokens: list[Token], leaves: list[Leaf]) -> None:
        self._text = text
        self._tokens = tokens
        self._leaves = leaves
        self._operations: list[str] = []
        self._next = 0
        self._depth = 0

    def spell(self) -> Spelled:
        pieces = self._group()
        if self._next < len(self._tokens):
            token = self._tokens[self._next]
            fail(f"unexpected '{token.sign}'", self._text, token.position)
        origins, offset = [], 0
        for piece, position in pieces:
            origins.append((offset, position))
            offset += len(piece) + 1
        return Spelled(" ".join(piece for piece, _ in pieces), tuple(self._leaves), tuple(self._operations), tuple(origins))

    def _group(self) -> Pieces:
        """All up to the next comma or closing bracket."""
        items: list[_Item] = []
        while self._next < len(self._tokens) and self._tokens[self._next].sign not in (",", ")"):
            items.append(self._item())
        pieces: Pieces = []
        for clause, connective in _split(items, ("&&", "||")):
            pieces += self._clause(clause)
            if connective is not None:
                pieces.append((connective.sign, connective.position))
        return pieces

    def _item(self) -> _Item:
        token = self._tokens[self._next]
        self._next += 1
        if token.call:
            bracket = self._tokens[self._next]
            self._next += 1
            return _Item("", self._call(token, bracket), token.position)
        if token.sign == "(":
            inner = self._bracketed(token)
            if len(inner) > 1:
                fail("unexpected ','", self._text, token.position, "Brackets without a function hold one value")
            return _Item("", [("(", token.position), *inner[0], (")", token.position)], token.position)
        if token.sign == "~":
            return self._inverted(token)
        if token.sign:
            return _Item(token.sign, [(token.sign, token.position)], token.position)
        return _Item("", [(f"v{token.leaf}", token.position)], token.position)

    def _bracketed(self, bracket: Token) -> list[Pieces]:
        """What stands between ``bracket`` and its closing one, split at commas."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            fail(f"brackets are nested more than {MAX_DEPTH} deep", self._text, bracket.position)
        groups = [self._group()]
        while self._next < len(self._tokens) and self._tokens[self._next].sign == ",":
            self._next += 1
            groups.append(self._group())
        if self._next == len(self._tokens):
            fail("this bracket is never closed", self._text, bracket.position)
        self._next += 1
        self._depth -= 1
        return groups

    def _call(self, token: Token, bracket: Token) -> Pieces:
        groups = self._bracketed(bracket)
        arguments = [] if groups == [[]] else groups
        function = FUNCTIONS[token.call]
        if len(arguments) < function.least or (function.most is not None and len(arguments) > function.most):
            wanted = f"{function.least}" if function.most == function.least else f"at least {function.least}"
            values = "value" if wanted == "1" else "values"
            fail(f"'{token.call}' takes {wanted} {values}, got {len(arguments)}", self._text, token.position)
        return self._operation(token.call, arguments, token.position)

    def _inverted(self, token: Token) -> _Item:
        """``~`` binds to the next operand; what follows that one must not bind tighter."""
        if self._next == len(self._tokens):
            fail("'~' has nothing to its right", self._text, token.position)
        operand = self._item()
        after = self._tokens[self._next].sign if self._next < len(self._tokens) else ""
        if operand.sign or after == "**":
            fail("put what '~' applies to into brackets", self._text, token.position)
        return _Item("", self._operation("~", [operand.pieces], token.position), token.position)

    def _clause(self, items: list[_Item]) -> Pieces:
        """What stands between ``&&`` and ``||``: ``not`` and comparisons, or bits."""
        negations = 0
        while negations < len(items) and items[negations].sign == "not":
            negations += 1
        for item in items[negations:]:
            if item.sign == "not":
                fail("'not' can only begin a condition", self._text, item.position, "Put it and its condition into brackets")
        pieces = self._comparison(items[negations:])
        for item in reversed(items[:negations]):
            pieces = [("!", item.position), ("(", item.position), *pieces, (")", item.position)]
        return pieces

    def _comparison(self, items: list[_Item]) -> Pieces:
        comparisons = [item for item in items if item.sign in _COMPARISONS]
        bits = [item for item in items if item.sign in ("&", "|")]
        if comparisons and bits:
            fail(
                f"'{bits[0].sign}' beside a comparison means one thing in C and another in Python",
                self._text,
                bits[0].position,
                f"Write {bits[0].sign * 2} between conditions, or put brackets",
            )
        if bits:
            return self._bits(items)
        if len(comparisons) < 2:
            return [piece for item in items for piece in item.pieces]
        if len({item.sign[0] for item in comparisons}) > 1 or comparisons[0].sign[0] not in "<>":
            fail(
                "comparisons in a row must all be < and <=, or all > and >=",
                self._text,
                comparisons[1].position,
                "Write && between conditions, or put brackets",
            )
        operands = [self._operand(part, sign) for part, sign in _split(items, tuple(_COMPARISONS))]
        name = " ".join(["chain", *(_COMPARISONS[item.sign] for item in comparisons)])
        return self._operation(name, operands, comparisons[0].position)

    def _bits(self, items: list[_Item]) -> Pieces:
        """``|`` of ``&`` of sums, on which C and Python agree."""
        alternatives = []
        for part, bar in _split(items, ("|",)):
            factors = [self._operand(factor, sign or bar) for factor, sign in _split(part, ("&",))]
            alternatives.append(factors[0] if len(factors) == 1 else self._operation("&", factors, part[0].position))
        return alternatives[0] if len(alternatives) == 1 else self._operation("|", alternatives, items[0].position)

    def _operand(self, items: list[_Item], sign: _Item | None) -> Pieces:
        if not items:
            fail("a value is missing", self._text, sign.position if sign else len(self._text.rstrip()))
        return [piece for item in items for piece in item.pieces]

    def _operation(self, name: str, arguments: list[Pieces], position: int) -> Pieces:
        self._operations.append(name)
        pieces: Pieces = [("where", position), ("(", position), (f"f{len(self._operations) - 1}", position)]
        for argument in arguments:
            if not argument:
                fail("a value is missing", self._text, position)
            pieces += [(",", argument[0][1]), *argument]
        return [*pieces, (")", position)]


def _split(items: list[_Item], signs: tuple[str, ...]) -> list[tuple[list[_Item], _Item | None]]:
    """The parts between operators, each with the operator that follows it."""
    parts: list[tuple[list[_Item], _Item | None]] = []
    part: list[_Item] = []
    for item in items:
        if item.sign and item.sign in signs:
            parts.append((part, item))
            part = []
        else:
            part.append(item)
    return [*parts, (part, None)]


def _number(text: str) -> int | float:
    if not text.isdigit() or int(text[:20]) > np.iinfo(np.int64).max:
        return float(text)
    return int(text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
