"""Fits of a peak over a smooth background: unbiased, with errors and significances as theory and another program say."""

from __future__ import annotations

import numpy as np
import pytest
from iminuit import Minuit
from numpy.random import Generator
from scipy.stats import norm

from mlbkg.limits.local_fits import WEAK, local_fits

EDGES = np.linspace(-15, 15, 61)
SHAPE = np.diff(norm.cdf(EDGES))
WHOLE = np.array([[0, 60]])


def background(rate: float) -> np.ndarray:
    """Candidates in each bin, falling and bent."""
    x = np.linspace(-1, 1, 60)
    return rate * np.exp(-0.4 * x + 0.2 * x**2)


def drawn(rng: Generator, *, rate: float, signal: float, toys: int) -> np.ndarray:
    return rng.poisson(background(rate) + signal * SHAPE, (toys, 60)).astype(float)


def test_the_minimum_is_that_of_another_program() -> None:
    counts = drawn(np.random.default_rng(1), rate=5, signal=20, toys=1)[0]
    basis = np.polynomial.legendre.legvander(np.linspace(-1, 1, 60), 2)

    def loss(signal: float, c0: float, c1: float, c2: float) -> float:
        mean = signal * SHAPE + np.exp(basis @ [c0, c1, c2])
        return float((mean - counts * np.log(mean)).sum() + (c1**2 + c2**2) / (2 * WEAK**2))

    minuit = Minuit(loss, signal=10, c0=np.log(5), c1=0, c2=0)
    minuit.errordef, minuit.tol = Minuit.LIKELIHOOD, 1e-6
    minuit.migrad()
    minuit.hesse()
    without = Minuit(loss, signal=0, c0=np.log(5), c1=0, c2=0)
    without.errordef, without.tol = Minuit.LIKELIHOOD, 1e-6
    without.fixed["signal"] = True
    without.migrad()
    found = local_fits(counts, SHAPE[None], WHOLE, order=2)
    assert found.signal[0] == pytest.approx(minuit.values["signal"], abs=0.01)
    # Fisher's information against the second derivatives that were seen
    assert found.error[0] == pytest.approx(minuit.errors["signal"], rel=0.1)
    assert found.z[0] == pytest.approx(np.sqrt(2 * (without.fval - minuit.fval)), abs=1e-3)


@pytest.mark.parametrize("rate", [0.5, 5.0, 50.0])
def test_without_signal_significances_are_normal(rate: float) -> None:
    """Wilks' theorem; the fractions above 1, 2 and 3 are those of a normal distribution within 4 standard errors."""
    toys = 4000
    found = local_fits(drawn(np.random.default_rng(2), rate=rate, signal=0, toys=toys), SHAPE[None], WHOLE, order=2)
    z = found.z[:, 0]
    for level in (1.0, 2.0, 3.0):
        chance = norm.sf(level)
        tolerance = 0.15 if rate < 1 else 0.0
        assert (z > level).mean() == pytest.approx(chance, abs=4 * np.sqrt(chance / toys) + tolerance * chance)


@pytest.mark.parametrize("sigmas", [0, 1, 3, 5])
def test_yields_are_unbiased_and_their_errors_right(sigmas: int) -> None:
    rate = 20.0
    # A Gaussian peak of width 1 over b candidates in a bin of 0.5: sigma^2 = 2 sqrt(pi) b / 0.5 without free background
    least = np.sqrt(2 * np.sqrt(np.pi) * rate / 0.5)
    signal = sigmas * least
    found = local_fits(drawn(np.random.default_rng(3), rate=rate, signal=signal, toys=2000), SHAPE[None], WHOLE, order=2)
    pulls = (found.signal[:, 0] - signal) / found.error[:, 0]
    assert np.mean(pulls) == pytest.approx(0, abs=0.12)
    assert np.std(pulls) == pytest.approx(1, abs=0.07)
    assert np.mean(found.signal) == pytest.approx(signal, abs=4 * least / np.sqrt(2000) + 0.02 * signal)
    if sigmas == 0:
        assert 1 < np.mean(found.error) / least < 1.25


def test_a_signal_is_found_where_it_is() -> None:
    masses = np.linspace(-8, 8, 17)
    shapes = np.stack([np.diff(norm.cdf(EDGES - mass)) for mass in masses])
    ranges = np.stack([np.searchsorted(EDGES, np.clip(masses + side, -15, 15)) for side in (-8, 8)], axis=1)
    rng = np.random.default_rng(4)
    counts = rng.poisson(background(10.0) + 70 * shapes[11], (50, 60)).astype(float)
    found = local_fits(counts, shapes, ranges.clip(0, 60), order=2)
    assert found.z.shape == (50, 17)
    assert np.all(np.abs(found.z.argmax(axis=1) - 11) <= 1)


def test_hardly_any_candidates() -> None:
    """None at all, one, and three in the middle: finite, and only the last is an excess."""
    counts = np.zeros((3, 60))
    counts[1, 10] = 1
    counts[2, 29:31] = [2, 1]
    found = local_fits(counts, SHAPE[None], WHOLE, order=2)
    assert np.all(np.isfinite([found.signal, found.error, found.z]))
    assert found.z[0, 0] == pytest.approx(0, abs=0.1)
    assert found.z[2, 0] > 2
    assert found.signal[2, 0] == pytest.approx(3, abs=0.1)
