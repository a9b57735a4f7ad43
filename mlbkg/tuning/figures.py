"""Figures of merit of a trial, weighted and out of fold, each with bootstrap replicas that all trials share.

A replica draws events, Poisson with mean one; the draws follow from the seed alone. Two trials measured on the same events
therefore fluctuate together, and the replicas of their difference know what really tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Array, Events, balanced
from mlbkg.evaluation.metrics import auc, log_loss, threshold_at
from mlbkg.evaluation.resampling import RankingReplicas, poisson_counts, quantile_edges, ranking_replicas
from mlbkg.evaluation.working_point import (
    MINIMUM_EFFECTIVE_BACKGROUND,
    SCAN_POINTS,
    ByPunzi,
    is_measured,
    punzi_s_min,
    thresholds_at,
)
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

    def part(self, rows: NDArray[np.intp]) -> Ground:
        """Some rows, which stand for all."""
        return replace(
            self,
            label=self.label[rows],
            weight=self.weight[rows] * (len(self.weight) / len(rows)),
            event_index=np.unique(self.event_index[rows], return_inverse=True)[1],
        )

    def draws(self) -> Iterator[Draw]:
        """Of each replica."""
        return poisson_counts(int(self.event_index.max()) + 1, replicas=self.replicas, seed=self.seed)

    def all_and_draws(self) -> Iterator[Draw]:
        """Each event once, then the replicas."""
        return chain([np.ones(int(self.event_index.max()) + 1, dtype=np.uint8)], self.draws())

    def sums(self, draws: Iterable[Draw], *columns: Array) -> Array:
        """``(d, k)``: sums of ``k`` columns ``(n,)`` over the rows of each of ``d`` draws."""
        per_event = np.stack([np.bincount(self.event_index, weights=column) for column in columns])
        return np.stack([per_event @ count for count in draws])

    def kept(self, draws: Iterable[Draw], margin: Array, levels: Array, *columns: Array) -> tuple[Array, ...]:
        """``(d, n_levels)`` sums of each of ``columns`` ``(n,)`` over the rows of each draw above each of sorted levels."""
        passed = np.searchsorted(levels, margin, side="right")
        rows = [np.flatnonzero((column != 0) & (passed > 0)) for column in columns]
        parts = [(passed[of], column[of], self.event_index[of]) for of, column in zip(rows, columns, strict=True)]
        found = np.array(
            [
                [
                    np.bincount(level, weights=value * count[event], minlength=len(levels) + 1)
                    for level, value, event in parts
                ]
                for count in draws
            ]
        )
        above = np.cumsum(found[:, :, ::-1], axis=2)[:, :, ::-1][:, :, 1:]
        return tuple(np.moveaxis(above, 1, 0))

    def variance(self, weight: Array) -> Array:
        """``(n,)``: what each row adds to the variance of a sum of ``weight``, as in
        :func:`~mlbkg.evaluation.working_point.kept_events`. In a draw, copies of an event are events of their own."""
        per_event = np.bincount(self.event_index, weights=np.abs(weight))
        return np.asarray(np.abs(weight) * per_event[self.event_index], dtype=np.float64)


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
    """Punzi's smallest S_min / efficiency (physics/0308063) over the cuts of
    :func:`~mlbkg.evaluation.working_point.punzi_scan`; each replica looks for its own."""
    signal, weight = ground.signal, ground.weight
    background = np.where(signal, 0.0, weight)
    levels = thresholds_at(margin[signal], weight[signal], np.linspace(1, 0, SCAN_POINTS, endpoint=False))
    columns = (np.where(signal, weight, 0.0), background, ground.variance(background))
    kept, below, variance = ground.kept(ground.all_and_draws(), margin, levels, *columns)
    needed = punzi_s_min(np.maximum(below, 0.0), a=rule.a, b=rule.b) * kept[:, :1]
    return smallest(needed, kept, is_known(below, variance, at_least=MINIMUM_EFFECTIVE_BACKGROUND))


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


def smallest(part: Array, whole: Array, known: NDArray[np.bool_]) -> Measured:
    """The smallest quotient of ``part`` and ``whole`` ``(1 + replicas, n_levels)`` over the cuts that are ``known``."""
    quotient = np.divide(part, whole, out=np.full(part.shape, np.inf), where=known & (whole > 0))
    found = quotient.min(axis=1)
    return Measured(float(found[0]), found[1:])


def is_known(events: Array, variance: Array, *, at_least: float) -> NDArray[np.bool_]:
    """``(d, n_levels)``: cuts that keep ``at_least`` so many effective events in a draw; all where none does."""
    measured = is_measured(np.maximum(events, 0.0).T, variance.T, at_least=at_least).T
    return np.asarray(measured | ~measured.any(axis=1, keepdims=True))


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
