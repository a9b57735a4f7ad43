"""The contract of a shape: a normalised density of the fit variable over a window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import FitError
from mlbkg.registry import Params, Registry

Array = NDArray[np.float64]
Sampled = tuple[Array, Array]
"""Values of the fit variable ``(n,)`` of one sample's candidates, and their physics weights ``(n,)``."""
Samples = Callable[[str], Sampled]
"""The candidates of a sample, by its name."""


@dataclass(frozen=True)
class Window:
    """Range of the fit variable, in its ``unit``. Raises :class:`FitError` where it is empty."""

    low: float
    high: float
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise FitError(
                f"the fit window [{self.low:g}, {self.high:g}] is empty",
                hint="Set fit.window to [low, high] with low < high.",
            )

    @property
    def width(self) -> float:
        return self.high - self.low

    def holds(self, x: Array) -> NDArray[np.bool_]:
        return np.asarray((x >= self.low) & (x <= self.high))

    def edges(self, bins: int) -> Array:
        return np.linspace(self.low, self.high, bins + 1)


@dataclass(frozen=True)
class ShapeParameter:
    """A parameter of a shape: where a fit starts, between which values it stays, and its unit ("" where it has none)."""

    name: str
    start: float
    low: float
    high: float
    unit: str = ""


class Shape(ABC):
    """A density over ``window``; immutable. ``theta`` holds the values of :attr:`parameters`, in their order.

    Beyond the window, where a shifted shape looks, density and cumulative go on by the same formula.
    """

    def __init__(self, window: Window) -> None:
        self.window = window

    @property
    @abstractmethod
    def parameters(self) -> tuple[ShapeParameter, ...]:
        """May be empty. Names are unique within the shape."""

    @abstractmethod
    def density(self, x: Array, theta: Sequence[float]) -> Array:
        """``(n,)``, per unit of x; its integral over the window is 1."""

    @abstractmethod
    def cumulative(self, x: Array, theta: Sequence[float]) -> Array:
        """``(n,)``: integral of the density from the window's lower end to ``x``; 0 and 1 at the ends."""

    def started(self, x: Array, weight: Array) -> tuple[float, ...]:
        """Values of the parameters to start a fit to these candidates from; the parameters' own starts by default."""
        return tuple(parameter.start for parameter in self.parameters)


@dataclass(frozen=True)
class ShapeFamily:
    """How a shape is made from its settings in a config.

    build(params, window, sample): ``sample("name")`` gives the values and weights of that sample's candidates.
    """

    name: str
    description: str
    params: type[Params]
    build: Callable[[Any, Window, Samples], Shape]


SHAPES: Registry[ShapeFamily] = Registry("shape", package="mlbkg.fitting.shapes")


def shape_family(
    name: str, *, description: str, params: type[Params]
) -> Callable[[Callable[[Any, Window, Samples], Shape]], Callable[..., Shape]]:
    """Register the decorated ``build(params, window, sample)`` under ``name``."""

    def register(build: Callable[[Any, Window, Samples], Shape]) -> Callable[..., Shape]:
        SHAPES.add(name, ShapeFamily(name, description, params, build))
        return build

    return register
