from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from mlbkg.errors import LimitError
from mlbkg.fitting.fit import fit
from mlbkg.limits.experiments import asimov_problem
from mlbkg.limits.profile import discovery, likelihood_scan, profile_interval, profile_limit
from mlbkg.limits.result import Problem

Make = Callable[..., Problem]


@pytest.mark.parametrize(
    ("signal", "background", "z"), [(10, 100, 0.9840), (5, 1, 3.3913), (10, 10, 2.7795), (50, 100, 4.6518)]
)
def test_discovery_of_an_asimov_count(counting: Make, signal: float, background: float, z: float) -> None:
    # Eq. (97), arXiv:1007.1727: sqrt(2 ((s + b) ln(1 + s / b) - s)).
    found = discovery(counting(signal + background, background))
    assert found.significance == pytest.approx(z, abs=1e-4)
    assert found.p_value == pytest.approx(norm.sf(z), rel=1e-3)
    assert found.q0 == pytest.approx(z**2, rel=1e-4)


def test_discovery_expected_of_a_signal(counting: Make) -> None:
    expected = asimov_problem(counting(None, 100.0), 50.0)
    assert discovery(expected).significance == pytest.approx(4.6518, abs=1e-4)


def test_a_deficit_is_no_discovery(counting: Make) -> None:
    found = discovery(counting(80.0, 100.0, low=-50.0))
    assert (found.significance, found.p_value) == (0.0, 0.5)


def test_interval_of_a_gaussian(gaussian: Make) -> None:
    interval = profile_interval(gaussian(3.0), confidence_level=0.6827)
    assert interval.best == pytest.approx(3e-5, rel=1e-3)
    assert interval.low == pytest.approx(2e-5, rel=2e-3)
    assert interval.high == pytest.approx(4e-5, rel=2e-3)


def test_interval_of_a_count_is_minos(counting: Make) -> None:
    problem = counting(9.0, 3.0, background_uncertainty=0.3, low=-2.0)
    interval = profile_interval(problem, confidence_level=0.6827)
    assert problem.data is not None
    errors = fit(problem.model, problem.data, minos=("mu",))["mu"]
    assert interval.low == pytest.approx(errors.value + errors.error_low, rel=1e-3)
    assert interval.high == pytest.approx(errors.value + errors.error_high, rel=1e-3)


def test_interval_stops_at_a_bound(counting: Make) -> None:
    # No candidates on no background: -2 ln L = 2 s reaches the 68.27 % quantile of chi-square, 1, at s = 0.5.
    interval = profile_interval(counting(0.0, 0.0), confidence_level=0.6827)
    assert interval.low == 0.0
    assert interval.high == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize(("estimate", "upper"), [(0.0, 1.2816), (1.0, 2.2816), (-1.0, np.sqrt(1 + 1.2816**2) - 1)])
def test_limit_of_a_gaussian(gaussian: Make, estimate: float, upper: float) -> None:
    # Closed form; below 0 the rise is counted from 0, (mu + 1)^2 - 1 = 1.2816^2.
    limit = profile_limit(gaussian(estimate), confidence_level=0.90)
    assert limit.observed == pytest.approx(upper * 1e-5, rel=3e-3)
    assert limit.expected is not None
    assert limit.expected.plus_2sigma == pytest.approx(3.2816e-5, rel=0.01)


def test_scan_is_the_parabola_of_a_gaussian(gaussian: Make) -> None:
    scan = likelihood_scan(gaussian(1.0), points=31)
    assert len(scan.values) == len(scan.rise) == 31
    assert scan.rise == pytest.approx(((scan.values - scan.best) * 1e5) ** 2, abs=0.02)
    assert scan.rise[[0, -1]] == pytest.approx([9.0, 9.0], rel=1e-3)


def test_needs_data_and_a_parameter_that_matters(counting: Make) -> None:
    with pytest.raises(LimitError, match="no data"):
        profile_interval(counting(None, 3.0), confidence_level=0.68)
    with pytest.raises(LimitError, match="seems not to feel"):
        profile_interval(counting(3.0, 3.0, signal=1e-30, high=np.inf), confidence_level=0.68)
    with pytest.raises(LimitError, match="confidence level"):
        profile_interval(counting(3.0, 3.0), confidence_level=68)
