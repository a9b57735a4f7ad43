"""The operators and functions that an expression may use, and what they mean for columns.

Arithmetic is done in float64, or in int64 where both sides are whole numbers (``/`` and ``**`` always give float64); true
and false count as 1 and 0. ``%`` is numpy's: the sign is that of the divisor. A comparison with NaN is false (``!=`` is
true), and a number counts as true where it is neither 0 nor NaN. ``min`` and ``max`` give NaN where an argument is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import ExpressionError

Array = NDArray[Any]


@dataclass(frozen=True)
class Function:
    """``apply`` takes ``least`` to ``most`` arrays; None means any number."""

    apply: Callable[..., Array]
    least: int = 1
    most: int | None = 1


def number(values: Array) -> Array:
    """``values`` as what arithmetic works on."""
    return values.astype(np.int64) if values.dtype == bool else values


def truth(values: Array) -> Array:
    return values if values.dtype == bool else (values != 0) & (values == values)


def _arithmetic(ufunc: Any) -> Callable[..., Array]:
    return lambda *arguments: ufunc(*(number(argument) for argument in arguments))


def _real(ufunc: Any) -> Callable[..., Array]:
    return lambda *arguments: ufunc(*(argument.astype(np.float64) for argument in arguments))


def _logical(ufunc: Any) -> Callable[..., Array]:
    return lambda *arguments: ufunc(*(truth(argument) for argument in arguments))


def _bits(ufunc: Any, sign: str) -> Callable[..., Array]:
    """Logical on conditions, bitwise on whole numbers, so that both ``(a > 1) & (b > 1)`` and ``flags & 4`` are right."""

    def apply(*arguments: Array) -> Array:
        if any(argument.dtype.kind == "f" for argument in arguments):
            raise ExpressionError(f"'{sign}' needs conditions or whole numbers", hint="Between conditions write && || !")
        if not all(argument.dtype == bool for argument in arguments):
            arguments = tuple(number(argument) for argument in arguments)
        bits: Array = reduce(ufunc, arguments) if len(arguments) > 1 else ufunc(*arguments)
        return bits

    return apply


def _extreme(ufunc: Any) -> Callable[..., Array]:
    return lambda *arguments: reduce(ufunc, (number(argument) for argument in arguments))


def _modulo(left: Array, right: Array) -> Array:
    # Whole numbers modulo 0 would be 0 in numpy.
    if left.dtype.kind == "f" or right.dtype.kind == "f" or np.any(right == 0):
        left, right = left.astype(np.float64), right.astype(np.float64)
    rest: Array = np.mod(left, right)
    return rest


def _where(condition: Array, yes: Array, no: Array) -> Array:
    if yes.dtype == no.dtype == bool:
        return np.where(truth(condition), yes, no)
    return np.where(truth(condition), number(yes), number(no))


_COMPARISONS: dict[str, Callable[..., Array]] = {
    "lt": _arithmetic(np.less),
    "lte": _arithmetic(np.less_equal),
    "gt": _arithmetic(np.greater),
    "gte": _arithmetic(np.greater_equal),
    "eq": _arithmetic(np.equal),
    "neq": _arithmetic(np.not_equal),
}

OPERATORS: dict[str, Function] = {
    "pos": Function(_arithmetic(np.positive)),
    "neg": Function(_arithmetic(np.negative)),
    "inv": Function(_logical(np.logical_not)),
    "add": Function(_arithmetic(np.add), 2, 2),
    "sub": Function(_arithmetic(np.subtract), 2, 2),
    "mul": Function(_arithmetic(np.multiply), 2, 2),
    "div": Function(_real(np.divide), 2, 2),
    "mod": Function(_arithmetic(_modulo), 2, 2),
    "pow": Function(_real(np.power), 2, 2),
    "and": Function(_logical(np.logical_and), 2, 2),
    "or": Function(_logical(np.logical_or), 2, 2),
    **{name: Function(apply, 2, 2) for name, apply in _COMPARISONS.items()},
}
"""formulate's name of an operator -> what it does."""

BIT_OPERATORS: dict[str, Function] = {
    "&": Function(_bits(np.bitwise_and, "&"), 2, None),
    "|": Function(_bits(np.bitwise_or, "|"), 2, None),
    "~": Function(_bits(np.invert, "~")),
}

FUNCTIONS: dict[str, Function] = {
    **{
        name: Function(_real(getattr(np, ufunc)))
        for name, ufunc in {
            "sqrt": "sqrt",
            "cbrt": "cbrt",
            "exp": "exp",
            "expm1": "expm1",
            "log": "log",
            "log2": "log2",
            "log10": "log10",
            "log1p": "log1p",
            "sin": "sin",
            "cos": "cos",
            "tan": "tan",
            "asin": "arcsin",
            "acos": "arccos",
            "atan": "arctan",
            "sinh": "sinh",
            "cosh": "cosh",
            "tanh": "tanh",
            "asinh": "arcsinh",
            "acosh": "arccosh",
            "atanh": "arctanh",
            "floor": "floor",
            "ceil": "ceil",
            "round": "rint",
            "deg": "degrees",
            "rad": "radians",
        }.items()
    },
    "abs": Function(_arithmetic(np.abs)),
    "sign": Function(_arithmetic(np.sign)),
    "atan2": Function(_real(np.arctan2), 2, 2),
    "hypot": Function(_real(np.hypot), 2, 2),
    "pow": OPERATORS["pow"],
    "min": Function(_extreme(np.minimum), 2, None),
    "max": Function(_extreme(np.maximum), 2, None),
    "where": Function(_where, 3, 3),
    "isnan": Function(_real(np.isnan)),
    "isfinite": Function(_real(np.isfinite)),
    "isinf": Function(_real(np.isinf)),
    "pi": Function(lambda: np.asarray(math.pi), 0, 0),
}

ALIASES = {
    "fabs": "abs",
    "ln": "log",
    "power": "pow",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
}

CONSTANTS: dict[str, bool | float] = {
    "true": True,
    "false": False,
    "True": True,
    "False": False,
    "pi": math.pi,
    "nan": math.nan,
}
"""``nan`` turns a sentinel into what it stands for: ``where(x == -999, nan, x)``."""


def find_function(name: str) -> str | None:
    """The name in ``FUNCTIONS`` that ``name`` means (``TMath::ATan2`` -> ``atan2``), or None."""
    scope, _, bare = name.rpartition("::")
    bare = bare.lower() if scope == "TMath" else bare
    bare = ALIASES.get(bare, bare)
    return bare if scope in ("", "TMath", "std") and bare in FUNCTIONS else None


def apply(name: str, arguments: tuple[Array, ...]) -> Array:
    """The operator or function ``name`` of ``arguments``; ``chain lt lte`` is ``a < b <= c``."""
    if name.startswith("chain "):
        return _chain(name.split()[1:], arguments)
    table = next(table for table in (OPERATORS, BIT_OPERATORS, FUNCTIONS) if name in table)
    return table[name].apply(*arguments)


def _chain(signs: list[str], operands: tuple[Array, ...]) -> Array:
    """Each neighbouring pair is compared, as Python and every reader understand it, and unlike C."""
    pairs = zip(signs, operands[:-1], operands[1:], strict=True)
    met: Array = reduce(np.logical_and, (_COMPARISONS[sign](left, right) for sign, left, right in pairs))
    return met
