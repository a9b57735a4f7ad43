"""Time per row of ``model.onnx`` and ``folds.onnx`` in ONNX Runtime against the library's own prediction: same rows, one
thread, one run.

    python tests/benchmarks/scoring.py [rows]

Five folds of 400 trees of depth 4 on 20 features, in batches of 10,000 rows.
``native_us`` is one fold's prediction, which is the work that ``folds.onnx`` does; ``model.onnx`` does five times that.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timing import in_turns, ratio

from mlbkg.classifiers.base import BACKENDS, FittedClassifier, TrainingSet
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.native import load_forest
from mlbkg.export.onnx import Models, build_models
from mlbkg.export.parity import check_parity
from mlbkg.export.session import open_session

N_FEATURES, N_FOLDS, BATCH, TURNS = 20, 5, 10_000, 5
TRAINING_ROWS = 20_000
FEATURES = [f"feature_{i}" for i in range(N_FEATURES)]
ONE_BY_ONE = 500
TREES = {
    "xgboost": {"n_estimators": 400, "max_depth": 4},
    "lightgbm": {"n_estimators": 400, "max_depth": 4, "num_leaves": 16},
    "hist_gradient_boosting": {"n_estimators": 400, "max_depth": 4, "max_leaf_nodes": 16},
}


def main(rows: int, *, turns: int = TURNS, trees: dict[str, dict[str, int]] = TREES) -> dict[str, dict[str, float]]:
    """Per backend, microseconds per row: ``native_us``, ``model_us``, ``folds_us``, and ``one_row_us`` for ``model.onnx``
    called row by row; ``ratio``, of ``folds_us`` over ``native_us``; ``parity_s``, seconds of the parity gate."""
    X = candidates(rows, seed=9).X
    fold = (np.arange(rows) % N_FOLDS).astype(np.int64)
    answer = {}
    for backend, parameters in trees.items():
        fitted, models, parity_s = trained(backend, parameters, FEATURES)
        mean, folds = open_session(models.model), open_session(models.folds)
        jobs: dict[str, Callable[[slice], Any]] = {
            "native": lambda part, one=fitted[0]: one.predict(X[part]),
            "model": lambda part, session=mean: session.run(["output"], {"input": X[part]}),
            "folds": lambda part, session=folds: session.run(["output"], {"input": X[part], "fold": fold[part]}),
        }
        taken = in_turns({name: lambda job=job: _in_batches(job, rows) for name, job in jobs.items()}, turns=turns)
        one_by_one = in_turns({"one": lambda session=mean: _row_by_row(session, X[:ONE_BY_ONE])}, turns=turns)["one"]
        answer[backend] = {
            **{f"{job}_us": 1e6 * statistics.median(seconds) / rows for job, seconds in taken.items()},
            "one_row_us": 1e6 * statistics.median(one_by_one) / len(X[:ONE_BY_ONE]),
            "ratio": ratio(taken["folds"], taken["native"]),
            "parity_s": parity_s,
        }
    return answer


def candidates(rows: int, *, seed: int) -> TrainingSet:
    """Two normal distributions whose means differ by 0.4 in each of the first five features; 5 % of the values are NaN."""
    rng = np.random.default_rng(seed)
    y = (np.arange(rows) % 2).astype(np.int8)
    X = rng.standard_normal((rows, N_FEATURES), dtype=np.float32)
    X[:, :5] += np.float32(0.4) * y[:, None]
    X[rng.random(X.shape) < 0.05] = np.nan
    return TrainingSet(X, y, np.ones(rows))


def trained(
    name: str, parameters: dict[str, int], features: Sequence[str], *, event_id: Sequence[str] = ()
) -> tuple[list[FittedClassifier], Models, float]:
    """A model per fold on rows of its own, their ONNX models, and the seconds that the parity gate took."""
    backend = BACKENDS[name]
    params = backend.params.model_validate(parameters)
    train = [candidates(TRAINING_ROWS, seed=fold) for fold in range(N_FOLDS)]
    fitted = [backend.fit(one, params=params, valid=None, seed=1, threads=1, on_round=None) for one in train]
    forests = []
    with tempfile.TemporaryDirectory() as scratch:
        for fold, one in enumerate(fitted):
            ((format, path),) = one.to_native_files(Path(scratch) / str(fold)).items()
            forests.append(load_forest(format, path))
    metadata = ModelMetadata(
        analysis="benchmark",
        title="",
        backend=name,
        features=tuple(map(FeatureInfo, features)),
        n_folds=N_FOLDS,
        salt="",
        event_id=tuple(event_id),
        working_points=(),
        class_prior=0.5,
        config={},
        data_fingerprints={},
        versions={},
    )
    models = build_models(forests, metadata)
    begin = time.perf_counter()
    check_parity(fitted, forests, models, train[0].X)
    return fitted, models, time.perf_counter() - begin


def _row_by_row(session: Any, X: NDArray[np.float32]) -> None:
    for row in range(len(X)):
        session.run(["output"], {"input": X[row : row + 1]})


def _in_batches(job: Callable[[slice], Any], rows: int) -> None:
    for start in range(0, rows, BATCH):
        job(slice(start, start + BATCH))


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000), indent=2))
