"""What it costs a study to tell a tracking server of every trial: trials with and without, in turns, on one thread.

    python tests/benchmarks/tracking_overhead.py [rows]

A trial is a cross-fit whose rounds are told to a callback; it goes with its parameters, figures and a curve per fold into an
embedded database. The background thread that does it competes for the processor and for the interpreter's lock.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cross_fitting import N_FOLDS, SALT, sample_of
from fitting import two_gaussians
from timing import ratio

from mlbkg.classifiers.base import BACKENDS
from mlbkg.classifiers.cross_fit import Contender, fit_fold
from mlbkg.samples.split import split_folds
from mlbkg.tracking.base import NestedRun
from mlbkg.tracking.mlflow_log import open_log

ROWS, TRIALS, TURNS, N_ESTIMATORS = 20_000, 5, 3, 150

Trial = Callable[[int], NestedRun]


def main(
    rows: int, *, turns: int = TURNS, trials: int = TRIALS, n_estimators: int = N_ESTIMATORS
) -> dict[str, dict[str, float]]:
    """``bare_s``, ``mlbkg_s``: median wall seconds of a trial; ``ratio``: median of the turns' ratios; ``cpu_ms``: processor
    time of all that tracking does, per trial; ``share``: that over the trials', which other programs disturb less."""
    trial = _trial(rows, n_estimators)
    trial(0)
    bare, tracked, cpu, share = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(turns):
            begin = time.perf_counter()
            for number in range(trials):
                trial(number)
            bare.append((time.perf_counter() - begin) / trials)
            seconds, own, others = _tracked(trial, trials, Path(folder), name=f"study {turn}")
            tracked.append(seconds)
            cpu.append(1000 * others)
            share.append(others / own)
    answer = {"bare_s": statistics.median(bare), "mlbkg_s": statistics.median(tracked), "ratio": ratio(tracked, bare)}
    return {"sqlite": {**answer, "cpu_ms": statistics.median(cpu), "share": statistics.median(share)}}


def _tracked(trial: Trial, trials: int, folder: Path, *, name: str) -> tuple[float, float, float]:
    """Per trial: wall seconds, processor time of the trial, and that of tracking."""
    settings = {"uri": f"sqlite:///{folder}/mlflow.db", "experiment": "overhead", "run_name": name}
    with open_log(enabled=True, spool=folder / "unsent" / name, **settings) as log:
        if log.run_id is None:
            raise RuntimeError(log.failure)
        begin, all_threads, own = time.perf_counter(), time.process_time(), time.thread_time()
        for number in range(trials):
            log.nested(trial(number))
        seconds, own = (time.perf_counter() - begin) / trials, time.thread_time() - own
    if log.failure is not None:
        raise RuntimeError(log.failure)
    return seconds, own / trials, (time.process_time() - all_threads - own) / trials


def _trial(rows: int, n_estimators: int) -> Trial:
    data = two_gaussians(rows, seed=1)
    sample = sample_of(data)
    splits = split_folds(sample, n_folds=N_FOLDS, validation_fraction=0.1, salt=SALT)
    backend = BACKENDS["xgboost"]
    params = backend.params.model_validate({"n_estimators": n_estimators, "early_stopping_rounds": n_estimators})
    contender = Contender("xgboost", backend, params)

    def run(number: int) -> NestedRun:
        curves: dict[str, list[float]] = {f"fold {split.fold}/log_loss": [] for split in splits}
        began = time.time()
        for split, curve in zip(splits, curves.values(), strict=True):
            fit_fold(
                contender, split, sample, data.weight, seed=number, on_round=lambda _, loss, curve=curve: curve.append(loss)
            )
        return NestedRun(
            name=f"trial {number}",
            parameters=params.model_dump(),
            metrics={f"figure {i}": 0.5 for i in range(10)},
            tags={"backend": "xgboost", "state": "complete"},
            began=began,
            ended=time.time(),
            curves=curves,
        )

    return run


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS), indent=2))
