"""BaBar's peak with two widths and two tails (Cruijff function; used for this decay in PRL 103, 251801, arXiv:0908.2840)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from mlbkg.fitting.base import Array, Samples, ShapeParameter, Window, shape_family
from mlbkg.fitting.peaks import Peak
from mlbkg.fitting.weighted import inside, quantiles
from mlbkg.registry import Params

BREAKS = np.concatenate([np.arange(0, 6, 0.75), 6 * 1.4 ** np.arange(40)])
"""Ends of the panels of the integral, in widths from the mean: even in the peak, then growing, to 3e6 widths."""
NODES, NODE_WEIGHTS = (part / 2 for part in np.polynomial.legendre.leggauss(12))
FRACTIONS = NODES + 0.5
"""Where in a panel the Gauss-Legendre rule looks."""


class Cruijff(Peak):
    """exp(-d^2 / (2 sigma^2 + alpha d^2)), d = x - mean, with sigma_low, alpha_low below the mean and the others above.

    Far from the mean it comes down to exp(-1/alpha), not to zero: only a window makes it a density. Its integral has no
    closed form; the Gauss-Legendre panels give it to 1e-12 for all alpha between the bounds.
    """

    @property
    def parameters(self) -> tuple[ShapeParameter, ...]:
        return (
            self._mean(),
            self._width("sigma_low"),
            ShapeParameter("alpha_low", 0.1, 0.0, 1.0),
            self._width("sigma_high"),
            ShapeParameter("alpha_high", 0.1, 0.0, 1.0),
        )

    def height(self, x: Array, theta: Sequence[float]) -> Array:
        mean, sigma_low, alpha_low, sigma_high, alpha_high = theta
        square = (x - mean) ** 2
        low = x < mean
        denominator = np.where(low, 2 * sigma_low**2, 2 * sigma_high**2)
        denominator += np.where(low, alpha_low, alpha_high) * square
        return np.asarray(np.exp(-square / denominator))

    def antiderivative(self, x: Array, theta: Sequence[float]) -> Array:
        """From the mean."""
        mean, sigma_low, alpha_low, sigma_high, alpha_high = theta
        distance = x - mean
        low = distance < 0
        content = np.empty(len(x))
        content[low] = -sigma_low * _content(-distance[low] / sigma_low, alpha_low)
        content[~low] = sigma_high * _content(distance[~low] / sigma_high, alpha_high)
        return content

    def started(self, x: Array, weight: Array) -> tuple[float, ...]:
        """Two half-normals with the candidates' quantiles, to first order in the difference of their widths."""
        low, median, high = quantiles(*inside(x, weight, self.window), ndtr([-1, 0, 1]))
        width, skew = (high - low) / 2, high + low - 2 * median
        difference = np.clip(2.49 * skew, -width, width)
        sigma_low, sigma_high = 0.9 * (width - difference / 2), 0.9 * (width + difference / 2)
        alpha_low, alpha_high = self.parameters[2].start, self.parameters[4].start
        return self._bounded(median - 0.627 * difference, sigma_low, alpha_low, sigma_high, alpha_high)


def _content(deviation: Array, alpha: float) -> Array:
    """Integral of exp(-t^2 / (2 + alpha t^2)) from 0 to ``deviation`` >= 0: the whole panels below, and a part of one."""
    panel = np.searchsorted(BREAKS, deviation, side="right") - 1
    starts = BREAKS[: panel.max(initial=0) + 1]
    whole = _panels(starts[:-1], np.diff(starts), alpha)
    below = np.concatenate([[0.0], np.cumsum(whole)])
    start = starts[panel]
    return np.asarray(below[panel] + _panels(start, deviation - start, alpha))


def _panels(start: Array, length: Array, alpha: float) -> Array:
    square = (start[:, None] + length[:, None] * FRACTIONS) ** 2
    return np.asarray(length * (np.exp(-square / (2 + alpha * square)) @ NODE_WEIGHTS))


@shape_family("cruijff", description="BaBar's: a width and a tail on either side", params=Params)
def build(params: Params, window: Window, sample: Samples) -> Cruijff:
    return Cruijff(window)
