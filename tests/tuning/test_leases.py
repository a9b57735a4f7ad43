"""Whether a process that works on a study is dead, and what becomes of its trials."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from optuna.trial import TrialState

from mlbkg.tuning import leases
from mlbkg.tuning.leases import PREFIX, SILENT_SECONDS, Lease, has_died, leases_in, this_host
from mlbkg.tuning.records import LEASE
from mlbkg.tuning.space import Range, SearchSpace
from mlbkg.tuning.study import Budget, Goal, Study, open_study
from mlbkg.tuning.trial import Attempt, Outcome

NOW = 1.8e9


def holder(**changed: Any) -> dict[str, Any]:
    started = psutil.Process().create_time()
    return {"host": this_host(), "pid": os.getpid(), "started": started, "beat": NOW} | changed


def test_a_process_on_this_machine_lives_as_long_as_the_system_says() -> None:
    assert not has_died(holder(beat=0), now=NOW)
    assert has_died(holder(started=psutil.Process().create_time() - 60), now=NOW), "its number belongs to another"
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    of_child = holder(pid=process.pid, started=psutil.Process(process.pid).create_time())
    assert not has_died(of_child, now=NOW)
    process.kill()
    deadline = time.monotonic() + 10
    while not has_died(of_child, now=NOW):  # a zombie until somebody asks for its exit code
        assert time.monotonic() < deadline
    process.communicate()
    assert has_died(of_child, now=NOW)


def test_a_process_on_another_machine_lives_as_long_as_it_gives_signs() -> None:
    assert not has_died(holder(host="elsewhere", pid=1, beat=NOW - SILENT_SECONDS + 1), now=NOW)
    assert has_died(holder(host="elsewhere", beat=NOW - SILENT_SECONDS - 1), now=NOW)


def test_a_lease_beats_and_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.01)
    attributes: dict[str, Any] = {}
    beats: list[float] = []

    def write(name: str, value: Any) -> None:
        attributes[name] = value
        if value:
            beats.append(value["beat"])
            if len(beats) == 2:
                raise OSError("the network is away")

    with Lease(write) as lease:
        while len(beats) < 4:
            time.sleep(0.005)
        assert not has_died(leases_in(attributes)[lease.id], now=time.time())
    assert leases_in(attributes) == {}
    assert attributes == {PREFIX + lease.id: None}
    assert beats == sorted(beats)


@pytest.fixture
def with_a_trial_elsewhere(tmp_path: Path) -> Study:
    """Of three trials, another machine runs the second."""
    spaces = {"xgboost": SearchSpace(backend="xgboost", vary={"subsample": Range(low=0.1, high=1.0)})}
    goals = [Goal("loss", False)]
    study = open_study(str(tmp_path / "journal"), name="test", key="", goals=goals, spaces=spaces, seed=1, prune=True)
    run(study, trials=1)
    trial = study.native.ask()
    trial.set_user_attr(LEASE, "other")
    trial.suggest_float("xgboost.subsample", 0.1, 1.0)
    trial.set_user_attr("point", {"backend": "xgboost", "parameters": {}})
    return study


def run(study: Study, *, trials: int, seconds: float | None = None) -> None:
    study.run(lambda attempt: Outcome((1.0,)), starts=(), budget=Budget(trials, seconds), workers=1)


def test_trials_of_a_living_process_are_its_own(with_a_trial_elsewhere: Study) -> None:
    study = with_a_trial_elsewhere
    study.remember(PREFIX + "other", holder(host="elsewhere", beat=time.time()))
    run(study, trials=3, seconds=0.8)
    assert [trial.number for trial in study.trials] == [0, 2]
    assert study.native.trials[1].state.name == "RUNNING"


def test_trials_of_a_dead_process_are_tried_again(with_a_trial_elsewhere: Study) -> None:
    study = with_a_trial_elsewhere
    study.remember(PREFIX + "other", holder(host="elsewhere", beat=time.time() - SILENT_SECONDS - 1))
    run(study, trials=3)
    natives = study.native.trials
    assert [trial.number for trial in study.trials] == [0, 2, 3]
    assert natives[1].state.name == "FAIL"
    assert natives[2].params == natives[1].params
    assert leases_in(study.native.user_attrs) == {}


def test_a_process_taken_for_dead_does_not_spoil_what_became_of_its_trial(with_a_trial_elsewhere: Study) -> None:
    study = with_a_trial_elsewhere
    told: list[int] = []

    def evaluate(attempt: Attempt) -> Outcome:
        if attempt.number == 2:
            study.native.tell(2, state=TrialState.FAIL)  # as another process would
        return Outcome((1.0,))

    study.native.tell(1, state=TrialState.FAIL)
    study.run(evaluate, starts=(), budget=Budget(3), workers=1, on_trial=lambda trial: told.append(trial.number))
    assert told == [3, 4]
    assert [trial.number for trial in study.trials] == [0, 3, 4]
