"""Time of ``cross_fit`` against the loop over the same folds that one writes with the bare library: cut out the rows, fit,
predict the fold left out. One thread.

    python tests/benchmarks/cross_fitting.py [rows]

mlbkg predicts more: one fold's worth of rows that each model has seen, for the overtraining test.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import numpy as np
from fitting import BARE, N_ESTIMATORS, Fit, two_gaussians
from timing import compared

from mlbkg.classifiers.base import BACKENDS, TrainingSet
from mlbkg.classifiers.cross_fit import Contender, cross_fit
from mlbkg.samples.folds import assign_folds
from mlbkg.samples.sample import Sample
from mlbkg.samples.split import FoldSplit, split_folds

N_FOLDS = 5
TURNS = 3
SALT = "benchmark"


def main(
    rows: int, *, turns: int = TURNS, n_estimators: int = N_ESTIMATORS, backends: Sequence[str] = tuple(BARE)
) -> dict[str, dict[str, float]]:
    """Per backend: ``bare_s``, ``mlbkg_s`` and their ``ratio``, mlbkg over bare."""
    data = two_gaussians(rows, seed=1)
    sample = sample_of(data)
    splits = split_folds(sample, n_folds=N_FOLDS, validation_fraction=0.1, salt=SALT)
    answer = {}
    for name in backends:
        fit = BARE[name]
        params = {"n_estimators": n_estimators, "early_stopping_rounds": n_estimators}
        contender = Contender(name, BACKENDS[name], BACKENDS[name].params.model_validate(params))
        jobs = {
            "bare": lambda fit=fit: _loop(fit, data, splits, n_estimators),
            "mlbkg": lambda contender=contender: cross_fit([contender], sample, data.weight, splits, seed=1, workers=1),
        }
        _loop(fit, two_gaussians(2000, seed=3), [_halves(2000)], 2)  # imports and first calls belong to neither
        answer[name] = compared(jobs, turns=turns)
    return answer


def sample_of(data: TrainingSet) -> Sample:
    n, n_features = data.X.shape
    event_id = np.arange(n, dtype=np.int64)[:, None]
    return Sample(
        feature_names=tuple(f"feature_{i}" for i in range(n_features)),
        category_names=("background", "signal"),
        features=data.X,
        label=data.y,
        weight=data.weight,
        event_id=event_id,
        fold=assign_folds(event_id, n_folds=N_FOLDS, salt=SALT),
        category=data.y.astype(np.int16),
        spectators={},
    )


def _loop(fit: Fit, data: TrainingSet, splits: Sequence[FoldSplit], n_estimators: int) -> None:
    out_of_fold = np.empty(len(data.y))
    for split in splits:
        train, valid = (TrainingSet(data.X[rows], data.y[rows], data.weight[rows]) for rows in (split.train, split.valid))
        predict = fit(train, valid, n_estimators)
        out_of_fold[split.scored] = predict(data.X[split.scored])


def _halves(rows: int) -> FoldSplit:
    first, second = np.split(np.arange(rows), 2)
    return FoldSplit(fold=0, train=first, valid=second, scored=second)


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000), indent=2))
