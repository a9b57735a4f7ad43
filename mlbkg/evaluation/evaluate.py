"""Everything that is asked of one classifier, in one call and one frozen answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.calibration import Calibration, calibration
from mlbkg.evaluation.correlations import Correlations, correlations
from mlbkg.evaluation.distributions import SCORE_BINS, Distribution, distribution, score_edges
from mlbkg.evaluation.estimates import Array, Events, check_weights
from mlbkg.evaluation.importance import FeatureImportance, HeldOut, importance
from mlbkg.evaluation.metrics import Ranking, rank
from mlbkg.evaluation.overtraining import Overtraining, overtraining
from mlbkg.evaluation.sculpting import Sculpting, sculpting
from mlbkg.evaluation.working_point import (
    ByCurve,
    ByPunzi,
    BySignalEfficiency,
    PunziScan,
    Rule,
    WorkingPoint,
    punzi_scan,
    spelled,
    working_point,
)

ROC_POINTS = 400


@dataclass(frozen=True)
class EvaluationInputs:
    """One classifier on all candidates, row by row.

    score, margin: ``(n,)`` out-of-fold probability and log-odds. train_score: ``(n,)``, by a model that trained on the row,
    NaN where none did. weight: ``(n,)`` physics weights. event_index: ``(n,)``, equal for candidates of one event.
    category: ``(n,)`` index into ``category_names``. features: ``(n, n_features)``. spectators: name -> ``(n,)``.
    gain: ``(n_features,)``, averaged over the folds. held_out: rows for the permutation importance, with a model that did
    not see them. punzi: of the scan that is drawn, whatever ``working_point`` is chosen by. replicas: of the bootstrap by
    event.
    """

    name: str
    score: Array
    margin: Array
    train_score: Array
    label: NDArray[np.int8]
    weight: Array
    event_index: Events
    category: NDArray[np.int16]
    category_names: tuple[str, ...]
    features: NDArray[np.float32]
    feature_names: tuple[str, ...]
    spectators: Mapping[str, Array]
    gain: Array
    held_out: HeldOut
    permutation_repeats: int
    working_point: Rule
    punzi: ByPunzi
    signal_efficiency: float
    replicas: int
    seed: int


@dataclass(frozen=True)
class Evaluation:
    """What a classifier achieves, without its candidates: small enough to keep and to write as JSON (``to_plain``).

    alternatives: the working points by signal efficiency and by Punzi's figure of merit, where they are not chosen.
    """

    name: str
    ranking: Ranking
    working_point: WorkingPoint
    alternatives: tuple[WorkingPoint, ...]
    punzi: PunziScan
    overtraining: Overtraining
    calibration: Calibration
    importance: tuple[FeatureImportance, ...]
    correlations: Correlations
    sculpting: tuple[Sculpting, ...]
    scores: Distribution


def evaluate(inputs: EvaluationInputs) -> Evaluation:
    """Raises :class:`WeightError` where weights are not finite or a class has none."""
    of = inputs
    check_weights(of.weight, of.label)
    point, *alternatives = (_working_point(rule, of) for rule in _rules(of))
    return Evaluation(
        name=of.name,
        ranking=rank(
            of.score, of.margin, of.label, of.weight, of.category,
            category_names=of.category_names, event_index=of.event_index, signal_efficiency=of.signal_efficiency,
            replicas=of.replicas, seed=of.seed, roc_points=ROC_POINTS,
        ),
        working_point=point,
        alternatives=tuple(alternatives),
        punzi=punzi_scan(of.score, of.label, of.weight, of.event_index, a=of.punzi.a, b=of.punzi.b),
        overtraining=overtraining(of.score, of.train_score, of.label, of.weight, of.event_index, seed=of.seed),
        calibration=calibration(of.score, of.label, of.weight, of.event_index, seed=of.seed),
        importance=importance(
            of.held_out, of.gain, feature_names=of.feature_names, repeats=of.permutation_repeats, seed=of.seed
        ),
        correlations=correlations(
            of.features, feature_names=of.feature_names, spectators=of.spectators, score=of.score,
            label=of.label, weight=of.weight,
        ),
        sculpting=_all_spectators(of, threshold=_thresholds(of.working_point, point)),
        scores=distribution(
            "score", of.score, of.label, of.weight, of.category,
            category_names=of.category_names, event_index=of.event_index,
            edges=score_edges(of.score, bins=SCORE_BINS), unit="",
        ),
    )  # fmt: skip


def _rules(of: EvaluationInputs) -> Iterable[Rule]:
    """The one that is chosen, then the others; each name once."""
    return {spelled(rule): rule for rule in (of.working_point, BySignalEfficiency(of.signal_efficiency), of.punzi)}.values()


def _working_point(rule: Rule, of: EvaluationInputs) -> WorkingPoint:
    return working_point(
        rule, of.score, of.label, of.weight, of.category, category_names=of.category_names, event_index=of.event_index
    )


def _thresholds(rule: Rule, point: WorkingPoint) -> Array:
    """One for all candidates, or one for each."""
    return rule.curve(rule.values).astype(np.float64) if isinstance(rule, ByCurve) else np.array(point.threshold)


def _all_spectators(of: EvaluationInputs, *, threshold: Array) -> tuple[Sculpting, ...]:
    """Those that some background has: a quantity of the true signal, say, has no background shape to watch."""
    background = of.label == 0
    there = {name: value for name, value in of.spectators.items() if np.isfinite(value[background]).any()}
    return tuple(
        sculpting(
            name, np.asarray(value, dtype=np.float64)[background], of.score[background], of.weight[background],
            of.event_index[background], threshold=np.broadcast_to(threshold, of.score.shape)[background],
            seed=of.seed + number,
        )
        for number, (name, value) in enumerate(there.items())
    )  # fmt: skip
