"""Unified intervals against the construction written out plainly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from mlbkg.errors import LimitError
from mlbkg.limits.counting import Count, counting_interval
from mlbkg.limits.feldman_cousins import lower_limit, raw_upper_limit, upper_limit
from mlbkg.limits.feldman_cousins_hybrid import hybrid_interval
from mlbkg.limits.gaussian import feldman_cousins


def plainly(n: int, b: float, level: float, signals: np.ndarray) -> tuple[float, float]:
    """First and last of ``signals`` whose acceptance region holds ``n``: counts in order of their rank until ``level``."""
    counts = np.arange(200)
    best = poisson.pmf(counts, np.maximum(counts, b))
    accepted = []
    for signal in signals:
        probability = poisson.pmf(counts, signal + b)
        order = np.argsort(-probability / best, kind="stable")
        enough = np.searchsorted(np.cumsum(probability[order]), level) + 1
        accepted.append(n in order[:enough])
    return float(signals[accepted][0]), float(signals[accepted][-1])


@pytest.mark.parametrize(
    ("n", "b", "level"), [(10, 2.7, 0.68), (7, 7.2, 0.95), (40, 40.0, 0.9), (25, 1.3, 0.9), (2, 6.0, 0.5), (0, 0.0, 0.99)]
)
def test_raw_interval_is_the_construction(n: int, b: float, level: float) -> None:
    lower, upper = plainly(n, b, level, np.arange(0, 42, 0.01))
    assert lower_limit(n, b, confidence_level=level) == pytest.approx(lower, abs=0.0101)
    assert raw_upper_limit(n, b, confidence_level=level) == pytest.approx(upper, abs=0.0101)


@pytest.mark.parametrize(
    ("n", "b", "level"), [(0, 3.0, 0.9), (2, 5.1, 0.9), (10, 14.2, 0.68), (5, 5.5, 0.95), (8, 30.0, 0.9)]
)
def test_correction_is_the_largest_of_all_larger_backgrounds(n: int, b: float, level: float) -> None:
    backgrounds = np.arange(b, b + 12, 0.01)
    largest = max(raw_upper_limit(n, float(background), confidence_level=level) for background in backgrounds)
    found = upper_limit(n, b, confidence_level=level)
    # Raw limits fall with slope one between jumps: a step of 0.01 misses the top of a jump by at most as much.
    assert largest <= found + 1e-12 <= largest + 0.0101


@pytest.mark.parametrize("count", [(0, 0.0), (3, 3.0), (10, 2.7), (60, 20.0)])
def test_averages_over_nothing_are_the_known_interval(count: tuple[int, float]) -> None:
    n, b = count
    found = hybrid_interval(Count(n, b), confidence_level=0.9)
    assert found.lower == pytest.approx(lower_limit(n, b, confidence_level=0.9), abs=1e-3)
    assert found.upper == pytest.approx(raw_upper_limit(n, b, confidence_level=0.9), rel=1e-3)


def test_uncertainties_widen_intervals() -> None:
    known = counting_interval(Count(12, 3.0), method="feldman-cousins", confidence_level=0.9)
    uncertain = counting_interval(Count(12, 3.0, 0.3, 0.2), method="feldman-cousins", confidence_level=0.9)
    assert uncertain.lower < known.lower
    assert uncertain.upper > known.upper


def test_averaged_coverage() -> None:
    """Nuisances drawn anew for each experiment, as the averaged construction assumes."""
    signal, background = 4.0, 2.0
    rng = np.random.default_rng(8)
    means = signal * np.exp(0.2 * rng.standard_normal(4000)) + background * np.exp(0.3 * rng.standard_normal(4000))
    values, times = np.unique(rng.poisson(means), return_counts=True)
    intervals = [hybrid_interval(Count(n, background, 0.3, 0.2), confidence_level=0.9) for n in values]
    held = np.array([found.lower <= signal <= found.upper for found in intervals])
    assert times[held].sum() / 4000 > 0.9 - 0.015


def test_too_many_counts_to_average() -> None:
    with pytest.raises(LimitError, match="unified intervals with uncertainties are for up to 4000 counts") as caught:
        counting_interval(Count(10**5, 1e5, 0.1), method="feldman-cousins", confidence_level=0.9)
    assert "minos" in caught.value.hint


@pytest.mark.parametrize("mean", [0.0, 0.02, 0.5, 1.7, 4.0])
def test_gaussian_coverage_is_exact(mean: float) -> None:
    x = np.random.default_rng(3).normal(mean, 1, 4000)
    intervals = [feldman_cousins(float(value), 1, confidence_level=0.9) for value in x]
    share = np.mean([found.lower <= mean <= found.upper for found in intervals])
    assert share == pytest.approx(0.9, abs=0.02)
