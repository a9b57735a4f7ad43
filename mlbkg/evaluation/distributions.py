"""Binned pictures of a sample, by category, that a figure can draw without the candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Array, Events
from mlbkg.evaluation.resampling import binned_sums, event_covariance

BINS = 40
SCORE_BINS = 50
MOST_INTEGERS = 40
# Below, and as close to 1, float32 scores are told apart by few bits or none.
SATURATED = 1e-6


@dataclass(frozen=True)
class CategoryHistogram:
    """Sum of weights per bin and its standard error, both ``(n,)``."""

    name: str
    is_signal: bool
    sums: Array
    errors: Array


@dataclass(frozen=True)
class Distribution:
    """One quantity in bins ``edges (n+1,)``; the outer bins hold what lies beyond.

    ``missing_signal``, ``missing_background``: share of the class's weight without a finite value.
    """

    name: str
    unit: str
    edges: Array
    categories: tuple[CategoryHistogram, ...]
    missing_signal: float
    missing_background: float

    def total(self, *, is_signal: bool) -> tuple[Array, Array]:
        """Sum of the categories of a class and its error."""
        mine = [category for category in self.categories if category.is_signal == is_signal]
        zero = np.zeros(len(self.edges) - 1)
        sums = np.sum([category.sums for category in mine], axis=0) if mine else zero
        squares = np.sum([category.errors**2 for category in mine], axis=0) if mine else zero
        return sums, np.sqrt(squares)


def distribution(
    name: str,
    value: NDArray[np.floating],
    label: NDArray[np.int8],
    weight: Array,
    category: NDArray[np.int16],
    *,
    category_names: tuple[str, ...],
    event_index: Events,
    edges: Array,
    unit: str,
) -> Distribution:
    """Histogram of ``value (n,)`` for every category that has candidates."""
    there = np.isfinite(value)
    bins = np.searchsorted(edges[1:-1], np.where(there, value, edges[0]), side="right")
    n = len(edges) - 1
    histograms = []
    for is_signal in (False, True):
        for number, category_name in enumerate(category_names):
            of = (category == number) & (label == is_signal)
            if of.any():
                rows = of & there
                histograms.append(_histogram(category_name, is_signal, bins[rows], weight[rows], event_index[rows], n=n))
    return Distribution(
        name=name,
        unit=unit,
        edges=edges,
        categories=tuple(histograms),
        missing_signal=_missing(there, weight, label == 1),
        missing_background=_missing(there, weight, label == 0),
    )


def feature_distributions(
    columns: Mapping[str, NDArray[np.floating]],
    label: NDArray[np.int8],
    weight: Array,
    category: NDArray[np.int16],
    *,
    category_names: tuple[str, ...],
    event_index: Events,
    units: Mapping[str, str],
) -> tuple[Distribution, ...]:
    """One per column (features, spectators), with bins that suit it; ``units`` may leave columns out."""
    return tuple(
        distribution(
            name, value, label, weight, category,
            category_names=category_names, event_index=event_index,
            edges=suitable_edges(value, label), unit=units.get(name, ""),
        )
        for name, value in columns.items()
    )  # fmt: skip


def score_edges(*scores: Array, bins: int) -> Array:
    """``(bins + 1,)`` edges of a probability, even in its log-odds from the lowest to the highest of ``scores``.

    Good classifiers pile their scores up at 0 and 1, where bins even in the score see nothing.
    """
    finite = np.concatenate([_finite(score) for score in scores])
    within = np.clip(finite, SATURATED, 1 - SATURATED)
    low, high = (float(end) for end in np.quantile(np.log(within / (1 - within)), [0, 1]))
    if high - low < 1e-6:
        low, high = low - 1, high + 1
    return np.asarray(1 / (1 + np.exp(-np.linspace(low, high, bins + 1))), dtype=np.float64)


def suitable_edges(value: NDArray[np.floating], label: NDArray[np.int8]) -> Array:
    """One bin per whole number for counts, else 40 even bins over all but 0.5 % of either class on either side."""
    ranges = [np.quantile(kept, [0.005, 0.995]) for kept in (_finite(value[label == kind]) for kind in (0, 1)) if len(kept)]
    if not ranges:
        return np.linspace(0, 1, 2)
    low, high = float(min(r[0] for r in ranges)), float(max(r[1] for r in ranges))
    thinned = _finite(value[:: max(1, len(value) // 10_000)])
    if high - low < MOST_INTEGERS and bool((thinned == np.rint(thinned)).all()):
        return np.arange(np.floor(low) - 0.5, np.ceil(high) + 1)
    return np.linspace(low, high, BINS + 1) if high > low else np.linspace(low - 0.5, low + 0.5, 2)


def _finite(value: NDArray[np.floating]) -> Array:
    return np.asarray(value[np.isfinite(value)], dtype=np.float64)


def _histogram(
    name: str, is_signal: bool, bins: NDArray[np.intp], weight: Array, event_index: Events, *, n: int
) -> CategoryHistogram:
    if not len(bins):
        return CategoryHistogram(name, is_signal, np.zeros(n), np.zeros(n))
    variance = np.diag(event_covariance(bins, weight, event_index, n_cells=n))
    return CategoryHistogram(name, is_signal, binned_sums(bins, weight, n), np.sqrt(variance))


def _missing(there: NDArray[np.bool_], weight: Array, rows: NDArray[np.bool_]) -> float:
    total = float(weight[rows].sum())
    return 1 - float(weight[rows & there].sum()) / total if total else 0.0
