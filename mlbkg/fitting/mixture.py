"""A model at fixed points: expected candidates and their derivatives, quickly and many times over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlbkg.errors import FitError
from mlbkg.fitting.base import Array, Shape
from mlbkg.fitting.model import Component, Model

Row = Callable[[Shape, Sequence[float]], Array]
"""A shape at the mixture's points ``(n_points,)``: its density there, or its share of each bin."""

DERIVATIVE_STEP = 1e-4
"""Of a parameter's step, either way: small against the curvature, large against rounding."""


class Mixture:
    """Rows (one per component, at the points) times rates. A row is worked out again only when its parameters moved."""

    def __init__(self, model: Model, row: Row) -> None:
        self._row = row
        self._parameters = model.parameters
        self._components = model.components
        self._shape_indices = [[model.index(name) for name in c.shape_parameters] for c in model.components]
        self._seen: list[tuple[float, ...] | None] = [None] * len(model.components)
        self._rows: Array = np.empty((0, 0))
        self._scale = np.array([c.rate.scale for c in model.components], dtype=np.float64)
        self._log_effects = np.array([_log_effects(c, model) for c in model.components]).reshape(-1, len(model.parameters))
        own = [-1 if c.rate.parameter is None else model.index(c.rate.parameter) for c in model.components]
        self._with_own = np.flatnonzero(np.array(own) >= 0)
        self._own = np.array(own, dtype=np.intp)[self._with_own]
        self._shape_users = {
            index: [c for c, indices in enumerate(self._shape_indices) if index in indices]
            for index, parameter in enumerate(model.parameters)
            if not parameter.fixed
        }

    def rates(self, theta: Array) -> Array:
        """``(n_components,)`` expected candidates in the window."""
        rates = self._unit_rates(theta)
        rates[self._with_own] *= theta[self._own]
        return rates

    def rate_derivatives(self, theta: Array) -> Array:
        """``(n_components, n_parameters)``."""
        unit = self._unit_rates(theta)
        rates = unit.copy()
        rates[self._with_own] *= theta[self._own]
        derivatives: Array = rates[:, None] * self._log_effects
        derivatives[self._with_own, self._own] += unit[self._with_own]
        return derivatives

    def rows(self, theta: Array) -> Array:
        """``(n_components, n_points)``."""
        for index, indices in enumerate(self._shape_indices):
            now = tuple(theta[indices].tolist())
            if self._seen[index] != now:
                self._store(index, self._row(self._components[index].shape, now))
                self._seen[index] = now
        return self._rows

    def expected(self, theta: Array) -> Array:
        """``(n_points,)``."""
        return np.asarray(self.rates(theta) @ self.rows(theta))

    def shape_derivatives(self, theta: Array) -> dict[int, Array]:
        """Parameter -> ``(n_points,)`` derivative of :meth:`expected` through the shapes of free parameters."""
        rates = self.rates(theta)
        return {
            index: np.sum([rates[c] * self._row_derivative(c, index, theta) for c in users], axis=0)
            for index, users in self._shape_users.items()
            if users
        }

    def jacobian(self, theta: Array) -> Array:
        """``(n_parameters, n_points)`` derivatives of :meth:`expected`; of a fixed parameter only through the rates."""
        jacobian: Array = self.rate_derivatives(theta).T @ self.rows(theta)
        for index, derivative in self.shape_derivatives(theta).items():
            jacobian[index] += derivative
        return jacobian

    def _unit_rates(self, theta: Array) -> Array:
        # a minimiser that has lost its way tries infinities; NaN tells it so
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(self._scale * np.exp(self._log_effects @ theta))

    def _row_derivative(self, component: int, index: int, theta: Array) -> Array:
        parameter = self._parameters[index]
        step = DERIVATIVE_STEP * parameter.step
        above, below = min(theta[index] + step, parameter.high), max(theta[index] - step, parameter.low)
        rise = self._row_at(component, index, above, theta) - self._row_at(component, index, below, theta)
        return np.asarray(rise / (above - below))

    def _row_at(self, component: int, index: int, value: float, theta: Array) -> Array:
        shape_theta = [value if i == index else float(theta[i]) for i in self._shape_indices[component]]
        return self._row(self._components[component].shape, shape_theta)

    def _store(self, index: int, row: Array) -> None:
        if self._rows.shape != (len(self._components), len(row)):
            self._rows = np.empty((len(self._components), len(row)))
        self._rows[index] = row


def _log_effects(component: Component, model: Model) -> Array:
    logs = np.zeros(len(model.parameters))
    for name, effect in component.rate.effects.items():
        if not effect > -1:
            raise FitError(
                f"the effect {effect:g} of '{name}' on component '{component.name}' would turn its rate negative",
                where=name,
                hint="Give a relative change above -1.",
            )
        logs[model.index(name)] = np.log1p(effect)
    return logs
