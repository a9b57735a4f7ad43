"""Many counting experiments, one for each hypothesis of a scan, and what comes out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Effect:
    """One nuisance parameter: relative log-normal effects ``(n,)`` at +1 standard deviation, 0 where it has none.

    Effects of one name are of one nuisance: on signal and background, in every hypothesis, and in every data set that is
    combined.
    """

    name: str
    signal: Array
    background: Array


@dataclass(frozen=True)
class Experiments:
    """``n`` counting experiments.

    masses: ``(n, n_axes)`` GeV of the hypotheses. low, high: ``(n, n_axes)`` edges of the windows in the scanned variables.
    observed: ``(n,)`` candidates in the window; None where nothing was looked at.
    background: ``(n,)`` expected candidates. background_error: ``(n,)`` of what it was predicted from (simulated statistics
    or neighbours), absolute, independent from window to window. Where ``background`` is 0 because no simulated candidate is
    left, it is what one would have weighed; 0 where a background is impossible.
    signal_per_fb: ``(n,)`` candidates that 1 fb leaves in the window: efficiency times luminosity.
    efficiency, efficiency_error: ``(n,)``, the window's share included.
    effects: nuisance parameters.
    """

    masses: Array
    low: Array
    high: Array
    observed: Counts | None
    background: Array
    background_error: Array
    signal_per_fb: Array
    efficiency: Array
    efficiency_error: Array
    effects: tuple[Effect, ...] = ()

    def __len__(self) -> int:
        return len(self.masses)

    @property
    def signal_uncertainty(self) -> Array:
        """``(n,)`` relative: all effects and the statistics of the efficiency, in quadrature."""
        return _in_quadrature(self.efficiency, self.efficiency_error, [effect.signal for effect in self.effects])

    @property
    def background_uncertainty(self) -> Array:
        """``(n,)`` relative: all effects and what the prediction is made from, in quadrature; 0 where none is expected."""
        return _in_quadrature(self.background, self.background_error, [effect.background for effect in self.effects])


def _in_quadrature(value: Array, error: Array, effects: Sequence[Array]) -> Array:
    """``(n,)`` relative: ``error`` of ``value``, 0 where that is 0, and the relative ``effects``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        statistical = np.where(value > 0, error / value, 0.0)
    return np.sqrt(statistical**2 + sum((effect**2 for effect in effects), np.zeros(len(value))))


@dataclass(frozen=True)
class UpperLimits:
    """Of one method. observed: ``(n,)`` or None. expected: ``(5, n)``: quantiles at -2, -1, 0, +1, +2 standard deviations of
    the limits that background alone gives."""

    method: str
    confidence_level: float
    observed: Array | None
    expected: Array
