"""What shapes with one peak have in common: the cut at the window's ends, and the parameters of every peak."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from mlbkg.fitting.base import Array, Shape, ShapeParameter, Window

NARROWEST = 1e-4
"""Smallest width of a peak that a fit tries, as a share of the window."""


class Peak(Shape):
    """A peak known by its height and its antiderivative, each up to the same factor, normalised over the window.

    Peaks stay inside the window, so that the part of them that lies in it is never too small to divide by.
    """

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._ends = np.array([window.low, window.high])

    @abstractmethod
    def height(self, x: Array, theta: Sequence[float]) -> Array:
        """``(n,)`` not normalised."""

    @abstractmethod
    def antiderivative(self, x: Array, theta: Sequence[float]) -> Array:
        """``(n,)`` integral of the height, from any point."""

    def density(self, x: Array, theta: Sequence[float]) -> Array:
        first, last = self.antiderivative(self._ends, theta)
        return np.asarray(self.height(x, theta) / (last - first))

    def cumulative(self, x: Array, theta: Sequence[float]) -> Array:
        first, last = self.antiderivative(self._ends, theta)
        return np.asarray((self.antiderivative(x, theta) - first) / (last - first))

    def _mean(self) -> ShapeParameter:
        window = self.window
        return ShapeParameter("mean", (window.low + window.high) / 2, window.low, window.high, window.unit)

    def _width(self, name: str) -> ShapeParameter:
        whole = self.window.width
        return ShapeParameter(name, whole / 20, NARROWEST * whole, whole, self.window.unit)

    def _bounded(self, *theta: float) -> tuple[float, ...]:
        """The values, each moved to its nearest bound where it lies outside."""
        return tuple(
            min(max(float(value), parameter.low), parameter.high)
            for value, parameter in zip(theta, self.parameters, strict=True)
        )
