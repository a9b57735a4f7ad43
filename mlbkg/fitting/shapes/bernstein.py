"""A polynomial that is nowhere negative, in Bernstein's form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import comb

from mlbkg.fitting.base import Array, Samples, Shape, ShapeParameter, Window, shape_family
from mlbkg.fitting.weighted import inside
from mlbkg.registry import Field, Params

LARGEST = 1e3
"""Largest coefficient, in units of the fixed one."""
START_BINS, START_STEPS = 200, 100
"""Of the search for starting values, which takes milliseconds with these."""


class BernsteinParams(Params):
    order: int = Field(3, ge=1, le=10, description="power of the polynomial, one parameter for each")


class Bernstein(Shape):
    """sum_k c_k b_k(u), b_k = binom(n, k) u^k (1 - u)^(n - k), u from 0 to 1 over the window, c_k >= 0.

    Only ratios of coefficients matter: the middle one is fixed at 1, since backgrounds vanish at the ends of a window
    rather than in its middle.
    """

    def __init__(self, window: Window, *, order: int) -> None:
        super().__init__(window)
        self.order = order
        self.fixed = order // 2
        self._binomials = comb(order, np.arange(order + 1))
        self._integrated_binomials = comb(order + 1, np.arange(order + 2))

    @property
    def parameters(self) -> tuple[ShapeParameter, ...]:
        return tuple(ShapeParameter(f"c{k}", 1.0, 0.0, LARGEST) for k in range(self.order + 1) if k != self.fixed)

    def density(self, x: Array, theta: Sequence[float]) -> Array:
        """Every b_k has the integral 1 / (n + 1)."""
        coefficients = self._coefficients(theta)
        scale = (self.order + 1) / (coefficients.sum() * self.window.width)
        return _sum(self._position(x), self._binomials * coefficients * scale)

    def cumulative(self, x: Array, theta: Sequence[float]) -> Array:
        """The integral of b_k is the sum of the polynomials of order n + 1 above k, over n + 1."""
        reached = np.concatenate([[0.0], np.cumsum(self._coefficients(theta))])
        return _sum(self._position(x), self._integrated_binomials * reached / reached[-1])

    def started(self, x: Array, weight: Array) -> tuple[float, ...]:
        """Near the largest likelihood, by a few steps of expectation and maximisation on a histogram."""
        x, weight = inside(x, weight, self.window)
        counts, edges = np.histogram(self._position(x), START_BINS, range=(0, 1), weights=weight)
        counts = np.maximum(counts, 0.0)
        centres = (edges[1:] + edges[:-1]) / 2
        terms = np.array([_sum(centres, row) for row in np.diag(self._binomials)])
        shares = np.ones(self.order + 1)
        for _ in range(START_STEPS):
            shares *= terms @ (counts / (shares @ terms)) / counts.sum()
        coefficients = np.clip(shares / max(shares[self.fixed], 1 / LARGEST), 1 / LARGEST, LARGEST / 10)
        return tuple(np.delete(coefficients, self.fixed).tolist())

    def _coefficients(self, theta: Sequence[float]) -> Array:
        return np.array([*theta[: self.fixed], 1.0, *theta[self.fixed :]])

    def _position(self, x: Array) -> Array:
        return (x - self.window.low) / self.window.width


def _sum(position: Array, factors: Array) -> Array:
    """sum_k factors_k u^k (1 - u)^(n - k), in the manner of Horner."""
    rest, power = 1 - position, np.ones(len(position))
    total = np.full(len(position), factors[0])
    for factor in factors[1:]:
        power *= position
        total *= rest
        total += factor * power
    return total


@shape_family("bernstein", description="polynomial that is nowhere negative; smooth backgrounds", params=BernsteinParams)
def build(params: BernsteinParams, window: Window, sample: Samples) -> Bernstein:
    return Bernstein(window, order=params.order)
