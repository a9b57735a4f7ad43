"""-2 ln L of a model and data, with its gradient: extended, binned or unbinned, with Gaussian constraints.

Thousands of toy fits go through here. So the derivatives by rates and nuisances are exact, and the rows of shapes that do
not move are kept; the values are those of ``iminuit.cost``, which knows only the whole density (tested).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from mlbkg.errors import FitError, WeightError
from mlbkg.fitting.base import Array, Shape, Window
from mlbkg.fitting.data import Binned, Data, Unbinned
from mlbkg.fitting.mixture import Mixture, Row
from mlbkg.fitting.model import Model

FLOOR = 1e-100
"""Of the mean expectation: below it the logarithm goes on as a straight line, so that a minimiser finds its way back."""

SLOPE = 100.0
"""Of that line, per mean expectation."""

WALL = 1e6
"""Curvature against a negative expectation where there are no candidates, which the likelihood alone does not forbid."""

TOUCHED = 1e-9
"""Expected candidates below which that curvature counts."""

GUARDS = 401
"""Places, evenly over the window, at which the model of single candidates is kept from turning negative."""


class Observation(Protocol):
    """Data at a mixture's points; ``f``: ``(n_points,)`` what the model expects there."""

    @property
    def total_slope(self) -> float:
        """Derivative of the loss by the expected candidates in the window."""

    def loss(self, f: Array) -> float:
        """-ln L, but for what depends on the expected candidates in the window alone."""

    def slope(self, f: Array) -> Array:
        """``(n_points,)`` derivative of the loss by f."""

    def curvature(self, f: Array) -> Array:
        """``(n_points,)`` second derivative of the loss by f."""

    def expected_curvature(self, f: Array) -> Array:
        """``(n_points,)`` its mean over experiments that the model describes."""

    def score_variance(self, f: Array) -> Array:
        """``(n_points,)`` variance of the slope, estimated from the data."""


@dataclass(frozen=True)
class Bins:
    """Poisson counts, as a saturated likelihood (Baker and Cousins, NIM 221 (1984) 437).

    counts, variances: ``(n_bins,)``. scale: the candidates that one weighted candidate is worth, by which counts and
    expectations are multiplied. It is the same for all bins: a scale per bin (Bohm and Zech, arXiv:1309.1287) is small just
    where a heavy candidate has made the count large, and would pull the fit down.
    """

    counts: Array
    variances: Array
    scale: float
    total_slope = 0.0

    @cached_property
    def effective(self) -> Array:
        return self.counts * self.scale

    @cached_property
    def mean(self) -> float:
        return _mean(self.effective)

    @cached_property
    def saturated(self) -> Array:
        return np.log(np.where(self.effective > 0, self.effective, 1.0))

    def loss(self, f: Array) -> float:
        m, n = self.scale * f, self.effective
        below = np.minimum(m, 0.0)
        return float((m - n - n * (_log(m, self.mean) - self.saturated)).sum() + WALL / 2 * below @ below)

    def slope(self, f: Array) -> Array:
        m = self.scale * f
        return np.asarray(self.scale * (1 - self.effective * _log_slope(m, self.mean) + WALL * np.minimum(m, 0.0)))

    def curvature(self, f: Array) -> Array:
        m = self.scale * f
        return np.asarray(self.scale**2 * (self.effective * _log_slope(m, self.mean) ** 2 + WALL * (m < TOUCHED)))

    def expected_curvature(self, f: Array) -> Array:
        return np.asarray(self.scale / np.maximum(f, TOUCHED / self.scale))

    def score_variance(self, f: Array) -> Array:
        return np.asarray(self.scale**4 * self.variances * _log_slope(self.scale * f, self.mean) ** 2)


@dataclass(frozen=True)
class Points:
    """Single candidates, and guards: empty places where the model may not be negative either.

    weight: ``(n_points,)`` scaled to what a candidate is worth statistically; 0 for guards. cell: ``(n_points,)`` scaled
    width of the window that a guard watches over, 0 for candidates.
    """

    weight: Array
    cell: Array
    total_slope: float

    @cached_property
    def mean(self) -> float:
        return _mean(self.weight)

    def loss(self, f: Array) -> float:
        below = np.minimum(self.cell * f, 0.0)
        return float(WALL / 2 * below @ below - self.weight @ _log(f, self.mean))

    def slope(self, f: Array) -> Array:
        wall = WALL * self.cell * np.minimum(self.cell * f, 0.0)
        return np.asarray(wall - self.weight * _log_slope(f, self.mean))

    def curvature(self, f: Array) -> Array:
        touched = self.cell * f < TOUCHED
        return np.asarray(self.weight * _log_slope(f, self.mean) ** 2 + WALL * self.cell**2 * touched)

    def expected_curvature(self, f: Array) -> Array:
        return np.asarray(self.cell**2 / np.maximum(self.cell * f, TOUCHED))

    def score_variance(self, f: Array) -> Array:
        return np.asarray((self.weight * _log_slope(f, self.mean)) ** 2)


class Likelihood:
    """-2 ln L over the free parameters of a model. ``theta``: ``(n_free,)`` values of :attr:`free`, in their order."""

    def __init__(self, model: Model, row: Row, data: Observation) -> None:
        self.model = model
        self.free = np.array([i for i, p in enumerate(model.parameters) if not p.fixed], dtype=np.intp)
        self._mixture = Mixture(model, row)
        self._data = data
        self._start = model.starts
        parameters = [model.parameters[i] for i in self.free]
        self.names = tuple(p.name for p in parameters)
        self.starts = np.array([p.start for p in parameters], dtype=np.float64)
        self.steps = np.array([p.step for p in parameters], dtype=np.float64)
        self.bounds = np.array([(p.low, p.high) for p in parameters], dtype=np.float64).reshape(-1, 2).T
        constraints = [p.constraint for p in parameters]
        self._centre = np.array([0.0 if c is None else c.mean for c in constraints])
        self._precision = np.array([0.0 if c is None else c.sigma**-2 for c in constraints])

    def full(self, theta: Array) -> Array:
        """``(n_parameters,)``: with the fixed parameters in their places."""
        values: Array = self._start.copy()
        values[self.free] = theta
        return values

    def value(self, theta: Array) -> float:
        values = self.full(theta)
        rates = self._mixture.rates(values)
        loss = self._data.loss(rates @ self._mixture.rows(values)) + self._data.total_slope * rates.sum()
        with np.errstate(invalid="ignore", over="ignore"):
            return float(2 * loss + (theta - self._centre) ** 2 @ self._precision)

    def gradient(self, theta: Array) -> Array:
        """``(n_free,)``."""
        values = self.full(theta)
        rows = self._mixture.rows(values)
        slope = self._data.slope(self._mixture.rates(values) @ rows)
        gradient: Array = (rows @ slope + self._data.total_slope) @ self._mixture.rate_derivatives(values)
        for index, derivative in self._mixture.shape_derivatives(values).items():
            gradient[index] += derivative @ slope
        return np.asarray(2 * gradient[self.free] + 2 * (theta - self._centre) * self._precision)

    def information(self, theta: Array) -> Array:
        """``(n_free, n_free)``: half the second derivative, without terms that vanish on average."""
        return self._outer(theta, self._data.curvature)

    def expected_information(self, theta: Array) -> Array:
        """``(n_free, n_free)``: its mean over experiments that the model describes."""
        return self._outer(theta, self._data.expected_curvature)

    def score_covariance(self, theta: Array) -> Array:
        """``(n_free, n_free)``: of half the gradient; constraints count as measurements that fluctuate too."""
        return self._outer(theta, self._data.score_variance)

    def rates(self, theta: Array) -> tuple[Array, Array]:
        """``(n_components,)`` expected candidates, and ``(n_components, n_parameters)`` their derivatives."""
        values = self.full(theta)
        return self._mixture.rates(values), self._mixture.rate_derivatives(values)

    def _outer(self, theta: Array, weight: Callable[[Array], Array]) -> Array:
        values = self.full(theta)
        jacobian = self._mixture.jacobian(values)[self.free]
        return np.asarray((jacobian * weight(self._mixture.expected(values))) @ jacobian.T + np.diag(self._precision))


def likelihood(model: Model, data: Data) -> Likelihood:
    """Raises :class:`FitError` for data outside the window, :class:`WeightError` for bins that count less than nothing."""
    if isinstance(data, Binned):
        return Likelihood(model, _shares(data.edges), scaled_bins(data, model.window))
    points = np.concatenate([data.x, model.window.edges(GUARDS - 1)])
    return Likelihood(model, _densities(points), _points(data, model.window))


def _shares(edges: Array) -> Row:
    def row(shape: Shape, theta: Sequence[float]) -> Array:
        return np.diff(shape.cumulative(edges, theta))

    return row


def _densities(x: Array) -> Row:
    def row(shape: Shape, theta: Sequence[float]) -> Array:
        return shape.density(x, theta)

    return row


def scaled_bins(data: Binned, window: Window) -> Bins:
    """Raises as :func:`likelihood` does."""
    _check_inside(data.edges, window, what="bin edges")
    negative = ~(data.counts >= 0)
    if negative.any():
        raise WeightError(
            f"{int(negative.sum())} of {len(negative)} bins count less than nothing: {data.counts[negative][0]:g}",
            hint="Use wider bins (fit.bins), or samples without negative weights.",
        )
    if data.variances is None:
        return Bins(data.counts, data.counts, 1.0)
    return Bins(data.counts, data.variances, _scale(float(data.counts.sum()), float(data.variances.sum())))


def _points(data: Unbinned, window: Window) -> Points:
    _check_inside(data.x, window, what="candidates")
    weight = np.ones(len(data.x)) if data.weight is None else data.weight
    scale = _scale(float(weight.sum()), float(weight @ weight))
    cell = np.full(GUARDS, scale * window.width / GUARDS)
    return Points(np.concatenate([weight * scale, np.zeros(GUARDS)]), np.concatenate([np.zeros(len(weight)), cell]), scale)


def _scale(weights: float, squares: float) -> float:
    return weights / squares if squares > 0 else 1.0


def _check_inside(x: Array, window: Window, *, what: str) -> None:
    tolerance = 1e-9 * window.width
    outside = ~((x >= window.low - tolerance) & (x <= window.high + tolerance))
    if outside.any():
        raise FitError(
            f"{int(outside.sum())} of {len(x)} {what} are outside the fit window [{window.low:g}, {window.high:g}], "
            f"for example {x[outside][0]:g}",
            hint="Take the data in the window of the model: mlbkg.fitting.data.within.",
        )


def _mean(counts: Array) -> float:
    return max(float(np.abs(counts).sum()) / max(len(counts), 1), 1e-100)


def _log(f: Array, mean: float) -> Array:
    floor = FLOOR * mean
    if f.min(initial=np.inf) > floor:
        return np.log(f)
    return np.asarray(np.log(np.maximum(f, floor)) + SLOPE / mean * np.minimum(f - floor, 0.0))


def _log_slope(f: Array, mean: float) -> Array:
    floor = FLOOR * mean
    if f.min(initial=np.inf) > floor:
        return np.asarray(1 / f)
    return np.where(f > floor, 1 / np.maximum(f, floor), SLOPE / mean)
