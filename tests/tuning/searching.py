"""A search that a test starts as a process of its own, and may kill.

    python searching.py STORAGE LOG TRIALS [WORKERS]

LOG gets a line of JSON when a trial begins, and one when it has ended.
"""

from __future__ import annotations

import json
import os
import sys
import time
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
ROUNDS, ROUND_SECONDS = 6, 0.005


def study_in(storage: str) -> Study:
    return open_study(storage, name=NAME, key=KEY, goals=[Goal("distance", False)], spaces=SPACES, seed=SEED, prune=True)


def distance(parameters: Any) -> float:
    return abs(parameters["learning_rate"] - 0.1) + abs(parameters.get("max_depth", 5) - 5)


def main(storage: str, log: str, trials: int, workers: int) -> None:
    def tell(what: str, attempt: Attempt) -> None:
        line = {
            "what": what,
            "pid": os.getpid(),
            "number": attempt.number,
            "start": attempt.start,
            "backend": attempt.backend,
            "parameters": dict(attempt.parameters),
        }
        with open(log, "ab", buffering=0) as file:  # appends of one line are whole, whoever else appends
            file.write(json.dumps(line).encode() + b"\n")

    def evaluate(attempt: Attempt) -> Outcome:
        tell("begin", attempt)
        for number in range(ROUNDS):
            time.sleep(ROUND_SECONDS)
            attempt.round(0, 0.1 * (number + 1), 1.0)
        tell("end", attempt)
        return Outcome((distance(attempt.parameters),), record={"pid": os.getpid()})

    study_in(storage).run(evaluate, starts=STARTS, budget=Budget(trials), workers=workers)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    except KeyboardInterrupt:
        sys.exit(130)
