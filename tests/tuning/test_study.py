"""What a study tries, keeps, and refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mlbkg.errors import MlbkgError
from mlbkg.tuning.space import Choice, Range, SearchSpace
from mlbkg.tuning.study import Budget, Goal, Start, Study, open_study
from mlbkg.tuning.trial import Attempt, Outcome, Trial

DISTANCE = Goal("distance", larger_is_better=False)
SUBSAMPLE = {"xgboost": SearchSpace(backend="xgboost", vary={"subsample": Range(low=0.1, high=1.0)})}
SEVERAL = {
    "xgboost": SearchSpace(
        backend="xgboost",
        fixed={"n_estimators": 50},
        vary={"max_depth": Range(low=2, high=9), "learning_rate": Range(low=0.01, high=0.5, log=True)},
    ),
    "lightgbm": SearchSpace(
        backend="lightgbm",
        vary={"num_leaves": Range(low=4, high=64), "extra_trees": Choice(choices=(False, True))},
    ),
}


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Study]:
    def _open(spaces: Any = SUBSAMPLE, *, goals: Sequence[Goal] = (DISTANCE,), **other: Any) -> Study:
        storage = str(tmp_path / other.pop("journal", "study.journal"))
        settings = {"name": "test", "key": "of data", "seed": 3, "prune": True} | other
        return open_study(storage, goals=goals, spaces=spaces, **settings)

    return _open


def to_03(attempt: Attempt) -> Outcome:
    return Outcome((abs(attempt.parameters["subsample"] - 0.3),), record={"seen": attempt.number})


def run(study: Study, evaluate: Any = to_03, trials: int = 12, **other: Any) -> tuple[Trial, ...]:
    seconds = other.pop("seconds", None)
    settings = {"starts": (), "workers": 1} | other
    study.run(evaluate, budget=Budget(trials, seconds), **settings)
    return study.trials


def drawn(trials: Sequence[Trial]) -> list[tuple[Any, ...]]:
    return [(trial.number, trial.backend, dict(trial.parameters), trial.values) for trial in trials]


def test_trials_come_back_whole_and_the_best_is_the_best(opened: Callable[..., Study]) -> None:
    told: list[Trial] = []
    begin = time.time()
    trials = run(opened(), on_trial=told.append)
    assert tuple(told) == trials
    assert [trial.number for trial in trials] == list(range(12))
    assert all(trial.record == {"seen": trial.number} for trial in trials)
    assert all(begin <= trial.began <= trial.ended <= time.time() for trial in trials)
    again = opened()
    assert again.trials == trials
    assert again.best == min(trials, key=lambda trial: trial.values or ())
    assert again.front == (again.best,)
    assert opened(name="empty").best is None


def test_larger_is_better_where_the_goal_says_so(opened: Callable[..., Study]) -> None:
    study = opened(goals=[Goal("auc", larger_is_better=True)])
    trials = run(study, lambda attempt: Outcome((attempt.parameters["subsample"],)), trials=40)
    assert study.best == max(trials, key=lambda trial: trial.parameters["subsample"])
    late = [trial.parameters["subsample"] for trial in trials[20:]]
    assert sum(late) / len(late) > 0.7  # 0.55 by chance, with an error of 0.06


def test_a_serial_study_is_reproducible_and_a_resumed_one_is_the_same(opened: Callable[..., Study]) -> None:
    def evaluate(attempt: Attempt) -> Outcome:
        values = attempt.parameters
        return Outcome((abs(values["learning_rate"] - 0.1) if "learning_rate" in values else values["num_leaves"] / 64,))

    whole = run(opened(SEVERAL), evaluate, trials=30)
    assert drawn(run(opened(SEVERAL, journal="another"), evaluate, trials=30)) == drawn(whole)
    for trials in (7, 19, 30):
        resumed = run(opened(SEVERAL, journal="resumed"), evaluate, trials=trials)
    assert drawn(resumed) == drawn(whole)
    assert drawn(run(opened(SEVERAL, journal="seed", seed=4), evaluate, trials=3)) != drawn(whole)[:3]
    assert {trial.backend for trial in whole} == {"xgboost", "lightgbm"}
    assert all(trial.parameters["n_estimators"] == 50 for trial in whole if trial.backend == "xgboost")
    assert len({str(trial.parameters) for trial in whole}) > 25  # a few meet by chance: lightgbm has 122 points


def test_starts_are_tried_first_once_and_exactly(opened: Callable[..., Study]) -> None:
    starts = (
        Start("inside", "xgboost", {"max_depth": 3, "learning_rate": 0.25}),
        Start("beyond the ranges", "xgboost", {"max_depth": 15, "learning_rate": 0.7, "n_estimators": 7}),
        Start("no such choice", "lightgbm", {"num_leaves": 31, "extra_trees": False, "max_bin": 15}),
        Start("not searched", "hist_gradient_boosting", {"max_leaf_nodes": 5}),
    )
    seen: list[dict[str, Any]] = []

    def evaluate(attempt: Attempt) -> Outcome:
        seen.append(dict(attempt.parameters))
        return Outcome((1.0,))

    run(opened(SEVERAL), evaluate, trials=2, starts=starts)
    trials = run(opened(SEVERAL), evaluate, trials=8, starts=starts)
    assert seen[:4] == [dict(start.parameters) for start in starts]
    assert [(trial.start, trial.backend, dict(trial.parameters)) for trial in trials[:4]] == [
        (start.name, start.backend, dict(start.parameters)) for start in starts
    ]
    assert [trial.start for trial in trials[4:]] == [None] * 4
    # the sampler is told of the nearest point
    shown = opened(SEVERAL).native.trials[1].params
    assert shown == {"backend": "xgboost", "xgboost.max_depth": 9, "xgboost.learning_rate": 0.5}
    # another start may come later
    later = Start("inside", "xgboost", {"max_depth": 4, "learning_rate": 0.25})
    assert run(opened(SEVERAL), evaluate, trials=9, starts=(*starts, later))[8].parameters == later.parameters


def test_the_sampler_learns_where_constraints_hold(opened: Callable[..., Study]) -> None:
    """The goal pulls out of the fifth of the range that is allowed."""

    def evaluate(attempt: Attempt) -> Outcome:
        value = attempt.parameters["subsample"]
        return Outcome((value,), violation=(0.82 - value, -1.0))

    study = opened()
    trials = run(study, evaluate, trials=40)
    assert trials[0].violation == (0.82 - trials[0].parameters["subsample"], -1.0)
    assert sum(trial.feasible for trial in trials[20:]) > 10  # 4 by chance, none without the constraint
    assert study.best is not None
    assert study.best.parameters["subsample"] == min(t.parameters["subsample"] for t in trials if t.feasible)
    assert study.best != min(trials, key=lambda trial: trial.values or ())


def test_the_front_of_two_goals(opened: Callable[..., Study]) -> None:
    """One goal grows with the parameter, the other falls, but beyond 0.6 both are worse: the front ends there."""

    def evaluate(attempt: Attempt) -> Outcome:
        for number in range(4):
            attempt.round(0, 1.0 + number, 1.0 + attempt.number)  # nothing is pruned with two goals
        attempt.fold(0, 1.0 + attempt.number)
        value = attempt.parameters["subsample"]
        return Outcome((value, -value if value < 0.6 else value), violation=(0.2 - value,))

    study = opened(goals=[Goal("limit", larger_is_better=True), Goal("cost", larger_is_better=True)])
    trials = run(study, lambda attempt: Outcome((-1.0,) * 2) if attempt.number == 0 else evaluate(attempt), trials=25)
    assert {trial.state for trial in trials} == {"complete"}
    allowed = [trial for trial in trials if trial.feasible and trial.values is not None]
    expected = [
        one
        for one in allowed
        if not any(
            all(b >= a for a, b in zip(one.values or (), other.values or (), strict=True)) and other.values != one.values
            for other in allowed
        )
    ]
    assert study.front == tuple(expected)
    assert study.best is not None
    assert study.best.values is not None
    assert study.best.values[0] == max(trial.values[0] for trial in allowed if trial.values)


def test_no_trial_begins_when_time_is_up_and_those_that_run_are_tried_again(opened: Callable[..., Study]) -> None:
    begun: list[Any] = []

    def slow(attempt: Attempt) -> Outcome:
        begun.append(dict(attempt.parameters))
        for number in range(1000 if len(begun) > 2 else 1):
            attempt.round(0, 0.1 * (number + 1), 1.0)
            time.sleep(0.01)
        return to_03(attempt)

    begin = time.monotonic()
    assert len(run(opened(), slow, seconds=0.5)) == 2
    assert time.monotonic() - begin < 5  # 10 s would a trial take
    trials = run(opened(), trials=4)
    assert dict(trials[2].parameters) == begun[2]
    assert len(trials) == 4


@pytest.mark.parametrize("workers", [1, 3])
def test_what_ends_a_run_early_leaves_trials_to_be_tried_again(opened: Callable[..., Study], workers: int) -> None:
    begun: dict[int, Any] = {}
    stopped = threading.Event()

    def evaluate(attempt: Attempt) -> Outcome:
        begun[attempt.number] = dict(attempt.parameters)
        for number in range(5 if attempt.number < 4 else 2000):
            try:
                attempt.round(0, 0.01 * (number + 1), 1.0)
            except Exception as error:  # as a library may
                stopped.set()
                raise RuntimeError("a callback failed") from error
            time.sleep(0.005)
        return to_03(attempt)

    def interrupt(trial: Trial) -> None:
        if trial.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(opened(), evaluate, workers=workers, on_trial=interrupt)
    assert stopped.is_set()
    before = opened().trials
    assert [trial.number for trial in before] == [0, 1, 2, 3]
    after = run(opened(), trials=8, workers=workers)
    assert after[:4] == before
    assert len(after) == 8
    assert all(begun[number] in [dict(trial.parameters) for trial in after] for number in begun)


def test_a_trial_that_fails_is_told_of_and_does_not_count(opened: Callable[..., Study]) -> None:
    def evaluate(attempt: Attempt) -> Outcome:
        if attempt.number == 1:
            raise ZeroDivisionError("no background is left")
        return Outcome((float("nan") if attempt.number == 3 else 1.0,))

    told: list[Trial] = []
    trials = run(opened(), evaluate, trials=4, on_trial=told.append)
    assert tuple(told) == trials
    assert [trial.state for trial in trials] == ["complete", "failed", "complete", "failed", "complete", "complete"]
    assert trials[1].reason == "ZeroDivisionError: no background is left"
    assert trials[3].reason == "distance cannot be measured"


def test_three_failures_in_a_row_end_the_study(opened: Callable[..., Study]) -> None:
    def evaluate(attempt: Attempt) -> Outcome:
        if attempt.number != 2:
            raise MlbkgError("the fit did not converge", details=["EDM 0.3"], hint="Use a wider window.")
        return Outcome((1.0,))

    with pytest.raises(MlbkgError) as caught:
        run(opened(), evaluate)
    assert caught.value.what == ("3 trials in a row failed, the last (trial 5, xgboost): the fit did not converge")
    assert caught.value.details[0] == "EDM 0.3"
    assert caught.value.details[1].startswith("subsample: 0.")
    assert caught.value.hint == "Use a wider window."
    assert [trial.state for trial in opened().trials] == ["failed", "failed", "complete", "failed", "failed", "failed"]


def test_trials_that_fall_behind_are_pruned_but_never_a_start(opened: Callable[..., Study]) -> None:
    """The loss at any time is known: that of trial ``n`` is worse than that of all before it."""

    def evaluate(attempt: Attempt) -> Outcome:
        for number in range(80):
            time_now = 0.1 * (number + 1)
            attempt.round(0, time_now, attempt.number + 1 / time_now)
        attempt.fold(0, float(attempt.number))
        return Outcome((float(attempt.number),))

    starts = [Start(f"start {number}", "xgboost", {"subsample": 0.1 * (number + 1)}) for number in range(6)]
    trials = run(opened(), evaluate, trials=10, starts=starts)
    assert [trial.state for trial in trials] == ["complete"] * 6 + ["pruned"] * 4
    assert trials[6].reason == "loss 6.5 by time 2 of fold 0; 60% of 6 trials had 3.5 or less"
    assert trials[6].values is None
    assert set(trials[6].losses) == {(0, 1.0), (0, 1.5), (0, 2.0), (0, 3.0)}
    assert trials[0].losses[0, 1.5] == pytest.approx(1 / 1.5)
    assert trials[0].losses[0, 8.0] == pytest.approx(1 / 8)
    assert trials[0].fold_costs == {0: 0.0}
    unpruned = run(opened(prune=False, journal="unpruned"), evaluate, trials=10)
    assert {trial.state for trial in unpruned} == {"complete"}


def test_small_facts_are_remembered(opened: Callable[..., Study]) -> None:
    study = opened()
    study.remember("mlflow_run_id", "abc")
    run(study, trials=1)
    assert opened().attributes == {"mlflow_run_id": "abc"}
    assert opened().name == "test"


def test_a_study_of_something_else_is_refused(opened: Callable[..., Study]) -> None:
    run(opened(), trials=1)
    with pytest.raises(MlbkgError) as caught:
        opened(key="of other data")
    assert caught.value.details[0].startswith("its trials were measured on other data")
    assert "tuning.warm_start" in caught.value.hint
    with pytest.raises(MlbkgError) as caught:
        opened(goals=[Goal("auc", True), Goal("cost", False)])
    assert caught.value.details == ("it has the objective distance, and this search auc, cost",)
    assert opened(name="another", key="of other data").trials == ()


def test_a_search_space_of_another_kind_is_refused(opened: Callable[..., Study]) -> None:
    spaces = [
        {"lightgbm": SearchSpace(backend="lightgbm", vary={"max_bin": Choice(choices=choices)})}
        for choices in ((15, 31), (15, 31, 63))
    ]
    run(opened(spaces[0]), lambda attempt: Outcome((1.0,)), trials=2)
    with pytest.raises(MlbkgError, match="the search space is not of the kind"):
        run(opened(spaces[1]), lambda attempt: Outcome((1.0,)), trials=3)
    assert len(run(opened(spaces[0]), lambda attempt: Outcome((1.0,)), trials=3)) == 3


def test_a_range_may_be_made_smaller(opened: Callable[..., Study]) -> None:
    run(opened(), trials=5)
    narrow = {"xgboost": SearchSpace(backend="xgboost", vary={"subsample": Range(low=0.25, high=0.35)})}
    trials = run(opened(narrow), trials=15)
    assert all(0.25 <= trial.parameters["subsample"] <= 0.35 for trial in trials[5:])
