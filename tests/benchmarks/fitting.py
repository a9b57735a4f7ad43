"""Time of a fit through mlbkg against the same fit by the bare library: same arrays, same parameters, one thread.

    python tests/benchmarks/fitting.py [rows]

scikit-learn alone spends most of its time on weighted bins, which mlbkg's backend does not ask for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from timing import compared

from mlbkg.classifiers.base import BACKENDS, TrainingSet

N_FEATURES = 20
N_ESTIMATORS = 100
TURNS = 5

Predict = Callable[[NDArray[np.float32]], NDArray[np.float64]]
Fit = Callable[[TrainingSet, TrainingSet, int], Predict]
"""Training part, validation part, number of trees -> the fitted model's own prediction."""


def main(rows: int, *, turns: int = TURNS, n_estimators: int = N_ESTIMATORS) -> dict[str, dict[str, float]]:
    """Per backend: ``bare_s`` and ``mlbkg_s`` (seconds of one fit) and their ``ratio``, mlbkg over bare."""
    train, valid = two_gaussians(rows, seed=1), two_gaussians(max(rows // 10, 100), seed=2)
    answer = {}
    for name, fit in BARE.items():
        backend = BACKENDS[name]
        params = backend.params.model_validate({"n_estimators": n_estimators, "early_stopping_rounds": n_estimators})
        jobs = {
            "bare": lambda fit=fit: fit(train, valid, n_estimators),
            "mlbkg": lambda backend=backend, params=params: backend.fit(
                train, params=params, valid=valid, seed=1, threads=1, on_round=None
            ),
        }
        fit(two_gaussians(2000, seed=3), two_gaussians(500, seed=4), 2)  # imports and first calls belong to neither
        answer[name] = compared(jobs, turns=turns)
    return answer


def two_gaussians(rows: int, *, seed: int) -> TrainingSet:
    """Two normal distributions whose means differ by 0.4 in each of the first five features."""
    rng = np.random.default_rng(seed)
    y = (np.arange(rows) % 2).astype(np.int8)
    X = rng.standard_normal((rows, N_FEATURES), dtype=np.float32)
    X[:, :5] += np.float32(0.4) * y[:, None]
    return TrainingSet(X, y, rng.uniform(0.5, 1.5, rows))


def xgboost_alone(train: TrainingSet, valid: TrainingSet, n_estimators: int) -> Predict:
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
    booster = xgboost.train(
        settings, data, n_estimators, evals=[(held_out, "valid")], early_stopping_rounds=n_estimators, verbose_eval=False
    )
    return lambda X: booster.predict(xgboost.DMatrix(X, nthread=1))


def lightgbm_alone(train: TrainingSet, valid: TrainingSet, n_estimators: int) -> Predict:
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
    stop = lightgbm.early_stopping(n_estimators, verbose=False)
    booster = lightgbm.train(settings, data, n_estimators, valid_sets=[held_out], callbacks=[stop])
    return lambda X: booster.predict(X, num_threads=1)


def hist_gradient_boosting_alone(train: TrainingSet, valid: TrainingSet, n_estimators: int) -> Predict:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    estimator = HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=n_estimators,
        max_leaf_nodes=31,
        min_samples_leaf=50,
        l2_regularization=1.0,
        early_stopping=True,
        n_iter_no_change=n_estimators,
        random_state=1,
    )
    with threadpool_limits(limits=1, user_api="openmp"):
        estimator.fit(train.X, train.y, train.weight, X_val=valid.X, y_val=valid.y, sample_weight_val=valid.weight)

    def predict(X: NDArray[np.float32]) -> NDArray[np.float64]:
        with threadpool_limits(limits=1, user_api="openmp"):
            return estimator.predict_proba(X)[:, 1]

    return predict


BARE: dict[str, Fit] = {
    "xgboost": xgboost_alone,
    "lightgbm": lightgbm_alone,
    "hist_gradient_boosting": hist_gradient_boosting_alone,
}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000), indent=2))
