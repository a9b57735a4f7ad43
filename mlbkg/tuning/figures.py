"""Figures of merit of a trial, weighted and out of fold, each with bootstrap replicas that all trials share.

A replica draws events, Poisson with mean one; the draws follow from the seed alone. Two trials measured on the same events
therefore fluctuate together, and the replicas of their difference know what really tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Array, Events, balanced
from mlbkg.evaluation.metrics import auc, log_loss, threshold_at
from mlbkg.evaluation.resampling import RankingReplicas, poisson_counts, quantile_edges, ranking_replicas
from mlbkg.evaluation.working_point import ByPunzi, find_threshold, punzi_s_min
from mlbkg.tuning.measured import Measured

Draw = NDArray[np.uint8]
"""``(n_events,)``: how often each event counts."""

SHAPE_BINS = 200
"""Of equal background, in which shapes before and after a cut are compared."""


@dataclass(frozen=True)
class Ground:
    """What figures are measured on, row by row ``(n,)``; ``replicas``: how many."""

    label: NDArray[np.int8]
    weight: Array
    event_index: Events
    replicas: int
    seed: int

    @property
    def signal(self) -> NDArray[np.bool_]:
        return np.asarray(self.label == 1)

    def draws(self) -> Iterator[Draw]:
        """How often each event is in each replica."""
        return poisson_counts(int(self.event_index.max()) + 1, replicas=self.replicas, seed=self.seed)

    def sums(self, draws: Iterable[Draw], *columns: Array) -> Array:
        """``(d, k)``: sums of ``k`` columns ``(n,)`` over the rows, each event as often as each of ``d`` draws says."""
        per_event = np.stack([np.bincount(self.event_index, weights=column) for column in columns])
        return np.stack([per_event @ count for count in draws])


def measure_auc(ground: Ground, margin: Array) -> Measured:
    boot = _ranking(ground, margin)
    return Measured(auc(margin, ground.label, ground.weight), boot.auc(boot.background[:, 0]))


def measure_background_rejection(ground: Ground, margin: Array, *, signal_efficiency: float) -> Measured:
    """Each replica has a threshold of its own, which keeps ``signal_efficiency`` of its signal."""
    boot, signal, weight = _ranking(ground, margin), ground.signal, ground.weight
    threshold = threshold_at(margin[signal], weight[signal], efficiency=signal_efficiency)
    kept = float(weight[~signal & (margin >= threshold)].sum() / weight[~signal].sum())
    replicas = boot.background_efficiency(boot.background[:, 0], signal_efficiency=signal_efficiency)
    return Measured(1 - kept, 1 - replicas)


def measure_log_loss(ground: Ground, margin: Array) -> Measured:
    """Of balanced classes, as :func:`mlbkg.evaluation.metrics.rank` has it: the mean of the two classes' means."""
    signal, weight = ground.signal, ground.weight
    loss = weight * np.logaddexp(0.0, np.where(signal, -margin, margin))
    loss_s, loss_b, weight_s, weight_b = ground.sums(
        ground.draws(), *(np.where(rows, column, 0.0) for column in (loss, weight) for rows in (signal, ~signal))
    ).T
    value = log_loss(margin, ground.label, balanced(weight, ground.label))
    return Measured(value, (loss_s / weight_s + loss_b / weight_b) / 2)


def measure_punzi(ground: Ground, margin: Array, *, rule: ByPunzi) -> Measured:
    """Punzi's smallest S_min / efficiency (physics/0308063), at the cut that reaches it, which replicas share."""
    signal, weight = ground.signal, ground.weight
    threshold = find_threshold(rule, margin, ground.label, weight, ground.event_index)
    passed = margin >= threshold

    def sensitivity(kept: Array, background: Array, signal_events: Array) -> Array:
        return np.asarray(punzi_s_min(background, a=rule.a, b=rule.b) * signal_events / kept, dtype=np.float64)

    columns = [np.where(rows, weight, 0.0) for rows in (signal & passed, ~signal & passed, signal)]
    return at_cut(ground, columns, sensitivity)


def measure_sculpting(ground: Ground, margin: Array, *, signal_efficiency: float, spectators: list[Array]) -> Measured:
    """Largest distance of any spectator's distribution in the background that passes to that in all of it.

    Kolmogorov and Smirnov's, on 200 bins of equal background; the bin of the largest distance is the same in all replicas.
    Spectators that no background candidate has are left out.
    """
    signal, weight = ground.signal, ground.weight
    threshold = threshold_at(margin[signal], weight[signal], efficiency=signal_efficiency)
    found = []
    for values in spectators:
        there = ~signal & np.isfinite(values)
        if not there.any():
            continue
        passed = there & (margin >= threshold)
        edges = quantile_edges(values[there], SHAPE_BINS)
        at = _furthest(np.digitize(values, edges), there, passed, weight)
        low = np.digitize(values, edges) <= at
        columns = [np.where(rows, weight, 0.0) for rows in (passed & low, passed, there & low, there)]
        found.append(at_cut(ground, columns, lambda a, b, c, d: np.abs(a / b - c / d)))
    return max(found, key=lambda measured: measured.value, default=Measured(0.0, np.zeros(ground.replicas)))


def at_cut(ground: Ground, columns: list[Array], figure: Callable[..., Array]) -> Measured:
    """``figure`` of the sums of ``columns``, over all rows and in each replica."""
    totals = [np.array([column.sum()]) for column in columns]
    with np.errstate(divide="ignore", invalid="ignore"):  # a replica may keep nothing
        return Measured(float(figure(*totals)[0]), figure(*ground.sums(ground.draws(), *columns).T))


def _furthest(bins: NDArray[np.intp], there: NDArray[np.bool_], passed: NDArray[np.bool_], weight: Array) -> int:
    shapes = [np.cumsum(np.bincount(bins[rows], weights=weight[rows], minlength=SHAPE_BINS + 1)) for rows in (there, passed)]
    before, after = (shape / shape[-1] for shape in shapes)
    return int(np.argmax(np.abs(after - before)))


def _ranking(ground: Ground, margin: Array) -> RankingReplicas:
    return ranking_replicas(
        margin,
        ground.label,
        ground.weight,
        np.zeros(len(margin), dtype=np.int16),
        n_categories=1,
        event_index=ground.event_index,
        replicas=ground.replicas,
        seed=ground.seed,
    )
