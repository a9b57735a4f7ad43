from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from mlbkg.errors import LimitError
from mlbkg.fitting.batch import Batch
from mlbkg.fitting.data import Unbinned, binned
from mlbkg.fitting.likelihood import likelihood
from mlbkg.limits.asymptotic import cls_asymptotic
from mlbkg.limits.bayesian import bayesian_limit, posterior
from mlbkg.limits.result import Problem

Make = Callable[..., Problem]


@pytest.mark.parametrize(
    ("observed", "background", "level", "upper"),
    [
        # Particle Data Group, Table 40.3 (no background), and Helene's formula with a known one.
        (0, 0, 0.90, 2.3026),
        (3, 0, 0.90, 6.6808),
        (5, 0, 0.90, 9.2747),
        (1, 0, 0.95, 4.7439),
        (0, 3, 0.90, 2.3026),
        (1, 3, 0.90, 2.8389),
        (3, 3, 0.90, 4.3624),
        (5, 2, 0.90, 7.3058),
        (0, 0, 0.95, 2.9957),
    ],
)
def test_counting_without_uncertainties(counting: Make, observed: int, background: int, level: float, upper: float) -> None:
    assert posterior(counting(observed, background)).quantile(level) == pytest.approx(upper, rel=1e-4)


@pytest.mark.parametrize(
    ("observed", "background", "background_uncertainty", "efficiency_uncertainty", "upper"),
    [
        # Gauss-Hermite quadrature with 61 x 61 nodes, log-normal uncertainties exp(u * z).
        (0, 0, 0.0, 0.1, 2.3409),
        (0, 0, 0.0, 0.2, 2.4594),
        (3, 3, 0.2, 0.1, 4.5173),
    ],
)
def test_counting_with_log_normal_uncertainties(
    counting: Make,
    observed: int,
    background: int,
    background_uncertainty: float,
    efficiency_uncertainty: float,
    upper: float,
) -> None:
    problem = counting(
        observed,
        background,
        background_uncertainty=background_uncertainty,
        efficiency_uncertainty=efficiency_uncertainty,
    )
    found = posterior(problem)
    assert found.quantile(0.90) == pytest.approx(upper, rel=1e-4)
    assert found.effective_draws >= 50


@pytest.mark.parametrize(("estimate", "upper"), [(-1.0, 1.1478), (0.0, 1.6449), (1.0, 2.3778), (-0.7526, 1.2512)])
def test_truncated_gaussian(gaussian: Make, estimate: float, upper: float) -> None:
    # Closed form. The last: BaBar's (-1.6 +- 2.126)e-4, arXiv:0908.2840, whose limit is 2.66e-4 = 1.2512 x 2.126e-4.
    assert posterior(gaussian(estimate)).quantile(0.90) == pytest.approx(upper * 1e-5, rel=2e-3)


def test_a_clear_signal_is_not_lost_between_the_grid_points(gaussian: Make) -> None:
    found = posterior(gaussian(200.0))
    # A Gaussian 200 standard deviations above 0, whose width has grown with the count: sqrt(1 + 200 * 1e4 / 1e8).
    width = 1e-5 * np.sqrt(1.02)
    assert found.quantile(0.5) == pytest.approx(200e-5, abs=0.02e-5)
    assert found.quantile(0.8413) - found.quantile(0.5) == pytest.approx(width, rel=5e-3)


def test_band_of_a_gaussian_is_that_of_cls(gaussian: Make) -> None:
    # Closed form: N + Phi^-1(1 - alpha * Phi(N)), in units of sigma.
    limit = bayesian_limit(gaussian(0.0), confidence_level=0.90)
    assert limit.expected is not None
    wanted = [1e-5 * (n + norm.ppf(1 - 0.1 * norm.cdf(n))) for n in (-2, -1, 0, 1, 2)]
    assert list(vars(limit.expected).values()) == pytest.approx(wanted, rel=5e-3)
    assert limit.observed == pytest.approx(limit.expected.median, rel=1e-3)


def test_many_nuisance_parameters(peak: Make) -> None:
    problem = peak(0.0, luminosity=0.01)
    limit = bayesian_limit(problem, confidence_level=0.90)
    asymptotic = cls_asymptotic(problem, confidence_level=0.90)
    assert limit.expected is not None
    assert asymptotic.expected is not None
    # A Gaussian likelihood makes both the same; here 5 % of log-normal peaking background is beneath.
    assert limit.expected.median == pytest.approx(asymptotic.expected.median, rel=0.03)
    assert limit.observed == pytest.approx(asymptotic.observed, rel=0.03)
    assert bayesian_limit(problem, confidence_level=0.90) == limit
    another_seed = posterior(problem, seed=5).quantile(0.90)
    assert limit.observed == pytest.approx(another_seed, rel=2e-3)


def test_without_data_only_the_band(counting: Make) -> None:
    limit = bayesian_limit(counting(None, 100.0), confidence_level=0.90)
    assert limit.observed is None
    assert limit.expected is not None
    # Helene's formula for 100 candidates on 100, solved with scipy's Poisson distribution.
    assert limit.expected.median == pytest.approx(17.798, rel=0.01)
    with pytest.raises(LimitError, match="no data"):
        posterior(counting(None, 100.0))


def test_free_background_rate(peak: Make) -> None:
    problem = peak(0.0, luminosity=2e-3, unbinned=True)
    assert isinstance(problem.data, Unbinned)
    in_bins = replace(problem, data=binned(problem.data, problem.edges))
    assert posterior(problem).quantile(0.9) == pytest.approx(posterior(in_bins).quantile(0.9), rel=0.03)


@pytest.mark.parametrize("unbinned", [False, True])
def test_batch_is_the_likelihood(peak: Make, unbinned: bool) -> None:
    problem = peak(0.0, luminosity=1e-3, unbinned=unbinned)
    assert problem.data is not None
    below = likelihood(problem.model, problem.data)
    rng = np.random.default_rng(3)
    theta = below.starts + below.steps * rng.normal(size=(20, len(below.starts)))
    one_by_one = np.array([below.value(point) for point in theta])
    at_once = Batch(problem.model, problem.data)(theta)
    assert np.ptp(at_once - one_by_one) < (0.02 if unbinned else 1e-7)


def test_batch_outside_is_impossible(counting: Make) -> None:
    problem = counting(3.0, 3.0, background_uncertainty=0.2, low=-10.0)
    assert problem.data is not None
    theta = np.array([[0.0, 0.0], [-5.0, 0.0], [0.0, 9.0]])
    # The second expects -2 candidates; the third has a nuisance beyond its bound of 8.
    assert np.isfinite(Batch(problem.model, problem.data)(theta)).tolist() == [True, False, False]
