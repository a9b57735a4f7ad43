"""Signal found in background alone: none in a smooth one, all of what was carved; errors from closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlbkg.errors import EmptySampleError, FitError
from mlbkg.fitting.base import Array, Sampled, Window
from mlbkg.fitting.fake_signal import FakeSignal, fake_signal

WINDOW = Window(9.40, 9.52)
SIGMA = 0.003


def signal(n: int = 200_000) -> Sampled:
    return np.random.default_rng(1).normal(9.46, SIGMA, n), np.ones(n)


def smooth(n: int, rng: np.random.Generator) -> Array:
    """Density 1 + u / 2, u from -1 to 1 over the window, by its inverse cumulative."""
    u = -2 + np.sqrt(1 + 8 * rng.random(n))
    return np.asarray(9.46 + 0.06 * u)


def fitted(x: Array, weight: Array, *, degree: int = 1, bins: int = 240) -> FakeSignal:
    return fake_signal((x, weight), signal(), degree=degree, window=WINDOW, bins=bins)


def test_smooth_background_holds_no_signal() -> None:
    """Mean pull and width over 200 samples, within three standard errors of a unit normal's."""
    rng, shape = np.random.default_rng(2), signal(20_000)
    found = [
        fake_signal((smooth(5000, rng), np.full(5000, 3.0)), shape, degree=1, window=WINDOW, bins=120) for _ in range(200)
    ]
    pulls = np.array([one.significance for one in found])
    assert abs(pulls.mean()) < 3 / math.sqrt(200)
    assert abs(pulls.std() - 1) < 3 / math.sqrt(400)


def test_a_carved_peak_is_found_whole() -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate([smooth(20_000, rng), rng.normal(9.46, SIGMA, 4000)])
    found = fitted(x, np.full(len(x), 2.0))
    assert found.background == 48_000
    assert found.events == pytest.approx(8000, abs=3 * found.error)
    assert found.error < 400


def test_errors_are_those_of_the_simulation_and_of_data() -> None:
    """A peak of width sigma on a flat density b: sigma_S^2 = 2 sqrt(pi) sigma b from the peak alone, which the free yield of
    the background, as wide as the window W, makes larger by 1 / (1 - 2 sqrt(pi) sigma / W). Weights w: times w."""
    n, weight = 100_000, 50.0
    x = np.random.default_rng(4).uniform(9.40, 9.52, n)
    found = fitted(x, np.full(n, weight), degree=0)
    narrow = 2 * math.sqrt(math.pi) * SIGMA
    of_data = math.sqrt(narrow * n * weight / WINDOW.width / (1 - narrow / WINDOW.width))
    assert found.expected_error == pytest.approx(of_data, rel=0.02)
    assert found.error == pytest.approx(math.sqrt(weight) * of_data, rel=0.03)
    assert found.expected_sigma == pytest.approx(found.events / of_data, rel=0.03)


def test_nothing_beside_the_peak_is_no_trouble() -> None:
    x = np.random.default_rng(5).normal(9.46, SIGMA, 60)
    found = fitted(x, np.full(60, 1000.0), degree=2)
    assert found.events == pytest.approx(60_000, rel=0.1)
    # weighted Poisson counts: w sqrt(n)
    assert found.error == pytest.approx(1000 * math.sqrt(60), rel=0.15)


def test_what_cannot_be_fitted_is_told() -> None:
    with pytest.raises(EmptySampleError, match="no candidates of the background that passes in the fit window"):
        fitted(np.array([1.0]), np.ones(1))
    with pytest.raises(FitError, match="5 bins cannot tell the signal's shape from a polynomial of degree 6"):
        fitted(smooth(100, np.random.default_rng(6)), np.ones(100), degree=6, bins=5)
