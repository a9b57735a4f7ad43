"""How often intervals hold the truth, and what is expected without a signal."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbkg.errors import ConfigError
from mlbkg.limits.counting import COUNTING, Count, counting_interval
from mlbkg.limits.counting_expected import coverage, coverage_by_toys, expected_band

LEVEL = 0.9


def covered(count: Count, signal: float, method: str, level: float = LEVEL) -> float:
    return coverage(count, signal=signal, method=method, confidence_level=level).value


@settings(max_examples=25, deadline=None)
@given(b=st.floats(0, 20), s=st.floats(0, 25), level=st.sampled_from([0.68, 0.9, 0.95]))
@pytest.mark.parametrize("method", ["feldman-cousins", "bayesian", "cls", "clsb"])
def test_exact_methods_never_undercover(method: str, b: float, s: float, level: float) -> None:
    assert covered(Count(0, b), s, method, level) >= level - 1e-8


def test_bayesian_and_cls_overcover_small_signals() -> None:
    # Without a signal no limit misses it; at s = 2.3 and b = 0 only n = 0 excludes, with probability 0.1.
    assert covered(Count(0, 3.0), 0.0, "cls") == pytest.approx(1, abs=1e-8)
    assert covered(Count(0, 0.0), math.log(10) - 1e-9, "cls") == pytest.approx(1, abs=1e-8)
    assert covered(Count(0, 0.0), math.log(10) + 1e-9, "cls") == pytest.approx(0.9, abs=1e-8)


def test_coverage_is_what_toys_give() -> None:
    exact = covered(Count(0, 2.0), 3.0, "feldman-cousins")
    toys = coverage_by_toys(
        Count(0, 2.0), signal=3.0, method="feldman-cousins", confidence_level=LEVEL, experiments=2000, seed=5
    )
    assert toys.error == pytest.approx(math.sqrt(toys.value * (1 - toys.value) / 2000))
    assert abs(toys.value - exact) < 4 * toys.error


@pytest.mark.parametrize("method", ["bayesian", "cls"])
@pytest.mark.parametrize("signal", [3.0, 12.0])
def test_coverage_with_fluctuating_nuisances(method: str, signal: float) -> None:
    found = coverage_by_toys(
        Count(0, 6.0, 0.2, 0.1), signal=signal, method=method, confidence_level=LEVEL, experiments=400, seed=2
    )
    assert found.value > LEVEL - 3 * math.sqrt(LEVEL * (1 - LEVEL) / 400)


@pytest.mark.parametrize("method", list(COUNTING))
def test_band_is_the_limits_at_the_quantiles_of_the_count(method: str) -> None:
    band = expected_band(Count(0, 3.0), method=method, confidence_level=LEVEL)
    # Poisson with mean 3: cumulative 0.0498, 0.1991, 0.4232, 0.6472, 0.8153, 0.9161, 0.9665, 0.9881 for n = 0 .. 7.
    limits = [counting_interval(Count(n, 3.0), method=method, confidence_level=LEVEL).upper for n in (0, 1, 3, 5, 7)]
    assert [band.minus_2sigma, band.minus_1sigma, band.median, band.plus_1sigma, band.plus_2sigma] == limits
    assert limits == sorted(limits)


def test_band_of_an_uncertain_background_is_wider() -> None:
    known = expected_band(Count(0, 100.0), method="cls", confidence_level=LEVEL)
    uncertain = expected_band(Count(0, 100.0, 0.3), method="cls", confidence_level=LEVEL)
    assert uncertain.plus_2sigma > known.plus_2sigma
    assert uncertain.median > known.median


def test_band_of_many_counts_is_gaussian() -> None:
    band = expected_band(Count(0, 1e6), method="cls", confidence_level=0.95)
    # Eq. (89) of arXiv:1007.1727: sigma (Phi^-1(1 - alpha Phi(N)) + N), in units of sigma.
    expected = [1.052, 1.412, 1.960, 2.730, 3.656]
    found = [band.minus_2sigma, band.minus_1sigma, band.median, band.plus_1sigma, band.plus_2sigma]
    assert np.array(found) / 1000 == pytest.approx(expected, rel=3e-3)


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="the signal must be a number that is not negative; got -1"):
        covered(Count(0, 3.0), -1.0, "cls")
    with pytest.raises(ConfigError, match="counts are too many to go through"):
        covered(Count(0, 1e8), 1.0, "cls")
    with pytest.raises(ConfigError, match="at least 2 experiments are needed; got 1"):
        coverage_by_toys(Count(0, 3.0), signal=1, method="cls", confidence_level=LEVEL, experiments=1)
