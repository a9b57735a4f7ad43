"""What every backend refuses, so that the same bad input gives the same error whichever library would have seen it.

Left alone they differ: XGBoost raises on infinities and negative weights, LightGBM and scikit-learn take both in silence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.base import TrainingSet
from mlbkg.errors import FeatureMismatchError, MlbkgError, WeightError


def check_training(train: TrainingSet, valid: TrainingSet | None) -> None:
    """Raise where ``train`` (or ``valid``, where given) cannot be trained on.

    NaN features are fine. Raises :class:`WeightError` for weights that are negative, not finite or sum to nothing,
    :class:`FeatureMismatchError` where ``valid`` has other columns than ``train``, else :class:`MlbkgError`.
    """
    _check_set(train, "training")
    if valid is None:
        return
    _check_set(valid, "validation")
    if valid.X.shape[1] != train.X.shape[1]:
        raise FeatureMismatchError(
            f"the validation set has {valid.X.shape[1]} features, the training set {train.X.shape[1]}", where="validation"
        )


def check_features(X: NDArray[np.float32], *, n_features: int) -> None:
    """Raise unless ``X`` is ``(n, n_features)`` float32; NaN and infinities are fine when predicting."""
    _check_matrix(X, "features to predict")
    if X.shape[1] != n_features:
        raise FeatureMismatchError(
            f"the classifier was trained on {n_features} features, got {X.shape[1]}",
            hint="Give the columns of the training features, in their order.",
        )


def _check_set(data: TrainingSet, part: str) -> None:
    _check_matrix(data.X, f"{part} features")
    rows = len(data.X)
    if rows == 0:
        raise MlbkgError(f"the {part} set has no rows", where=part)
    if data.y.shape != (rows,) or data.weight.shape != (rows,):
        raise MlbkgError(
            f"the {part} set has {rows} rows of features but labels of shape {data.y.shape} "
            f"and weights of shape {data.weight.shape}",
            where=part,
        )
    _check_finite_features(data.X, part)
    _check_weights(data.weight, part)
    _check_classes(data, part)


def _check_matrix(X: NDArray[Any], what: str) -> None:
    if X.ndim != 2 or X.shape[1] == 0 or X.dtype != np.float32:
        raise MlbkgError(
            f"{what} must be a float32 array of shape (rows, features), got {X.dtype} of shape {X.shape}",
            hint="Convert with X.astype(numpy.float32): the exported model takes float32, so training must see the same.",
        )


def _check_finite_features(X: NDArray[np.float32], part: str) -> None:
    infinite = np.isinf(X)
    if not infinite.any():
        return
    counts = infinite.sum(axis=0)
    raise MlbkgError(
        f"the {part} features hold infinite values",
        details=[f"column {column}: {counts[column]} of {len(X)} rows" for column in np.flatnonzero(counts)],
        where=part,
        hint="Write NaN where a feature does not exist, or cut those candidates away.",
    )


def _check_weights(weight: NDArray[np.float64], part: str) -> None:
    not_finite = int(np.count_nonzero(~np.isfinite(weight)))
    if not_finite:
        raise WeightError(f"{not_finite} of {len(weight)} {part} weights are not finite", where=part)
    negative = int(np.count_nonzero(weight < 0))
    if negative:
        raise WeightError(
            f"{negative} of {len(weight)} {part} weights are negative, the smallest {weight.min():g}",
            where=part,
            hint="Set training.negative_weights to absolute or drop.",
        )


def _check_classes(data: TrainingSet, part: str) -> None:
    is_signal, is_background = data.y == 1, data.y == 0
    if not (is_signal | is_background).all():
        strange = data.y[~(is_signal | is_background)][0]
        raise MlbkgError(f"{part} labels must be 0 (background) or 1 (signal), got {strange}", where=part)
    for name, rows in (("signal", is_signal), ("background", is_background)):
        if not rows.any():
            raise MlbkgError(f"the {part} set has no {name}: a classifier needs both classes", where=part)
        if not data.weight[rows].sum() > 0:
            raise WeightError(f"the {part} weights of the {name} sum to zero", where=part)
