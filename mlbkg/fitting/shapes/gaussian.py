"""The normal distribution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from mlbkg.fitting.base import Array, Samples, ShapeParameter, Window, shape_family
from mlbkg.fitting.peaks import Peak
from mlbkg.fitting.weighted import inside, quantiles
from mlbkg.registry import Params


class Gaussian(Peak):
    """exp(-(x - mean)^2 / (2 sigma^2))."""

    @property
    def parameters(self) -> tuple[ShapeParameter, ...]:
        return self._mean(), self._width("sigma")

    def height(self, x: Array, theta: Sequence[float]) -> Array:
        return normal(x, *theta)

    def antiderivative(self, x: Array, theta: Sequence[float]) -> Array:
        mean, sigma = theta
        return np.asarray(ndtr((x - mean) / sigma))

    def started(self, x: Array, weight: Array) -> tuple[float, ...]:
        """Median, and half the distance between the quantiles at minus and plus one standard deviation."""
        low, median, high = quantiles(*inside(x, weight, self.window), ndtr([-1, 0, 1]))
        return self._bounded(median, (high - low) / 2)


def normal(x: Array, mean: float, sigma: float) -> Array:
    """``(n,)`` normal density over all x."""
    return np.asarray(np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma))


@shape_family("gaussian", description="normal distribution", params=Params)
def build(params: Params, window: Window, sample: Samples) -> Gaussian:
    return Gaussian(window)
