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
        """-2 ln L with the best nuisances, relative to a perfect fit.

        Newton's method from nominal nuisances with the curvature kept positive, and steps halved until they descend. Raises
        :class:`LimitError` where it does not settle.
        """
        sigma = np.array(self.uncertainties)
        nominal = np.array([self.background, signal])
        z = np.zeros(2)
        value = self._value(z, nominal, sigma)
        for _ in range(MAX_STEPS):
            parts = nominal * np.exp(sigma * z)
            total = float(parts.sum())
            if total == 0 or not sigma.any():
                return value
            tension = 1 - self.counted / total
            slope = sigma * parts * tension + z
            curvature = np.outer(sigma * parts, sigma * parts) * self.counted / total**2
            own = 1 + sigma**2 * parts * tension
            exact = curvature + np.diag(own)
            safe = exact if np.linalg.eigvalsh(exact)[0] > 0 else curvature + np.diag(np.maximum(own, 1.0))
            step = -np.linalg.solve(safe, slope)
            value, moved = self._descended(z, step, value, nominal, sigma)
            if float(np.abs(moved - z).max()) < CONVERGED:
                return value
            z = moved
        raise LimitError(f"the profile likelihood of {self.counted:g} counts does not settle at a signal of {signal:g}")

    def _descended(self, z: Array, step: Array, value: float, nominal: Array, sigma: Array) -> tuple[float, Array]:
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
