"""LightGBM's leaf-wise histogram trees.

One thread per fit and prediction, whatever ``threads`` says. The trees depend on the number of threads even with
``deterministic`` (seen with LightGBM 4.7), and the number is a variable of the whole process: two fits at once that set it
differently disturb each other. The cores are used by fitting several folds at once.

A feature without NaN in training has no place for NaN in its splits: LightGBM then reads NaN as zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mlbkg.classifiers.base import BACKENDS, Backend, BackendParams, TrainingSet
from mlbkg.classifiers.checks import check_features, check_training
from mlbkg.errors import MlbkgError
from mlbkg.registry import Field

FORMAT = "lightgbm-text"


class LightGBMParams(BackendParams):
    """Names and meanings are those of LightGBM's scikit-learn interface."""

    n_estimators: int = Field(500, ge=1, description="boosting rounds at most; early stopping usually ends sooner")
    learning_rate: float = Field(0.1, gt=0, le=1, description="shrinkage of every tree")
    early_stopping_rounds: int | None = Field(
        20, ge=1, description="rounds without a smaller validation loss before training stops; null never stops"
    )
    num_leaves: int = Field(31, ge=2, le=131072, description="leaves of a tree at most")
    max_depth: int = Field(-1, ge=-1, le=64, description="levels of splits in a tree; -1 leaves it to num_leaves")
    min_child_samples: int = Field(50, ge=1, description="fewest rows in a leaf")
    min_child_weight: float = Field(
        1e-3, ge=0, description="smallest sum of second derivatives (at most weight/4) in a leaf"
    )
    min_split_gain: float = Field(0.0, ge=0, description="smallest loss reduction that a split must bring")
    reg_lambda: float = Field(1.0, ge=0, description="L2 penalty on leaf values")
    reg_alpha: float = Field(0.0, ge=0, description="L1 penalty on leaf values")
    subsample: float = Field(0.8, gt=0, le=1, description="share of the rows drawn for each tree")
    colsample_bytree: float = Field(0.8, gt=0, le=1, description="share of the features drawn for each tree")
    max_bin: int = Field(255, ge=2, le=65535, description="histogram bins of a feature")


@dataclass(frozen=True, eq=False)
class LightGBMClassifier:
    """A booster that holds the trees up to the best iteration and no others, and none of the training data."""

    booster: Any
    n_features: int
    n_trees: int

    def predict_margin(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        check_features(X, n_features=self.n_features)
        if len(X) == 0:
            return np.empty(0)
        return np.asarray(self.booster.predict(X, raw_score=True, num_threads=1), dtype=np.float64)

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(expit(self.predict_margin(X)), dtype=np.float64)

    def predict_leaves(self, X: NDArray[np.float32]) -> NDArray[np.int32]:
        check_features(X, n_features=self.n_features)
        if len(X) == 0:
            return np.empty((0, self.n_trees), dtype=np.int32)
        leaves = self.booster.predict(X, pred_leaf=True, num_threads=1)
        return np.asarray(leaves, dtype=np.int32).reshape(len(X), self.n_trees)

    def gain_importance(self) -> NDArray[np.float64]:
        gain = np.asarray(self.booster.feature_importance("gain"), dtype=np.float64)
        return gain / gain.sum() if gain.sum() > 0 else gain

    def to_native_files(self, folder: Path) -> dict[str, Path]:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "model.txt"
        path.write_text(self.booster.model_to_string(), encoding="utf-8", newline="\n")
        return {FORMAT: path}


def fit(
    train: TrainingSet,
    *,
    params: LightGBMParams,
    valid: TrainingSet | None,
    seed: int,
    threads: int,
    on_round: Callable[[int, float], None] | None,
) -> LightGBMClassifier:
    """See :class:`mlbkg.classifiers.base.Fit`; ``threads`` is not used (see the module's docstring)."""
    import lightgbm

    check_training(train, valid)
    settings = {
        **params.model_dump(exclude={"n_estimators", "early_stopping_rounds"}),
        "objective": "binary",
        "metric": "binary_logloss",
        "subsample_freq": 1,  # LightGBM's default of zero would leave `subsample` without effect
        "seed": seed % 2**31,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,  # otherwise a timing at the start decides, and sums are added in another order
        "verbosity": -1,
    }
    data = lightgbm.Dataset(train.X, label=train.y, weight=train.weight, params=settings)
    valid_sets = [] if valid is None else [data.create_valid(valid.X, label=valid.y, weight=valid.weight, params=settings)]
    callbacks = [] if on_round is None else [_reporter(on_round)]
    stops_early = valid is not None and params.early_stopping_rounds is not None
    if stops_early:
        callbacks.append(lightgbm.early_stopping(params.early_stopping_rounds, verbose=False))
    booster = lightgbm.train(
        settings,
        data,
        num_boost_round=params.n_estimators,
        valid_sets=valid_sets,
        valid_names=["valid"] * len(valid_sets),
        callbacks=callbacks,
    )
    # The text is exact (17 digits), holds the wanted trees only, and reading it back lets the training data go.
    text = booster.model_to_string(num_iteration=booster.best_iteration if stops_early else -1)
    return _wrapped(lightgbm.Booster(model_str=text))


def load(path: Path) -> LightGBMClassifier:
    """Read ``model.txt``. Raises :class:`MlbkgError` unless it is a binary logistic forest of LightGBM's."""
    import lightgbm

    try:
        text = path.read_text(encoding="utf-8")
        objective = next(line for line in text.splitlines() if line.startswith("objective="))
        if objective.split()[0] != "objective=binary":
            raise MlbkgError(f"{path} has {objective}, not objective=binary", where=str(path))
        return _wrapped(lightgbm.Booster(model_str=text))
    except (OSError, UnicodeDecodeError, StopIteration, lightgbm.basic.LightGBMError) as error:
        reason = str(error) or "it names no objective"
        raise MlbkgError(f"{path} is not a LightGBM model: {reason}", where=str(path)) from error


def _wrapped(booster: Any) -> LightGBMClassifier:
    return LightGBMClassifier(booster, n_features=booster.num_feature(), n_trees=booster.num_trees())


def _reporter(on_round: Callable[[int, float], None]) -> Callable[[Any], None]:
    def report(env: Any) -> None:
        results = env.evaluation_result_list
        on_round(env.iteration, float(results[0][2]) if results else float("nan"))

    return report


BACKENDS.add(
    "lightgbm", Backend("lightgbm", "LightGBM: leaf-wise histogram trees", params=LightGBMParams, fit=fit, load=load)
)
