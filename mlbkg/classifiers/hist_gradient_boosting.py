"""scikit-learn's HistGradientBoostingClassifier.

Its fits do not depend on the number of threads: they divide the features, never the rows of a sum. OpenMP's own default
is not used because more threads than free cores can stall it for minutes.

scikit-learn reports nothing while it fits; ``on_round`` is called for every round once the fit has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mlbkg.classifiers.base import BACKENDS, Backend, BackendParams, TrainingSet
from mlbkg.classifiers.checks import check_features, check_training
from mlbkg.classifiers.forest_arrays import FORMAT, ForestArrays
from mlbkg.registry import Field

_ROWS_PER_BLOCK = 65536  # scikit-learn predicts in float64; a block bounds that copy of the features


class HistGradientBoostingParams(BackendParams):
    """Names and meanings are scikit-learn's, but for ``n_estimators`` (max_iter) and ``early_stopping_rounds``."""

    n_estimators: int = Field(500, ge=1, description="boosting rounds at most; early stopping usually ends sooner")
    learning_rate: float = Field(0.1, gt=0, le=1, description="shrinkage of every tree")
    early_stopping_rounds: int | None = Field(
        20, ge=1, description="rounds without a smaller validation loss before training stops; null never stops"
    )
    max_leaf_nodes: int = Field(31, ge=2, description="leaves of a tree at most")
    max_depth: int | None = Field(None, ge=1, description="levels of splits in a tree; null leaves it to max_leaf_nodes")
    min_samples_leaf: int = Field(50, ge=1, description="fewest rows in a leaf")
    l2_regularization: float = Field(1.0, ge=0, description="L2 penalty on leaf values")
    max_features: float = Field(1.0, gt=0, le=1, description="share of the features drawn for each split")
    max_bins: int = Field(255, ge=2, le=255, description="histogram bins of a feature")


@dataclass(frozen=True, eq=False)
class HistGradientBoostingClassifier:
    """The forest, and scikit-learn's compiled predictors (``TreePredictor``) rebuilt from it."""

    forest: ForestArrays
    predictors: tuple[Any, ...]

    @property
    def n_features(self) -> int:
        return self.forest.n_features

    @property
    def n_trees(self) -> int:
        return self.forest.n_trees

    def predict_margin(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        margin = np.full(len(X), self.forest.base_margin)
        for rows, block in self._blocks(X):
            for predictor in self.predictors:
                margin[rows] += _predicted(predictor, block)
        return margin

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(expit(self.predict_margin(X)), dtype=np.float64)

    def predict_leaves(self, X: NDArray[np.float32]) -> NDArray[np.int32]:
        check_features(X, n_features=self.n_features)
        return self.forest.leaves(X)

    def gain_importance(self) -> NDArray[np.float64]:
        return self.forest.gain_importance()

    def to_native_files(self, folder: Path) -> dict[str, Path]:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "forest.npz"
        self.forest.save(path)
        return {FORMAT: path}

    def _blocks(self, X: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        check_features(X, n_features=self.n_features)
        for start in range(0, len(X), _ROWS_PER_BLOCK):
            rows = slice(start, start + _ROWS_PER_BLOCK)
            yield rows, X[rows].astype(np.float64)


def fit(
    train: TrainingSet,
    *,
    params: HistGradientBoostingParams,
    valid: TrainingSet | None,
    seed: int,
    threads: int,
    on_round: Callable[[int, float], None] | None,
) -> HistGradientBoostingClassifier:
    """See :class:`mlbkg.classifiers.base.Fit`; uses up to ``threads`` threads."""
    from threadpoolctl import threadpool_limits

    check_training(train, valid)
    patience = params.early_stopping_rounds
    estimator = _estimator_class()(
        **params.model_dump(exclude={"n_estimators", "early_stopping_rounds"}),
        max_iter=params.n_estimators,
        early_stopping=valid is not None,
        n_iter_no_change=patience or params.n_estimators,
        tol=0.0,  # with it, scikit-learn's rule is the one of XGBoost and LightGBM: no new minimum for so many rounds
        categorical_features=None,
        random_state=seed % 2**31,
    )
    held_out = {} if valid is None else {"X_val": valid.X, "y_val": valid.y, "sample_weight_val": valid.weight}
    with threadpool_limits(limits=threads, user_api="openmp"):
        estimator.fit(train.X, train.y, sample_weight=train.weight, **held_out)
    rounds = estimator.n_iter_
    losses = [float("nan")] * rounds if valid is None else [-float(score) for score in estimator.validation_score_[1:]]
    if on_round is not None:
        for iteration, loss in enumerate(losses):
            on_round(iteration, loss)
    return _wrapped(_forest(estimator, n_trees=int(np.argmin(losses)) + 1 if valid is not None and patience else rounds))


def load(path: Path) -> HistGradientBoostingClassifier:
    """Read ``forest.npz``. Raises :class:`mlbkg.errors.MlbkgError` where it is not a well-formed forest."""
    return _wrapped(ForestArrays.load(path))


def _estimator_class() -> Any:
    """The estimator with bins that hold equal numbers of rows, as LightGBM's, instead of equal sums of weights.

    scikit-learn 1.9 sorts a weighted feature anew for each of its bins: 8 s for 2e5 rows of 20 features, where the 100 trees
    that follow take less than 2 s. Were the method renamed there, fits would be slow again but not wrong.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier as Estimator

    class UnweightedBins(Estimator):  # type: ignore[misc]
        def _bin_data(self, X: Any, *weight: Any, is_training_data: bool) -> Any:
            return super()._bin_data(X, *(None for _ in weight), is_training_data=is_training_data)

    return UnweightedBins


def _forest(estimator: Any, *, n_trees: int) -> ForestArrays:
    """The first ``n_trees`` trees. scikit-learn has no public way to them but a pickle."""
    trees = [predictors[0].nodes for predictors in estimator._predictors[:n_trees]]
    nodes = np.concatenate(trees)
    is_leaf = nodes["is_leaf"].astype(bool)
    return ForestArrays(
        n_features=estimator.n_features_in_,
        base_margin=float(estimator._baseline_prediction[0, 0]),
        tree_offset=np.cumsum([0, *map(len, trees)], dtype=np.int64),
        feature=np.where(is_leaf, -1, nodes["feature_idx"]).astype(np.int32),
        threshold=np.where(is_leaf, 0.0, nodes["num_threshold"]),
        left=nodes["left"].astype(np.int32),
        right=nodes["right"].astype(np.int32),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=np.where(is_leaf, nodes["value"], 0.0),
        gain=np.where(is_leaf, 0.0, nodes["gain"]),
    )


def _wrapped(forest: ForestArrays) -> HistGradientBoostingClassifier:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    nodes = np.zeros(len(forest.feature), dtype=PREDICTOR_RECORD_DTYPE)
    nodes["is_leaf"] = forest.feature < 0
    nodes["feature_idx"] = np.maximum(forest.feature, 0)
    nodes["num_threshold"] = forest.threshold
    nodes["missing_go_to_left"] = forest.missing_left
    nodes["left"], nodes["right"] = forest.left, forest.right
    nodes["value"] = forest.value
    no_categories = np.zeros((0, 8), dtype=np.uint32)
    predictors = tuple(TreePredictor(nodes[tree].copy(), no_categories, no_categories) for tree in forest.trees())
    return HistGradientBoostingClassifier(forest, predictors)


def _predicted(predictor: Any, X: NDArray[np.float64]) -> NDArray[np.float64]:
    no_categories, no_index = np.zeros((0, 8), dtype=np.uint32), np.zeros(X.shape[1], dtype=np.uint32)
    return np.asarray(predictor.predict(X, no_categories, no_index, 1))


BACKENDS.add(
    "hist_gradient_boosting",
    Backend(
        "hist_gradient_boosting",
        "scikit-learn's HistGradientBoostingClassifier: leaf-wise histogram trees",
        params=HistGradientBoostingParams,
        fit=fit,
        load=load,
    ),
)
