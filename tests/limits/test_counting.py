"""Counting methods: what must hold for any count, other programs' answers, extremes, and refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import dblquad
from scipy.optimize import minimize
from scipy.stats import norm, poisson

from mlbkg.errors import ConfigError, LimitError, UnknownNameError
from mlbkg.limits.counting import COUNTING, Count, CountingInterval, counting_interval
from mlbkg.limits.counting_likelihood import CountingLikelihood
from mlbkg.limits.counting_marginal import MarginalCount, count_quantile
from mlbkg.limits.gaussian import truncated_upper_limit

counts = st.integers(0, 60)
backgrounds = st.floats(1e-12, 60) | st.just(0.0)
levels = st.floats(0.55, 0.999)
uncertainties = st.floats(0.01, 0.5)


def interval(method: str, count: Count, level: float = 0.9, *, toys: int = 0) -> CountingInterval:
    return counting_interval(count, method=method, confidence_level=level, toys=toys)


def test_names() -> None:
    assert {"bayesian", "cls", "feldman-cousins", "clsb", "profile"} <= set(COUNTING)


@settings(max_examples=30, deadline=None)
@given(n=counts, b=backgrounds, level=levels)
@pytest.mark.parametrize("method", list(COUNTING))
def test_limits_rise_with_count_and_level(method: str, n: int, b: float, level: float) -> None:
    here = interval(method, Count(n, b), level)
    more = interval(method, Count(n + 1, b), level)
    surer = interval(method, Count(n, b), (1 + level) / 2)
    assert 0 <= here.lower <= here.upper < math.inf
    assert here.upper <= more.upper * (1 + 1e-9) + 1e-9
    assert here.upper <= surer.upper * (1 + 1e-9) + 1e-9
    assert here.lower >= surer.lower * (1 - 1e-9) - 1e-9


@settings(max_examples=30, deadline=None)
@given(n=counts, b=backgrounds, more=st.floats(1e-9, 30), level=levels)
@pytest.mark.parametrize("method", ["bayesian", "cls", "clsb", "feldman-cousins", "profile", "minos", "clsb-asymptotic"])
def test_limits_fall_with_the_background(method: str, n: int, b: float, more: float, level: float) -> None:
    assert (
        interval(method, Count(n, b + more), level).upper <= interval(method, Count(n, b), level).upper * (1 + 1e-9) + 1e-9
    )


@settings(max_examples=40, deadline=None)
@given(n=counts, b=st.floats(0.1, 60), r=uncertainties | st.just(0.0), level=levels)
def test_cls_is_bayesian_where_the_efficiency_is_known(n: int, b: float, r: float, level: float) -> None:
    count = Count(n, b, background_uncertainty=r)
    assert interval("cls", count, level).upper == pytest.approx(interval("bayesian", count, level).upper, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(0, 20), b=st.floats(0.1, 20), r=uncertainties)
@pytest.mark.parametrize("method", sorted(set(COUNTING) - {"clsb", "clsb-asymptotic"}))
def test_small_uncertainties_change_little(method: str, n: int, b: float, r: float) -> None:
    count = Count(n, b, efficiency_uncertainty=r)
    if method == "feldman-cousins" and n < b:
        return  # the known background's limit is lengthened, the uncertain one's is not
    known, nearly = (
        interval(method, replace(count, efficiency_uncertainty=0.0)),
        interval(method, replace(count, efficiency_uncertainty=1e-3)),
    )
    assert nearly.upper == pytest.approx(known.upper, rel=5e-3)
    if method in ("bayesian", "minos", "profile"):
        assert interval(method, count).upper > known.upper


def test_posterior_by_direct_integration() -> None:
    n, b, sigma_b, sigma_e, level = 4, 2.5, 0.3, 0.25, 0.95
    limit = interval("bayesian", Count(n, b, sigma_b, sigma_e), level).upper

    def density(z: float, signal: float) -> float:
        """Of the signal and the background's pull; the efficiency's by a plain sum."""
        pulls = np.linspace(-7, 7, 141)
        mean = signal * np.exp(sigma_e * pulls) + b * np.exp(sigma_b * z)
        return float((poisson.pmf(n, mean) * norm.pdf(pulls)).sum() * 0.1 * norm.pdf(z))

    below = dblquad(density, 0, limit, -7, 7, epsabs=1e-8)[0]
    above = dblquad(density, limit, 150, -7, 7, epsabs=1e-8)[0]
    assert below / (below + above) == pytest.approx(level, abs=1e-6)


@pytest.mark.parametrize("count", [Count(3, 3, 0.2, 0.1), Count(1, 3, 0.5, 0.5), Count(50, 30, 0.1, 0.3), Count(9, 1)])
@pytest.mark.parametrize("method", ["cls", "clsb"])
def test_toys_agree_with_integrals(method: str, count: Count) -> None:
    exact, found = interval(method, count).upper, interval(method, count, toys=200_000)
    assert found.upper_error > 0
    assert abs(found.upper - exact) < 5 * found.upper_error


@pytest.mark.parametrize(
    "count", [Count(12, 5, 0.3, 0.3), Count(2, 6, 0.4, 0.2), Count(60, 1, 1.0, 0.2), Count(3, 3, 0.2, 0.0)]
)
@pytest.mark.parametrize("signal", [0.5, 4.0, 30.0])
def test_profiling_against_a_general_minimiser(count: Count, signal: float) -> None:
    sigma = np.array([count.background_uncertainty, count.efficiency_uncertainty])

    def cost(z: np.ndarray, s: float) -> float:
        mean = (np.array([count.background, s]) * np.exp(sigma * z)).sum()
        return float(2 * (mean - count.observed * np.log(mean)) + z @ z)

    def lowest(s: float) -> float:
        options = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 5000}
        return min(
            minimize(cost, start, args=(s,), method="Nelder-Mead", options=options).fun for start in ([0, 0], [1, -1])
        )

    rise = lowest(signal) - lowest(max(0, count.observed - count.background))
    assert CountingLikelihood.of(count).rise(signal) == pytest.approx(rise, abs=1e-7)


def test_asymptotic_against_pyhf() -> None:
    pyhf = pytest.importorskip("pyhf")
    model = pyhf.simplemodels.uncorrelated_background([1.0], [50.0], [0.5])
    data = [58, *model.config.auxdata]
    bounds = [(0.0, 100.0), *model.config.suggested_bounds()[1:]]
    limit = interval("cls-asymptotic", Count(58, 50.0, 0.01)).upper
    observed = pyhf.infer.hypotest(limit, data, model, par_bounds=bounds)
    assert float(observed) == pytest.approx(0.1, abs=5e-5)  # pyhf 0.7.6, q-tilde; its constraint is Poisson, not log-normal


@pytest.mark.parametrize("pull", [-2, -1, 0, 1, 2, 5])
def test_many_counts_are_gaussian(pull: int) -> None:
    n, b = 10**6 + pull * 1000, 1e6
    gaussian = truncated_upper_limit(n - b, 1000, confidence_level=0.9)
    for method in ("bayesian", "cls-asymptotic"):
        assert interval(method, Count(n, b)).upper == pytest.approx(gaussian, rel=3e-3)


@pytest.mark.parametrize(
    "count",
    [
        Count(0, 1e6),
        Count(0, 1e6, 0.1, 0.1),
        Count(10**6, 0.0),
        Count(10**6, 1e6),
        Count(10**6, 1e6, 0.3, 0.3),
        Count(10**6, 1.0, 0.5),
        Count(0, 1e-300),
        Count(5, 5.0, 0.5, 0.5),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", list(COUNTING))
def test_extremes_are_finite(method: str, count: Count) -> None:
    if method == "feldman-cousins" and not count.certain and max(count.observed, count.background) > 1000:
        with pytest.raises(LimitError, match="up to 4000 counts"):
            interval(method, count)
        return
    found = interval(method, count)
    assert 0 <= found.lower <= found.upper < math.inf


def test_far_below_the_background_cls_is_that_of_no_count() -> None:
    # n = 0: exp(-s) = 0.1 whatever the background.
    for background in (1.0, 800.0, 1e5):
        assert interval("cls", Count(0, background)).upper == pytest.approx(math.log(10), rel=1e-9)
    assert interval("clsb", Count(0, 30.0)) == CountingInterval(0.0, 0.0)
    assert interval("clsb-asymptotic", Count(0, 30.0)) == CountingInterval(0.0, 0.0)


def test_probabilities_far_out_in_the_nuisances() -> None:
    # A background of 1000 of which nothing was seen: only pulls of -8 allow it; integrated here on a plain fine grid.
    pulls = np.linspace(-25, 5, 300_001)
    exponents = -1000 * np.exp(0.5 * pulls) - 0.5 * pulls**2
    plain = math.log(np.exp(exponents - exponents.max()).sum() * 1e-4 / math.sqrt(2 * math.pi)) + exponents.max()
    assert MarginalCount(Count(0, 1000.0, 0.5)).log_cdf(0.0) == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize(("probability", "signal"), [(0.5, 0.0), (0.977, 3.0), (0.001, 0.0), (1 - 1e-9, 40.0)])
def test_quantiles_of_the_count(probability: float, signal: float) -> None:
    assert count_quantile(Count(0, 7.3), probability, signal=signal) == poisson.ppf(probability, 7.3 + signal)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((-1, 3.0), "the observed count must be a number that is not negative; got -1"),
        ((2.5, 3.0), "the observed count must be a whole number of events; got 2.5"),
        ((math.nan, 3.0), "the observed count .* got nan"),
        ((3, -0.1), "the background must be a number that is not negative; got -0.1"),
        ((3, math.inf), "the background .* got inf"),
        ((3, 3.0, -0.2), "the background uncertainty must be a number that is not negative; got -0.2"),
        ((3, 3.0, 0.2, math.nan), "the efficiency uncertainty .* got nan"),
        ((3, 3.0, 20.0), "the background uncertainty is relative and at most 5; got 20"),
        ((3, 0.0, 0.2), "a background of 0 has no relative uncertainty; got 0.2"),
    ],
)
def test_counts_that_cannot_be(arguments: tuple[float, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Count(*arguments)  # type: ignore[arg-type]


def test_whole_floats_are_counts() -> None:
    assert Count(3.0, 1.0).observed == 3  # type: ignore[arg-type]
    assert isinstance(Count(np.int64(3), 1.0).observed, int)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 90, math.nan])
def test_confidence_levels_that_are_none(level: float) -> None:
    with pytest.raises(ConfigError, match="the confidence level must lie between 0 and 1") as caught:
        interval("cls", Count(3, 3.0), level)
    if level == 90:
        assert caught.value.hint == "Give 0.9 for 90 %."


def test_refusals() -> None:
    with pytest.raises(UnknownNameError, match="unknown counting method 'bayes'; did you mean 'bayesian'"):
        interval("bayes", Count(3, 3.0))
    with pytest.raises(ConfigError, match="method 'bayesian' uses no toys; got 500") as caught:
        interval("bayesian", Count(3, 3.0), toys=500)
    assert caught.value.hint == "Methods with toys: cls, clsb"
    with pytest.raises(ConfigError, match="at least 100 toys are needed; got 20"):
        interval("cls", Count(3, 3.0), toys=20)
    with pytest.raises(LimitError, match="none of 1000 toy experiments of the background counts as few as 0"):
        interval("cls", Count(0, 100.0), toys=1000)
