"""A polynomial in Chebyshev's form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.polynomial import chebyshev, legendre

from mlbkg.fitting.base import Array, Samples, Shape, ShapeParameter, Window, shape_family
from mlbkg.fitting.weighted import inside
from mlbkg.registry import Field, Params

LEAST = 0.05
"""Smallest density that a fit starts from, relative to a flat one."""


class ChebyshevParams(Params):
    order: int = Field(2, ge=1, le=8, description="highest power of the polynomial, one parameter for each")


class Chebyshev(Shape):
    """1 + sum_k c_k T_k(u), u from -1 to 1 over the window.

    A density that is nowhere negative has |c_k| <= 2, since c_k is twice a mean of T_k. These are the bounds; at them the
    integral, 2 - sum 2 c_k / (k^2 - 1) over even k, is still positive, but the density may be negative somewhere.
    """

    def __init__(self, window: Window, *, order: int) -> None:
        super().__init__(window)
        self.order = order
        self._integration = chebyshev.chebint(np.eye(order + 1), lbnd=-1)
        """``(order + 2, order + 1)``: coefficients of the integral from -1, from those of the polynomial."""

    @property
    def parameters(self) -> tuple[ShapeParameter, ...]:
        return tuple(ShapeParameter(f"c{k}", 0.0, -2.0, 2.0) for k in range(1, self.order + 1))

    def density(self, x: Array, theta: Sequence[float]) -> Array:
        coefficients = np.array([1.0, *theta])
        integral = (self._integration @ coefficients).sum()
        scale = 2 / (integral * self.window.width)
        return np.asarray(chebyshev.chebval(self._position(x), scale * coefficients))

    def cumulative(self, x: Array, theta: Sequence[float]) -> Array:
        integrated = self._integration @ np.array([1.0, *theta])
        return np.asarray(chebyshev.chebval(self._position(x), integrated / integrated.sum()))

    def started(self, x: Array, weight: Array) -> tuple[float, ...]:
        """The polynomial with the candidates' Legendre moments, made flatter where it would come near zero."""
        x, weight = inside(x, weight, self.window)
        moments = weight @ legendre.legvander(self._position(x), self.order) / weight.sum()
        wanted = (2 * np.arange(self.order + 1) + 1) * moments
        wanted[0] = 0.0
        lowest = legendre.legval(np.linspace(-1, 1, 201), wanted).min()
        flattened = wanted * (min(1.0, (LEAST - 1) / lowest) if lowest < 0 else 1.0)
        flattened[0] = 1.0
        converted = chebyshev.chebinterpolate(lambda u: legendre.legval(u, flattened), self.order)
        return tuple((converted[1:] / converted[0]).tolist())

    def _position(self, x: Array) -> Array:
        return (2 * x - (self.window.low + self.window.high)) / self.window.width


@shape_family("chebyshev", description="polynomial of a given order; smooth backgrounds", params=ChebyshevParams)
def build(params: ChebyshevParams, window: Window, sample: Samples) -> Chebyshev:
    return Chebyshev(window, order=params.order)
