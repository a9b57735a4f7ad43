"""Uncertainties by event: Poisson bootstrap of the ranking, and the covariance of binned sums.

Candidates of one event always share their fate. Two tools, because they suit different questions: the bootstrap needs no
formula, so it serves the background rejection at a signal efficiency whose threshold moves with the signal; the covariance
is exact and costs one pass, so tests draw thousands of null experiments from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Array, Events

QUANTILES_PER_CLASS = 1024
ROUNDING = 1e-13


@dataclass(frozen=True)
class RankingReplicas:
    """Sums of weights in bins of rising score: ``signal (replicas, bins)``, ``background (replicas, categories, bins)``."""

    signal: Array
    background: Array

    def auc(self, background: Array) -> Array:
        """``(replicas,)``: AUC against ``background (replicas, bins)``; rows in one bin count as tied."""
        below = np.cumsum(background, axis=1) - background / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            area = (self.signal * below).sum(axis=1)
            return np.asarray(area / (self.signal.sum(axis=1) * background.sum(axis=1)), dtype=np.float64)

    def background_efficiency(self, background: Array, *, signal_efficiency: float) -> Array:
        """``(replicas,)``: share of ``background (replicas, bins)`` kept where each replica keeps ``signal_efficiency``."""
        kept = np.cumsum(self.signal[:, ::-1], axis=1)
        target = signal_efficiency * kept[:, -1:]
        last = np.minimum((kept < target).sum(axis=1), kept.shape[1] - 1)
        rows = np.arange(len(kept))
        inside = self.signal[rows, -1 - last]
        survivors = np.cumsum(background[:, ::-1], axis=1)
        here = background[rows, -1 - last]
        with np.errstate(invalid="ignore", divide="ignore"):
            surplus = np.where(inside > 0, (kept[rows, last] - target[:, 0]) / inside, 0.0)
            return np.asarray((survivors[rows, last] - surplus * here) / survivors[:, -1], dtype=np.float64)


def spread(replicas: Array) -> float:
    """Standard deviation over the replicas that have a value; NaN where fewer than two have one.

    Zero, not what rounding leaves of it, where all have one value.
    """
    finite = replicas[np.isfinite(replicas)]
    if len(finite) < 2:
        return float("nan")
    return float(finite.std(ddof=1)) if np.ptp(finite) > ROUNDING * np.abs(finite).max() else 0.0


def ranking_replicas(
    score: Array,
    label: NDArray[np.int8],
    weight: Array,
    category: NDArray[np.int16],
    *,
    n_categories: int,
    event_index: Events,
    replicas: int,
    seed: int,
) -> RankingReplicas:
    """Poisson bootstrap over events of the score's distribution, for the signal and for each background category.

    Scores are binned once, at 1024 quantiles of the signal and 1024 of the background together, so a replica costs one pass
    without sorting. Within a bin rows count as tied (AUC) or spread evenly (efficiencies); a bin holds at most 1/1024 of
    either class, which moves a replica's AUC by some 1e-6, far less than replicas differ.
    """
    signal = label == 1
    levels = np.linspace(0, 1, QUANTILES_PER_CLASS + 1)[1:-1]
    edges = np.unique(np.concatenate([_quantiles(score[signal], levels), _quantiles(score[~signal], levels)]))
    n_bins = len(edges) + 1
    group = np.where(signal, 0, category.astype(np.int64) + 1)
    cell = group * n_bins + np.searchsorted(edges, score, side="right")
    # Rows in the order of their cells make every sum run through memory once.
    order = np.argsort(cell, kind="stable")
    cell, weight, event = cell[order], weight[order], event_index[order]
    counted = np.empty((replicas, (n_categories + 1) * n_bins))
    n_events = int(event_index.max()) + 1
    for replica, count in enumerate(poisson_counts(n_events, replicas=replicas, seed=seed)):
        counted[replica] = np.bincount(cell, weights=weight * count[event], minlength=counted.shape[1])
    by_group = counted.reshape(replicas, n_categories + 1, n_bins)
    return RankingReplicas(signal=by_group[:, 0], background=by_group[:, 1:])


def poisson_counts(n_events: int, *, replicas: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """``replicas`` times: how often each event is in the replica, Poisson with mean 1.

    Probabilities are rounded to 2^-16, which changes mean and variance by less than 1e-4 and is many times faster than
    drawing exact Poisson numbers.
    """
    from scipy.special import pdtr

    steps = np.rint(pdtr(np.arange(9), 1.0) * 2**16).astype(np.int64)
    table = np.searchsorted(steps, np.arange(2**16), side="right").astype(np.uint8)
    generator = np.random.default_rng(seed)
    for _ in range(replicas):
        yield table[generator.integers(0, 2**16, size=n_events, dtype=np.uint16)]


def one_by_one(count: NDArray[np.uint8], event_index: Events) -> tuple[NDArray[np.intp], Events]:
    """Rows of a replica, each as often as ``count`` ``(n_events,)`` says, and their events; copies are events of their own.

    For figures that are more than sums of weights: weights stay what they are, and so do effective numbers of events.
    """
    times = count[event_index].astype(np.intp)
    rows = np.repeat(np.arange(len(event_index)), times)
    copy = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    return rows, event_index[rows] + copy * len(count)


def binned_sums(cell: NDArray[np.intp], value: Array, n_cells: int) -> Array:
    """``(n_cells,)``: sum of ``value`` per cell."""
    return np.asarray(np.bincount(cell, weights=value, minlength=n_cells), dtype=np.float64)


def event_covariance(cell: NDArray[np.intp], value: Array, event_index: Events, *, n_cells: int) -> Array:
    """``(n_cells, n_cells)``: sum over events of the outer product of the event's sums of ``value`` per ``cell``."""
    from scipy.sparse import csr_array

    per_event = csr_array((value, (event_index, cell)), shape=(int(event_index.max()) + 1, n_cells))
    return np.asarray((per_event.T @ per_event).toarray(), dtype=np.float64)


def draw_null(covariance: Array, *, draws: int, seed: int) -> Array:
    """``(draws, n)`` vectors of mean zero with ``covariance``: the multiplier bootstrap with Gaussian multipliers."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    drawn = np.random.default_rng(seed).standard_normal((draws, len(covariance))) @ root.T
    return np.asarray(drawn, dtype=np.float64)


def p_value(observed: float, null: Array) -> float:
    """Share of experiments at least as extreme, the observed one among them: never zero."""
    return float((1 + (null >= observed * (1 - 1e-9)).sum()) / (1 + len(null)))


def quantile_edges(values: Array, n_bins: int) -> Array:
    """Inner edges that split ``values`` into at most ``n_bins`` bins of equal counts; fewer where values repeat."""
    return np.unique(_quantiles(values, np.linspace(0, 1, n_bins + 1)[1:-1]))


def _quantiles(values: Array, levels: Array) -> Array:
    return np.asarray(np.quantile(values, levels, method="lower"), dtype=np.float64)
