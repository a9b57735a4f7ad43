"""Asking a trial for the parameters of a search space, and finding the point of a space that a classifier is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbkg.classifiers.base import BACKENDS
from mlbkg.tuning.space import Choice, Range, SearchSpace, as_fixed, holds, parents_first, same, suggest

SPACE = SearchSpace(
    backend="xgboost",
    fixed={"n_estimators": 2000, "early_stopping_rounds": None},
    vary={
        "max_leaves": Range(low=4, high=64, log=True, when={"grow_policy": "lossguide"}),
        "max_bin": Choice(choices=(64, 256), when={"max_leaves": (4, 8), "n_estimators": 2000}),
        "learning_rate": Range(low=0.03, high=0.3, log=True),
        "max_depth": Range(low=2, high=8, step=2),
        "subsample": Range(low=0.5, high=1.0, step=0.25),
        "grow_policy": Choice(choices=("depthwise", "lossguide")),
    },
)


class Recorded:
    """A trial that notes what it was asked, and answers with the given values."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.asked: dict[str, tuple[Any, ...]] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.asked[name] = (low, high, step, log)
        return int(self.answers[name])

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> float:
        self.asked[name] = (low, high, step, log)
        return float(self.answers[name])

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.asked[name] = tuple(choices)
        return self.answers[name]


ANSWERS = {
    "learning_rate": 0.1,
    "max_depth": 4,
    "subsample": 0.75,
    "grow_policy": "lossguide",
    "max_leaves": 8,
    "max_bin": 64,
}


def test_every_parameter_is_asked_for_as_it_is_written() -> None:
    trial = Recorded({f"xgboost.{name}": value for name, value in ANSWERS.items()})
    found = suggest(SPACE, trial, prefix="xgboost.")
    assert found == {"n_estimators": 2000, "early_stopping_rounds": None, **ANSWERS}
    assert trial.asked == {
        "xgboost.learning_rate": (0.03, 0.3, None, True),
        "xgboost.max_depth": (2, 8, 2, False),
        "xgboost.subsample": (0.5, 1.0, 0.25, False),
        "xgboost.grow_policy": ("depthwise", "lossguide"),
        "xgboost.max_leaves": (4, 64, 1, True),
        "xgboost.max_bin": (64, 256),
    }


@pytest.mark.parametrize(
    ("change", "left_out"),
    [({"grow_policy": "depthwise"}, {"max_leaves", "max_bin"}), ({"max_leaves": 9}, {"max_bin"})],
)
def test_what_waits_for_another_value_is_left_to_the_backend(change: dict[str, Any], left_out: set[str]) -> None:
    trial = Recorded({**ANSWERS, **change})
    assert set(SPACE.vary) - set(suggest(SPACE, trial, prefix="")) == left_out
    assert set(SPACE.vary) - set(trial.asked) == left_out


def test_parents_come_first_and_circles_do_not_hang() -> None:
    assert parents_first(SPACE) == ["learning_rate", "max_depth", "subsample", "grow_policy", "max_leaves", "max_bin"]
    one, other = Choice(choices=(1,), when={"b": 1}), Choice(choices=(1,), when={"a": 1})
    space = SearchSpace(backend="xgboost", vary={"a": one, "b": other, "c": Choice(choices=(1, 2))})
    assert parents_first(space) == ["c"]


def test_true_is_not_one() -> None:
    assert same(1, 1.0)
    assert same(None, None)
    assert not same(True, 1)
    assert holds({"a": (2, None)}, {"a": None})
    assert not holds({"a": True}, {"a": 1})
    assert not holds({"a": None}, {})


def test_optuna_gives_integers_for_integers() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = [suggest(SPACE, study.ask(), prefix="x.") for _ in range(200)]
    assert {type(found["max_depth"]) for found in drawn} == {int}
    assert Counter(found["max_depth"] for found in drawn).keys() == {2, 4, 6, 8}
    assert {found["subsample"] for found in drawn} == {0.5, 0.75, 1.0}
    assert all(0.03 <= found["learning_rate"] <= 0.3 for found in drawn)
    # even in the logarithm: half of the values are below the geometric mean, 0.0949; 200 draws, so 100 +- 7
    assert 70 < sum(found["learning_rate"] < (0.03 * 0.3) ** 0.5 for found in drawn) < 130
    leaves = [found["max_leaves"] for found in drawn if "max_leaves" in found]
    assert 70 < len(leaves) < 130
    assert {type(value) for value in leaves} == {int}
    assert all(("max_leaves" in found) == (found["grow_policy"] == "lossguide") for found in drawn)


def test_a_start_inside_is_itself() -> None:
    assert as_fixed(SPACE, ANSWERS, prefix="x.") == {f"x.{name}": value for name, value in ANSWERS.items()}


def test_a_start_outside_is_moved_to_the_nearest_point() -> None:
    start = {"learning_rate": 1, "max_depth": 13, "subsample": 0.4, "grow_policy": "depthwise", "max_leaves": 7}
    assert as_fixed(SPACE, start, prefix="") == {
        "learning_rate": 0.3,
        "max_depth": 8,
        "subsample": 0.5,
        "grow_policy": "depthwise",
    }
    assert as_fixed(SPACE, {"max_depth": 5, "subsample": 0.7}, prefix="")["max_depth"] in (4, 6)
    assert as_fixed(SPACE, {"max_depth": 5, "subsample": 0.7}, prefix="")["subsample"] == 0.75


def test_what_a_start_leaves_out_has_the_default_of_the_backend() -> None:
    default = BACKENDS["xgboost"].params()
    found = as_fixed(SPACE, {}, prefix="")
    assert found["learning_rate"] == default.learning_rate
    assert found["max_depth"] == default.model_dump()["max_depth"]


def test_a_choice_that_is_none_is_left_to_the_sampler() -> None:
    space = SearchSpace(
        backend="hist_gradient_boosting",
        vary={"max_depth": Choice(choices=(None, 3)), "max_leaf_nodes": Range(low=4, high=9, when={"max_depth": None})},
    )
    assert as_fixed(space, {"max_depth": 5}, prefix="") == {}
    assert as_fixed(space, {}, prefix="") == {"max_depth": None, "max_leaf_nodes": 9}


LOWS = st.one_of(st.integers(-50, 50), st.integers(-400, 400).map(lambda eighths: eighths / 8))


@given(low=LOWS, width=st.integers(1, 20), steps=st.integers(1, 6), value=st.floats(0, 100))
@settings(max_examples=200, deadline=None)
def test_the_nearest_point_is_one_that_optuna_knows(low: float, width: int, steps: int, value: float) -> None:
    """Whatever the range, the step and the start, no warning (an error here) and no other value comes back."""
    step = width if isinstance(low, int) else width / 4
    entry = Range(low=low, high=low + steps * step, step=step)
    space = SearchSpace(backend="lightgbm", vary={"reg_lambda": entry})
    given = as_fixed(space, {"reg_lambda": value}, prefix="")
    study = optuna.create_study()
    study.enqueue_trial(given)
    found = suggest(space, study.ask(), prefix="")
    assert found["reg_lambda"] == pytest.approx(given["reg_lambda"], abs=1e-9)
    nearest = min((low + i * step for i in range(steps + 1)), key=lambda at: abs(at - value))
    assert abs(found["reg_lambda"] - value) == pytest.approx(abs(nearest - value), abs=1e-9)
