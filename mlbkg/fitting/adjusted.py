"""A known peak, moved and widened by the uncertainties of the mass scale and of the resolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbkg.fitting.base import Array, Shape, ShapeParameter

SCAN_POINTS = 2001


class Adjusted(Shape):
    """``shape`` frozen at ``theta``, with the parameters ``shift`` (unit of x) and ``width`` (a factor).

    The density at x is that of ``shape`` at peak + (x - peak - shift) / width, renormalised over the window: all distances
    from the peak grow by ``width``, tails included.
    """

    def __init__(self, shape: Shape, theta: Sequence[float]) -> None:
        super().__init__(shape.window)
        self.shape = shape
        self.theta = tuple(float(value) for value in theta)
        self.peak = peak_position(shape, self.theta)
        self._ends = np.array([self.window.low, self.window.high])

    @property
    def parameters(self) -> tuple[ShapeParameter, ...]:
        """The peak stays in the window."""
        low, high = self._ends - self.peak
        return (
            ShapeParameter("shift", 0.0, float(low), float(high), self.window.unit),
            ShapeParameter("width", 1.0, 0.1, 10.0),
        )

    def density(self, x: Array, theta: Sequence[float]) -> Array:
        first, last = self.shape.cumulative(self._frozen(self._ends, theta), self.theta)
        return np.asarray(self.shape.density(self._frozen(x, theta), self.theta) / ((last - first) * theta[1]))

    def cumulative(self, x: Array, theta: Sequence[float]) -> Array:
        reached = self.shape.cumulative(self._frozen(np.concatenate([self._ends, x]), theta), self.theta)
        first, last = reached[:2]
        return np.asarray((reached[2:] - first) / (last - first))

    def _frozen(self, x: Array, theta: Sequence[float]) -> Array:
        """Where the frozen shape has what this one has at x."""
        shift, width = theta
        return self.peak + (x - self.peak - shift) / width


def peak_position(shape: Shape, theta: Sequence[float]) -> float:
    """Where the density is largest in the window; the middle of the place where it is flat on top."""
    from scipy.optimize import minimize_scalar

    x = shape.window.edges(SCAN_POINTS - 1)
    density = shape.density(x, theta)
    highest = np.flatnonzero(density == density.max())
    if len(highest) > 1:
        return float(x[highest].mean())
    around = x[max(highest[0] - 1, 0)], x[min(highest[0] + 1, len(x) - 1)]
    found = minimize_scalar(
        lambda position: -shape.density(np.array([position]), theta)[0],
        bounds=around,
        options={"xatol": 1e-9 * shape.window.width},
    )
    return float(found.x)
