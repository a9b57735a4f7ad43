"""Where p values fall to 1 - confidence level: by root finding, and on a grid for figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlbkg.errors import LimitError
from mlbkg.fitting.base import Array
from mlbkg.limits.result import Band, Scan

LINES = ("observed", "expected -2 sigma", "expected -1 sigma", "expected", "expected +1 sigma", "expected +2 sigma")
N_SIGMA = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Quantiles of a band, as numbers of standard deviations of background-only experiments."""

SCAN_POINTS = 30
SCAN_MARGIN = 1.25
"""A scan reaches this far beyond the largest limit."""

EXPANSION = 1.5
MAX_EXPANSIONS = 120
PRECISION = 1e-5
"""Relative, of a limit."""


@dataclass
class PValues:
    """p values over the parameter of interest: lines that fall with it, from 1 at 0. Values once computed are kept.

    compute: gives one p value for each of ``lines``, NaN for one without data. ``poi``: the parameter's name, for messages.
    start: a first guess of where the lines fall. ``ceiling``: the highest value that the model allows, and what to do where
    the answer lies beyond it.
    """

    compute: Callable[[float], Sequence[float]]
    poi: str
    start: float
    ceiling: float = np.inf
    lines: tuple[str, ...] = LINES
    ceiling_hint: str = "Raise the parameter's upper bound; if it is a physical one, these data set no limit."
    known: dict[float, Array] = field(default_factory=dict)

    def __call__(self, value: float) -> Array:
        if value not in self.known:
            self.known[value] = np.array(self.compute(value), dtype=np.float64)
        return self.known[value]

    def crossings(self, alpha: float, *, scan_range: tuple[float, float] | None = None) -> Array:
        """``(n_lines,)`` values at which the lines are ``alpha``.

        Raises :class:`LimitError` where ``scan_range`` is given and does not hold all of them, or where the model's bound on
        the parameter is too low.
        """
        if scan_range is not None:
            self._check_range(alpha, scan_range)
        present = np.isfinite(self(min(self.start, self.ceiling) if scan_range is None else scan_range[1]))
        return np.array(
            [
                self._root(line, alpha, scan_range or self._bracket(line, alpha)) if there else np.nan
                for line, there in enumerate(present)
            ]
        )

    def scan(self, limits: Array) -> Scan:
        """The lines from 0 to beyond ``limits``, for a figure."""
        high = min(SCAN_MARGIN * float(np.nanmax(limits)), self.ceiling)
        values = np.linspace(0.0, high, SCAN_POINTS)
        lines = np.array([np.where(np.isnan(self(values[-1])), np.nan, 1.0), *(self(float(v)) for v in values[1:])]).T
        return Scan(values, None if np.isnan(lines[0]).any() else lines[0], lines[1:])

    def _bracket(self, line: int, alpha: float) -> tuple[float, float]:
        """Two neighbouring values on either side of the answer; those already computed are used first."""
        value = min(self.start, self.ceiling)
        for _ in range(MAX_EXPANSIONS):
            self(value)
            above = [known for known, p in self.known.items() if p[line] > alpha]
            low = max(above, default=0.0)
            high = min((known for known, p in self.known.items() if p[line] <= alpha and known > low), default=np.inf)
            if low > 0 and high < np.inf:
                return low, high
            if low >= self.ceiling:
                raise self._too_low(line, alpha)
            value = min(low * EXPANSION, self.ceiling) if high == np.inf else high / EXPANSION
        raise LimitError(
            f"no value of '{self.poi}' between {low:g} and {high:g} brings the {self.lines[line]} p value to {alpha:g}",
            where=self.poi,
            hint="Look at the parameter's step and at the signal's scale: the model seems not to feel this parameter.",
        )

    def _root(self, line: int, alpha: float, bracket: tuple[float, float]) -> float:
        from scipy.optimize import brentq

        target = _z(alpha)
        low, high = bracket
        found = brentq(
            lambda value: _z(float(self(float(value))[line])) - target, low, high, xtol=PRECISION * high, rtol=PRECISION
        )
        return float(found)

    def _check_range(self, alpha: float, scan_range: tuple[float, float]) -> None:
        low, high = scan_range
        if not 0 <= low < high:
            raise LimitError(
                f"the scan range [{low:g}, {high:g}] of '{self.poi}' is empty or negative",
                where=self.poi,
                hint="Give scan_range as (low, high) with 0 <= low < high.",
            )
        if high > self.ceiling:
            raise LimitError(
                f"the scan range [{low:g}, {high:g}] goes beyond the bound {self.ceiling:g} of '{self.poi}'",
                where=self.poi,
                hint="Lower the end of scan_range, or raise the parameter's bound.",
            )
        at_low, at_high = self(low), self(high)
        outside = [
            f"{name}: {first:.3g} at {low:g}, {last:.3g} at {high:g}"
            for name, first, last in zip(self.lines, at_low, at_high, strict=True)
            if not np.isnan(first) and not first >= alpha >= last
        ]
        if outside:
            raise LimitError(
                f"the scan range [{low:g}, {high:g}] of '{self.poi}' does not hold every limit; CLs must pass {alpha:g}",
                details=outside,
                where=self.poi,
                hint=_hint(at_low, at_high, alpha),
            )

    def _too_low(self, line: int, alpha: float) -> LimitError:
        return LimitError(
            f"CLs ({self.lines[line]}) is still {self(self.ceiling)[line]:.3g} at the upper bound {self.ceiling:g} of "
            f"'{self.poi}'; it must fall to {alpha:g}",
            where=self.poi,
            hint=self.ceiling_hint,
        )


def alpha_of(confidence_level: float) -> float:
    """1 - confidence level. Raises :class:`LimitError` outside (0.5, 1): the limit would lie below the best fit."""
    if not 0.5 < confidence_level < 1:
        raise LimitError(
            f"the confidence level of an upper limit must be between 0.5 and 1; got {confidence_level:g}",
            hint="Set limit.confidence_level, for example to 0.9.",
        )
    return 1.0 - confidence_level


def band(values: Sequence[float] | Array) -> Band:
    """From the five quantiles in the order of :data:`N_SIGMA`."""
    return Band(*(float(value) for value in values))


def _z(p_value: float) -> float:
    """Nearly linear in the parameter, unlike the p value itself; finite for p values of 0 and 1."""
    from scipy.stats import norm

    return float(norm.isf(np.clip(p_value, 1e-300, 1 - 1e-12)))


def _hint(at_low: Array, at_high: Array, alpha: float) -> str:
    advice = [
        *(["raise its upper end"] if np.nanmax(at_high) > alpha else []),
        *(["lower its lower end"] if np.nanmin(at_low) < alpha else []),
    ]
    return f"Change scan_range ({' and '.join(advice)}), or leave it out: it is then found automatically."
