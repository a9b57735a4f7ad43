"""numpy's ufuncs that ONNX Runtime has no float64 kernel for, by those that it has, to a few units in the last place.

Plain numpy, for traced columns: both sides of a ``np.where`` are computed for every row. Signs of zeros are kept only where
they decide something (``arctan2``, ``copysign``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

LN2 = math.log(2.0)
ARCTAN_TERMS = 12
"""Of the Taylor series, up to tan(pi / 16): the next would be 1e-18 of the sum."""
ERFC_STEP, ERFC_TERMS = 0.5, 13
"""The error is exp(-(pi / step)^2), and what is left of the sum exp(-(step * terms)^2): both 1e-17."""
# pi / 2 in pieces: the products of the first three, of 22 bits, with whole numbers up to 2^31 are exact.
HALF_PI = tuple(map(float.fromhex, ("0x1.921fbp+0", "0x1.5110bp-22", "0x1.184698p-44", "0x1.3198a2e037073p-69")))
LARGEST_REDUCED = 2.0**31


def minimum(a: Any, b: Any) -> Any:
    return np.where((a <= b) | (a != a), a, b)


def maximum(a: Any, b: Any) -> Any:
    return np.where((a >= b) | (a != a), a, b)


def is_negative(x: Any) -> Any:
    """Also for the zero with a minus."""
    return (x < 0.0) | (np.reciprocal(x) < 0.0)


def copysign(size: Any, sign: Any) -> Any:
    return np.where(is_negative(sign), -np.abs(size), np.abs(size))


def odd(x: Any, of_size: Any) -> Any:
    """``of_size``: the function at ``|x|``."""
    return np.where(x < 0.0, -of_size, of_size)


def is_finite(x: Any) -> Any:
    return np.abs(x) < np.inf


def remainder(a: Any, b: Any) -> Any:
    """``np.fmod`` has the sign of ``a``, this that of ``b``."""
    rest = np.fmod(a, b)
    return np.where((rest != 0.0) & ((rest < 0.0) ^ (b < 0.0)), rest + b, rest)


def cbrt(x: Any) -> Any:
    size = np.abs(x)
    guess = np.power(size, 1.0 / 3.0)
    root = guess - (guess - size / (guess * guess)) / 3.0
    return np.where((size == 0.0) | ~is_finite(x), x, odd(x, root))


def expm1(x: Any) -> Any:
    half = np.tanh(0.5 * x)
    return np.where(np.abs(x) > 1.0, np.exp(x) - 1.0, 2.0 * half / (1.0 - half))


def log1p(x: Any) -> Any:
    """W. Kahan's: the rounding of ``1 + x`` cancels."""
    shifted = 1.0 + x
    kept = shifted - 1.0
    near = np.where(kept == 0.0, x, np.log(shifted) * (x / kept))
    return np.where(np.abs(x) > 1.0, np.log(shifted), near)


def _logarithm(base: float) -> Callable[[Any], Any]:
    def logarithm(x: Any) -> Any:
        """Powers of the base are met exactly: ``floor`` of the result must not fall short."""
        ratio = np.log(x) * (1.0 / math.log(base))
        whole = np.rint(ratio)
        return np.where(np.power(base, whole) == x, whole, ratio)

    return logarithm


def _beyond(size: Any, quarters: Any) -> Any:
    """``size - quarters * pi / 2``, exact to more digits than a float64 has, for whole ``quarters``."""
    for piece in HALF_PI:
        size = size - quarters * piece
    return size


def _alternating(turns: Any) -> Any:
    """-1 to the power of ``turns``"""
    return 1.0 - 2.0 * (turns - 2.0 * np.floor(0.5 * turns))


def sin(x: Any) -> Any:
    """By the exact distance to the nearest zero: ONNX Runtime's own is 0 at the float64 next to pi."""
    size = np.abs(x)
    turns = np.rint(size * (1.0 / math.pi))
    near = _alternating(turns) * _beyond(size, 2.0 * turns).kernel("Sin")
    return np.where(size < LARGEST_REDUCED, odd(x, near), x.kernel("Sin"))


def cos(x: Any) -> Any:
    size = np.abs(x)
    turns = np.rint(size * (1.0 / math.pi) - 0.5)
    near = -_alternating(turns) * _beyond(size, 2.0 * turns + 1.0).kernel("Sin")
    half = (0.5 * x).kernel("Sin")
    return np.where(size < LARGEST_REDUCED, near, 1.0 - 2.0 * half * half)


def tan(x: Any) -> Any:
    return sin(x) / cos(x)


def _arctan_up_to_1(t: Any) -> Any:
    for _ in range(2):
        t = t / (1.0 + np.sqrt(1.0 + t * t))
    series: Any = 0.0
    for k in reversed(range(ARCTAN_TERMS)):
        series = (-1.0) ** k / (2 * k + 1) + (t * t) * series
    return 4.0 * t * series


def arctan(x: Any) -> Any:
    size = np.abs(x)
    is_steep = size > 1.0
    angle = _arctan_up_to_1(np.where(is_steep, np.reciprocal(size), size))
    return odd(x, np.where(is_steep, 0.5 * math.pi - angle, angle))


def arctan2(y: Any, x: Any) -> Any:
    rise, run = np.abs(y), np.abs(x)
    larger = maximum(rise, run)
    ratio = np.where(rise == run, 1.0, minimum(rise, run) / larger)
    angle = _arctan_up_to_1(np.where(larger == 0.0, 0.0, ratio))
    angle = np.where(rise > run, 0.5 * math.pi - angle, angle)
    return copysign(np.where(is_negative(x), math.pi - angle, angle), y)


def arcsin(x: Any) -> Any:
    return arctan2(x, np.sqrt((1.0 - x) * (1.0 + x)))


def arccos(x: Any) -> Any:
    return 2.0 * arctan2(np.sqrt(1.0 - x), np.sqrt(1.0 + x))


def sinh(x: Any) -> Any:
    size = np.abs(x)
    half = np.exp(0.5 * size)
    small = expm1(size)
    return odd(x, np.where(size > 1.0, 0.5 * half * half - 0.5 / half / half, 0.5 * (small + small / (small + 1.0))))


def cosh(x: Any) -> Any:
    half = np.exp(0.5 * np.abs(x))
    return 0.5 * half * half + 0.5 / half / half


def arcsinh(x: Any) -> Any:
    size = np.abs(x)
    square = size * size
    near = log1p(size + square / (1.0 + np.sqrt(1.0 + square)))
    return odd(x, np.where(size > 1e8, np.log(size) + LN2, near))


def arccosh(x: Any) -> Any:
    above = x - 1.0
    near = log1p(above + np.sqrt(above * (above + 2.0)))
    return np.where(x < 1.0, np.nan, np.where(x > 1e8, np.log(x) + LN2, near))


def arctanh(x: Any) -> Any:
    size = np.abs(x)
    return odd(x, 0.5 * log1p(2.0 * size / (1.0 - size)))


def hypot(x: Any, y: Any) -> Any:
    """Infinite where a side is, whatever the other one."""
    a, b = np.abs(x), np.abs(y)
    larger = maximum(a, b)
    ratio = minimum(a, b) / np.where(larger == 0.0, 1.0, larger)
    return np.where((a == np.inf) | (b == np.inf), np.inf, larger * np.sqrt(1.0 + ratio * ratio))


def erfc(x: Any) -> Any:
    """The trapezoidal rule, D. B. Hunter and T. Regan, Math. Comp. 26, 539 (1972): two terms that never cancel at x >= 0."""
    size = minimum(np.abs(x), 30.0)
    square = size * size
    nodes = [(ERFC_STEP * (k + 0.5)) ** 2 for k in range(ERFC_TERMS)]
    total = sum(math.exp(-node) / (node + square) for node in nodes)
    pole = 2.0 / (1.0 + np.exp(size * (2.0 * math.pi / ERFC_STEP)))
    tail = (2.0 * ERFC_STEP / math.pi) * size * np.exp(-square) * total
    answer = tail + np.where(size < math.pi / ERFC_STEP, pole, 0.0)
    return np.where(x < 0.0, 2.0 - answer, answer)


FORMULAS: dict[str, Callable[..., Any]] = {
    "minimum": minimum,
    "maximum": maximum,
    "copysign": copysign,
    "isfinite": is_finite,
    "positive": lambda x: x,
    "square": lambda x: x * x,
    "remainder": remainder,
    "cbrt": cbrt,
    "expm1": expm1,
    "log1p": log1p,
    "log2": _logarithm(2.0),
    "log10": _logarithm(10.0),
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "arctan": arctan,
    "arctan2": arctan2,
    "arcsin": arcsin,
    "arccos": arccos,
    "sinh": sinh,
    "cosh": cosh,
    "arcsinh": arcsinh,
    "arccosh": arccosh,
    "arctanh": arctanh,
    "hypot": hypot,
    "degrees": lambda x: x * (180.0 / math.pi),
    "rad2deg": lambda x: x * (180.0 / math.pi),
    "radians": lambda x: x * (math.pi / 180.0),
    "deg2rad": lambda x: x * (math.pi / 180.0),
    "erfc": erfc,
}
"""The ufunc's name -> the formula for float64; those of two arguments and ``positive``, ``square`` for int64, too.

By name, because :func:`scipy.special.erfc` is a ufunc as well.
"""
