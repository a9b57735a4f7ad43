"""XGBoost's histogram trees.

One thread per fit, whatever ``threads`` says: with more, XGBoost adds the gradients of a node in an order that depends on
the number of threads, and the last bits of leaf values differ (seen with XGBoost 3.2 in 5 of 18 fits of 1e5 rows).
The cores are used by fitting several folds at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mlbkg.classifiers.base import BACKENDS, Backend, BackendParams, TrainingSet
from mlbkg.classifiers.checks import check_features, check_training
from mlbkg.errors import MlbkgError
from mlbkg.registry import Field

FORMAT = "xgboost-json"
_ONE_THREAD = {"nthread": 1, "verbosity": 0}


class XGBoostParams(BackendParams):
    """Names and meanings are XGBoost's own."""

    n_estimators: int = Field(500, ge=1, description="boosting rounds at most; early stopping usually ends sooner")
    learning_rate: float = Field(0.1, gt=0, le=1, description="shrinkage of every tree")
    early_stopping_rounds: int | None = Field(
        20, ge=1, description="rounds without a smaller validation loss before training stops; null never stops"
    )
    max_depth: int = Field(6, ge=1, le=20, description="levels of splits in a tree")
    grow_policy: Literal["depthwise", "lossguide"] = Field(
        "depthwise", description="depthwise: level by level; lossguide: the split that gains most comes first"
    )
    max_leaves: int = Field(0, ge=0, le=131072, description="leaves of a tree at most; 0 leaves it to max_depth")
    min_child_weight: float = Field(
        10.0, ge=0, description="smallest sum of second derivatives (at most weight/4) in a leaf"
    )
    gamma: float = Field(0.0, ge=0, description="smallest loss reduction that a split must bring")
    reg_lambda: float = Field(1.0, ge=0, description="L2 penalty on leaf values")
    reg_alpha: float = Field(0.0, ge=0, description="L1 penalty on leaf values")
    subsample: float = Field(0.8, gt=0, le=1, description="share of the rows drawn for each tree")
    colsample_bytree: float = Field(1.0, gt=0, le=1, description="share of the features drawn for each tree")
    max_bin: int = Field(256, ge=2, le=65535, description="histogram bins of a feature")


@dataclass(frozen=True, eq=False)
class XGBoostClassifier:
    """A booster that holds the trees up to the best iteration and no others."""

    booster: Any
    n_features: int
    n_trees: int

    def predict_margin(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        check_features(X, n_features=self.n_features)
        if len(X) == 0:
            return np.empty(0)
        return np.asarray(self.booster.inplace_predict(X, predict_type="margin"), dtype=np.float64)

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(expit(self.predict_margin(X)), dtype=np.float64)

    def predict_leaves(self, X: NDArray[np.float32]) -> NDArray[np.int32]:
        check_features(X, n_features=self.n_features)
        if len(X) == 0:
            return np.empty((0, self.n_trees), dtype=np.int32)
        import xgboost

        # A DMatrix refuses infinities; thresholds are finite, so the largest float32 takes the same branches.
        limit = np.finfo(np.float32).max
        finite = np.clip(X, -limit, limit) if np.isinf(X).any() else X
        leaves = self.booster.predict(xgboost.DMatrix(finite, nthread=1), pred_leaf=True)
        return np.asarray(leaves, dtype=np.int32).reshape(len(X), self.n_trees)

    def gain_importance(self) -> NDArray[np.float64]:
        gain = np.zeros(self.n_features)
        for name, total in self.booster.get_score(importance_type="total_gain").items():
            gain[int(name.removeprefix("f"))] = total
        return gain / gain.sum() if gain.sum() > 0 else gain

    def to_native_files(self, folder: Path) -> dict[str, Path]:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "model.json"
        # Written by Python: a full disk is then an OSError, and not XGBoost's.
        path.write_bytes(self.booster.save_raw("json"))
        return {FORMAT: path}


def fit(
    train: TrainingSet,
    *,
    params: XGBoostParams,
    valid: TrainingSet | None,
    seed: int,
    threads: int,
    on_round: Callable[[int, float], None] | None,
) -> XGBoostClassifier:
    """See :class:`mlbkg.classifiers.base.Fit`; ``threads`` is not used (see the module's docstring)."""
    import xgboost

    check_training(train, valid)
    quantised = _quantised(train, max_bin=params.max_bin)
    evals = [] if valid is None else [(_quantised(valid, max_bin=params.max_bin, ref=quantised), "valid")]
    callbacks = [] if on_round is None else [_reporter(on_round)]
    stops_early = valid is not None and params.early_stopping_rounds is not None
    if stops_early:
        callbacks.append(
            xgboost.callback.EarlyStopping(rounds=params.early_stopping_rounds, metric_name="logloss", data_name="valid")
        )
    settings = params.model_dump(exclude={"n_estimators", "early_stopping_rounds"})
    booster = xgboost.train(
        {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "seed": seed % 2**31,
            **settings,
            **_ONE_THREAD,
        },
        quantised,
        num_boost_round=params.n_estimators,
        evals=evals,
        callbacks=callbacks,
        verbose_eval=False,
    )
    return _wrapped(booster[: booster.best_iteration + 1] if stops_early else booster.reset())


def load(path: Path) -> XGBoostClassifier:
    """Read ``model.json``. Raises :class:`MlbkgError` unless it is a binary logistic forest of XGBoost's."""
    import xgboost

    try:
        booster = xgboost.Booster(model_file=path)
    except (xgboost.core.XGBoostError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise MlbkgError(f"{path} is not an XGBoost model: {reason}", where=str(path)) from error
    learner = json.loads(booster.save_config())["learner"]
    found = learner["objective"]["name"], learner["learner_train_param"]["booster"]
    if found != ("binary:logistic", "gbtree"):
        raise MlbkgError(f"{path} holds {found[0]} of booster {found[1]}, not binary:logistic of gbtree", where=str(path))
    return _wrapped(booster)


def _wrapped(booster: Any) -> XGBoostClassifier:
    booster.set_param(_ONE_THREAD)
    return XGBoostClassifier(booster, n_features=booster.num_features(), n_trees=booster.num_boosted_rounds())


def _quantised(data: TrainingSet, *, max_bin: int, ref: Any = None) -> Any:
    import xgboost

    return xgboost.QuantileDMatrix(data.X, label=data.y, weight=data.weight, max_bin=max_bin, ref=ref, nthread=1)


def _reporter(on_round: Callable[[int, float], None]) -> Any:
    import xgboost

    class Reporter(xgboost.callback.TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: dict[str, dict[str, list[float]]]) -> bool:
            on_round(epoch, evals_log["valid"]["logloss"][-1] if evals_log else float("nan"))
            return False

    return Reporter()


BACKENDS.add(
    "xgboost",
    Backend("xgboost", "XGBoost: histogram trees, depth-wise or leaf-wise", params=XGBoostParams, fit=fit, load=load),
)
