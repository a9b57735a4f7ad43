"""Cuts and formulae of columns, written as in ROOT or Python: ``9.4 < mRecoil < 9.52 && abs(MPiPi - 0.5) > 0.01``.

Precedence is that of C (``-x**2`` is ``-(x**2)``, ``!a < b`` is ``(!a) < b``); ``and``, ``or`` and ``not`` are Python's.
What C and Python read differently (``a > 1 & b > 1``, ``a == b == c``, ``^``) is refused. The meaning of operators and
functions, also for NaN, is in ``mlbkg.ntuples.expression_functions``. The text is never run as Python: it is parsed by
formulate, and only the operators and functions listed there exist.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import ExpressionError, nearest
from mlbkg.ntuples.belle2_names import resolve
from mlbkg.ntuples.expression_functions import OPERATORS, apply
from mlbkg.ntuples.expression_text import Column, Leaf, Spelled, fail, spell


@dataclass(frozen=True)
class _Apply:
    name: str
    arity: int


_Step = Leaf | _Apply


@dataclass(frozen=True)
class Expression:
    """``names``: the columns it uses, in order of appearance, as they are spelled in ``text`` (without backticks)."""

    text: str
    names: tuple[str, ...]
    _steps: tuple[_Step, ...] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, *, known: Iterable[str] | None = None) -> Expression:
        """The expression that ``text`` spells. Raises :class:`ExpressionError`.

        A name with special characters stands in backticks: ```jet1_b-tag` > 0.5``. With ``known``, the columns there are, it
        may also stand bare where it is one of them: ``useCMSFrame(E) > 1``.
        """
        spelled = spell(text, known=known)
        steps = _postfix(_parse(text, spelled), spelled)
        names = dict.fromkeys(step.name for step in steps if isinstance(step, Column))
        return cls(text, tuple(names), steps)

    def check(self, known: Collection[str]) -> None:
        """Raises :class:`ExpressionError` that names every column used and not among ``known``, with the nearest one."""
        unknown = [name for name in self.names if resolve(name, known) is None]
        if unknown:
            raise self._unknown(unknown, known)

    def evaluate(self, columns: Mapping[str, Any]) -> NDArray[Any]:
        """``(n,)`` bool for a condition, else int64 or float64, for ``columns`` of shape ``(n,)``.

        A constant is repeated for every row of the first column. Raises :class:`ExpressionError` for a column that is
        absent, jagged or not made of numbers.
        """
        with np.errstate(all="ignore"):
            result = self.fold(lambda name: self._column(name, columns), apply)
        if result.ndim == 0 and len(columns) > 0:
            return np.full(len(columns[next(iter(columns))]), result)
        return np.asarray(result)

    def fold(self, column: Callable[[str], Any], operation: Callable[[str, tuple[Any, ...]], Any]) -> Any:
        """What ``operation`` makes of columns and numbers, step by step; it is called as :func:`apply` is.

        A number that the expression holds is given to it as an array without rows.
        """
        stack: list[Any] = []
        for step in self._steps:
            if isinstance(step, _Apply):
                arguments = tuple(stack[len(stack) - step.arity :])
                del stack[len(stack) - step.arity :]
                stack.append(operation(step.name, arguments))
            else:
                stack.append(column(step.name) if isinstance(step, Column) else np.asarray(step))
        (result,) = stack
        return result

    def _column(self, name: str, columns: Mapping[str, Any]) -> NDArray[Any]:
        """float64, int64 or bool: in float32, ``x >= 9.4`` would hold for the float32 just below 9.4."""
        spelling = name if name in columns else resolve(name, columns)
        if spelling is None:
            raise self._unknown([name], columns)
        try:
            values = np.asarray(columns[spelling])
        except ValueError as error:
            raise self._unusable(name, "it holds a list a row") from error
        if values.ndim != 1:
            raise self._unusable(name, "it holds a list a row")
        if values.dtype.kind not in "biuf":
            raise self._unusable(name, f"it holds {values.dtype}")
        if values.dtype.kind == "b" or values.dtype == np.uint64:
            return values
        return values.astype(np.float64 if values.dtype.kind == "f" else np.int64, copy=False)

    def _unknown(self, names: list[str], known: Collection[str]) -> ExpressionError:
        near = {name: nearest(name, known) for name in names}
        return ExpressionError(
            f"'{self.text}' uses {len(names)} unknown name{'s' if len(names) > 1 else ''}",
            details=[name + (f"; nearest: '{near[name]}'" if near[name] else "") for name in names],
            where=self.text,
        )

    def _unusable(self, name: str, why: str) -> ExpressionError:
        return ExpressionError(f"'{self.text}' needs one number a row in '{name}', but {why}", where=self.text)


def _parse(text: str, spelled: Spelled) -> Any:
    """formulate's tree of the spelled text."""
    import formulate

    try:
        return formulate.from_root(spelled.text)
    except formulate.ParseError as error:
        offset = getattr(error.lark_error, "pos_in_stream", None)
        token = getattr(error.lark_error, "token", None)
        if offset is None or token is None or token.type == "$END":
            fail("the expression ends too early", text, len(text.rstrip()))
        starts = [start for start, _ in spelled.origins]
        position = spelled.origins[bisect.bisect_right(starts, offset) - 1][1]
        fail(f"did not expect '{_seen(text, position)}'", text, position)


def _seen(text: str, position: int) -> str:
    for sign in ("&&", "||", "**", "<=", ">=", "==", "!="):
        if text.startswith(sign, position):
            return sign
    end = position + 1
    while (
        end < len(text)
        and (text[position].isalnum() or text[position] == "_")
        and (text[end].isalnum() or text[end] in "_.")
    ):
        end += 1
    return text[position:end]


def _postfix(tree: Any, spelled: Spelled) -> tuple[_Step, ...]:
    """The tree as steps of a stack machine. No recursion: ``a + a + ...`` makes a tree as deep as it is long."""
    from formulate.AST import BinaryOperator, Call, Symbol, UnaryOperator

    steps: list[_Step] = []
    pending: list[Any] = [tree]
    while pending:
        node = pending.pop()
        match node:
            case _Apply():
                steps.append(node)
            case Symbol(name=name):
                steps.append(spelled.leaves[int(name[1:])])
            case BinaryOperator(operator=operator, left=left, right=right) if operator in OPERATORS:
                pending += [_Apply(operator, 2), right, left]
            case UnaryOperator(operator=operator, operand=operand) if operator in OPERATORS:
                pending += [_Apply(operator, 1), operand]
            case Call(function="where", arguments=(Symbol(name=name), *arguments)):
                pending += [_Apply(spelled.operations[int(name[1:])], len(arguments)), *reversed(arguments)]
            case _:
                raise ExpressionError(f"'{node}' is not allowed in an expression")
    return tuple(steps)
