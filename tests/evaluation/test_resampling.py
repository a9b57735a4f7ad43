"""Replicas whose rows stand one by one."""

from __future__ import annotations

import numpy as np

from mlbkg.evaluation.resampling import one_by_one, poisson_counts


def test_copies_are_events_of_their_own():
    """Event 0 has two candidates and comes twice, event 1 not at all, event 2 once."""
    rows, events = one_by_one(np.array([2, 0, 1], dtype=np.uint8), np.array([0, 1, 0, 2]))
    assert rows.tolist() == [0, 0, 2, 2, 3]
    assert events.tolist() == [0, 3, 0, 3, 2]


def test_sums_are_those_of_weights_that_count():
    rng = np.random.default_rng(2)
    event, weight = rng.integers(0, 300, 1000), rng.normal(1, 1, 1000)
    for count in poisson_counts(300, replicas=3, seed=5):
        rows, events = one_by_one(count, event)
        np.testing.assert_allclose(weight[rows].sum(), (weight * count[event]).sum())
        assert len(np.unique(events)) == count[np.unique(event)].sum()
