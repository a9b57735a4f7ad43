"""The gate passes what is equal, and nothing else: every kind of damage to a forest is caught."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.errors import ParityError
from mlbkg.export.adversarial import hard_rows, probe_rows, sides
from mlbkg.export.forest import Forest, round_threshold
from mlbkg.export.onnx import Models, build_models
from mlbkg.export.parity import ParityReport, check_parity


def check(trained: Any, forest: Forest) -> ParityReport:
    """With ``forest`` in the place of fold 1's."""
    forests = (trained.forests[0], forest, trained.forests[2])
    return check_parity(trained.fitted, forests, build_models(forests, trained.metadata), trained.X)


def test_every_leaf_of_every_backend_is_compared(trained) -> None:
    report = check_parity(trained.fitted, trained.forests, trained.models, trained.X)
    assert report.different_paths == 0
    assert report.max_abs_dp <= 1e-6
    assert report.splits_probed == report.splits > 100
    assert report.leaves_reached == report.leaves > 100
    assert 0 < report.adversarial_rows < report.rows
    trees = sum(forest.n_trees for forest in trained.forests)
    assert report.paths_checked > 1000 * trees


def test_the_report_does_not_depend_on_chance(trained) -> None:
    first, second = (check_parity(trained.fitted, trained.forests, trained.models, trained.X) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("direction", [-np.inf, np.inf])
def test_a_threshold_one_step_off_is_caught(trained, direction: float) -> None:
    """Any threshold of any tree; a few at different depths are tried."""
    forest = trained.forests[1]
    split = np.flatnonzero((forest.feature >= 0) & (forest.feature != 4))
    for node in split[:: len(split) // 6]:
        threshold = forest.threshold.copy()
        threshold[node] = np.nextafter(threshold[node], np.float32(direction))
        if threshold[node] == forest.threshold[node]:
            continue
        with pytest.raises(ParityError, match=r"fold 1: .* decision paths in the ONNX model differ"):
            check(trained, replace(forest, threshold=threshold))


def test_nan_going_the_other_way_is_caught(trained) -> None:
    forest = trained.forests[1]
    split = np.flatnonzero(first_on_path(forest))
    for node in split[:: len(split) // 6]:
        missing_left = forest.missing_left.copy()
        missing_left[node] ^= True
        with pytest.raises(ParityError, match="decision paths"):
            check(trained, replace(forest, missing_left=missing_left))


def first_on_path(forest: Forest) -> NDArray[np.bool_]:
    """Splits whose feature no split above them uses: NaN reaches all of these, and perhaps others."""
    used = np.zeros((forest.n_nodes, forest.n_features), dtype=bool)
    first = np.zeros(forest.n_nodes, dtype=bool)
    for split, left, right in forest.levels():
        first[split] = ~used[split, forest.feature[split]]
        used[left] = used[right] = used[split] | (np.arange(forest.n_features) == forest.feature[split][:, None])
    return first


def test_another_leaf_value_is_caught(trained) -> None:
    forest = trained.forests[1]
    leaf = np.flatnonzero(forest.feature < 0)
    for node in leaf[:: len(leaf) // 6]:
        value = forest.value.copy()
        value[node] += 2e-4
        with pytest.raises(ParityError, match=r"folds\.onnx, fold 1: .* answers differ"):
            check(trained, replace(forest, value=value))


def test_another_base_margin_is_caught(trained) -> None:
    forest = trained.forests[1]
    with pytest.raises(ParityError, match="answers differ"):
        check(trained, replace(forest, base_margin=forest.base_margin + 1e-4))


def test_another_order_of_trees_and_another_comparison_are_caught(trained) -> None:
    forest = trained.forests[1]
    with pytest.raises(ParityError, match="decision paths"):
        check(trained, forest.take(np.arange(forest.n_trees)[::-1]))
    with pytest.raises(ParityError, match="decision paths"):
        check(trained, replace(forest, op="<" if forest.op == "<=" else "<="))


def test_children_swapped_at_one_split_are_caught(trained) -> None:
    forest = trained.forests[1]
    node = int(np.flatnonzero(forest.feature >= 0)[-1])
    left, right = forest.left.copy(), forest.right.copy()
    left[node], right[node] = right[node], left[node]
    with pytest.raises(ParityError):
        check(trained, replace(forest, left=left, right=right))


def test_a_missing_tree_is_caught(trained) -> None:
    forest = trained.forests[1]
    with pytest.raises(ParityError, match="do not hold the trained forests"):
        check(trained, forest.take(np.arange(forest.n_trees - 1)))


def test_both_files_must_hold_the_same_forests(trained) -> None:
    swapped = build_models(trained.forests[::-1], trained.metadata)
    with pytest.raises(ParityError, match="do not hold the same"):
        check_parity(trained.fitted, trained.forests, Models(trained.models.model, swapped.folds), trained.X)


def test_thresholds_rounded_to_nearest_are_caught(tmp_path, make_candidates, make_fit, make_forest, make_metadata) -> None:
    """What the converters do with float64 thresholds, and what they then get wrong: rows that lie on a threshold."""
    train = make_candidates(3000, seed=1)
    fitted = make_fit("lightgbm", train)
    text = fitted.to_native_files(tmp_path)["lightgbm-text"].read_text()
    forest = make_forest(fitted, tmp_path)
    exact = np.unique([float(t) for line in text.splitlines() if line.startswith("threshold=") for t in line[10:].split()])
    nearest = exact.astype(np.float32)
    down = round_threshold(exact, "<=")
    assert (nearest != down).sum() > 10
    wrong = forest.threshold.copy()
    for good, bad in zip(down, nearest, strict=True):
        wrong[(forest.threshold == good) & (forest.feature == 0)] = bad
    about = make_metadata(n_folds=1)
    X = train.X[:500].copy()
    X[:, 0] = np.resize(np.nextafter(forest.threshold[forest.feature == 0], np.float32(np.inf)), 500)
    check_parity([fitted], [forest], build_models([forest], about), X)
    tampered = replace(forest, threshold=wrong)
    with pytest.raises(ParityError, match="decision paths"):
        check_parity([fitted], [tampered], build_models([tampered], about), X)


def test_infinite_and_extreme_training_values(tmp_path, make_fit, make_forest, make_metadata) -> None:
    """Splits beyond every number, where only NaN goes the other way, and thresholds near the end of float32."""
    rng = np.random.default_rng(1)
    from mlbkg.classifiers.base import TrainingSet

    for backend in ("hist_gradient_boosting", "lightgbm", "xgboost"):
        X = np.stack([np.where(rng.random(2000) < 0.5, np.nan, 1), rng.choice([-3e38, 0, 3e38], 2000)], axis=1)
        y = (np.isnan(X[:, 0]) ^ (X[:, 1] > 0) ^ (rng.random(2000) < 0.1)).astype(np.int8)
        train = TrainingSet(X.astype(np.float32), y, np.ones(2000))
        fitted = make_fit(backend, train)
        forest = make_forest(fitted, tmp_path / backend)
        about = make_metadata(features=make_metadata().features[:2], n_folds=1)
        report = check_parity([fitted], [forest], build_models([forest], about), train.X)
        assert report.leaves_reached == report.leaves


def test_probes_reach_both_sides_of_every_split(trained) -> None:
    """By the plain walk written here."""
    forest = trained.forests[0]
    rows, n_splits = probe_rows(forest, trained.X[:50])
    assert n_splits == (forest.feature >= 0).sum()
    assert len(rows) == 3 * n_splits
    seen = set()
    for tree in range(forest.n_trees):
        start = int(forest.tree_offset[tree])
        at = np.zeros(len(rows), dtype=int)
        for _ in range(forest.depth):
            node = start + at
            x, is_split = rows[np.arange(len(rows)), forest.feature[node]], forest.feature[node] >= 0
            below = x < forest.threshold[node] if forest.op == "<" else x <= forest.threshold[node]
            goes_left = np.where(np.isnan(x), forest.missing_left[node], below)
            at = np.where(is_split, np.where(goes_left, forest.left[node], forest.right[node]), at)
        seen |= {(tree, int(leaf)) for leaf in np.unique(at)}
    assert len(seen) == (forest.feature < 0).sum()


def test_large_forests_are_probed_in_part(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlbkg.export import adversarial

    monkeypatch.setattr(adversarial, "MAX_PROBED_SPLITS", 100)
    rows, n_splits = probe_rows(trained.forests[0], trained.X)
    assert 50 < n_splits <= 100
    assert len(rows) == 3 * n_splits


def test_hard_rows_hold_what_they_must(trained) -> None:
    rows = hard_rows(trained.forests, trained.X)
    forest = trained.forests[0]
    for feature in range(trained.X.shape[1]):
        column = rows[:, feature]
        assert np.isnan(column).any()
        assert {np.inf, -np.inf, np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal} <= set(column.tolist())
        thresholds = forest.threshold[forest.feature == feature]
        for op in ("<", "<="):
            for side in sides(thresholds, op):
                assert set(side.tolist()) <= set(column.tolist())
    assert np.isnan(rows).all(axis=1).any()
    assert (np.signbit(rows) & (rows == 0)).all(axis=1).any()
