from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlbkg.classifiers.forest_arrays import ForestArrays
from mlbkg.errors import MlbkgError

NAN, INF = np.nan, np.inf


@pytest.fixture
def forest() -> ForestArrays:
    """Worked out by hand: base 0.5; x1 <= 1.5 (NaN right) ? [x0 <= -2 (NaN left) ? 1 : 2] : 4; and a tree of one leaf, 8."""
    return ForestArrays(
        n_features=2,
        base_margin=0.5,
        tree_offset=np.array([0, 5, 6], dtype=np.int64),
        feature=np.array([1, 0, -1, -1, -1, -1], dtype=np.int32),
        threshold=np.array([1.5, -2, 0, 0, 0, 0], dtype=np.float64),
        left=np.array([1, 2, 0, 0, 0, 0], dtype=np.int32),
        right=np.array([4, 3, 0, 0, 0, 0], dtype=np.int32),
        missing_left=np.array([False, True, False, False, False, False]),
        value=np.array([0, 0, 1, 2, 4, 8], dtype=np.float64),
        gain=np.array([3, 1, 0, 0, 0, 0], dtype=np.float64),
    )


ROWS = np.array([[-2, 1.5], [-1, 1.5], [0, 2], [NAN, 0], [0, NAN], [INF, -INF], [-INF, INF]], dtype=np.float32)
BY_HAND = [(9.5, 2), (10.5, 3), (12.5, 4), (9.5, 2), (12.5, 4), (10.5, 3), (12.5, 4)]


def test_walks_as_by_hand(forest: ForestArrays) -> None:
    assert forest.n_trees == 2
    assert forest.predict_margin(ROWS).tolist() == [margin for margin, _ in BY_HAND]
    assert forest.leaves(ROWS).tolist() == [[leaf, 0] for _, leaf in BY_HAND]


def test_more_rows_than_a_block(forest: ForestArrays) -> None:
    many = np.tile(ROWS, (5000, 1))
    assert forest.predict_margin(many).tolist() == [margin for margin, _ in BY_HAND] * 5000
    assert forest.leaves(many)[:, 0].tolist() == [leaf for _, leaf in BY_HAND] * 5000


def test_threshold_is_compared_in_double(forest: ForestArrays) -> None:
    """0.1 rounded to float32 is 0.100000001490116: right of the double 0.1, left of itself."""
    row = np.array([[0.0, 0.1]], dtype=np.float32)
    at_double = replace(forest, threshold=np.array([0.1, -2, 0, 0, 0, 0]))
    at_float = replace(forest, threshold=np.array([float(np.float32(0.1)), -2, 0, 0, 0, 0]))
    assert at_double.predict_margin(row).tolist() == [12.5]
    assert at_float.predict_margin(row).tolist() == [10.5]


def test_gain_is_shared(forest: ForestArrays) -> None:
    assert forest.gain_importance().tolist() == [0.25, 0.75]
    assert replace(forest, gain=np.zeros(6)).gain_importance().tolist() == [0, 0]


def test_file_gives_the_forest_back(forest: ForestArrays, tmp_path: Path) -> None:
    forest.save(tmp_path / "a.npz")
    loaded = ForestArrays.load(tmp_path / "a.npz")
    loaded.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    np.testing.assert_array_equal(loaded.predict_margin(ROWS), forest.predict_margin(ROWS))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert archive["threshold"].dtype == np.float64
        assert archive["missing_left"].dtype == np.bool_
        assert archive["tree_offset"].tolist() == [0, 5, 6]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("tree_offset", np.array([0, 5], dtype=np.int64), "does not divide"),
        ("tree_offset", np.array([0, 5, 5, 6], dtype=np.int64), "does not divide"),
        ("feature", np.array([2, 0, -1, -1, -1, -1], dtype=np.int32), "feature that does not exist"),
        ("left", np.array([0, 2, 0, 0, 0, 0], dtype=np.int32), "'left' points outside"),
        ("right", np.array([5, 3, 0, 0, 0, 0], dtype=np.int32), "'right' points outside"),
        ("gain", np.zeros(5), "different lengths"),
    ],
)
def test_malformed_forest_is_refused(
    forest: ForestArrays, tmp_path: Path, field: str, value: np.ndarray, message: str
) -> None:
    replace(forest, **{field: value}).save(tmp_path / "bad.npz")
    with pytest.raises(MlbkgError, match=message):
        ForestArrays.load(tmp_path / "bad.npz")


def test_file_without_an_array_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", n_features=np.int64(2))
    with pytest.raises(MlbkgError, match="base_margin"):
        ForestArrays.load(tmp_path / "bad.npz")


def test_file_with_another_type_is_refused(forest: ForestArrays, tmp_path: Path) -> None:
    forest.save(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz", allow_pickle=False) as archive:
        arrays = dict(archive)
    np.savez(tmp_path / "bad.npz", **{**arrays, "threshold": arrays["threshold"].astype(np.float32)})
    with pytest.raises(MlbkgError, match="'threshold' is float32"):
        ForestArrays.load(tmp_path / "bad.npz")


def test_pickled_array_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", n_features=np.array([{}], dtype=object))
    with pytest.raises(MlbkgError, match="allow_pickle=False"):
        ForestArrays.load(tmp_path / "bad.npz")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MlbkgError, match="is not a forest-npz file"):
        ForestArrays.load(tmp_path / "absent.npz")
