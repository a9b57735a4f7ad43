"""The parts of objectives that need no analysis: the limit of a count, and what is kept of a trial."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from mlbkg.classifiers.base import FittedClassifier
from mlbkg.limits.counting import Count, counting_interval
from mlbkg.stages.tuning_counting import expected_events
from mlbkg.stages.tuning_objectives import Objective, Scored, measured_from, record_of
from mlbkg.tuning.measured import Measured


def events(*background: float, error: float = 0.0, confidence_level: float = 0.9) -> np.ndarray:
    b = np.array(background)
    return expected_events(b, np.full(len(b), error), confidence_level=confidence_level)


@pytest.mark.parametrize(("confidence_level", "signal"), [(0.9, 2.3026), (0.95, 2.9957)])
def test_without_background(confidence_level: float, signal: float) -> None:
    """PDG, Statistics, Table 40.3: upper limits for no event."""
    assert events(0.0, confidence_level=confidence_level)[0] == pytest.approx(signal, abs=5e-5)


@pytest.mark.parametrize("method", ["cls", "bayesian"])
@pytest.mark.parametrize("background", [1, 3, 10, 60])
def test_counting_what_is_expected(method: str, background: int) -> None:
    """The package's own methods, which are tested against numbers from outside."""
    upper = counting_interval(Count(background, background), method=method, confidence_level=0.9).upper
    assert events(background)[0] == pytest.approx(upper, rel=1e-5)


def test_many_events_are_gaussian() -> None:
    """The median limit is z of half of alpha times the root of the background, Eq. (89) of arXiv:1007.1727."""
    assert events(1e4, 1e6, 1e8) == pytest.approx(norm.ppf(0.95) * np.array([1e2, 1e3, 1e4]), rel=0.01)
    assert events(1e8)[0] == pytest.approx(norm.ppf(0.95) * 1e4, rel=1e-4)


def test_uncertain_background() -> None:
    """Against the posterior of a log-normal background, which has longer tails."""
    for background, relative in ((50, 0.1), (400, 0.1), (400, 0.03)):
        count = Count(background, background, background_uncertainty=relative)
        upper = counting_interval(count, method="bayesian", confidence_level=0.9).upper
        assert events(background, error=relative * background)[0] == pytest.approx(upper, rel=0.07)


def test_more_background_is_always_worse() -> None:
    """Also between whole numbers of events, so that a search sees no steps."""
    limits = events(*np.linspace(0, 20, 401).tolist())
    step = np.diff(limits)
    assert (step > 0).all()
    assert step.max() < 2 * np.median(step[:20])


def test_record_gives_back_what_was_measured() -> None:
    found = Measured(0.9, np.array([0.8, math.nan, 1.0]), by_fold=(0.85, 0.95))
    objective = Objective(
        "auc",
        "AUC",
        "",
        True,
        lambda _: found,
        lambda rows, margin: 0.0,
        beside=lambda scored: {"trees": len(scored.fitted)},
    )
    no_classifier: tuple[FittedClassifier, ...] = ()
    record = json.loads(json.dumps(record_of([objective], Scored(np.zeros(2), no_classifier)), allow_nan=False))
    assert record["auc"]["error"] == pytest.approx(math.sqrt(0.02))
    assert record["trees"] == {"value": 0.0}
    back = measured_from(record, "auc")
    assert (back.value, back.by_fold) == (found.value, found.by_fold)
    np.testing.assert_array_equal(back.replicas, found.replicas)
    assert replace(back, value=1.0).minus(found).value == pytest.approx(0.1)
