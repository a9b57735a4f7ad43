"""Time of a fit through mlbkg against the same fit by the bare library: same arrays, same parameters, one thread.

    python tests/benchmarks/fitting.py [rows]

The two take turns, and the fastest of each counts: what else the machine does only ever adds time. scikit-learn alone spends
most of its time on weighted bins, which mlbkg's backend does not ask for.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

from mlbkg.classifiers.base import BACKENDS, TrainingSet

N_FEATURES = 20
N_ESTIMATORS = 100
TURNS = 3


def main(rows: int) -> dict[str, dict[str, float]]:
    """Per backend: ``bare_s`` and ``mlbkg_s`` (CPU-bound wall seconds of one fit) and their ``ratio``, mlbkg over bare."""
    train = two_gaussians(rows, seed=1)
    valid = two_gaussians(rows // 10, seed=2)
    return {name: _compare(BARE[name], name, train, valid) for name in BARE}


def two_gaussians(rows: int, *, seed: int) -> TrainingSet:
    """Two normal distributions whose means differ by 0.4 in each of the first five features."""
    rng = np.random.default_rng(seed)
    y = (np.arange(rows) % 2).astype(np.int8)
    X = rng.standard_normal((rows, N_FEATURES), dtype=np.float32)
    X[:, :5] += np.float32(0.4) * y[:, None]
    return TrainingSet(X, y, rng.uniform(0.5, 1.5, rows))


def xgboost_alone(train: TrainingSet, valid: TrainingSet) -> None:
    import xgboost

    data = xgboost.QuantileDMatrix(train.X, label=train.y, weight=train.weight, max_bin=256, nthread=1)
    held_out = xgboost.QuantileDMatrix(valid.X, label=valid.y, weight=valid.weight, max_bin=256, ref=data, nthread=1)
    settings = {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "learning_rate": 0.1,
        "max_depth": 6,
        "min_child_weight": 10.0,
        "subsample": 0.8,
        "max_bin": 256,
        "nthread": 1,
        "seed": 1,
    }
    xgboost.train(
        settings, data, N_ESTIMATORS, evals=[(held_out, "valid")], early_stopping_rounds=N_ESTIMATORS, verbose_eval=False
    )


def lightgbm_alone(train: TrainingSet, valid: TrainingSet) -> None:
    import lightgbm

    settings = {
        "objective": "binary",
        "learning_rate": 0.1,
        "num_leaves": 31,
        "min_child_samples": 50,
        "reg_lambda": 1.0,
        "subsample": 0.8,
        "subsample_freq": 1,
        "colsample_bytree": 0.8,
        "max_bin": 255,
        "num_threads": 1,
        "seed": 1,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(train.X, label=train.y, weight=train.weight, params=settings)
    held_out = data.create_valid(valid.X, label=valid.y, weight=valid.weight, params=settings)
    stop = lightgbm.early_stopping(N_ESTIMATORS, verbose=False)
    lightgbm.train(settings, data, N_ESTIMATORS, valid_sets=[held_out], callbacks=[stop])


def hist_gradient_boosting_alone(train: TrainingSet, valid: TrainingSet) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    estimator = HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=N_ESTIMATORS,
        max_leaf_nodes=31,
        min_samples_leaf=50,
        l2_regularization=1.0,
        early_stopping=True,
        n_iter_no_change=N_ESTIMATORS,
        random_state=1,
    )
    with threadpool_limits(limits=1, user_api="openmp"):
        estimator.fit(train.X, train.y, train.weight, X_val=valid.X, y_val=valid.y, sample_weight_val=valid.weight)


BARE: dict[str, Callable[[TrainingSet, TrainingSet], None]] = {
    "xgboost": xgboost_alone,
    "lightgbm": lightgbm_alone,
    "hist_gradient_boosting": hist_gradient_boosting_alone,
}


def _compare(
    bare: Callable[[TrainingSet, TrainingSet], None], name: str, train: TrainingSet, valid: TrainingSet
) -> dict[str, float]:
    backend = BACKENDS[name]
    params = backend.params.model_validate({"n_estimators": N_ESTIMATORS, "early_stopping_rounds": N_ESTIMATORS})
    bare(two_gaussians(2000, seed=3), two_gaussians(500, seed=4))  # imports and first-call costs belong to neither
    bare_s, mlbkg_s = np.inf, np.inf
    for _ in range(TURNS):
        begin = time.perf_counter()
        bare(train, valid)
        middle = time.perf_counter()
        backend.fit(train, params=params, valid=valid, seed=1, threads=1, on_round=None)
        bare_s, mlbkg_s = min(bare_s, middle - begin), min(mlbkg_s, time.perf_counter() - middle)
    return {"bare_s": bare_s, "mlbkg_s": mlbkg_s, "ratio": mlbkg_s / bare_s}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000), indent=2))
