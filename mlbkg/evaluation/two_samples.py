"""Do two weighted sets of rows have the same shape? A Kolmogorov-Smirnov test that knows of weights and events.

The textbook p-value with an effective number of events is wrong for weights that differ between the rows that make the
difference, for rows that are in both sets, and for events with several candidates. Here the largest distance between the
cumulative shapes, on a grid of quantiles, is compared with experiments of the same covariance and no difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Array, Events
from mlbkg.evaluation.resampling import binned_sums, draw_null, event_covariance, p_value, quantile_edges

GRID = 128
NULL_DRAWS = 2000
ROUNDING = 1e-12
"""A distance below this is none: of a constant, say, the same in both sets."""
SMALLEST_P = 1 / (NULL_DRAWS + 1)


@dataclass(frozen=True)
class ShapeTest:
    """``distance``: largest difference of the cumulative shapes. ``p_value``: how often equal shapes differ as much."""

    distance: float
    p_value: float


def paired_test(first: Array, second: Array, weight: Array, event_index: Events, *, seed: int) -> ShapeTest:
    """Two values of the same rows, such as a candidate's scores by two models.

    Under the null hypothesis an event's two values can be swapped; the experiments are the limit of many events of all such
    swaps.
    """
    edges = quantile_edges(np.concatenate([first, second]), GRID)
    cells = np.concatenate([np.searchsorted(edges, values, side="right") for values in (first, second)])
    signed = np.concatenate([weight, -weight]) / weight.sum()
    events = np.concatenate([event_index, event_index])
    n = len(edges) + 1
    difference = binned_sums(cells, signed, n)
    return _largest_distance(difference, event_covariance(cells, signed, events, n_cells=n), seed=seed)


def split_test(value: Array, passed: NDArray[np.bool_], weight: Array, event_index: Events, *, seed: int) -> ShapeTest:
    """Rows that pass a cut against those that fail it. Both need a positive sum of weights.

    The grid follows those that pass, usually the fewer.
    """
    edges = quantile_edges(value[passed], GRID)
    n = len(edges) + 1
    bins = np.searchsorted(edges, value, side="right")
    total_passed, total_failed = weight[passed].sum(), weight[~passed].sum()
    share = np.where(passed, weight / total_passed, weight / total_failed)
    cells = bins + np.where(passed, 0, n)
    shapes = binned_sums(cells, share, 2 * n)
    covariance = project(event_covariance(cells, share, event_index, n_cells=2 * n), shapes)
    return _largest_distance(shapes[:n] - shapes[n:], covariance, seed=seed)


def project(covariance: Array, shapes: Array) -> Array:
    """Covariance ``(n, n)`` of the difference of two normalised shapes, from that of their raw sums ``(2n, 2n)``.

    Normalising takes from each bin its share of the total's fluctuation; ``shapes (2n,)`` are the two shapes in a row.
    """
    n = len(shapes) // 2
    eye, ones = np.eye(n), np.ones(n)
    linear = np.hstack([eye - np.outer(shapes[:n], ones), -(eye - np.outer(shapes[n:], ones))])
    return np.asarray(linear @ covariance @ linear.T, dtype=np.float64)


def _largest_distance(difference: Array, covariance: Array, *, seed: int) -> ShapeTest:
    observed = float(np.abs(np.cumsum(difference)).max())
    if observed < ROUNDING:
        return ShapeTest(0.0, 1.0)
    null = np.abs(np.cumsum(draw_null(covariance, draws=NULL_DRAWS, seed=seed), axis=1)).max(axis=1)
    return ShapeTest(observed, p_value(observed, null))
