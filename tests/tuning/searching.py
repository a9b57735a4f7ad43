"""A search that a test starts as a process of its own, and may kill.

    python searching.py STORAGE LOG TRIALS WORKERS PROCESSES

Begins when so many processes are ready. LOG gets a line of JSON when a trial begins, and one when it has ended.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from mlbkg.tuning.space import Choice, Range, SearchSpace
from mlbkg.tuning.study import Budget, Goal, Start, Study, open_study
from mlbkg.tuning.trial import Attempt, Outcome

NAME, KEY, SEED = "sleepy", "data of a test", 7
SPACES = {
    "xgboost": SearchSpace(
        backend="xgboost",
        vary={"max_depth": Range(low=2, high=9), "learning_rate": Range(low=0.01, high=0.5, log=True)},
    ),
    "lightgbm": SearchSpace(
        backend="lightgbm",
        vary={"learning_rate": Range(low=0.01, high=0.5, log=True), "extra_trees": Choice(choices=(False, True))},
    ),
}
STARTS = (
    Start("own", "xgboost", {"max_depth": 4, "learning_rate": 0.1}),
    Start("beyond", "xgboost", {"max_depth": 20, "learning_rate": 0.9}),
)
ROUNDS, ROUND_SECONDS = 6, 0.02


def study_in(storage: str) -> Study:
    return open_study(storage, name=NAME, key=KEY, goals=[Goal("distance", False)], spaces=SPACES, seed=SEED, prune=True)


def distance(parameters: Any) -> float:
    return abs(parameters["learning_rate"] - 0.1) + abs(parameters.get("max_depth", 5) - 5)


def main(storage: str, log: Path, trials: int, workers: int, processes: int) -> None:
    def append(line: dict[str, Any]) -> None:
        with open(log, "ab", buffering=0) as file:  # appends of one line are whole, whoever else appends
            file.write(json.dumps({**line, "pid": os.getpid()}).encode() + b"\n")

    def tell(what: str, attempt: Attempt) -> None:
        point = {"backend": attempt.backend, "parameters": dict(attempt.parameters)}
        append({"what": what, "number": attempt.number, "start": attempt.start, **point})

    def evaluate(attempt: Attempt) -> Outcome:
        tell("begin", attempt)
        for number in range(ROUNDS):
            time.sleep(ROUND_SECONDS)
            attempt.round(0, 0.1 * (number + 1), 1.0)
        tell("end", attempt)
        return Outcome((distance(attempt.parameters),), record={"pid": os.getpid()})

    study = study_in(storage)
    append({"what": "ready"})
    while log.read_bytes().count(b"ready") < processes:
        time.sleep(0.005)
    study.run(evaluate, starts=STARTS, budget=Budget(trials), workers=workers)


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
    except KeyboardInterrupt:
        sys.exit(130)
