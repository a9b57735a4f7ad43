"""Limits and p values of many experiments at once: those of one at a time, numbers from elsewhere, coverage, speed."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import dblquad, quad
from scipy.stats import norm, poisson

from mlbkg.errors import LimitError
from mlbkg.limits.counting import Count, counting_interval
from mlbkg.limits.counting_expected import expected_band
from mlbkg.limits.hypotheses import Effect, Experiments
from mlbkg.limits.many import LIMITS, bayesian_limits, chances_above, cls_limits, local_p_values, significances


def make(
    observed: object,
    background: object,
    background_uncertainty: object = 0.0,
    signal_uncertainty: object = 0.0,
    signal_per_fb: object = 1.0,
    *,
    background_error: object = None,
) -> Experiments:
    """Uncertainties relative, ``background_error`` absolute instead; ``observed`` None for experiments not looked at."""
    counts = np.zeros(1) if observed is None else observed
    n, b, r, e, per_fb = (
        np.array(x, dtype=float)
        for x in np.broadcast_arrays(
            np.atleast_1d(counts), background, background_uncertainty, signal_uncertainty, signal_per_fb
        )
    )
    masses = np.arange(len(b), dtype=float)[:, None]
    error = b * r if background_error is None else np.full(len(b), background_error)
    seen = None if observed is None else n.astype(np.int64)
    return Experiments(masses, masses - 1, masses + 1, seen, b, error, per_fb, np.full(len(b), 0.1), 0.1 * e)


def random_experiments(n: int, seed: int = 1) -> Experiments:
    rng = np.random.default_rng(seed)
    b, r, e = np.exp(rng.uniform(np.log(0.01), np.log(200), n)), rng.uniform(0, 1, n), rng.uniform(0, 0.3, n)
    observed = np.minimum(rng.poisson(b * np.exp(r * rng.standard_normal(n))), 200)
    return make(observed, b, r, e, rng.uniform(0.1, 10, n))


def one(experiments: Experiments, row: int) -> Count:
    assert experiments.observed is not None
    return Count(
        int(experiments.observed[row]),
        float(experiments.background[row]),
        float(experiments.background_uncertainty[row]),
        float(experiments.signal_uncertainty[row]),
    )


@pytest.mark.parametrize("method", list(LIMITS))
def test_each_is_what_its_counting_method_gives(method: str) -> None:
    experiments = random_experiments(40)
    found = LIMITS[method](experiments, confidence_level=0.9)
    assert found.observed is not None
    for row in range(40):
        count, per_fb = one(experiments, row), experiments.signal_per_fb[row]
        alone = counting_interval(count, method=method, confidence_level=0.9).upper
        assert found.observed[row] * per_fb == pytest.approx(alone, rel=1e-6)
        if row % 4 == 0:
            band = expected_band(count, method=method, confidence_level=0.9)
            values = [band.minus_2sigma, band.minus_1sigma, band.median, band.plus_1sigma, band.plus_2sigma]
            assert found.expected[:, row] * per_fb == pytest.approx(values, rel=1e-6)


@pytest.mark.parametrize(
    ("n", "b", "r", "e"),
    [
        (0, 1000.0, 1.0, 0.3),
        (3, 1e-6, 5.0, 0.3),
        (5, 1e-3, 0.5, 0.2),
        (10_100, 1e4, 0.05, 0.1),
        (100_300, 1e5, 0.0, 0.1),
        (150, 200.0, 2.0, 0.3),
        (52_000, 5e4, 0.1, 0.1),
        (200, 0.0, 0.0, 0.3),
    ],
)
@pytest.mark.parametrize("method", list(LIMITS))
def test_extremes(method: str, n: int, b: float, r: float, e: float) -> None:
    found = LIMITS[method](make(n, b, r, e), confidence_level=0.95).observed
    alone = counting_interval(Count(n, b, r, e), method=method, confidence_level=0.95).upper
    assert found == pytest.approx(alone, rel=1e-6)


def test_tables() -> None:
    # Without background, chi2.ppf(0.9, 2n + 2) / 2: table 40.3 of the PDG's review of statistics.
    known = bayesian_limits(make(np.arange(6), 0.0), confidence_level=0.9).observed
    assert known == pytest.approx([2.3026, 3.8897, 5.3223, 6.6808, 7.9936, 9.2747], abs=5e-5)
    # Helene's formula, 1 - CL = Q(n; s + b) / Q(n; b).
    helene = cls_limits(make([0, 1, 3, 5], [3.0, 3.0, 3.0, 2.0]), confidence_level=0.9).observed
    assert helene == pytest.approx([2.3026, 2.8389, 4.3624, 7.3058], abs=5e-5)
    # Flat prior and log-normal nuisances by a 61 x 61 Gauss-Hermite quadrature.
    uncertain = make([0, 0, 3], [0.0, 0.0, 3.0], [0.0, 0.0, 0.2], [0.1, 0.2, 0.1])
    assert bayesian_limits(uncertain, confidence_level=0.9).observed == pytest.approx([2.3409, 2.4594, 4.5173], abs=5e-5)


def test_cross_sections() -> None:
    experiments = make(3, 3.0, 0.2, 0.1, [2.0, 0.0, 4.0])
    found = bayesian_limits(experiments, confidence_level=0.9)
    assert found.observed == pytest.approx([4.5173 / 2, np.inf, 4.5173 / 4], rel=2e-5)
    assert np.isinf(found.expected[:, 1]).all()
    blind = bayesian_limits(replace(experiments, observed=None), confidence_level=0.9)
    assert blind.observed is None
    assert np.array_equal(blind.expected, found.expected)
    assert (np.diff(found.expected[:, 0]) >= 0).all()


def test_effects_add_in_quadrature() -> None:
    statistical = make(9, 5.0, 0.3, 0.12)
    effects = (Effect("pid", np.array([0.16]), np.array([0.4])), Effect("luminosity", np.array([0.15]), np.array([0.0])))
    found = bayesian_limits(replace(statistical, effects=effects), confidence_level=0.9).observed
    assert found == pytest.approx(
        counting_interval(Count(9, 5.0, 0.5, 0.25), method="bayesian", confidence_level=0.9).upper, rel=1e-6
    )


@pytest.mark.parametrize(("n", "weight"), [(0, 0.5), (1, 0.5), (4, 2.0)])
def test_without_simulated_background_it_is_exponential(n: int, weight: float) -> None:
    experiments = make(n, 0.0, signal_uncertainty=0.2, background_error=weight)
    limit = float(np.squeeze(bayesian_limits(experiments, confidence_level=0.9).observed))
    pulls = np.linspace(-7, 7, 141)

    def density(b: float, s: float) -> float:
        mean = s * np.exp(0.2 * pulls) + b
        return float((poisson.pmf(n, mean) * norm.pdf(pulls)).sum() * 0.1 * math.exp(-b / weight) / weight)

    below = dblquad(density, 0, limit, 0, 30 * weight, epsabs=1e-9)[0]
    above = dblquad(density, limit, 80, 0, 30 * weight, epsabs=1e-9)[0]
    assert below / (below + above) == pytest.approx(0.9, abs=1e-6)
    assert local_p_values(experiments) == pytest.approx((weight / (1 + weight)) ** n)


def test_an_exponential_background_lies_between_none_and_that_many() -> None:
    none, some, surely = (
        float(np.squeeze(bayesian_limits(experiments, confidence_level=0.9).observed))
        for experiments in (make(3, 0.0), make(3, 0.0, background_error=1.0), make(3, 2.0))
    )
    assert surely < some < none
    hardly = bayesian_limits(make(3, 0.0, background_error=1e-9), confidence_level=0.9).observed
    assert hardly == pytest.approx(none, rel=1e-6)


@pytest.mark.parametrize("method", list(LIMITS))
@pytest.mark.parametrize(("b", "s"), [(0.0, 2.0), (0.5, 4.0), (3.0, 1.0), (20.0, 11.0)])
def test_limits_overcover(method: str, b: float, s: float) -> None:
    n = np.arange(120)
    limits = LIMITS[method](make(n, b), confidence_level=0.9).observed
    assert poisson.pmf(n, s + b)[limits >= s].sum() >= 0.9


@pytest.mark.parametrize("method", list(LIMITS))
def test_coverage_with_fluctuating_nuisances(method: str) -> None:
    rng = np.random.default_rng(7)
    toys, s, b, r, e = 4000, 6.0, 4.0, 0.4, 0.2
    measured_b, measured_e = (np.exp(u * rng.standard_normal(toys)) for u in (r, e))
    experiments = make(rng.poisson(s + b, toys), b * measured_b, r, e, measured_e)
    limits = LIMITS[method](experiments, confidence_level=0.9).observed
    assert np.mean(limits >= s) > 0.9 - 3 * math.sqrt(0.09 / toys)


def test_p_values_of_known_backgrounds() -> None:
    n, b = np.array([0, 1, 3, 10, 40]), np.array([3.0, 0.01, 3.0, 2.0, 40.0])
    assert local_p_values(make(n, b)) == pytest.approx(poisson.sf(n - 1, b), rel=1e-10)
    assert local_p_values(make([0, 2], 0.0)) == pytest.approx([1.0, 0.0], abs=1e-300)


@pytest.mark.parametrize(
    ("n", "b", "r"), [(1, 0.01, 1.0), (12, 3.0, 0.3), (3, 10.0, 0.5), (300, 100.0, 0.2), (30, 1.0, 0.7), (8, 8.0, 0.01)]
)
def test_p_values_of_uncertain_backgrounds(n: int, b: float, r: float) -> None:
    peak = max(0.0, math.log(n / b) / r)
    exact = quad(
        lambda z: poisson.sf(n - 1, b * math.exp(r * z)) * norm.pdf(z), -9, 12, points=[0, peak], epsabs=0, limit=500
    )[0]
    assert local_p_values(make(n, b, r)) == pytest.approx(exact, rel=1e-6)


def test_p_values_of_toys() -> None:
    experiments = random_experiments(30)
    counts = np.random.default_rng(3).poisson(experiments.background, size=(50, 30))
    found = local_p_values(experiments, counts)
    assert found.shape == (50, 30)
    for toy in (0, 17):
        assert found[toy] == pytest.approx(local_p_values(replace(experiments, observed=counts[toy])))
    assert (found[counts == 0] == 1).all()


def test_p_values_are_uniform_up_to_the_steps_of_counts() -> None:
    rng = np.random.default_rng(5)
    toys, b, r = 20_000, 30.0, 0.3
    counts = rng.poisson(b * np.exp(r * rng.standard_normal(toys)))
    p = local_p_values(make(0, b, r), counts[:, None])[:, 0]
    for level in (0.001, 0.02, 0.1, 0.5, 0.9):
        share = np.mean(p <= level)
        steps = poisson.pmf(b, b)
        assert level - steps - 4 * math.sqrt(level / toys) < share < level + 4 * math.sqrt(level * (1 - level) / toys)


def test_significances() -> None:
    assert significances(np.array([1.349898e-3, 0.5, 1.0])) == pytest.approx([3.0, 0.0, -np.inf], abs=1e-6)
    assert np.isfinite(significances(local_p_values(make(10_000, 1e-3))))


def test_chances_of_an_excess() -> None:
    # With 0.1 expected, p(2) = 4.7e-3 and p(3) = 1.5e-4: three are needed for 3 sigma, so that it is rarer than 1.35e-3.
    assert chances_above(make(None, 0.1), 3.0) == pytest.approx(poisson.sf(2, 0.1))
    assert chances_above(make(None, 1e4), 3.0) == pytest.approx(norm.sf(3), rel=0.05)
    experiments = random_experiments(20)
    counts = np.random.default_rng(2).poisson(
        experiments.background
        * np.exp(experiments.background_uncertainty * np.random.default_rng(4).standard_normal((4000, 20)))
    )
    share = (significances(local_p_values(experiments, counts)) >= 1.5).mean(axis=0)
    chance = chances_above(experiments, 1.5)
    assert (np.abs(share - chance) < 4.5 * np.sqrt(chance / 4000) + 1e-3).all()


def test_thousands_of_hypotheses_are_fast() -> None:
    experiments = random_experiments(3000)
    start = time.perf_counter()
    for limits in LIMITS.values():
        found = limits(experiments, confidence_level=0.9)
        assert found.observed is not None
        assert np.isfinite(found.observed).all()
    assert time.perf_counter() - start < 60


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"background": np.array([1.0, -1.0])}, "the background of 1 of 2 hypotheses is not .* got -1 for the mass 1 GeV"),
        ({"background_error": np.array([np.nan, 1.0])}, "the background_error of 1 of 2 .* got nan for the mass 0 GeV"),
        ({"background_error": np.array([60.0, 1.0])}, "relative uncertainty of 1 of 2 .* between 0 and 5; got 6"),
        ({"efficiency_error": np.array([0.0, 0.6])}, "the signal's relative uncertainty of 1 of 2 .* got 6"),
        ({"signal_per_fb": np.array([1.0, np.inf])}, "the signal_per_fb of 1 of 2 hypotheses .* got inf"),
    ],
)
def test_refusals(change: dict[str, np.ndarray], says: str) -> None:
    with pytest.raises(LimitError, match=says):
        bayesian_limits(replace(make([3, 3], 10.0), **change), confidence_level=0.9)


def test_p_values_need_counts() -> None:
    with pytest.raises(LimitError, match="nothing was observed"):
        local_p_values(make(None, 3.0))
