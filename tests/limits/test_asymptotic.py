from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from mlbkg.errors import LimitError
from mlbkg.limits.asymptotic import cls, cls_asymptotic, expected_cls, expected_median
from mlbkg.limits.impacts import statistical
from mlbkg.limits.result import Problem

Make = Callable[..., Problem]


@pytest.mark.parametrize(("level", "quantile"), [(0.90, 1.645), (0.95, 1.960)])
def test_expected_median_of_a_gaussian(gaussian: Make, level: float, quantile: float) -> None:
    # Cowan et al., arXiv:1007.1727, Sec. 4.3, with CLs: median = sigma * Phi^-1(1 - alpha / 2).
    limit = cls_asymptotic(gaussian(0.0), confidence_level=level)
    assert limit.expected is not None
    assert limit.expected.median == pytest.approx(quantile * 1e-5, rel=2e-3)


@pytest.mark.parametrize(("estimate", "upper"), [(-1.0, 1.1478), (0.0, 1.6449), (1.0, 2.3778)])
def test_observed_limit_of_a_gaussian_is_that_of_a_truncated_one(gaussian: Make, estimate: float, upper: float) -> None:
    # Quantiles of a Gaussian cut at 0: closed form sigma * Phi^-1(1 - alpha * Phi(x)) + x.
    limit = cls_asymptotic(gaussian(estimate), confidence_level=0.90)
    assert limit.observed == pytest.approx(upper * 1e-5, rel=2e-3)


def test_band_of_a_gaussian(gaussian: Make) -> None:
    # Closed form: N + Phi^-1(1 - alpha * Phi(N)), in units of sigma.
    expected = cls_asymptotic(gaussian(0.0), confidence_level=0.90).expected
    assert expected is not None
    wanted = [1e-5 * (n + norm.ppf(1 - 0.1 * norm.cdf(n))) for n in (-2, -1, 0, 1, 2)]
    assert list(vars(expected).values()) == pytest.approx(wanted, rel=2e-3)


def test_counting_with_an_uncertain_background_is_near_pyhf_s(counting: Make) -> None:
    # pyhf 0.7.6, one bin [10], [50], [7], data 55, 95 %: 2.380, expected 1.076 1.447 2.018 2.832 3.847. There the
    # background's constraint is a Poisson one of the same width; here it is log-normal, which gives 2 to 3 % less.
    problem = counting(55.0, 50.0, signal=10.0, background_uncertainty=0.14)
    limit = cls_asymptotic(problem, confidence_level=0.95)
    assert limit.expected is not None
    assert limit.observed == pytest.approx(2.380, rel=0.03)
    assert list(vars(limit.expected).values()) == pytest.approx([1.076, 1.447, 2.018, 2.832, 3.847], rel=0.03)


def test_limit_without_data_is_the_one_expected_of_the_nominal_model(counting: Make) -> None:
    blind = cls_asymptotic(counting(None, 50.0, signal=10.0), confidence_level=0.95)
    seen = cls_asymptotic(counting(50.0, 50.0, signal=10.0), confidence_level=0.95)
    assert blind.observed is None
    assert blind.scan is not None
    assert blind.scan.observed is None
    assert blind.expected is not None
    assert seen.expected is not None
    assert blind.expected.median == pytest.approx(seen.expected.median, rel=1e-4)
    # With data that are the Asimov set, the observed limit is the median.
    assert seen.observed == pytest.approx(seen.expected.median, rel=1e-4)


def test_cls_of_the_asimov_set_itself_is_the_expected_one() -> None:
    assert cls(2.5, 2.5) == pytest.approx(expected_cls(2.5, 0.0))
    assert cls(0.0, 0.0) == 1.0
    # The two branches of Eq. (65), arXiv:1007.1727, meet.
    assert cls(2.5 + 1e-9, 2.5) == pytest.approx(cls(2.5 - 1e-9, 2.5))


def test_scan_holds_every_limit(peak: Make) -> None:
    limit = cls_asymptotic(peak(0.0), confidence_level=0.90)
    scan, expected = limit.scan, limit.expected
    assert scan is not None
    assert scan.observed is not None
    assert expected is not None
    assert len(scan.values) == 30
    assert scan.values[-1] > expected.plus_2sigma
    for line, value in zip([scan.observed, *scan.expected], [limit.observed, *vars(expected).values()], strict=True):
        assert (np.diff(line) <= 1e-9).all()
        assert np.interp(-0.1, -line, scan.values) == pytest.approx(value, rel=0.02)


def test_unbinned_data_give_the_limit_of_finely_binned_ones(peak: Make) -> None:
    unbinned = peak(0.0, luminosity=2e-3, unbinned=True)
    assert unbinned.data is not None
    in_bins = replace(unbinned, data=_binned(unbinned))
    first = cls_asymptotic(unbinned, confidence_level=0.90)
    second = cls_asymptotic(in_bins, confidence_level=0.90)
    assert first.observed == pytest.approx(second.observed, rel=0.03)


def test_systematic_uncertainties_cost_something(peak: Make) -> None:
    problem = peak(0.0)
    with_all = cls_asymptotic(problem, confidence_level=0.90)
    without = cls_asymptotic(statistical(problem), confidence_level=0.90)
    assert with_all.expected is not None
    assert without.expected is not None
    # 5 % of 84000 peaking candidates against the square root of what lies under the peak: systematics dominate.
    assert with_all.expected.median > 5 * without.expected.median
    assert expected_median(problem, confidence_level=0.90) == pytest.approx(with_all.expected.median, rel=1e-4)


def test_scan_range_that_holds_the_limits(gaussian: Make) -> None:
    free = cls_asymptotic(gaussian(0.5), confidence_level=0.90)
    given = cls_asymptotic(gaussian(0.5), confidence_level=0.90, scan_range=(1e-6, 9e-5))
    assert given.observed == pytest.approx(free.observed, rel=1e-4)
    assert given.expected == approx_band(free.expected)


@pytest.mark.parametrize(
    ("scan_range", "said", "hint"),
    [
        ((1e-6, 1.2e-5), "observed: 0.9", "raise its upper end"),
        ((4e-5, 9e-5), "observed: 6.35e-05 at 4e-05", "lower its lower end"),
        ((0.0, 2.0), "goes beyond the bound 1", "Lower the end"),
        ((2e-5, 1e-5), "empty or negative", "low < high"),
    ],
)
def test_scan_range_that_does_not(gaussian: Make, scan_range: tuple[float, float], said: str, hint: str) -> None:
    with pytest.raises(LimitError) as failure:
        cls_asymptotic(gaussian(0.0), confidence_level=0.90, scan_range=scan_range)
    assert said in str(failure.value)
    assert hint in str(failure.value)


def test_bound_below_the_limit(counting: Make) -> None:
    with pytest.raises(LimitError, match=r"is still .* at the upper bound 2 of 'mu'.*\n.*Raise"):
        cls_asymptotic(counting(3.0, 3.0, high=2.0), confidence_level=0.90)


def test_signal_that_the_model_does_not_feel(counting: Make) -> None:
    with pytest.raises(LimitError, match="hardly depends on 'mu'"):
        cls_asymptotic(counting(3.0, 3.0, signal=1e-30), confidence_level=0.90)


@pytest.mark.parametrize("step", [1e-3, 1.0, 1e3])
def test_limit_does_not_depend_on_the_step(counting: Make, step: float) -> None:
    def q(signal: float, count: float) -> float:
        # Closed form of -2 ln [L(signal) / L(best)] for a Poisson count on 50.
        return 2 * (50 + signal - count + count * np.log(count / (50 + signal)))

    wanted = brentq(lambda signal: cls(q(signal, 55.0), q(signal, 50.0)) - 0.1, 6, 50)
    limit = cls_asymptotic(counting(55.0, 50.0, step=step), confidence_level=0.90)
    assert limit.observed == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("level", [0.3, 1.0])
def test_confidence_level_out_of_range(gaussian: Make, level: float) -> None:
    with pytest.raises(LimitError, match="confidence level"):
        cls_asymptotic(gaussian(0.0), confidence_level=level)


def approx_band(expected: object) -> object:
    assert expected is not None
    return type(expected)(*(pytest.approx(value, rel=1e-4) for value in vars(expected).values()))


def _binned(problem: Problem) -> object:
    from mlbkg.fitting.data import Unbinned, binned

    assert isinstance(problem.data, Unbinned)
    return binned(problem.data, problem.edges)
