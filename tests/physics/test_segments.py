from __future__ import annotations

import numpy as np
import pytest

from mlbkg.physics.segments import Segments

COUNTS = np.array([0, 2, 0, 1, 3, 0])
VALUES = np.array([1.0, -2.0, 5.0, 0.5, 0.25, 0.125])


def test_sums_and_maxima_with_empty_rows_everywhere() -> None:
    rows = Segments(COUNTS)
    assert rows.sum(VALUES).tolist() == [0, -1, 0, 5, 0.875, 0]
    assert rows.max(VALUES, empty=-9.0).tolist() == [-9, 1, -9, 5, 0.5, -9]
    assert rows.ids.tolist() == [1, 1, 3, 4, 4, 4]


@pytest.mark.parametrize("counts", [np.zeros(0, dtype=np.int64), np.zeros(3, dtype=np.int64)])
def test_nothing_in_any_row(counts: np.ndarray) -> None:
    rows = Segments(counts)
    assert rows.sum(np.zeros(0)).tolist() == [0.0] * len(counts)
    assert rows.max(np.zeros(0), empty=7.0).tolist() == [7.0] * len(counts)


def test_sum_does_not_depend_on_the_rows_before() -> None:
    values = np.random.default_rng(3).normal(size=1000)
    alone = Segments(np.array([900])).sum(values[100:])
    assert Segments(np.array([100, 900])).sum(values)[1] == alone[0]


def test_selected_and_joined_rows() -> None:
    rows = Segments.from_offsets(np.array([0, 0, 2, 2, 3, 6, 6]))
    assert rows.select(VALUES > 0.2).counts.tolist() == [0, 1, 0, 1, 2, 0]
    other = Segments(np.array([1, 1, 0, 0, 2, 0]))
    both, mine, others = rows.joined(other)
    joined = np.empty(10)
    joined[mine], joined[others] = VALUES, [10.0, 11.0, 12.0, 13.0]
    assert both.counts.tolist() == [1, 3, 0, 1, 5, 0]
    assert joined.tolist() == [10, 1, -2, 11, 5, 0.5, 0.25, 0.125, 12, 13]
