"""How many events of each mass were generated: as files say, or shared evenly."""

from __future__ import annotations

import numpy as np
import pytest

from mlbkg.errors import WeightError
from mlbkg.samples.normalisation import generated_per_hypothesis, summed_over_samples

TWO_FILES = [
    ("a.root", {"events": 5, "generated": [[1.0, 3], [2.0, 2]]}),
    ("b.root", {"events": 7, "generated": [[1.0, 3], [3.0, 4]]}),
]


def test_files_are_summed() -> None:
    assert generated_per_hypothesis("signal", stated=None, metadata=TWO_FILES) == {(1.0,): 6, (2.0,): 2, (3.0,): 4}


def test_two_masses_make_one_hypothesis() -> None:
    told = [("a.root", {"events": 5, "generated": [[4.0, 0.1, 3], [4.0, 0.75, 2]]})]
    assert generated_per_hypothesis("signal", stated=None, metadata=told) == {(4.0, 0.1): 3, (4.0, 0.75): 2}


def test_what_is_stated_is_shared_as_the_files_say() -> None:
    """As in the physics weights, for which the stated number counts, too."""
    found = generated_per_hypothesis("signal", stated=24, metadata=TWO_FILES)
    assert found == pytest.approx({(1.0,): 12, (2.0,): 4, (3.0,): 8})


@pytest.mark.parametrize("about", [{"events": 12}, {"events": 12, "generated": []}])
def test_silent_files_share_their_events_evenly(about: dict[str, object]) -> None:
    seen = np.array([[1.0], [2.0], [3.0]])
    found = generated_per_hypothesis("signal", stated=None, metadata=[("a.root", about)], hypotheses=seen)
    assert found == {(1.0,): 4, (2.0,): 4, (3.0,): 4}
    stated = generated_per_hypothesis("signal", stated=30, metadata=[("a.root", {})], hypotheses=seen)
    assert stated == {(1.0,): 10, (2.0,): 10, (3.0,): 10}


def test_nothing_is_guessed() -> None:
    with pytest.raises(WeightError, match=r"a\.root does not say how many events were generated"):
        generated_per_hypothesis("signal", stated=None, metadata=[("a.root", {})], hypotheses=np.array([[1.0]]))
    with pytest.raises(WeightError, match="do not say how many events of which mass"):
        generated_per_hypothesis("signal", stated=30, metadata=[("a.root", {})])
    with pytest.raises(WeightError, match="unknown masses in the files of sample 'signal' is 1, that in the search 2"):
        generated_per_hypothesis("signal", stated=None, metadata=TWO_FILES, hypotheses=np.array([[1.0, 2.0]]))


def test_samples_are_summed() -> None:
    found = summed_over_samples([{(2.0,): 5.0}, {(1.0,): 3.0, (2.0 + 1e-12,): 4.0}])
    assert list(found.items()) == [((1.0,), 3.0), ((2.0,), 9.0)]
