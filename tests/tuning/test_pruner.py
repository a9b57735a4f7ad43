"""Trials are compared at equal time, within a fold, with those that keep the constraints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from mlbkg.tuning.pruner import Curve, Pruner, end_of, step_at
from mlbkg.tuning.trial import Trial


def trial(
    number: int,
    losses: Mapping[tuple[int, float], float] | None = None,
    costs: Mapping[int, float] | None = None,
    **changed: Any,
) -> Trial:
    settings: dict[str, Any] = {
        "number": number,
        "state": "complete",
        "backend": "xgboost",
        "parameters": {},
        "start": None,
        "values": (1.0,),
        "violation": (),
        "record": {},
        "losses": losses or {},
        "fold_costs": costs or {},
        "began": 0.0,
        "ended": 1.0,
        "reason": None,
    }
    return Trial(**settings | changed)


def knowing(*trials: Trial) -> Pruner:
    pruner = Pruner()
    pruner.learn(trials)
    return pruner


def test_steps_grow_as_time_does() -> None:
    assert [end_of(step) for step in range(8)] == [1, 1.5, 2, 3, 4, 6, 8, 12]
    assert all(step_at(end_of(step)) == step for step in range(30))
    assert all(step_at(end_of(step) * 1.001) == step + 1 for step in range(30))
    assert step_at(1e-6) == 0
    assert step_at(sum([0.1] * 30)) == step_at(3)  # 3.0000000000000013


def test_a_curve_keeps_the_smallest_loss_of_each_step() -> None:
    curve = Curve()
    losses = {0.5: 0.9, 1.0: 0.7, 1.2: 0.8, 1.4: math.nan, 1.6: 0.6, 7.0: 0.65}
    ended = [curve.add_round(2, time, loss) for time, loss in losses.items()]
    assert ended == [None, None, (0, 0.7), None, (1, 0.7), (5, 0.6)]
    assert curve.losses == {(2, 0): 0.7, (2, 1): 0.8, (2, 2): 0.6, (2, 6): 0.65}
    assert curve.add_round(3, 2.5, 0.4) is None, "another fold"
    assert curve.add_round(3, 3.5, 0.5) == (3, 0.4)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_fits_of_different_shrinkage_compare_at_equal_time(rate: float) -> None:
    """All follow exp(-time): none is behind, though the fastest has come as far in 10 rounds as the slowest in 500."""

    def curve_of(shrinkage: float, floor: float) -> Curve:
        curve = Curve()
        for number in range(int(20 / shrinkage)):
            time = shrinkage * (number + 1)
            curve.add_round(0, time, floor + math.exp(-time))
        return curve

    others = [
        trial(number, {(0, end_of(step)): loss for (_, step), loss in curve_of(0.05 * (number + 1), 0.1).losses.items()})
        for number in range(6)
    ]
    pruner = knowing(*others)

    def is_behind(floor: float) -> bool:
        curve = Curve()
        for number in range(int(20 / rate)):
            time = rate * (number + 1)
            ended = curve.add_round(0, time, floor + math.exp(-time))
            if ended and pruner.behind_in_round(0, *ended):
                return True
        return False

    # the fastest see less often: their last round before the end of a step may be half a unit of time early
    assert not is_behind(0.1 if rate < 0.5 else 0.05)
    assert is_behind(0.3)


def test_only_what_compares_is_compared() -> None:
    early, now, later = step_at(1.5), step_at(4), step_at(6)
    near = [trial(number, {(0, 1.5): 0.6, (0, 4.0): 0.5, (0, 6.0): 0.4}) for number in range(4)]
    assert knowing(*near).behind_in_round(0, now, 0.9) is None, "four others are too few"
    assert knowing(*near, near[0]).behind_in_round(0, now, 0.9) is None, "one is known twice"
    five = knowing(*near, trial(4, {(0, 1.5): 0.6, (0, 4.0): 0.5}, state="pruned"))
    assert five.behind_in_round(0, now, 0.9) == "loss 0.9 by time 4 of fold 0; 60% of 5 trials had 0.5 or less"
    assert five.behind_in_round(0, now, 0.5) is None
    assert five.behind_in_round(0, early, 0.9) is None, "it is too early to say"
    assert five.behind_in_round(1, now, 0.9) is None, "folds differ"
    assert five.behind_in_round(0, later, 0.9) is None, "four reached that time"
    for excluded in ({"violation": (0.1,)}, {"state": "failed"}):
        assert knowing(*near, trial(4, {(0, 4.0): 0.5}, **excluded)).behind_in_round(0, now, 0.9) is None


def test_a_fit_that_has_ended_is_compared_with_at_later_times() -> None:
    early = [trial(number, {(0, 1.0): 0.5}, {0: 1.0}) for number in range(5)]
    assert knowing(*early).behind_in_round(0, step_at(8), 0.6)
    assert knowing(*early).behind_in_round(0, step_at(8), 0.45) is None


def test_after_a_fold_a_trial_compares_with_the_better_quarter_by_the_paired_spread() -> None:
    """Costs = trial + fold + rest, where of the better half the rest is 0.1 in two of three folds, with changing sign.

    By hand: 4 trials in 3 folds have 6 degrees of freedom, the sum of squares is 4 x 2 x 0.1^2, the spread 0.1155; the
    difference of two trials after one fold is known to sqrt(2) times that, 0.163, and half of it is too much.
    """
    folds = (0.0, 5.0, -3.0)
    rest = ((0.1, -0.1, 0.0), (-0.1, 0.1, 0.0))
    others = [trial(n, None, {fold: n + folds[fold] + rest[n % 2][fold] for fold in range(3)}) for n in range(8)]
    pruner = knowing(*others)
    quarter = 0.9 + 0.75 * (2.1 - 0.9)  # of 0.1, 0.9, 2.1, 2.9, ..., linear in between
    assert pruner.behind_after_fold({0: quarter + 0.081}) is None
    assert pruner.behind_after_fold({0: quarter + 0.082})
    assert pruner.behind_after_fold({1: 20.0, 0: 20.0})
    assert pruner.behind_after_fold({0: 20.0, 1: 20.0, 2: 20.0}) is None, "it was the last fold"
    assert knowing(*others[:4]).behind_after_fold({0: 20.0}) is None
    assert knowing().behind_after_fold({0: 20.0}) is None
