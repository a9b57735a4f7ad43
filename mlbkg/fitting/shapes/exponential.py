"""A rising or falling exponential."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import exprel

from mlbkg.fitting.base import Array, Samples, Shape, ShapeParameter, Window, shape_family
from mlbkg.fitting.weighted import inside
from mlbkg.registry import Params

STEEPEST = 50.0
"""Largest change of the logarithm of the density over the window."""


class Exponential(Shape):
    """exp(slope x); flat at slope zero."""

    @property
    def parameters(self) -> tuple[ShapeParameter, ...]:
        steepest = STEEPEST / self.window.width
        return (ShapeParameter("slope", 0.0, -steepest, steepest, f"1/{self.window.unit}" if self.window.unit else ""),)

    def density(self, x: Array, theta: Sequence[float]) -> Array:
        growth = theta[0] * self.window.width
        return np.asarray(np.exp(growth * self._position(x)) / (exprel(growth) * self.window.width))

    def cumulative(self, x: Array, theta: Sequence[float]) -> Array:
        growth, position = theta[0] * self.window.width, self._position(x)
        return np.asarray(position * exprel(growth * position) / exprel(growth))

    def started(self, x: Array, weight: Array) -> tuple[float, ...]:
        """The slope that gives the candidates' mean: that of the largest likelihood."""
        from scipy.optimize import brentq

        x, weight = inside(x, weight, self.window)
        mean = np.average(self._position(x), weights=weight)
        reachable = np.clip(mean, _mean(-STEEPEST), _mean(STEEPEST))
        return (brentq(lambda growth: _mean(growth) - reachable, -STEEPEST, STEEPEST) / self.window.width,)

    def _position(self, x: Array) -> Array:
        return (x - self.window.low) / self.window.width


def _mean(growth: float) -> float:
    """Mean position in the window, 0 to 1, of exp(growth * position); near zero the first terms of its series."""
    return 0.5 + growth / 12 if abs(growth) < 1e-4 else float(1 / exprel(-growth) - 1) / growth


@shape_family("exponential", description="exponential, rising or falling", params=Params)
def build(params: Params, window: Window, sample: Samples) -> Exponential:
    return Exponential(window)
