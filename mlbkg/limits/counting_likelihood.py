"""The profile likelihood of a count: -2 ln L of the signal, with the nuisances at their best for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlbkg.errors import LimitError
from mlbkg.fitting.base import Array
from mlbkg.limits.counting import Count
from mlbkg.limits.poisson import deviance

CONVERGED = 1e-10
MAX_STEPS = 500
MAX_HALVINGS = 60


@dataclass(frozen=True)
class CountingLikelihood:
    """``counted`` need not be whole (Asimov). ``uncertainties``: relative, of background and efficiency; log-normal."""

    counted: float
    background: float
    uncertainties: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, count: Count) -> CountingLikelihood:
        return cls(count.observed, count.background, (count.background_uncertainty, count.efficiency_uncertainty))

    @classmethod
    def of_background(cls, count: Count) -> CountingLikelihood:
        """Of the count that is expected without signal (Asimov)."""
        return cls(count.background, count.background, (count.background_uncertainty, count.efficiency_uncertainty))

    @property
    def best_signal(self) -> float:
        """Within what is physical; the nuisances then stay at their nominal values unless it is 0."""
        return max(0.0, self.counted - self.background)

    def rise(self, signal: float) -> float:
        """-2 ln [L(signal) / L(best signal)], at least 0."""
        return max(0.0, self._minimum(signal) - self._minimum(self.best_signal))

    def q_tilde(self, signal: float) -> float:
        """The test statistic of upper limits, Eq. (16), arXiv:1007.1727: the rise above the best signal, 0 below it."""
        return self.rise(signal) if signal > self.best_signal else 0.0

    def _minimum(self, signal: float) -> float:
        """-2 ln L with the best nuisances, relative to a perfect fit. Raises :class:`LimitError` where it does not settle.

        Too large a count may be due to the background or to the efficiency, and then has two minima.
        """
        sigma = np.array(self.uncertainties)
        nominal = np.array([self.background, signal])
        found = [self._descended(start, nominal, sigma) for start in self._starts(nominal, sigma)]
        value, settled = min(found, key=lambda end: (end[0], not end[1]))
        if not settled:
            raise LimitError(
                f"the profile likelihood of {self.counted:g} counts does not settle at a signal of {signal:g}",
                hint="Take method cls or bayesian: they integrate.",
            )
        return value

    def _starts(self, nominal: Array, sigma: Array) -> list[Array]:
        """Nominal nuisances, and for too large a count each of them alone as far up as could explain it."""
        starts = [np.zeros(2)]
        farthest = math.sqrt(self._value(starts[0], nominal, sigma))
        missing = self.counted - float(nominal.sum())
        for index in range(2):
            if missing > 0 and nominal[index] > 0 and sigma[index] > 0:
                pull = math.log1p(missing / nominal[index]) / sigma[index]
                starts.append(np.eye(2)[index] * min(pull, farthest))
        return starts

    def _descended(self, z: Array, nominal: Array, sigma: Array) -> tuple[float, bool]:
        """The minimum below ``z``, and whether it was reached: by Newton's method with the curvature kept positive."""
        value = self._value(z, nominal, sigma)
        for _ in range(MAX_STEPS):
            parts = nominal * np.exp(sigma * z)
            total = float(parts.sum())
            if total == 0 or not sigma.any():
                return value, True
            tension = 1 - self.counted / total
            slope = sigma * parts * tension + z
            shared = np.outer(sigma * parts, sigma * parts) * self.counted / total**2
            own = 1 + sigma**2 * parts * tension
            curvature = shared + np.diag(own)
            if np.linalg.eigvalsh(curvature)[0] <= 0:
                curvature = shared + np.diag(np.maximum(own, 1.0))
            step = np.asarray(-np.linalg.solve(curvature, slope), dtype=np.float64)
            value, moved = self._stepped(z, step, value, nominal, sigma)
            if float(np.abs(moved - z).max()) < CONVERGED:
                return value, True
            z = moved
        return value, False

    def _stepped(self, z: Array, step: Array, value: float, nominal: Array, sigma: Array) -> tuple[float, Array]:
        """The step, halved until it descends; none where it never does."""
        share = 1.0
        for _ in range(MAX_HALVINGS):
            found = self._value(z + share * step, nominal, sigma)
            if found <= value:
                return found, z + share * step
            share /= 2
        return value, z

    def _value(self, z: Array, nominal: Array, sigma: Array) -> float:
        with np.errstate(over="ignore"):
            mean = float((nominal * np.exp(sigma * z)).sum())
        return 2 * float(deviance(self.counted, mean)) + float(z @ z) if math.isfinite(mean) else math.inf
