"""Limits from several data sets: closed forms, the equivalent single data set, direct integration, coverage."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, poisson

from mlbkg.errors import ConfigError, LimitError
from mlbkg.limits.combination import combine
from mlbkg.limits.hypotheses import Effect, Experiments
from mlbkg.limits.many import bayesian_limits

LN10 = math.log(10)


def make(
    observed: object, background: object, background_error: object = 0.0, efficiency_error: object = 0.0, **effects: object
) -> Experiments:
    """``background_error`` absolute, ``efficiency_error`` relative; effects: name=(on signal, on background)."""
    n, b, error, e = (
        np.array(x, dtype=float)
        for x in np.broadcast_arrays(np.atleast_1d(observed), background, background_error, efficiency_error)
    )
    masses, ones = np.arange(len(b), dtype=float)[:, None], np.ones(len(b))
    of_effects = tuple(Effect(name, ones * size[0], ones * size[1]) for name, size in effects.items())  # type: ignore[index]
    return Experiments(masses, masses - 1, masses + 1, n.astype(np.int64), b, error, ones, ones, e, of_effects)


def observed(experiments: list[Experiments], per_unit: list[object], level: float = 0.9) -> np.ndarray:
    sizes = [np.broadcast_to(np.asarray(one, dtype=float), len(experiments[0])) for one in per_unit]
    found = combine(experiments, sizes, confidence_level=level).observed
    assert found is not None
    return found


def test_nothing_seen_and_nothing_expected() -> None:
    # sigma(e+e- -> U h') / (alpha_D eps^2) for m_U = 0.5 and m_h = 0.3 GeV is 9.8252e9 fb at 1019.4 MeV and 1.04041e10 fb at
    # 1000 MeV (arXiv:0903.0363); luminosities of KLOE, efficiency 0.2, BF(U -> mumu) 0.4: 2.302585 / sum of L eff sigma BF.
    on, off = (luminosity * 0.2 * sigma * 0.4 for luminosity, sigma in ((1.65e0, 9.8252e9), (0.206, 1.04041e10)))
    empty = make(0, 0.0)
    assert observed([empty], [on]) == pytest.approx(1.77543e-9, rel=5e-5)
    assert observed([empty], [off]) == pytest.approx(1.34293e-8, rel=5e-5)
    assert observed([empty, empty], [on, off]) == pytest.approx(1.56811e-9, rel=5e-5)
    found = combine([empty, empty], [np.array([on]), np.array([off])], confidence_level=0.95)
    assert found.expected[:, 0] == pytest.approx(np.full(5, -math.log(0.05) / (on + off)), rel=1e-6)


def random_set(n: int, seed: int, **effects: object) -> Experiments:
    rng = np.random.default_rng(seed)
    b, r, e = np.exp(rng.uniform(np.log(0.01), np.log(100), n)), rng.uniform(0, 0.6, n), rng.uniform(0, 0.3, n)
    return make(rng.poisson(b * np.exp(r * rng.standard_normal(n))), b, r * b, e, **effects)


def test_one_data_set_is_that_of_many() -> None:
    alone = random_set(60, seed=1, pid=(0.05, 0.0), shape=(0.0, 0.1))
    found, exact = (
        combine([alone], [alone.signal_per_fb], confidence_level=0.9),
        bayesian_limits(alone, confidence_level=0.9),
    )
    assert found.observed == pytest.approx(exact.observed, rel=5e-3)
    relative = np.abs(found.expected / exact.expected - 1)
    assert (np.median(relative, axis=1) < 1e-3).all()  # toys may take the next count
    assert np.quantile(relative, 0.9) < 0.12


@pytest.mark.parametrize("n", [0, 1, 4])
def test_an_exponential_background_is_that_of_many(n: int) -> None:
    alone = make(n, 0.0, 0.7, 0.1)
    assert observed([alone], [1.0]) == pytest.approx(bayesian_limits(alone, confidence_level=0.9).observed, rel=3e-3)


def test_data_sets_with_all_uncertainties_in_common_are_one() -> None:
    # The product of Poisson distributions with means in fixed proportions is one of the sum.
    shared = {"tracking": (0.2, 0.0), "sideband": (0.0, 0.4)}
    first, second = make([3, 12, 0], [6.0, 6.0, 1.2], **shared), make([2, 1, 1], [3.0, 3.0, 0.6], **shared)
    whole = make([5, 13, 1], [9.0, 9.0, 1.8], **shared)
    exact = bayesian_limits(whole, confidence_level=0.9).observed
    assert exact is not None
    assert observed([first, second], [2.0, 1.0]) == pytest.approx(exact / 3, rel=3e-3)
    both = combine([first, second], [np.full(3, 2.0), np.full(3, 1.0)], confidence_level=0.9)
    assert both.expected[2] == pytest.approx(bayesian_limits(whole, confidence_level=0.9).expected[2] / 3, rel=3e-3)


def test_units_do_not_matter() -> None:
    sets = [make([1, 4], [2.0, 0.5], 0.3, 0.1), make([0, 2], [1.0, 1.5], 0.5, 0.1)]
    reference, tiny, huge = (
        combine(sets, [np.full(2, unit), np.full(2, 0.4 * unit)], confidence_level=0.9) for unit in (1.0, 1e-9, 1e12)
    )
    assert np.array(tiny.expected) * 1e-9 == pytest.approx(reference.expected, rel=1e-9)
    assert np.array(huge.expected) * 1e12 == pytest.approx(reference.expected, rel=1e-9)
    assert np.asarray(huge.observed) * 1e12 == pytest.approx(reference.observed, rel=1e-9)


def test_three_parts_of_a_data_set() -> None:
    parts = [make(n, b) for n, b in ((4, 2.0), (1, 1.0), (2, 3.0))]
    whole = bayesian_limits(make(7, 6.0), confidence_level=0.9).observed
    assert observed(parts, [2.0, 1.0, 3.0]) == pytest.approx(np.asarray(whole) / 6, rel=1e-5)


def by_integration(counts: tuple[int, int], means: object, level: float, top: float) -> float:
    """Upper limit for a common pull z: ``means`` takes (mu, z) to the two mean counts."""
    mu, z = np.linspace(0, top, 6001)[:, None], np.linspace(-8, 8, 401)
    first, second = means(mu, z)  # type: ignore[operator]
    posterior = (poisson.pmf(counts[0], first) * poisson.pmf(counts[1], second) * norm.pdf(z)).sum(axis=1)
    steps = (posterior[1:] + posterior[:-1]) / 2
    below = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    return float(np.interp(level, below, mu[:, 0]))


def test_effects_on_signal_and_background_are_of_one_pull() -> None:
    found = observed([make(6, 3.0, tracking=(0.3, 0.5)), make(2, 2.0, tracking=(0.1, 0.0))], [1.0, 0.4])

    def means(mu: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return mu * np.exp(0.3 * z) + 3 * np.exp(0.5 * z), 0.4 * mu * np.exp(0.1 * z) + 2 + 0 * z

    assert found == pytest.approx(by_integration((6, 2), means, 0.9, 40.0), rel=2e-3)


def test_effects_of_opposite_sign() -> None:
    found = observed([make(3, 0.0, bins=(0.4, 0.0)), make(5, 0.0, bins=(-0.4, 0.0))], [1.0, 1.0], 0.95)

    def means(mu: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return mu * np.exp(0.4 * z) + 0 * z, mu * np.exp(-0.4 * z) + 0 * z

    assert found == pytest.approx(by_integration((3, 5), means, 0.95, 30.0), rel=2e-3)


def test_common_uncertainties_weaken_more_than_separate_ones() -> None:
    common = observed([make(2, 0.0, trigger=(0.3, 0.0)), make(2, 0.0, trigger=(0.3, 0.0))], [1.0, 1.0])
    separate = observed([make(2, 0.0, trigger_1=(0.3, 0.0)), make(2, 0.0, trigger_2=(0.3, 0.0))], [1.0, 1.0])
    statistical = observed([make(2, 0.0, 0.0, 0.3), make(2, 0.0, 0.0, 0.3)], [1.0, 1.0])
    assert separate == pytest.approx(statistical, rel=1e-6)
    assert common[0] > 1.03 * separate[0] > 1.03 * observed([make(2, 0.0), make(2, 0.0)], [1.0, 1.0])[0]


def test_a_second_data_set_helps_unless_it_has_an_excess() -> None:
    empty = make(0, 0.0)
    for ratio in (0.01, 0.3, 1.0, 5.0):
        assert observed([empty, empty], [1.0, ratio])[0] <= LN10 * min(1.0, 1 / ratio)
    first = make(2, 2.0)
    limits = [observed([first, make(n, 1.0)], [1.0, 0.5])[0] for n in range(8)]
    assert (np.diff(limits) > 0).all()
    assert limits[0] < observed([first], [1.0])[0] < limits[5]


def test_data_sets_that_see_no_signal_are_left_out() -> None:
    first, second = make([1, 1, 1], 1.0, 0.2), make([0, 9, 4], 2.0, 0.5)
    found = observed([first, second], [[1.0, 1.0, 0.0], [0.5, 0.0, 0.0]])
    alone = bayesian_limits(first, confidence_level=0.9).observed
    assert alone is not None
    assert found[0] < alone[0]
    assert found[1] == pytest.approx(alone[1], rel=3e-3)
    assert np.isinf(found[2])


def test_data_sets_in_tension() -> None:
    # A signal of 40 +- 6 in one, less than 2.3 / 0.9 in the other; integrated on a fine grid, no nuisances.
    found = observed([make(40, 0.0), make(0, 0.0)], [1.0, 0.9])

    def means(mu: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return mu + 0 * z, 0.9 * mu + 0 * z

    assert found == pytest.approx(by_integration((40, 0), means, 0.9, 60.0), rel=1e-4)


def test_coverage() -> None:
    rng = np.random.default_rng(3)
    toys, mu = 300, 4.0
    trigger = np.exp(0.15 * rng.standard_normal(toys))
    first_b, second_b = 3.0 * np.exp(0.3 * rng.standard_normal(toys)), 1.0 * np.exp(0.5 * rng.standard_normal(toys))
    first = make(rng.poisson(mu * trigger + 3.0), first_b, 0.3 * first_b, trigger=(0.15, 0.0))
    second = make(rng.poisson(0.5 * mu * trigger + 1.0), second_b, 0.5 * second_b, trigger=(0.15, 0.0))
    found = observed([first, second], [1.0, 0.5])
    assert np.mean(found >= mu) > 0.9 - 3 * math.sqrt(0.09 / toys)


def test_expected_limits_are_quantiles_of_observed_ones() -> None:
    toys = 300
    rng = np.random.default_rng(5)
    common, own = 0.1 * rng.standard_normal(toys), 0.3 * rng.standard_normal((2, toys))
    effects = {"luminosity": (0.1, 0.1)}
    counts = [rng.poisson(b * np.exp(common + z)) for b, z in zip((8.0, 3.0), own, strict=True)]
    sets = [make(n, b, 0.3 * b, 0.1, **effects) for n, b in zip(counts, (8.0, 3.0), strict=True)]
    drawn = observed(sets, [1.0, 0.7])
    expected = combine(
        [make(0, 8.0, 2.4, 0.1, **effects), make(0, 3.0, 0.9, 0.1, **effects)],
        [np.ones(1), np.full(1, 0.7)],
        confidence_level=0.9,
    ).expected[:, 0]
    assert np.quantile(drawn, norm.cdf([-2, -1, 0, 1, 2])) == pytest.approx(expected, rel=0.2)
    assert (np.diff(expected) > 0).all()


def test_hundreds_of_hypotheses_are_fast() -> None:
    effects = {"luminosity": (0.01, 0.01), "trigger": (0.02, 0.0), "shape": (0.0, 0.2)}
    sets = [random_set(300, seed, **effects) for seed in (1, 2)]
    start = time.perf_counter()
    assert np.isfinite(observed(sets, [1.0, 0.2])).all()
    assert time.perf_counter() - start < 40


def test_limits_do_not_depend_on_the_seed() -> None:
    sets = [random_set(40, seed, shape=(0.0, 0.2)) for seed in (1, 2)]
    sizes = [np.ones(40), np.full(40, 0.2)]
    first, second = (combine(sets, sizes, confidence_level=0.9, seed=seed).observed for seed in (1, 2))
    assert first == pytest.approx(second, rel=0.01)


def test_unobserved_data_sets_give_expected_limits_alone() -> None:
    sets = [make([3, 3], 2.0), replace(make([3, 3], 2.0), observed=None)]
    found = combine(sets, [np.ones(2), np.ones(2)], confidence_level=0.9)
    assert found.observed is None
    assert found.expected.shape == (5, 2)


def test_refusals() -> None:
    two, three = make([0, 0], 1.0), make([0, 0, 0], 1.0)
    with pytest.raises(LimitError, match="data set 2 has other hypotheses than the first: 3 and 2"):
        combine([two, three], [np.ones(2), np.ones(3)], confidence_level=0.9)
    with pytest.raises(LimitError, match="1 data sets and 2 signals per unit do not belong together"):
        combine([two], [np.ones(2), np.ones(2)], confidence_level=0.9)
    with pytest.raises(LimitError, match=r"the signal per unit of 1 of 2 hypotheses .* got nan"):
        combine([two], [np.array([1.0, np.nan])], confidence_level=0.9)
    with pytest.raises(ConfigError, match="the confidence level must lie between 0 and 1"):
        combine([two], [np.ones(2)], confidence_level=90)
