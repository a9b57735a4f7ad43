"""Two normal distributions with one mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from mlbkg.fitting.base import Array, Samples, ShapeParameter, Window, shape_family
from mlbkg.fitting.peaks import Peak
from mlbkg.fitting.shapes.gaussian import normal
from mlbkg.fitting.weighted import inside, quantiles
from mlbkg.registry import Params


class DoubleGaussian(Peak):
    """A core of width ``sigma`` with ``core_fraction`` of the candidates, and tails wider by ``ratio``.

    The fraction is that of the distribution over all x. The ratio, never below 1, keeps a fit from swapping the two.
    """

    @property
    def parameters(self) -> tuple[ShapeParameter, ...]:
        return (
            self._mean(),
            self._width("sigma"),
            ShapeParameter("ratio", 2.0, 1.0, 20.0),
            ShapeParameter("core_fraction", 0.7, 0.05, 1.0),
        )

    def height(self, x: Array, theta: Sequence[float]) -> Array:
        mean, sigma, ratio, core = theta
        return core * normal(x, mean, sigma) + (1 - core) * normal(x, mean, ratio * sigma)

    def antiderivative(self, x: Array, theta: Sequence[float]) -> Array:
        mean, sigma, ratio, core = theta
        deviation = (x - mean) / sigma
        return np.asarray(core * ndtr(deviation) + (1 - core) * ndtr(deviation / ratio))

    def started(self, x: Array, weight: Array) -> tuple[float, ...]:
        """With 70 % in the core, the widths that give the candidates' central 68 % and 95 %.

        Both numbers, 2 and -0.3, are fitted to that relation; 5 % exact for ratios up to 3.
        """
        low2, low, median, high, high2 = quantiles(*inside(x, weight, self.window), ndtr([-2, -1, 0, 1, 2]))
        central, nearly_all = high - low, (high2 - low2) / 2
        excess = max(nearly_all / central - 1, 0.01) if central > 0 else 0.01
        ratio = 1 + 2 * np.sqrt(excess)
        return self._bounded(median, central / 2 * ratio**-0.3, ratio, 0.7)


@shape_family("double_gaussian", description="two normal distributions with one mean: core and tails", params=Params)
def build(params: Params, window: Window, sample: Samples) -> DoubleGaussian:
    return DoubleGaussian(window)
