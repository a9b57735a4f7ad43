"""A study outlives its processes, and several of them share it: nothing is lost, nothing is done twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mlbkg.tuning.study import Goal, Study, open_study
from mlbkg.tuning.trial import Trial

SEARCHING = Path(__file__).with_name("searching.py")
TRIALS = 24


def begin(storage: str, log: Path, *, trials: int = TRIALS, workers: int = 1, processes: int = 1) -> subprocess.Popen[bytes]:
    numbers = [str(number) for number in (trials, workers, processes)]
    command = [sys.executable, "-W", "error", str(SEARCHING), storage, str(log), *numbers]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    """With exit code zero, and without a word."""
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, b"", b"")


def lines(log: Path, what: str) -> list[dict[str, Any]]:
    told = [json.loads(line) for line in log.read_bytes().splitlines()] if log.exists() else []
    return [line for line in told if line["what"] == what]


def wait_until(process: subprocess.Popen[bytes], log: Path, *, begun: int) -> None:
    while len(lines(log, "begin")) < begun:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def opened(storage: str) -> Study:
    """To look at what searching.py made."""
    goals = [Goal("distance", False)]
    return open_study(storage, name="sleepy", key="data of a test", goals=goals, spaces={}, seed=7, prune=True)


def finished(storage: str) -> dict[int, Trial]:
    return {trial.number: trial for trial in opened(storage).trials if trial.state in ("complete", "pruned")}


def point(line: dict[str, Any]) -> str:
    return json.dumps([line["backend"], line["parameters"]], sort_keys=True)


@pytest.mark.slow
def test_a_study_that_is_killed_five_times_loses_nothing(tmp_path: Path) -> None:
    storage, log = str(tmp_path / "study.journal"), tmp_path / "log"
    chance = random.Random(20)  # noqa: S311
    before: dict[int, Trial] = {}
    for _ in range(5):
        process = begin(storage, log)
        wait_until(process, log, begun=len(lines(log, "begin")) + chance.randint(1, 4))
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.communicate()
        now = finished(storage)
        assert before.items() <= now.items()
        # what has ended was recorded, but for one trial that was killed between the two
        assert len(lines(log, "end")) - len(now) in range(6)
        before = now
    finish(begin(storage, log))
    assert before.items() <= finished(storage).items()

    undisturbed = str(tmp_path / "undisturbed.journal")
    finish(begin(undisturbed, tmp_path / "other log"))
    assert len(finished(storage)) == len(finished(undisturbed)) == TRIALS
    assert {trial.state for trial in finished(storage).values()} == {"complete"}

    ended = Counter(point(line) for line in lines(log, "end"))
    assert {point(line) for line in lines(log, "begin")} == set(ended), "what was interrupted was not tried again"
    assert Counter(trial.start for trial in finished(storage).values() if trial.start) == {"own": 1, "beyond": 1}


@pytest.mark.slow
@pytest.mark.parametrize(("url", "trials"), [("{}/study.journal", TRIALS), ("sqlite:///{}/study.db", 12)])
def test_two_processes_share_a_study(tmp_path: Path, url: str, trials: int) -> None:
    storage, log = url.format(tmp_path), tmp_path / "log"
    processes = [begin(storage, log, trials=trials, workers=2, processes=2) for _ in range(2)]
    for process in processes:
        finish(process)
    assert len(finished(storage)) == trials
    begun = lines(log, "begin")
    assert len(begun) == trials  # no trial too many was begun, either
    assert max(Counter(line["number"] for line in begun).values()) == 1
    assert max(Counter(point(line) for line in begun).values()) == 1
    assert sorted(line["start"] for line in begun if line["start"]) == ["beyond", "own"]
    assert len({line["pid"] for line in begun}) == 2


def test_one_process_takes_over_what_another_left_when_it_was_killed(tmp_path: Path) -> None:
    storage, log = str(tmp_path / "study.journal"), tmp_path / "log"
    killed = begin(storage, log, workers=2)
    wait_until(killed, log, begun=7)
    killed.kill()
    killed.communicate()
    interrupted = {point(line) for line in lines(log, "begin")} - {point(line) for line in lines(log, "end")}
    assert len(finished(storage)) >= 5
    finish(begin(storage, log, trials=8))
    assert interrupted <= {point(line) for line in lines(log, "end")}
    assert len(finished(storage)) == 8


def test_after_ctrl_c_trials_are_tried_again(tmp_path: Path) -> None:
    storage, log = str(tmp_path / "study.journal"), tmp_path / "log"
    process = begin(storage, log, workers=2)
    wait_until(process, log, begun=6)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    native = opened(storage).native
    assert "RUNNING" not in {trial.state.name for trial in native.get_trials(deepcopy=False)}
    before = finished(storage)
    interrupted = {point(line) for line in lines(log, "begin")} - {point(line) for line in lines(log, "end")}
    finish(begin(storage, log, trials=10))
    assert before.items() <= finished(storage).items()
    assert len(finished(storage)) == 10
    assert interrupted <= {point(line) for line in lines(log, "end")}
