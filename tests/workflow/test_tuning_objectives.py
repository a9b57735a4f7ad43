"""Every objective of a search on one small analysis with a fit, a peaking background and a spectator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from mlbkg.classifiers.cross_fit import cross_fit
from mlbkg.config.load import load
from mlbkg.config.schema import Config
from mlbkg.config.tuning import Figure
from mlbkg.evaluation.resampling import poisson_counts
from mlbkg.stages.progress import NoProgress
from mlbkg.stages.training_data import TrainingData, load_training_data
from mlbkg.stages.tuning_objectives import REPLICAS, Scored, constraints_of, measured_from, objectives_of, record_of
from mlbkg.stages.tuning_search import contender_of

FIT = """
fit: {variable: mass, window: [9.35, 9.55], bins: 40, signal: gaussian, background: {shape: chebyshev, order: 1}}
systematics: [{name: tracking, effect: 0.05}]
limit: {quantity: cross_section, symbol: σ}
tracking:"""
FIGURES = get_args(Figure)


@pytest.fixture
def analysis(small_analysis: Callable[..., Path]) -> tuple[Config, TrainingData, list[Scored]]:
    """With the scores of a good and of a poor classifier."""
    config = load(small_analysis(peak=True, scale=3, replace={"\ntracking:": FIT})).config
    data = load_training_data(config, workers=1, progress=NoProgress())
    contenders = [contender_of("xgboost", {"n_estimators": n, "max_depth": depth}) for n, depth in ((40, 3), (1, 1))]
    fits = cross_fit(contenders, data.sample, data.weight, data.splits, seed=1, workers=1)
    return config, data, [Scored(fit.margin, fit.fitted) for fit in fits]


def test_each_tells_a_good_classifier_from_a_poor_one(analysis: tuple[Config, TrainingData, list[Scored]]) -> None:
    config, data, (good, poor) = analysis
    for objective in objectives_of(config, data, names=[name for name in FIGURES if name not in ("cost", "sculpting")]):
        better, worse = objective.measure(good), objective.measure(poor)
        assert len(better.replicas) == REPLICAS
        gain = worse.minus(better)
        sign = -1 if objective.larger_is_better else 1
        assert sign * gain.value > 2 * gain.error > 0, objective.name
        rows = data.splits[0].scored
        by_fold = [objective.of_fold(rows, scored.margin[rows]) for scored in (good, poor)]
        assert sign * (by_fold[1] - by_fold[0]) > 0, objective.name


def test_record_holds_what_was_measured(analysis: tuple[Config, TrainingData, list[Scored]]) -> None:
    config, data, (good, _) = analysis
    objectives = objectives_of(config, data, names=["auc", "sculpting", "cost"])
    record = record_of(objectives, good)
    for objective in objectives:
        direct, kept = objective.measure(good), measured_from(record, objective.name)
        assert kept.value == direct.value
        np.testing.assert_allclose(kept.replicas, direct.replicas, rtol=1e-7)
        assert len(record[objective.name]["by_fold"]) == len(data.splits)


def test_replicas_of_the_expected_limit_are_those_of_fits_again(analysis: tuple[Config, TrainingData, list[Scored]]) -> None:
    """Yields are propagated instead of fitted: to first order the same."""
    config, data, (good, _) = analysis
    told = objectives_of(config, data, names=["expected_limit"])[0].measure(good)
    again = []
    for count in poisson_counts(int(data.event_index.max()) + 1, replicas=12, seed=config.seed):
        drawn = replace(data, sample=replace(data.sample, weight=data.sample.weight * count[data.event_index]))
        again.append(objectives_of(config, drawn, names=["expected_limit"])[0].measure(good).value)
    propagated = told.replicas[:12] / told.value
    fitted = np.array(again) / told.value
    # a signal that is worth sigma as a whole makes the limit a ratio of efficiencies: what is left are the events that pass
    assert np.corrcoef(propagated, fitted)[0, 1] > 0.7
    assert propagated.std() == pytest.approx(fitted.std(), rel=0.5)


def test_constraints_say_by_how_much_they_are_missed(analysis: tuple[Config, TrainingData, list[Scored]]) -> None:
    config, data, (good, poor) = analysis
    cost, sculpting = (
        objective.measure(good).value for objective in objectives_of(config, data, names=["cost", "sculpting"])
    )
    allowed = config.tuning.constraints.model_copy(update={"cost_ns": cost / 2, "sculpting": 2 * sculpting})
    limited = config.model_copy(update={"tuning": config.tuning.model_copy(update={"constraints": allowed})})
    assert sorted(missed(good) for missed in constraints_of(limited, data)) == pytest.approx([-0.5, 1.0])
    assert min(missed(poor) for missed in constraints_of(limited, data)) < -0.5
