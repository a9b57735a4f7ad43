"""A model of the fit variable: components with shapes and rates, and parameters with bounds and constraints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from mlbkg.errors import FitError, did_you_mean
from mlbkg.fitting.base import Array, Shape, Window


@dataclass(frozen=True)
class Constraint:
    """A Gaussian measurement of a parameter from elsewhere. Raises :class:`FitError` where its width is not positive."""

    mean: float
    sigma: float

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise FitError(
                f"a constraint of width {self.sigma:g} is none", hint="Fix the parameter, or give the uncertainty it has."
            )


@dataclass(frozen=True)
class Parameter:
    """``step``: a first guess of its uncertainty. A fixed parameter stays at ``start``."""

    name: str
    start: float
    low: float = -np.inf
    high: float = np.inf
    step: float = 0.1
    fixed: bool = False
    constraint: Constraint | None = None
    unit: str = ""


def nuisance(name: str) -> Parameter:
    """A unit normal nuisance parameter."""
    return Parameter(name, 0.0, -8.0, 8.0, step=1.0, constraint=Constraint(0.0, 1.0))


@dataclass(frozen=True)
class Rate:
    """Expected candidates of a component in the window: ``scale * parameter * prod (1 + effect)^nuisance``.

    parameter: None for a rate that only nuisances move. effects: nuisance parameter -> relative change at +1 standard
    deviation; log-normal, so that a rate never changes its sign.
    """

    scale: float
    parameter: str | None = None
    effects: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Component:
    """``shape_parameters``: the model's parameters that stand for the shape's, in the shape's order; may be shared."""

    name: str
    shape: Shape
    rate: Rate
    shape_parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Model:
    """Sum of components over ``window``. ``theta`` holds the values of :attr:`parameters`, in their order.

    Raises :class:`FitError` for parameters that are missing, there twice, or of the wrong number for their shape.
    """

    window: Window
    components: tuple[Component, ...]
    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            raise FitError(f"parameters are there twice: {', '.join(self.names)}")
        for component in self.components:
            wanted = len(component.shape.parameters)
            if len(component.shape_parameters) != wanted:
                raise FitError(f"component '{component.name}': {len(component.shape_parameters)} of {wanted} parameters")
            own = (component.rate.parameter,) if component.rate.parameter else ()
            for name in (*component.shape_parameters, *own, *component.rate.effects):
                self.index(name)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def starts(self) -> Array:
        return np.array([parameter.start for parameter in self.parameters])

    def index(self, name: str) -> int:
        """Position of a parameter. Raises :class:`FitError` with the nearest name."""
        try:
            return self.names.index(name)
        except ValueError:
            raise FitError(f"the fit model has no parameter '{name}'{did_you_mean(name, self.names)}", where=name) from None

    def rates(self, theta: Sequence[float]) -> Array:
        """``(n_components,)`` expected candidates in the window."""
        return np.array([self._rate(component.rate, theta) for component in self.components])

    def density(self, x: Array, theta: Sequence[float]) -> Array:
        """``(n,)`` expected candidates per unit of x."""
        return np.asarray(self.densities(x, theta).sum(axis=0))

    def densities(self, x: Array, theta: Sequence[float]) -> Array:
        """``(n_components, n)``."""
        return np.array(
            [rate * c.shape.density(x, self._shape_theta(c, theta)) for c, rate in self._with_rates(theta)]
        ).reshape(-1, len(x))

    def cumulative(self, x: Array, theta: Sequence[float]) -> Array:
        """``(n,)`` expected candidates between the window's lower end and x."""
        total = np.zeros(len(x))
        for component, rate in self._with_rates(theta):
            total += rate * component.shape.cumulative(x, self._shape_theta(component, theta))
        return total

    def expected(self, edges: Array, theta: Sequence[float]) -> Array:
        """``(n_components, n_bins)`` expected candidates."""
        return np.array(
            [rate * np.diff(c.shape.cumulative(edges, self._shape_theta(c, theta))) for c, rate in self._with_rates(theta)]
        ).reshape(-1, len(edges) - 1)

    def with_centres(self, centres: Mapping[str, float]) -> Model:
        """The model with the constraints of these parameters moved, as a toy experiment measures them."""
        for name in centres:
            self.index(name)
        return replace(self, parameters=tuple(self._moved(parameter, centres) for parameter in self.parameters))

    def fixing(self, values: Mapping[str, float]) -> Model:
        """The model with these parameters fixed at these values, and without their constraints."""
        for name in values:
            self.index(name)
        return replace(
            self,
            parameters=tuple(
                replace(p, start=values[p.name], fixed=True, constraint=None) if p.name in values else p
                for p in self.parameters
            ),
        )

    def starting_at(self, theta: Sequence[float]) -> Model:
        return replace(
            self,
            parameters=tuple(replace(p, start=float(value)) for p, value in zip(self.parameters, theta, strict=True)),
        )

    def _with_rates(self, theta: Sequence[float]) -> zip[tuple[Component, float]]:
        return zip(self.components, self.rates(theta), strict=True)

    def _rate(self, rate: Rate, theta: Sequence[float]) -> float:
        value = rate.scale
        if rate.parameter is not None:
            value *= theta[self.index(rate.parameter)]
        for name, effect in rate.effects.items():
            value *= (1 + effect) ** theta[self.index(name)]
        return value

    def _shape_theta(self, component: Component, theta: Sequence[float]) -> list[float]:
        return [theta[self.index(name)] for name in component.shape_parameters]

    @staticmethod
    def _moved(parameter: Parameter, centres: Mapping[str, float]) -> Parameter:
        if parameter.name not in centres:
            return parameter
        if parameter.constraint is None:
            raise FitError(f"parameter '{parameter.name}' has no constraint to move", where=parameter.name)
        return replace(parameter, constraint=replace(parameter.constraint, mean=centres[parameter.name]))
