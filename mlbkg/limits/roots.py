"""Roots of functions of one variable, without the time that a general library takes to load."""

from __future__ import annotations

import math
from collections.abc import Callable

from mlbkg.errors import LimitError

RELATIVE = 1e-13
MAX_STEPS = 200
MAX_DOUBLINGS = 400


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a continuous ``function`` changes its sign between ``low`` and ``high``, to 13 digits.

    Chandrupatla's mixture of bisection and inverse quadratic interpolation (Adv. Eng. Softw. 28 (1997) 145). Raises
    :class:`LimitError` where the sign is the same at both ends.
    """
    a, b = high, low
    f_a, f_b = function(a), function(b)
    if f_a == 0 or f_b == 0:
        return a if f_a == 0 else b
    if not f_a * f_b < 0:
        raise LimitError(f"no change of sign between {low:g} and {high:g}: {f_b:.3g} and {f_a:.3g}")
    share = 0.5
    for _ in range(MAX_STEPS):
        x = a + share * (b - a)
        f_x = function(x)
        if math.copysign(1, f_x) == math.copysign(1, f_a):
            c, f_c = a, f_a
        else:
            c, f_c = b, f_b
            b, f_b = a, f_a
        a, f_a = x, f_x
        best, f_best = (a, f_a) if abs(f_a) < abs(f_b) else (b, f_b)
        least = RELATIVE * abs(best) / abs(b - a) if b != a else 1.0
        if least > 0.5 or f_best == 0:
            return best
        share = min(max(_share(a, b, c, f_a, f_b, f_c), least), 1 - least)
    return best


def _share(a: float, b: float, c: float, f_a: float, f_b: float, f_c: float) -> float:
    """Of the way from ``a`` to ``b``: by inverse quadratic interpolation where that is safe, else one half."""
    xi, phi = (a - b) / (c - b), (f_a - f_b) / (f_c - f_b)
    if not (phi**2 < xi and (1 - phi) ** 2 < 1 - xi):
        return 0.5
    return f_a / (f_b - f_a) * f_c / (f_b - f_c) + (c - a) / (b - a) * f_a / (f_c - f_a) * f_b / (f_c - f_b)


def crossing(function: Callable[[float], float], start: float, *, step: float) -> float:
    """The root above ``start``, where ``function`` is not negative, of a function that falls below zero further up.

    ``step``: a first guess of how far. Raises :class:`LimitError` where it never falls.
    """
    low = start
    for _ in range(MAX_DOUBLINGS):
        high = low + step
        if function(high) < 0:
            return root(function, low, high)
        low, step = high, 2 * step
    raise LimitError(f"the limit lies beyond {low:.3g}", hint="The uncertainties are too large for a limit to exist.")
