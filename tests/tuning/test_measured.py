"""Differences of figures that were measured on the same events."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlbkg.tuning.measured import Measured


def test_errors_are_standard_deviations_of_the_replicas() -> None:
    """1, 2, 3, 4, 5 have the variance 10/4, wherever the value itself lies."""
    found = Measured(2.0, np.arange(1.0, 6.0)).estimate
    assert (found.value, found.error) == (2.0, pytest.approx(math.sqrt(2.5)))


def test_what_both_share_cancels() -> None:
    """Two figures that fluctuate by 1 each, 0.1 of it on their own: the variance of a difference is the sum of what is."""
    rng = np.random.default_rng(1)
    shared, own, other = rng.normal(0, [[1.0], [0.1], [0.1]], (3, 20_000))
    difference = Measured(3.0, 3 + shared + own).minus(Measured(1.0, 1 + shared + other))
    assert difference.value == 2.0
    assert difference.error == pytest.approx(0.1 * math.sqrt(2), rel=0.03)


def test_replicas_without_a_value_are_left_out() -> None:
    one = Measured(1.0, np.array([1.0, math.nan, 3.0, 5.0]))
    other = Measured(1.0, np.array([0.0, 7.0, math.inf, 2.0]))
    assert one.estimate.error == pytest.approx(2.0)
    assert one.minus(other).error == pytest.approx(math.sqrt(2))  # of 1 and 3
    assert math.isnan(Measured(1.0, np.array([1.0])).estimate.error)
