"""What forests cost that were grown by hand, or by libraries whose trees are counted with the libraries' own words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.classifiers.base import BACKENDS, FittedClassifier, TrainingSet
from mlbkg.export.forest import Forest
from mlbkg.stages.tuning_cost import decisions_per_row, forest_of, measured_ns, predicted_ns

BY_HAND = Forest(
    n_features=2,
    op="<",
    base_margin=0.0,
    precision="float32",
    tree_offset=np.array([0, 5, 6]),
    feature=np.array([0, -1, 1, -1, -1, -1], dtype=np.int32),
    threshold=np.array([0, 0, 1, 0, 0, 0], dtype=np.float32),
    left=np.array([1, 0, 3, 0, 0, 0], dtype=np.int32),
    right=np.array([2, 0, 4, 0, 0, 0], dtype=np.int32),
    missing_left=np.array([False, False, True, False, False, False]),
    value=np.array([0, 0.1, 0, 0.2, 0.3, 0.4]),
)
"""x0 < 0 ends at once; else x1 < 1 is asked, too. A second tree is a single leaf."""
NAN = np.nan


def rows(n: int, *, seed: int) -> TrainingSet:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n).astype(np.int8)
    X = rng.normal(y[:, None], 1.0, (n, 5)).astype(np.float32)
    X[rng.random(X.shape) < 0.05] = NAN
    return TrainingSet(X, y, np.ones(n))


def fitted(backend: str, **parameters: int) -> FittedClassifier:
    params = BACKENDS[backend].params.model_validate({**parameters, "early_stopping_rounds": None})
    return BACKENDS[backend].fit(rows(4000, seed=1), params=params, valid=None, seed=1, threads=1, on_round=None)


@pytest.mark.parametrize(
    ("row", "decisions"), [((-1, 0), 1), ((0, 0), 2), ((1, 5), 2), ((NAN, 0), 2), ((-1, NAN), 1), ((2, NAN), 2)]
)
def test_decisions_by_hand(row: tuple[float, float], decisions: int) -> None:
    assert decisions_per_row(BY_HAND, np.array([row], dtype=np.float32)) == decisions


def test_decisions_are_the_mean_over_rows() -> None:
    assert decisions_per_row(BY_HAND, np.array([[-1, 0], [0, 0], [1, 1], [-1, 9]], dtype=np.float32)) == 1.5


@pytest.mark.parametrize("op", ["<", "<="])
def test_equal_values_go_where_the_library_sends_them(op: str) -> None:
    forest = replace(BY_HAND, op=op)
    assert decisions_per_row(forest, np.zeros((1, 2), dtype=np.float32)) == (2 if op == "<" else 1)


@pytest.mark.parametrize("backend", ["xgboost", "lightgbm", "hist_gradient_boosting"])
def test_leaves_that_are_reached_are_the_librarys(backend: str) -> None:
    """Leaves cannot be told apart by fewer questions than their entropy has bits (Shannon)."""
    classifier = fitted(backend, n_estimators=6, max_depth=4)
    X = rows(3000, seed=2).X
    leaves = classifier.predict_leaves(X)
    entropy = 0.0
    for tree in range(classifier.n_trees):
        share = np.unique(leaves[:, tree], return_counts=True)[1] / len(X)
        entropy += -float((share * np.log2(share)).sum())
    assert entropy <= decisions_per_row(forest_of(classifier), X) <= 4 * classifier.n_trees


def test_cost_grows_with_trees_depth_and_nodes() -> None:
    X = rows(300, seed=3).X
    small, deep, many = (
        predicted_ns(forest_of(fitted("xgboost", n_estimators=n, max_depth=depth)), X)
        for n, depth in ((20, 2), (20, 6), (60, 2))
    )
    assert deep > 1.5 * small
    assert many == pytest.approx(3 * small, rel=0.1)


def test_clock_agrees() -> None:
    """Constants are of one machine; what they are for is the order of forests, ten times apart here, on any."""
    X: NDArray[np.float32] = rows(2000, seed=4).X
    forests = [forest_of(fitted("lightgbm", n_estimators=n, num_leaves=leaves)) for n, leaves in ((30, 4), (150, 31))]
    measured, predicted = ([cost(forest) for forest in forests] for cost in (
        lambda forest: measured_ns([forest], X), lambda forest: predicted_ns(forest, X)
    ))  # fmt: skip
    assert predicted[1] > 8 * predicted[0]
    assert measured[1] > 3 * measured[0]
    assert 0.2 < measured[1] / predicted[1] < 5
    assert measured_ns(forests, X) == pytest.approx(np.mean(measured), rel=1)
