"""Which features carry the decision: gain of the splits, and the AUC lost when a feature is shuffled."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Array, Estimate, Events
from mlbkg.evaluation.metrics import auc_influence, event_error


@dataclass(frozen=True)
class HeldOut:
    """Rows that ``predict`` (score or margin of rows ``(n, n_features)``) never saw in training."""

    predict: Callable[[NDArray[np.float32]], NDArray[np.float64]]
    features: NDArray[np.float32]
    label: NDArray[np.int8]
    weight: Array
    event_index: Events


@dataclass(frozen=True)
class FeatureImportance:
    """``gain``: share of the forest's total gain, NaN for a group. ``auc_drop``: AUC lost when the feature is shuffled."""

    name: str
    gain: float
    auc_drop: Estimate


def permutation_importance(
    held_out: HeldOut, *, groups: Mapping[str, tuple[int, ...]], repeats: int, seed: int
) -> dict[str, Estimate]:
    """AUC lost per group of columns, shuffled together over all rows so that each other column keeps its meaning.

    Features that say the same replace each other, and each alone then seems idle: group them. The error joins the statistics
    of the rows (paired, by event) with the spread over ``repeats`` shuffles.
    """
    label, weight, event_index = held_out.label, held_out.weight, held_out.event_index
    before, influence = auc_influence(held_out.predict(held_out.features), label, weight)
    generator = np.random.default_rng(seed)
    drops = {}
    for name, columns in groups.items():
        taken, values, influences = list(columns), [], np.zeros(len(label))
        shuffled = held_out.features.copy()
        for _ in range(repeats):
            shuffled[:, taken] = held_out.features[generator.permutation(len(label))][:, taken]
            after, influence_after = auc_influence(held_out.predict(shuffled), label, weight)
            values.append(before - after)
            influences += (influence - influence_after) / repeats
        by_shuffle = float(np.std(values, ddof=1)) / math.sqrt(repeats) if repeats > 1 else 0.0
        drops[name] = Estimate(float(np.mean(values)), math.hypot(event_error(influences, event_index), by_shuffle))
    return drops


def importance(
    held_out: HeldOut, gain: Array, *, feature_names: tuple[str, ...], repeats: int, seed: int
) -> tuple[FeatureImportance, ...]:
    """Both importances of every feature. ``gain (n_features,)``: as the backend gives it, averaged over the folds."""
    groups = {name: (number,) for number, name in enumerate(feature_names)}
    drops = permutation_importance(held_out, groups=groups, repeats=repeats, seed=seed)
    return tuple(FeatureImportance(name, float(gain[number]), drops[name]) for number, name in enumerate(feature_names))
