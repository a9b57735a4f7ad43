"""-2 ln L at many points of the parameter space at once, for sampling."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlbkg.fitting.base import Array
from mlbkg.fitting.data import Binned, Data, Unbinned, binned
from mlbkg.fitting.likelihood import scaled_bins
from mlbkg.fitting.model import Component, Model

FINE_BINS = 1000
"""Bins that stand for unbinned data: so many of equal width, and as many that each hold the same share of a component."""

QUANTILE_POINTS = 200_001
"""Of the search for the latter, over the window."""

CELLS_AT_ONCE = 4_000_000
"""Points times bins in memory at a time."""


class Batch:
    """Equal to :class:`mlbkg.fitting.likelihood.Likelihood` up to a constant.

    Unbinned data are counted in bins so fine that it is right to a few 0.01.
    """

    def __init__(self, model: Model, data: Data) -> None:
        self.model = model
        self._edges, self._scale, self._effective = _bins(model, data)
        self._components = model.components
        self._low = np.array([-np.inf if p.fixed else p.low for p in model.parameters])
        self._high = np.array([np.inf if p.fixed else p.high for p in model.parameters])
        constraints = [None if p.fixed else p.constraint for p in model.parameters]
        self._centre = np.array([0.0 if c is None else c.mean for c in constraints])
        self._precision = np.array([0.0 if c is None else c.sigma**-2 for c in constraints])

    def __call__(self, theta: Array) -> Array:
        """``(n,)`` -2 ln L for ``theta`` ``(n, n_parameters)``: infinite beyond bounds and where the model expects less than
        nothing."""
        at_once = max(1, CELLS_AT_ONCE // len(self._effective))
        parts = [self._part(theta[first : first + at_once]) for first in range(0, len(theta), at_once)]
        return np.concatenate(parts)

    def _part(self, theta: Array) -> Array:
        inside = ((theta >= self._low) & (theta <= self._high)).all(axis=1)
        found = np.full(len(theta), np.inf)
        if inside.any():
            found[inside] = self._inside(theta[inside])
        return found

    def _inside(self, theta: Array) -> Array:
        expected = np.zeros((len(theta), len(self._effective)))
        for rate, shares in self._mixture(theta):
            expected += rate[:, None] * shares
        expected *= self._scale
        filled = self._effective > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            loss = expected.sum(axis=1) - np.log(expected[:, filled]) @ self._effective[filled]
        loss[(expected < 0).any(axis=1) | np.isnan(loss)] = np.inf
        return np.asarray(2 * loss + (theta - self._centre) ** 2 @ self._precision)

    def _mixture(self, theta: Array) -> Iterator[tuple[Array, Array]]:
        """Rate ``(n,)`` and share of each bin ``(n or 1, n_bins)`` of every component; common shapes worked out once."""
        known: dict[tuple[int, tuple[str, ...]], Array] = {}
        for component in self._components:
            key = id(component.shape), component.shape_parameters
            if key not in known:
                known[key] = self._shares(component, theta)
            yield self._rate(component, theta), known[key]

    def _rate(self, component: Component, theta: Array) -> Array:
        rate = np.full(len(theta), float(component.rate.scale))
        if component.rate.parameter is not None:
            rate *= theta[:, self.model.index(component.rate.parameter)]
        for name, effect in component.rate.effects.items():
            rate *= (1 + effect) ** theta[:, self.model.index(name)]
        return rate

    def _shares(self, component: Component, theta: Array) -> Array:
        columns = theta[:, [self.model.index(name) for name in component.shape_parameters]]
        if (columns == columns[0]).all():
            columns = columns[:1]
        return np.array([np.diff(component.shape.cumulative(self._edges, tuple(row))) for row in columns.tolist()])


def _bins(model: Model, data: Data) -> tuple[Array, float, Array]:
    """Edges, factor of the expectation, and counts times that factor."""
    if isinstance(data, Unbinned):
        edges = _fine_edges(model)
        scale = 1.0 if data.weight is None else float(data.weight.sum() / (data.weight @ data.weight))
        return edges, scale, binned(data, edges).counts * scale
    assert isinstance(data, Binned)
    bins = scaled_bins(data, model.window)
    return data.edges, bins.scale, bins.effective


def _fine_edges(model: Model) -> Array:
    """``(n_bins + 1,)``: narrow where any component at the parameters' starts is high, so that every peak is resolved."""
    x, theta = model.window.edges(QUANTILE_POINTS - 1), model.starts
    edges = [model.window.edges(FINE_BINS)]
    for component in model.components:
        own = tuple(float(theta[model.index(name)]) for name in component.shape_parameters)
        edges.append(np.interp(np.linspace(0, 1, FINE_BINS + 1), component.shape.cumulative(x, own), x))
    return np.unique(np.clip(np.concatenate(edges), model.window.low, model.window.high))
