"""A fit through mlbkg against the same fit by the library alone, with which it must agree to the last bit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.classifiers import hist_gradient_boosting, lightgbm, xgboost
from mlbkg.classifiers.base import TrainingSet
from mlbkg.classifiers.forest_arrays import ForestArrays
from mlbkg.errors import MlbkgError
from mlbkg.testing.classifier_cases import N_FEATURES, hard_rows, two_gaussians

SETTINGS = {"n_estimators": 200, "learning_rate": 0.3, "early_stopping_rounds": 5}


def with_missing(rows: int, *, seed: int) -> TrainingSet:
    data = two_gaussians(rows, seed=seed)
    rng = np.random.default_rng(seed)
    X = data.X.copy()
    X[rng.random(X.shape) < 0.1] = np.nan
    return TrainingSet(X, data.y, rng.uniform(0.5, 2, rows))


TRAIN, VALID = with_missing(5000, seed=1), with_missing(2000, seed=2)


def at_thresholds(forest: ForestArrays) -> NDArray[np.float32]:
    """Ordinary rows in which one feature stands at a threshold of the forest, or at a float32 neighbour of it."""
    nodes = np.flatnonzero((forest.feature >= 0) & np.isfinite(forest.threshold))
    exact = forest.threshold[nodes].astype(np.float32)
    X = np.tile(hard_rows(len(nodes), seed=3), (3, 1))
    values = np.concatenate([exact, np.nextafter(exact, np.float32(-np.inf)), np.nextafter(exact, np.float32(np.inf))])
    X[np.arange(len(X)), np.tile(forest.feature[nodes], 3)] = values
    return X


def test_xgboost() -> None:
    import xgboost as library

    fitted = xgboost.fit(TRAIN, params=xgboost.XGBoostParams(**SETTINGS), valid=VALID, seed=7, threads=2, on_round=None)
    data = library.QuantileDMatrix(TRAIN.X, label=TRAIN.y, weight=TRAIN.weight, nthread=1)
    settings = {"objective": "binary:logistic", "max_depth": 6, "min_child_weight": 10, "subsample": 0.8, "eta": 0.3}
    booster = library.train(
        {**settings, "seed": 7, "nthread": 1},
        data,
        200,
        evals=[(library.DMatrix(VALID.X, label=VALID.y, weight=VALID.weight), "valid")],
        early_stopping_rounds=5,
        verbose_eval=False,
    )
    best = (0, booster.best_iteration + 1)
    assert fitted.n_trees == best[1] < booster.num_boosted_rounds()
    X = VALID.X
    margin = booster.predict(library.DMatrix(X), output_margin=True, iteration_range=best)
    np.testing.assert_array_equal(fitted.predict_margin(X), margin.astype(np.float64))
    np.testing.assert_array_equal(
        fitted.predict_leaves(X), booster.predict(library.DMatrix(X), pred_leaf=True, iteration_range=best)
    )


def test_xgboost_leaves_of_infinities_are_those_of_the_margin() -> None:
    """The leaf values along ``predict_leaves`` add up to the margin, for infinite features as well."""
    import json

    fitted = xgboost.fit(TRAIN, params=xgboost.XGBoostParams(n_estimators=20), valid=None, seed=7, threads=1, on_round=None)
    X = hard_rows(1000, seed=4)
    model = json.loads(fitted.booster.save_raw("json"))["learner"]
    base = float(model["learner_model_param"]["base_score"].strip("[]"))
    trees = model["gradient_booster"]["model"]["trees"]
    values = [np.array(tree["split_conditions"], dtype=np.float32) for tree in trees]
    leaves = fitted.predict_leaves(X)
    margin = np.log(base / (1 - base)) + sum(value[leaves[:, tree]].astype(float) for tree, value in enumerate(values))
    np.testing.assert_allclose(fitted.predict_margin(X), margin, rtol=0, atol=1e-5)


def test_lightgbm() -> None:
    import lightgbm as library

    fitted = lightgbm.fit(TRAIN, params=lightgbm.LightGBMParams(**SETTINGS), valid=VALID, seed=7, threads=2, on_round=None)
    estimator = library.LGBMClassifier(
        n_estimators=200,
        learning_rate=0.3,
        num_leaves=31,
        min_child_samples=50,
        reg_lambda=1.0,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.8,
        random_state=7,
        n_jobs=1,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
    )
    booster = library.train(
        {**{k: v for k, v in estimator.get_params().items() if v is not None}, "objective": "binary"},
        library.Dataset(TRAIN.X, TRAIN.y, weight=TRAIN.weight),
        valid_sets=[library.Dataset(VALID.X, VALID.y, weight=VALID.weight)],
        callbacks=[library.early_stopping(5, verbose=False)],
    )
    assert fitted.n_trees == booster.best_iteration
    X = hard_rows(2000, seed=5)
    np.testing.assert_array_equal(fitted.predict_margin(X), booster.predict(X, raw_score=True))
    np.testing.assert_array_equal(fitted.predict_leaves(X), booster.predict(X, pred_leaf=True))


def test_lightgbm_reads_nan_as_zero_where_training_had_none() -> None:
    """LightGBM's missing_type none, kept as it is."""
    fitted = lightgbm.fit(
        two_gaussians(5000, seed=6),
        params=lightgbm.LightGBMParams(n_estimators=20),
        valid=None,
        seed=1,
        threads=1,
        on_round=None,
    )
    X = two_gaussians(500, seed=7).X
    zero, missing = X.copy(), X.copy()
    zero[:, 0], missing[:, 0] = 0, np.nan
    np.testing.assert_array_equal(fitted.predict_margin(missing), fitted.predict_margin(zero))


def test_hist_gradient_boosting() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    train, valid = (TrainingSet(s.X, s.y, np.ones(len(s.y))) for s in (TRAIN, VALID))
    params = hist_gradient_boosting.HistGradientBoostingParams(**SETTINGS, max_features=0.5)
    fitted = hist_gradient_boosting.fit(train, params=params, valid=valid, seed=7, threads=2, on_round=None)
    estimator = HistGradientBoostingClassifier(
        learning_rate=0.3,
        max_iter=fitted.n_trees,
        min_samples_leaf=50,
        l2_regularization=1.0,
        max_features=0.5,
        early_stopping=False,
        random_state=7,
    )
    with threadpool_limits(1, user_api="openmp"):
        estimator.fit(train.X, train.y)
        for X in (VALID.X, hard_rows(5000, seed=8), at_thresholds(fitted.forest), np.tile(VALID.X, (40, 1))):
            expected = estimator.decision_function(X)
            np.testing.assert_array_equal(fitted.predict_margin(X), expected)
            np.testing.assert_array_equal(fitted.forest.predict_margin(X), expected)


def test_backends_side_by_side() -> None:
    """Six fits and predictions in two threads, as the folds of a training run, give what they give one after the other."""
    modules = {
        xgboost: xgboost.XGBoostParams,
        lightgbm: lightgbm.LightGBMParams,
        hist_gradient_boosting: hist_gradient_boosting.HistGradientBoostingParams,
    }
    jobs = [(module, kind(n_estimators=20), seed) for seed in (1, 2) for module, kind in modules.items()]

    def run(job: tuple[Any, Any, int]) -> NDArray[np.float64]:
        module, params, seed = job
        return module.fit(TRAIN, params=params, valid=VALID, seed=seed, threads=1, on_round=None).predict_margin(VALID.X)

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(run, jobs))
    np.testing.assert_array_equal(together, [run(job) for job in jobs])


@pytest.mark.parametrize("objective", ["reg:squarederror", "binary:logitraw"])
def test_xgboost_model_of_another_kind_is_refused(objective: str, tmp_path: Path) -> None:
    import xgboost as library

    data = library.QuantileDMatrix(TRAIN.X, label=TRAIN.y)
    library.train({"objective": objective}, data, 2).save_model(tmp_path / "model.json")
    with pytest.raises(MlbkgError, match=f"holds {objective} of booster gbtree"):
        xgboost.load(tmp_path / "model.json")


def test_lightgbm_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    import lightgbm as library

    booster = library.train({"objective": "regression", "verbosity": -1}, library.Dataset(TRAIN.X, TRAIN.y), 2)
    booster.save_model(tmp_path / "model.txt")
    with pytest.raises(MlbkgError, match="has objective=regression"):
        lightgbm.load(tmp_path / "model.txt")


def test_constant_features_give_the_class_share() -> None:
    """Without a split, the best margin is the log-odds of the weighted class sums: 3:1 gives ln 3."""
    y = (np.arange(1000) % 2).astype(np.int8)
    train = TrainingSet(np.ones((1000, N_FEATURES), dtype=np.float32), y, np.where(y == 1, 3.0, 1.0))
    for module, params in (
        (xgboost, xgboost.XGBoostParams(n_estimators=3, subsample=1)),
        (lightgbm, lightgbm.LightGBMParams(n_estimators=3, subsample=1)),
        (hist_gradient_boosting, hist_gradient_boosting.HistGradientBoostingParams(n_estimators=3)),
    ):
        fitted = module.fit(train, params=params, valid=None, seed=1, threads=1, on_round=None)
        assert fitted.predict_margin(train.X[:1])[0] == pytest.approx(np.log(3), abs=1e-6)
        assert fitted.gain_importance().tolist() == [0.0] * N_FEATURES
