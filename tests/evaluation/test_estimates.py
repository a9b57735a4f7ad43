"""Weighted efficiencies and their intervals, effective numbers, JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta

from mlbkg.evaluation.estimates import (
    Estimate,
    balanced,
    effective_events,
    efficiency,
    from_plain,
    to_plain,
    wilson_interval,
)
from mlbkg.evaluation.resampling import spread


def test_wilson_interval_of_unweighted_counts():
    # Wilson 1927 with z = 1, n = 10, k = 3: (0.3 + 0.05 ± sqrt(0.021 + 0.0025)) / 1.1
    low, high = wilson_interval(0.3, 10)
    assert low == pytest.approx((0.35 - math.sqrt(0.0235)) / 1.1)
    assert high == pytest.approx((0.35 + math.sqrt(0.0235)) / 1.1)


def test_equal_weights_are_a_binomial():
    passed = np.arange(200) < 30
    result = efficiency(passed, np.full(200, 2.5), np.arange(200))
    assert result.value == pytest.approx(0.15)
    assert result.n_effective == pytest.approx(200)
    assert result.upper_90 == pytest.approx(beta.ppf(0.9, 31, 170))
    assert (result.passing, result.candidates) == (30, 200)


def test_none_and_all_have_an_error():
    nothing = efficiency(np.zeros(50, bool), np.ones(50), np.arange(50))
    everything = efficiency(np.ones(50, bool), np.ones(50), np.arange(50))
    assert (nothing.value, everything.value) == (0, 1)
    assert nothing.high == pytest.approx(1 / 51)
    assert everything.low == pytest.approx(50 / 51)
    assert nothing.error > 0
    assert everything.upper_90 == 1


def test_no_candidates_are_no_number():
    result = efficiency(np.zeros(0, bool), np.zeros(0), np.zeros(0, np.int64))
    assert math.isnan(result.value)
    assert result.candidates == 0


def test_error_is_the_scatter_of_weighted_experiments_with_several_candidates():
    random = np.random.default_rng(1)
    values, errors = [], []
    for _ in range(400):
        event = random.integers(0, 150, 300)
        # candidates of an event pass together, and heavy ones less often
        weight = np.where(random.random(150) < 0.3, 4.0, 1.0)[event]
        passed = random.random(150)[event] < np.where(weight > 2, 0.1, 0.4)
        result = efficiency(passed, weight, event)
        values.append(result.value)
        errors.append(result.error)
    # The scatter of 400 is known to 3.5 %; Wilson is a little wider than the variance.
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.1)


def test_kish_counts_events():
    assert effective_events(np.array([1.0, 1.0, 2.0]), np.arange(3)) == pytest.approx(16 / 6)
    assert effective_events(np.ones(6), np.array([0, 0, 1, 1, 2, 2])) == pytest.approx(3)


def test_balanced_classes_sum_to_one_half():
    label = np.array([1, 0, 0], np.int8)
    np.testing.assert_allclose(balanced(np.array([3.0, 1.0, 4.0]), label), [0.5, 0.1, 0.4])


def test_plain_data_is_json():
    @dataclass(frozen=True)
    class Sample:
        array: np.ndarray
        number: np.float64
        nested: dict[str, tuple[Estimate, ...]]
        nothing: None = None

    plain = to_plain(Sample(np.array([1.0, np.nan]), np.float64(2), {"a": (Estimate(1.0, math.inf),)}))
    assert json.loads(json.dumps(plain, allow_nan=False)) == {
        "array": [1.0, None],
        "number": 2.0,
        "nested": {"a": [{"value": 1.0, "error": None}]},
        "nothing": None,
    }


@dataclass(frozen=True)
class _Part:
    curve: NDArray[np.float64]
    kept: NDArray[np.bool_]
    some: Estimate | None
    later: str = "added in a new version"


@dataclass(frozen=True)
class _Whole:
    name: str
    count: int
    parts: tuple[_Part, ...]
    named: Mapping[str, float]
    pair: tuple[float, str]


def test_results_come_back_from_plain_values():
    part = _Part(np.array([[1.0, np.nan]]), np.array([True, False]), Estimate(1.0, np.nan))
    whole = _Whole("x", 3, (part, replace(part, some=None)), {"a": 1.0}, (np.inf, "b"))
    back = from_plain(_Whole, json.loads(json.dumps(to_plain(whole))))
    assert to_plain(back) == to_plain(whole)
    assert back.parts[0].curve.dtype == np.float64
    assert np.isnan(back.parts[0].curve[0, 1])
    assert back.parts[0].kept.dtype == np.bool_
    assert back.parts[1].some is None
    assert isinstance(back.parts, tuple)


def test_plain_values_of_another_version_are_refused():
    part = {"curve": [], "kept": [], "some": None}
    assert from_plain(_Part, part).later == "added in a new version"
    with pytest.raises(KeyError):
        from_plain(_Part, {"curve": []})
    with pytest.raises(TypeError, match="is not of type int"):
        from_plain(_Whole, {"name": "x", "count": "3", "parts": [], "named": {}, "pair": [1, "b"]})


def test_what_may_be_anything_stays_as_it_is():
    plain = {"learning_rate": 0.1, "policy": None, "levels": [1, 2]}
    assert from_plain(Mapping[str, Any], plain) == plain


def test_spread_of_replicas():
    # the sample variance of 1, 2, 3 is 1
    assert spread(np.array([1.0, np.nan, 2.0, 3.0])) == pytest.approx(1.0)
    assert math.isnan(spread(np.array([1.0, np.nan])))
    # of which numpy's standard deviation is 5.7e-14
    assert spread(np.full(50, 321.14478567126179)) == 0
