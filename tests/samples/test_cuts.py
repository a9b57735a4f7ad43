"""Counting what cuts leave."""

import math

import numpy as np
import pytest

from mlbkg.errors import EmptySampleError
from mlbkg.samples.cuts import CutCounter


def filled(weights: list[list[float]]) -> CutCounter:
    counter = CutCounter("signal", [f"cut{i}" for i in range(1, len(weights))], n_files=5)
    for step, values in enumerate(weights):
        counter.count(step, np.array(values))
    return counter


def test_error_is_the_root_of_the_summed_squares() -> None:
    counts = filled([[1.0, 2.0, 2.0], [2.0]]).counts()
    assert (counts[0].events, counts[0].weighted, counts[0].error) == (3, 5.0, 3.0)
    assert (counts[1].cut, counts[1].error) == ("cut1", 2.0)


def test_merging_two_halves_is_counting_the_whole() -> None:
    a, b = filled([[1.0, 2.0], [1.0]]), filled([[3.0], []])
    a.merge(b)
    assert [(c.events, c.weighted) for c in a.counts()] == [(3, 6.0), (1, 1.0)]
    assert a.counts()[0].error == pytest.approx(math.sqrt(14))


def test_the_message_names_the_cut_the_path_and_what_was_seen() -> None:
    counter = filled([[1.0] * 48, [1.0] * 31, []])
    counter.saw(2, "Mbc", np.array([0.52, 0.53, np.nan]))
    with pytest.raises(EmptySampleError) as caught:
        counter.raise_if_empty()
    assert str(caught.value) == (
        "sample 'signal' is empty after cut 2 of 2, 'cut2'\n"
        "  48 candidates read from 5 files -> 48 -> 31 -> 0;  Mbc seen: 0.52 .. 0.53"
    )
