"""Importance of hyper-parameters against functions whose variance is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from mlbkg.tuning.importance import FEWEST_TRIALS, importances
from mlbkg.tuning.space import Choice, Range, SearchSpace
from mlbkg.tuning.trial import State, Trial

SPACE = SearchSpace(
    backend="xgboost",
    vary={
        "learning_rate": Range(low=0.01, high=1.0, log=True),
        "subsample": Range(low=0.0, high=1.0),
        "max_depth": Range(low=2, high=10),
    },
)


def trial(number: int, parameters: Mapping[str, Any], value: float, *, state: State = "complete") -> Trial:
    return Trial(
        number, state, "xgboost", parameters, None, (value, 0.0) if state == "complete" else None, (), {}, {}, {}, 0.0, 1.0,
        None,
    )  # fmt: skip


def drawn(number: int, value: Callable[[Mapping[str, Any]], float], *, seed: int = 1) -> list[Trial]:
    """Evenly in the space, the learning rate in its logarithm."""
    rng = np.random.default_rng(seed)
    points = [
        {
            "learning_rate": float(10 ** rng.uniform(-2, 0)),
            "subsample": float(rng.uniform()),
            "max_depth": int(rng.integers(2, 11)),
        }
        for _ in range(number)
    ]
    return [trial(place, point, value(point)) for place, point in enumerate(points)]


def test_shares_of_a_sum() -> None:
    # 2 u + w of even u and w in (0, 1): variances 4/12 and 1/12, so shares of 0.8 and 0.2
    trials = drawn(200, lambda point: 2 * (math.log10(point["learning_rate"]) + 2) / 2 + point["subsample"])
    shares = importances(trials, {"xgboost": SPACE}).shares["xgboost"]
    assert list(shares) == ["learning_rate", "subsample", "max_depth"]
    assert shares["learning_rate"].value == pytest.approx(0.8, abs=0.08)
    assert shares["subsample"].value == pytest.approx(0.2, abs=0.08)
    assert shares["max_depth"].value < 0.02
    assert sum(share.value for share in shares.values()) == pytest.approx(1)
    assert 0 < shares["learning_rate"].error < 0.05


def test_the_same_each_time_and_by_each_goal() -> None:
    trials = drawn(30, lambda point: point["subsample"])
    assert importances(trials, {"xgboost": SPACE}, seed=3) == importances(trials, {"xgboost": SPACE}, seed=3)
    assert importances(trials, {"xgboost": SPACE}, goal=1).missing == {"xgboost": "all trials have one value"}


def test_few_trials_tell_nothing() -> None:
    trials = drawn(FEWEST_TRIALS, lambda point: point["subsample"])
    trials[0] = trial(0, trials[0].parameters, 1.0, state="pruned")
    found = importances(trials, {"xgboost": SPACE, "lightgbm": SearchSpace(backend="lightgbm")})
    assert found.shares == {}
    assert found.missing == {
        "xgboost": "9 complete trials, and 10 are needed",
        "lightgbm": "0 complete trials, and 10 are needed",
    }


def test_conditional_parameters_among_the_trials_that_have_them() -> None:
    space = SearchSpace(
        backend="xgboost",
        vary={
            "grow_policy": Choice(choices=("depthwise", "lossguide")),
            "max_leaves": Range(low=4, high=64, log=True, when={"grow_policy": "lossguide"}),
        },
    )
    rng = np.random.default_rng(2)
    trials = []
    for number in range(60):
        parameters: dict[str, Any] = {"grow_policy": ("depthwise", "lossguide")[number % 2]}
        if number % 2:
            parameters["max_leaves"] = int(rng.integers(4, 65))
        trials.append(trial(number, parameters, math.log(parameters.get("max_leaves", 4))))
    shares = importances(trials, {"xgboost": space}).shares["xgboost"]
    assert shares["max_leaves"].value == pytest.approx(1)
    assert shares["grow_policy"].value == pytest.approx(1)


def test_starts_may_leave_parameters_out_and_lie_beyond_the_range() -> None:
    trials = drawn(40, lambda point: point["subsample"])
    trials += [trial(40, {"learning_rate": 0.001, "subsample": 0.5}, 0.5), trial(41, {}, 1.0)]
    shares = importances(trials, {"xgboost": SPACE}).shares["xgboost"]
    assert max(shares, key=lambda name: shares[name].value) == "subsample"
    assert set(shares) == set(SPACE.vary)
