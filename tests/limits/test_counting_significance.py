"""Significances in closed form, far out in the tails, and what is refused."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm, poisson

from mlbkg.errors import ConfigError
from mlbkg.limits.poisson import deviance, log_cdf, log_pmf, log_sf
from mlbkg.limits.roots import root
from mlbkg.limits.significance import (
    asimov,
    asymptotic,
    li_ma,
    log_p_value_exact,
    log_p_value_of_z,
    p_value_of_z,
    z_bi,
    z_of_log_p_value,
    z_of_p_value,
)


@given(st.floats(-8, 37))
def test_p_values_and_back(z: float) -> None:
    assert p_value_of_z(z) == pytest.approx(norm.sf(z), rel=1e-12)
    assert z_of_log_p_value(log_p_value_of_z(z)) == pytest.approx(z, abs=1e-7 if z < -5 else 1e-11)


@pytest.mark.parametrize(
    ("p", "z"),
    # One-sided p values of the normal distribution: PDG, and the convention of 3 and 5 standard deviations.
    [(1.349898e-3, 3), (2.866516e-7, 5), (0.5, 0), (0.158655, 1), (1 - 0.158655, -1)],
)
def test_familiar_p_values(p: float, z: float) -> None:
    assert z_of_p_value(p) == pytest.approx(z, abs=5e-6)


def test_p_values_too_small_for_a_float() -> None:
    # ln of the normal's tail at z = 100: -z^2 / 2 - ln(z sqrt(2 pi)) + ln(1 - z^-2 + 3 z^-4).
    log_p = -5000 - math.log(100 * math.sqrt(2 * math.pi)) + math.log(1 - 1e-4 + 3e-8)
    assert log_p_value_of_z(100) == pytest.approx(log_p, abs=1e-10)
    assert z_of_log_p_value(log_p) == pytest.approx(100, abs=1e-10)


def exact_tails(n: int, mean: int) -> tuple[float, float]:
    """ln P(N <= n) and ln P(N >= n) in rational arithmetic."""
    terms = [Fraction(mean) ** k / math.factorial(k) for k in range(n + 400)]
    logs = [
        math.log(total.numerator) - math.log(total.denominator) - mean for total in (sum(terms[: n + 1]), sum(terms[n:]))
    ]
    return logs[0], logs[1]


@pytest.mark.parametrize(("n", "mean"), [(0, 1000), (5, 900), (100, 1200), (300, 10), (150, 1), (20, 20), (400, 390)])
def test_poisson_tails(n: int, mean: int) -> None:
    below, above = exact_tails(n, mean)
    if n > mean or n == 20:
        assert float(log_sf(n, float(mean))) == pytest.approx(above, rel=1e-11)
    if n <= mean:
        assert float(log_cdf(n, float(mean))) == pytest.approx(below, rel=1e-11)


def test_poisson_at_the_edges() -> None:
    assert log_cdf(-1, np.array([0.0, 3.0])).tolist() == [-math.inf, -math.inf]
    assert log_cdf(0, 0.0) == 0
    assert log_sf(0, np.array([0.0, 3.0])).tolist() == [0, 0]
    assert log_pmf(np.arange(4), 2.5) == pytest.approx(poisson.logpmf(np.arange(4), 2.5))
    assert (deviance(0, 0), deviance(0, 3.0), deviance(4, 0.0)) == (0, 3, math.inf)


@given(st.floats(1, 1e7), st.floats(-1e-3, 1e-3))
def test_deviance_of_neighbours(mean: float, relative: float) -> None:
    # Taylor: mean (x^2 / 2 - x^3 / 6 + x^4 / 12), where the direct formula has lost most digits.
    count = mean * (1 + relative)
    x = (count - mean) / mean
    assert float(deviance(count, mean)) == pytest.approx(mean * (x**2 / 2 - x**3 / 6 + x**4 / 12), rel=1e-8, abs=1e-300)


@pytest.mark.parametrize(("n", "b"), [(12, 4.5), (3, 3.0), (1, 0.2), (150, 100.0)])
def test_exact_p_value(n: int, b: float) -> None:
    assert math.exp(log_p_value_exact(n, b)) == pytest.approx(poisson.sf(n - 1, b), rel=1e-11)


@pytest.mark.parametrize(("on", "off", "tau"), [(4, 5, 5.0), (30, 12, 1.5), (2, 40, 1.0)])
def test_z_bi_is_a_binomial_test(on: int, off: int, tau: float) -> None:
    assert z_bi(on, off, tau) == pytest.approx(norm.isf(binom.sf(on - 1, on + off, 1 / (1 + tau))), rel=1e-9)


def test_z_bi_of_a_p_value_too_small_for_a_float() -> None:
    # A well measured background is a known one: the binomial tail becomes Poisson's.
    known = z_of_log_p_value(log_p_value_exact(1000, 10.0))
    assert known > 80
    assert z_bi(1000, 1e13, 1e12) == pytest.approx(known, rel=1e-5)
    assert z_bi(5000, 10, 1.0) == pytest.approx(li_ma(5000, 10, 1.0), rel=1e-3)


def test_li_ma_as_printed() -> None:
    on, off, alpha = 47.0, 90.0, 0.3  # Eq. (17), Astrophys. J. 272 (1983) 317
    total = on + off
    logarithms = on * math.log((1 + alpha) / alpha * on / total) + off * math.log((1 + alpha) * off / total)
    assert li_ma(on, off, 1 / alpha) == pytest.approx(math.sqrt(2 * logarithms), rel=1e-12)
    assert li_ma(10, 90, 1 / alpha) < 0
    assert li_ma(0, 0, 1.0) == 0


def test_a_small_signal_over_a_large_background() -> None:
    assert asimov(1.0, 1e6) == pytest.approx(1e-3, rel=1e-6)  # s / sqrt(b)
    assert asimov(100.0, 1e6, background_error=1e4) == pytest.approx(100 / math.hypot(1e3, 1e4), rel=1e-3)


def test_deficits_are_negative() -> None:
    assert asymptotic(5, 10.0) == pytest.approx(-math.sqrt(2 * (5 * math.log(0.5) + 5)))
    assert z_bi(2, 40, 1.0) < 0


def test_roots() -> None:
    assert root(lambda x: x**3 - 2, 0, 2) == pytest.approx(2 ** (1 / 3), rel=1e-13)
    assert root(lambda x: math.exp(-x) - 1e-12, 0, 1000) == pytest.approx(12 * math.log(10), rel=1e-13)
    assert root(lambda x: x, 0, 1) == 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: z_of_p_value(0.0), r"a p value must lie between 0 and 1; got 0"),
        (lambda: z_of_p_value(1.5), r"a p value must lie between 0 and 1; got 1.5"),
        (lambda: asimov(-1, 10), r"the signal must be a number that is not negative; got -1"),
        (lambda: asimov(5, 0), r"the background must be a number above 0; got 0"),
        (lambda: asimov(5, 1, background_error=-1), r"the error of the background .* got -1"),
        (lambda: asymptotic(math.nan, 1), r"the observed count .* got nan"),
        (lambda: li_ma(3, -1, 1), r"the count off must be a number that is not negative; got -1"),
        (lambda: z_bi(3, 1, 0), r"tau must be a number above 0; got 0"),
        (lambda: z_bi(0, 1, 1), r"the observed count must be a number above 0; got 0"),
    ],
)
def test_refusals(call: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        call()  # type: ignore[operator]
