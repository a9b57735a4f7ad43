"""Weighted linear correlations of features, spectators and score, missing values left out pair by pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Array

CHUNK_ROWS = 50_000


@dataclass(frozen=True)
class Correlations:
    """Pearson's coefficients ``(n, n)`` of ``names``; NaN where a quantity is constant or never there with the other."""

    names: tuple[str, ...]
    signal: Array
    background: Array


def weighted_pearson(values: NDArray[np.floating], weight: Array) -> Array:
    """``(p, p)`` from ``values (n, p)``: each pair over the rows where both are finite, means and spreads of these rows."""
    p = values.shape[1]
    centre, scale = _location(values, weight)
    sums = np.zeros((4, p, p))
    for start in range(0, len(values), CHUNK_ROWS):
        rows = (np.asarray(values[start : start + CHUNK_ROWS], dtype=np.float64) - centre) / scale
        there = np.isfinite(rows)
        rows = np.where(there, rows, 0.0)
        known = there.astype(np.float64)
        w = weight[start : start + CHUNK_ROWS, None]
        sums += np.stack([(w * known).T @ known, (w * rows).T @ known, (w * rows**2).T @ known, (w * rows).T @ rows])
    total, first, square, product = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = first / total
        variance = square / total - mean**2
        # Rounding leaves a constant a variance of 1e-16 of its scale, which has been taken to one.
        variance = np.where(variance > 1e-12, variance, np.nan)
        r = (product / total - mean * mean.T) / np.sqrt(variance * variance.T)
    return np.asarray(np.clip(r, -1, 1), dtype=np.float64)


def correlations(
    features: NDArray[np.float32],
    *,
    feature_names: tuple[str, ...],
    spectators: Mapping[str, Array],
    score: Array,
    label: NDArray[np.int8],
    weight: Array,
) -> Correlations:
    """Signal and background apart; features first, then spectators, then ``score``."""
    signal = label == 1
    columns = np.column_stack([features, *(np.asarray(v, dtype=np.float64) for v in spectators.values()), score])
    return Correlations(
        names=(*feature_names, *spectators, "score"),
        signal=weighted_pearson(columns[signal], weight[signal]),
        background=weighted_pearson(columns[~signal], weight[~signal]),
    )


def _location(values: NDArray[np.floating], weight: Array) -> tuple[Array, Array]:
    """Mean and spread of each column, roughly: they only keep the sums of squares away from cancellation."""
    sample = np.asarray(values[:: max(1, len(values) // CHUNK_ROWS)], dtype=np.float64)
    there = np.isfinite(sample)
    count = np.maximum(there.sum(axis=0), 1)
    centre = np.where(there, sample, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(there, (sample - centre) ** 2, 0.0).sum(axis=0) / count)
    return centre, np.where(spread > 1e-9 * np.abs(centre), spread, np.maximum(np.abs(centre), 1e-30))
