"""A cut that changes with a variable."""

from __future__ import annotations

import numpy as np

from mlbkg.evaluation.estimates import from_plain, to_plain
from mlbkg.evaluation.threshold_curve import ThresholdCurve

CURVE = ThresholdCurve("m2Recoil", (0.0, 10.0, 20.0), (0.5, 0.75, 0.25))


def test_straight_between_and_constant_beyond():
    assert CURVE([-3, 0, 5, 10, 16, 99]).tolist() == np.array([0.5, 0.5, 0.625, 0.75, 0.45, 0.25], np.float32).tolist()
    assert CURVE(5).dtype == np.float32
    assert CURVE.lowest == 0.25
    assert CURVE.cut == "score >= t(m2Recoil)"


def test_nothing_passes_without_the_variable():
    assert np.isnan(CURVE(np.nan))
    assert not (np.array([1.0]) >= CURVE([np.nan])).any()


def test_through_json_and_back():
    assert from_plain(ThresholdCurve, to_plain(CURVE)) == CURVE
