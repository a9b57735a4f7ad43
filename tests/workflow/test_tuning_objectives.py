"""Every objective of a search on one small analysis with a fit, a peaking background and a spectator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from scipy.stats import norm

from mlbkg.classifiers.cross_fit import cross_fit
from mlbkg.config.load import load
from mlbkg.config.schema import Config, ExpectedLimit, WorkingPoint
from mlbkg.config.tuning import Figure
from mlbkg.limits.counting import Count, counting_interval
from mlbkg.stages.progress import NoProgress
from mlbkg.stages.training_data import TrainingData, load_training_data
from mlbkg.stages.tuning_objectives import REPLICAS, Scored, constraints_of, measured_from, objectives_of, record_of
from mlbkg.stages.tuning_search import contender_of
from mlbkg.stages.tuning_yields import below_peak, in_fit_window
from mlbkg.tuning.figures import Ground

FIT = """
fit:
  variable: mass
  window: [9.35, 9.55]
  bins: 40
  signal: gaussian
  background: {shape: chebyshev, order: 1}
  peaking: {samples: [tau], uncertainty: 0.03}
systematics: [{name: tracking, effect: 0.05}]
limit: {quantity: cross_section, symbol: σ}
tracking:"""
FIGURES = get_args(Figure)
STATISTICAL_LIMIT = WorkingPoint(expected_limit=ExpectedLimit(points=15, systematics=False))


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
        of_fold = [objective.of_fold(rows, scored.margin[rows]) for scored in (good, poor)]
        assert sign * (of_fold[1] - of_fold[0]) > 0, objective.name
        # a fold stands for all events, of which it has a third
        assert better.by_fold == pytest.approx([better.value] * 3, abs=6 * better.estimate.error), objective.name


def test_record_holds_what_was_measured(analysis: tuple[Config, TrainingData, list[Scored]]) -> None:
    config, data, (good, _) = analysis
    objectives = objectives_of(config, data, names=["auc", "sculpting", "cost"])
    record = record_of(objectives, good)
    for objective in objectives:
        direct, kept = objective.measure(good), measured_from(record, objective.name)
        assert kept.value == direct.value
        np.testing.assert_allclose(kept.replicas, direct.replicas, rtol=1e-7)
        assert kept.by_fold == pytest.approx(direct.by_fold, rel=1e-7)
        assert len(kept.by_fold) == len(data.splits)
    assert record["cost"]["error"] == 0
    assert record["cost_measured"]["value"] > 0


def test_counts_are_those_of_the_central_signal(analysis: tuple[Config, TrainingData, list[Scored]]) -> None:
    """Of a Gaussian, 84 % are within 1.405 standard deviations; on a flat background of 0.2 GeV with a peak of 10 MeV, these
    are 14 % of it."""
    config, data, _ = analysis
    ground = Ground(data.sample.label, data.sample.weight, data.event_index, replicas=2, seed=1)
    wide, narrow = in_fit_window(config, data, ground), below_peak(config, data, ground)
    assert narrow.signal.sum() / wide.signal.sum() == pytest.approx(0.84, abs=0.002)
    for all_of, below in ((wide.smooth, narrow.smooth), (wide.peaking, narrow.peaking)):
        assert below.sum() / all_of.sum() == pytest.approx(2 * norm.ppf(0.92) * 0.01 / 0.2, rel=0.15)


def test_counting_limit_is_that_of_the_best_cut(analysis: tuple[Config, TrainingData, list[Scored]]) -> None:
    """Worked out anew at some cuts: the limit on the signal's cross section, by the package's own counting methods."""
    config, data, (good, _) = analysis
    statistical = config.model_copy(
        update={"selection": config.selection.model_copy(update={"working_point": STATISTICAL_LIMIT})}
    )
    found = objectives_of(statistical, data, names=["counting_limit"])[0].measure(good)
    sample, x = data.sample, data.sample.spectators["mass"]
    signal = sample.label == 1
    low, high = np.quantile(x[signal & (x > 9.35) & (x < 9.55)], [0.08, 0.92])
    inside, limits = (x >= low) & (x <= high), []
    for share in np.linspace(0.05, 0.95, 37):
        passed = inside & (good.margin >= np.quantile(good.margin[signal], 1 - share))
        background = sample.weight[passed & ~signal].sum()
        counts = [int(np.floor(background)), int(np.ceil(background))]
        upper = [counting_interval(Count(n, n), method="cls", confidence_level=0.9).upper for n in counts]
        efficiency = sample.weight[passed & signal].sum() / sample.weight[signal].sum()
        limits.append(np.interp(background, counts, upper) / efficiency)
    # 1e-4 nb are 100 fb, which all of the simulated signal stands for
    assert found.value == pytest.approx(100 * min(limits) / sample.weight[signal].sum(), rel=0.02)


def test_constraints_say_by_how_much_they_are_missed(analysis: tuple[Config, TrainingData, list[Scored]]) -> None:
    config, data, (good, poor) = analysis
    cost, sculpting = (
        objective.measure(good).value for objective in objectives_of(config, data, names=["cost", "sculpting"])
    )
    allowed = config.tuning.constraints.model_copy(update={"cost_ns": cost / 2, "sculpting": 2 * sculpting})
    limited = config.model_copy(update={"tuning": config.tuning.model_copy(update={"constraints": allowed})})
    assert sorted(missed(good) for missed in constraints_of(limited, data)) == pytest.approx([-0.5, 1.0])
    assert min(missed(poor) for missed in constraints_of(limited, data)) < -0.5
