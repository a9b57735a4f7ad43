"""How well a score ranks: weighted ROC, AUC, background rejection overall and per category, log-loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import (
    Array,
    Efficiency,
    Estimate,
    Events,
    balanced,
    check_weights,
    effective_events,
    efficiency,
)
from mlbkg.evaluation.resampling import RankingReplicas, ranking_replicas, spread


@dataclass(frozen=True)
class Roc:
    """What ``score >= threshold`` keeps of signal and of background, thresholds falling from +inf; each ``(n,)``."""

    threshold: Array
    signal_efficiency: Array
    background_efficiency: Array

    @property
    def auc(self) -> float:
        """Area under signal efficiency against background efficiency; ties count one half, as drawn by straight lines."""
        return float(np.trapezoid(self.signal_efficiency, self.background_efficiency))

    def thinned(self, points: int) -> Roc:
        """About ``points`` points, half of them even in signal efficiency, half even in log background efficiency."""
        if len(self.threshold) <= points:
            return self
        kept = self.background_efficiency
        smallest = kept[kept > 0].min()
        by_signal = np.searchsorted(np.maximum.accumulate(self.signal_efficiency), np.linspace(0, 1, points // 2))
        by_background = np.searchsorted(np.maximum.accumulate(kept), np.geomspace(smallest, 1, points // 2))
        last = len(self.threshold) - 1
        index = np.unique(np.minimum(np.concatenate([[0, last], by_signal, by_background]), last))
        return Roc(self.threshold[index], self.signal_efficiency[index], self.background_efficiency[index])


@dataclass(frozen=True)
class CategoryRanking:
    """One background category; estimates are NaN where it has no candidates."""

    name: str
    candidates: int
    n_effective: float
    expected_yield: float
    auc: Estimate
    background_efficiency: Efficiency
    background_rejection: Estimate
    roc: Roc | None


@dataclass(frozen=True)
class Ranking:
    """``background_rejection`` is 1 - background efficiency where ``signal_efficiency`` of the signal is kept.

    ``log_loss`` is that of balanced classes, as the training saw them (physics weights would make it the background's
    alone); it is ln 2 for a score that knows nothing. ``effective_signal``, ``effective_background``: Kish's numbers.
    """

    auc: Estimate
    signal_efficiency: float
    threshold: float
    background_rejection: Estimate
    background_efficiency: Efficiency
    log_loss: float
    effective_signal: float
    effective_background: float
    roc: Roc
    categories: tuple[CategoryRanking, ...]


def roc_curve(score: Array, label: NDArray[np.int8], weight: Array) -> Roc:
    """Exact: one point per distinct score. Raises :class:`WeightError` for a class without weight."""
    check_weights(weight, label)
    order = np.argsort(-score, kind="stable")
    score, weight, signal = score[order], weight[order], label[order] == 1
    last_of_tie = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    kept_signal = np.cumsum(np.where(signal, weight, 0.0))[last_of_tie]
    kept_background = np.cumsum(np.where(signal, 0.0, weight))[last_of_tie]
    return Roc(
        threshold=np.concatenate([[np.inf], score[last_of_tie]]),
        signal_efficiency=np.concatenate([[0.0], kept_signal / kept_signal[-1]]),
        background_efficiency=np.concatenate([[0.0], kept_background / kept_background[-1]]),
    )


def auc(score: Array, label: NDArray[np.int8], weight: Array) -> float:
    """Exact weighted area under the ROC curve: probability that signal scores above background, ties half."""
    return roc_curve(score, label, weight).auc


def auc_influence(score: Array, label: NDArray[np.int8], weight: Array) -> tuple[float, Array]:
    """The AUC, and what each row adds to its error ``(n,)``: the variance is the sum over events of squared sums of it.

    The weighted form of DeLong's placement values (Biometrics 44 (1988) 837).
    """
    check_weights(weight, label)
    signal = label == 1
    below = _weight_below(score[signal], score[~signal], weight[~signal])
    above = 1 - _weight_below(score[~signal], score[signal], weight[signal])
    share = weight[signal] / weight[signal].sum()
    area = float((share * below).sum())
    influence = np.empty(len(score))
    influence[signal] = share * (below - area)
    influence[~signal] = weight[~signal] / weight[~signal].sum() * (above - area)
    return area, influence


def event_error(influence: Array, event_index: Events) -> float:
    """Standard error of a sum of ``influence``, candidates of an event together."""
    return math.sqrt(float((np.bincount(event_index, weights=influence) ** 2).sum()))


def _weight_below(score: Array, other: Array, weight: Array) -> Array:
    """For each of ``score``: share of ``weight`` whose ``other`` is lower, equal ones half."""
    order = np.argsort(other, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weight[order])])
    ranked = other[order]
    lower = total[np.searchsorted(ranked, score, side="left")]
    not_above = total[np.searchsorted(ranked, score, side="right")]
    return np.asarray((lower + not_above) / (2 * total[-1]), dtype=np.float64)


def threshold_at(score: Array, weight: Array, *, efficiency: float) -> float:
    """The threshold of ``score >= threshold`` that keeps at least ``efficiency`` of the weight, and no row more than needed.

    It is a float32 number half way to the next lower score, so that another program's rounding of a score moves no row
    across it. Rows with equal scores are kept together, so the share kept can exceed what was asked for.
    """
    order = np.argsort(-score, kind="stable")
    kept = np.cumsum(weight[order])
    reached = kept >= efficiency * kept[-1] * (1 - 1e-12)
    last_kept = float(score[order[int(reached.argmax())]])
    lower = score[score < last_kept]
    middle = float32_floor((last_kept + float(lower.max())) / 2) if len(lower) else 0.0
    return middle if len(lower) and middle > lower.max() else float32_floor(last_kept)


def float32_floor(value: float) -> float:
    """The largest float32 number that is not above ``value``."""
    rounded = np.float32(value)
    return float(rounded if float(rounded) <= value else np.nextafter(rounded, np.float32(-np.inf)))


def log_loss(margin: Array, label: NDArray[np.int8], weight: Array) -> float:
    """Weighted mean of -ln p(true class), from log-odds, so that no probability of 0 or 1 makes it infinite."""
    return float(np.average(np.logaddexp(0.0, np.where(label == 1, -margin, margin)), weights=weight))


def rank(
    score: Array,
    margin: Array,
    label: NDArray[np.int8],
    weight: Array,
    category: NDArray[np.int16],
    *,
    category_names: tuple[str, ...],
    event_index: Events,
    signal_efficiency: float,
    replicas: int,
    seed: int,
    roc_points: int,
) -> Ranking:
    """Everything about the order of the scores. Errors by Poisson bootstrap over events, ``replicas`` times.

    Each replica has its own threshold, so the rejection's error holds the signal's statistics too; it is never below the
    binomial one, which alone knows that nothing kept of a few is not nothing at all.
    """
    check_weights(weight, label)
    signal = label == 1
    boot = ranking_replicas(
        score, label, weight, category,
        n_categories=len(category_names), event_index=event_index, replicas=replicas, seed=seed,
    )  # fmt: skip
    threshold = threshold_at(score[signal], weight[signal], efficiency=signal_efficiency)
    background = efficiency((score >= threshold)[~signal], weight[~signal], event_index[~signal])
    pooled = boot.background.sum(axis=1)
    curve = roc_curve(score, label, weight)
    categories = tuple(
        _rank_category(
            name, signal | (~signal & (category == number)), score, label, weight, event_index,
            replicas=boot, replicated=boot.background[:, number], threshold=threshold,
            signal_efficiency=signal_efficiency, roc_points=roc_points,
        )
        for number, name in enumerate(category_names)
        if not (signal & (category == number)).any()
    )  # fmt: skip
    return Ranking(
        auc=Estimate(curve.auc, spread(boot.auc(pooled))),
        signal_efficiency=signal_efficiency,
        threshold=threshold,
        background_rejection=_rejection(background, boot, pooled, signal_efficiency=signal_efficiency),
        background_efficiency=background,
        log_loss=log_loss(margin, label, balanced(weight, label)),
        effective_signal=effective_events(weight[signal], event_index[signal]),
        effective_background=effective_events(weight[~signal], event_index[~signal]),
        roc=curve.thinned(roc_points),
        categories=categories,
    )


def _rejection(kept: Efficiency, boot: RankingReplicas, replicated: Array, *, signal_efficiency: float) -> Estimate:
    error = spread(boot.background_efficiency(replicated, signal_efficiency=signal_efficiency))
    return Estimate(1 - kept.value, float(np.fmax(error, kept.error)))


def _rank_category(
    name: str,
    rows: NDArray[np.bool_],
    score: Array,
    label: NDArray[np.int8],
    weight: Array,
    event_index: Events,
    *,
    replicas: RankingReplicas,
    replicated: Array,
    threshold: float,
    signal_efficiency: float,
    roc_points: int,
) -> CategoryRanking:
    """``rows``: the signal and the background of this category."""
    own = rows & (label == 0)
    kept = efficiency((score >= threshold)[own], weight[own], event_index[own])
    measurable = float(weight[own].sum()) > 0
    curve = roc_curve(score[rows], label[rows], weight[rows]) if measurable else None
    return CategoryRanking(
        name=name,
        candidates=int(own.sum()),
        n_effective=effective_events(weight[own], event_index[own]) if measurable else 0.0,
        expected_yield=float(weight[own].sum()),
        auc=Estimate(curve.auc, spread(replicas.auc(replicated))) if curve else Estimate(math.nan, math.nan),
        background_efficiency=kept,
        background_rejection=_rejection(kept, replicas, replicated, signal_efficiency=signal_efficiency),
        roc=curve.thinned(roc_points) if curve else None,
    )
