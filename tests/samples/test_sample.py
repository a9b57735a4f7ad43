"""The same candidates with other features."""

from __future__ import annotations

import numpy as np
import pytest

from mlbkg.samples.sample import Sample


@pytest.fixture
def sample() -> Sample:
    return Sample(
        feature_names=("a", "b", "c"), category_names=("signal",), features=np.arange(12, dtype=np.float32).reshape(4, 3),
        label=np.ones(4, np.int8), weight=np.ones(4), event_id=np.arange(4)[:, None], fold=np.zeros(4, np.int8),
        category=np.zeros(4, np.int16), spectators={},
    )  # fmt: skip


def test_chosen_features_lie_row_by_row_in_memory(sample: Sample) -> None:
    chosen = sample.with_features(["c", "a"])
    assert chosen.feature_names == ("c", "a")
    assert chosen.features.tolist() == [[2, 0], [5, 3], [8, 6], [11, 9]]
    assert chosen.features.flags.c_contiguous
    assert chosen.weight is sample.weight


def test_all_of_them_are_not_copied(sample: Sample) -> None:
    assert sample.with_features(["a", "b", "c"]) is sample
