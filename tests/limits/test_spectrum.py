"""The smooth spectrum of simulated candidates, and experiments drawn from it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator

from mlbkg.limits.cell_toys import draw_counts
from mlbkg.limits.hypotheses import Effect, Experiments
from mlbkg.limits.spectrum import Spectrum, smooth_spectrum
from mlbkg.limits.spectrum_toys import Expected, counts_in_windows, expected_in_bins


def flat(rng: Generator, n: int, *, total: float = 1000.0, axes: int = 1) -> Spectrum:
    values = rng.uniform(0, 1, (n, axes))
    return smooth_spectrum(
        values,
        np.full(n, total / n),
        np.zeros(n, dtype=np.int16),
        np.arange(n),
        resolution=np.full((n, axes), 0.01),
        n_samples=1,
    )


LOW = np.linspace(0, 0.96, 25)[:, None]


def test_where_there_are_many_a_window_holds_what_is_counted() -> None:
    spectrum = flat(np.random.default_rng(1), 50000)
    counted = np.histogram(spectrum.values[:, 0], np.linspace(0, 1, 26))[0] * 1000 / 50000
    assert spectrum.content(LOW, LOW + 0.04)[0] == pytest.approx(counted, rel=0.01)
    assert np.sqrt(spectrum.variance(LOW, LOW + 0.04)) == pytest.approx(np.sqrt(counted * 0.02), rel=0.05)


def test_where_there_are_few_the_error_is_the_spread() -> None:
    """200 candidates of weight 5 stand for 40 in each window."""
    rng = np.random.default_rng(2)
    found = [flat(rng, 200) for _ in range(200)]
    content = np.array([spectrum.content(LOW, LOW + 0.04)[0] for spectrum in found])
    errors = np.sqrt([spectrum.variance(LOW, LOW + 0.04) for spectrum in found])
    middle = slice(3, -3)
    assert content[:, middle].mean() == pytest.approx(40, rel=0.03)
    assert errors[:, middle].mean() == pytest.approx(content[:, middle].std(axis=0).mean(), rel=0.25)
    assert content.sum(axis=1) == pytest.approx(1000), "nothing is lost at the ends"


def test_samples_and_events_are_kept_apart_and_together() -> None:
    """Two candidates of each event move together; a thin sample is spread by itself."""
    values = np.repeat(np.linspace(0, 1, 501), 2)[:, None]
    sample = np.zeros(1002, dtype=np.int16)
    spectrum = smooth_spectrum(
        np.concatenate([values, [[0.5]]]),
        np.concatenate([np.full(1002, 0.5), [7.0]]),
        np.append(sample, np.int16(1)),
        np.append(np.repeat(np.arange(501), 2), 501),
        resolution=np.full((1003, 1), 0.01),
        n_samples=2,
    )
    everything = np.array([[-1.0]]), np.array([[2.0]])
    assert spectrum.content(*everything)[:, 0] == pytest.approx([501, 7])
    # 501 events of weight 1 and one of weight 7
    assert spectrum.variance(*everything)[0] == pytest.approx(501 + 49)
    assert spectrum.content(np.array([[0.45]]), np.array([[0.55]]))[1, 0] == pytest.approx(7 * 0.1 / 0.8)
    counts = [len(spectrum.draw(np.random.default_rng(seed))[0]) for seed in range(300)]
    # pairs: 2 x Poisson(250.5), and Poisson(7)
    assert np.mean(counts) == pytest.approx(508, abs=4 * np.sqrt((4 * 250.5 + 7) / 300))
    assert np.var(counts) == pytest.approx(4 * 250.5 + 7, rel=0.35)


def test_two_axes() -> None:
    spectrum = flat(np.random.default_rng(3), 3000, axes=2)
    low = np.array([[0.2, 0.3], [0.0, 0.0]])
    assert spectrum.content(low, low + 0.5)[0] == pytest.approx([250, 250], rel=0.1)
    values, _ = spectrum.draw(np.random.default_rng(4))
    assert values.min() >= spectrum.values.min()
    assert values.max() <= spectrum.values.max()
    assert np.mean(np.all((values > 0.2) & (values < 0.7), axis=1)) == pytest.approx(0.25, abs=0.06)


def test_windows_of_one_experiment_are_correlated_by_what_they_share() -> None:
    expected = expected_in_bins(flat(np.random.default_rng(5), 50000), np.linspace(0, 1, 26))
    counts = expected.draw(4000, np.random.default_rng(6))
    low, high = np.array([0.0, 0.2, 0.8]), np.array([0.4, 0.6, 1.0])
    windows = counts_in_windows(counts, expected.edges, low, high)
    assert windows.mean(axis=0) == pytest.approx([400, 400, 200], rel=0.03)
    correlation = np.corrcoef(windows.T)
    assert correlation[0, 1] == pytest.approx(0.5, abs=0.06), "half of each is the other's"
    assert correlation[0, 2] == pytest.approx(0.0, abs=0.06)


def test_effects_move_all_bins_together() -> None:
    expected = expected_in_bins(flat(np.random.default_rng(7), 50000), np.linspace(0, 1, 6))
    moved = Expected(expected.edges, expected.content, expected.covariance, np.full((1, 5), 0.2))
    counts = moved.draw(4000, np.random.default_rng(8))
    # log-normal of width ln 1.2 on top of Poisson fluctuations of 200
    spread = np.sqrt(np.expm1(np.log(1.2) ** 2) + 1 / 200)
    assert counts.std(axis=0) / counts.mean(axis=0) == pytest.approx(spread, rel=0.1)
    assert np.corrcoef(counts.T)[0, 4] > 0.8


def test_cells_fluctuate_alone_and_by_effects_together() -> None:
    n = 3
    experiments = Experiments(
        masses=np.zeros((n, 2)),
        low=np.zeros((n, 2)),
        high=np.ones((n, 2)),
        observed=None,
        background=np.array([100.0, 100.0, 0.0]),
        background_error=np.array([10.0, 0.0, 2.0]),
        signal_per_fb=np.ones(n),
        efficiency=np.ones(n),
        efficiency_error=np.zeros(n),
        effects=(Effect("shape", np.zeros(n), np.array([0.0, 0.1, 0.0])),),
    )
    counts = draw_counts(experiments, 20000, np.random.default_rng(9))
    assert counts.mean(axis=0) == pytest.approx([100, 100, 2], rel=0.03)
    # Poisson and 10 % in quadrature; where nothing is left, geometric: variance 2 + 2^2
    assert counts.var(axis=0) == pytest.approx([200, 200, 6], rel=0.1)
    assert abs(np.corrcoef(counts.T)[0, 1]) < 0.03
