"""A normal core with a power-law tail on either side (Crystal Ball function; T. Skwarnicki, DESY F31-86-02, App. E)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import erf, exprel, ndtr

from mlbkg.fitting.base import Array, Samples, ShapeParameter, Window, shape_family
from mlbkg.fitting.peaks import Peak
from mlbkg.fitting.weighted import inside, quantiles
from mlbkg.registry import Params


class DoubleCrystalBall(Peak):
    """exp(-t^2/2) for -alpha_low < t < alpha_high, t = (x - mean)/sigma; beyond, a power law that goes on smoothly.

    At a distance d beyond the upper end of the core the height is exp(-a^2/2) (1 + a d/n)^-n, with a = alpha_high and
    n = power_high: the usual A (B + t)^-n, written such that it is exact for any n, n = 1 and large n among them.
    """

    @property
    def parameters(self) -> tuple[ShapeParameter, ...]:
        return (
            self._mean(),
            self._width("sigma"),
            ShapeParameter("alpha_low", 1.5, 0.1, 8.0),
            ShapeParameter("power_low", 5.0, 0.5, 100.0),
            ShapeParameter("alpha_high", 1.5, 0.1, 8.0),
            ShapeParameter("power_high", 5.0, 0.5, 100.0),
        )

    def height(self, x: Array, theta: Sequence[float]) -> Array:
        mean, sigma, alpha_low, power_low, alpha_high, power_high = theta
        deviation = (x - mean) / sigma
        height = np.exp(-0.5 * deviation**2)
        low, high = deviation < -alpha_low, deviation > alpha_high
        height[low] = _tail(-deviation[low], alpha_low, power_low)
        height[high] = _tail(deviation[high], alpha_high, power_high)
        return height

    def antiderivative(self, x: Array, theta: Sequence[float]) -> Array:
        """From the mean, in units of sigma: in either tail the content is known as well as in the core."""
        mean, sigma, alpha_low, power_low, alpha_high, power_high = theta
        deviation = (x - mean) / sigma
        content = sigma * _core_content(deviation)
        low, high = deviation < -alpha_low, deviation > alpha_high
        content[low] = -sigma * _content(-deviation[low], alpha_low, power_low)
        content[high] = sigma * _content(deviation[high], alpha_high, power_high)
        return content

    def started(self, x: Array, weight: Array) -> tuple[float, ...]:
        """Median and central 68 %, with tails that begin at 1.5 standard deviations."""
        low, median, high = quantiles(*inside(x, weight, self.window), ndtr([-1, 0, 1]))
        return self._bounded(median, 0.9 * (high - low) / 2, *(parameter.start for parameter in self.parameters[2:]))


def _tail(deviation: Array, alpha: float, power: float) -> Array:
    return np.exp(-0.5 * alpha**2 - power * np.log1p(alpha / power * (deviation - alpha)))


def _core_content(deviation: Array) -> Array:
    return np.asarray(np.sqrt(np.pi / 2) * erf(deviation / np.sqrt(2)))


def _content(deviation: Array, alpha: float, power: float) -> Array:
    """Integral from 0 to ``deviation`` > alpha."""
    stretch = np.log1p(alpha / power * (deviation - alpha))
    grown = stretch * exprel((1 - power) * stretch)
    return np.asarray(_core_content(np.asarray(alpha)) + np.exp(-0.5 * alpha**2) * power / alpha * grown)


@shape_family("double_crystal_ball", description="normal core with a power-law tail on either side", params=Params)
def build(params: Params, window: Window, sample: Samples) -> DoubleCrystalBall:
    return DoubleCrystalBall(window)
