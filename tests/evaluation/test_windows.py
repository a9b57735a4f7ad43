"""Sums in windows against sums by hand, and what thin windows learn from their neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from mlbkg.evaluation.windows import Windows, background_in_windows, sums_in_windows


@pytest.mark.parametrize("axes", [1, 2])
def test_sums_are_those_by_hand(axes):
    random = np.random.default_rng(1)
    values, level, weight = random.random((2000, axes)), random.integers(0, 6, 2000), random.random(2000)
    low = random.random((7, axes)) * 0.7
    windows = Windows(low, low + 0.3)
    (found,) = sums_in_windows(values, level, (weight,), windows, n_levels=5)
    for window in range(7):
        inside = ((values >= windows.low[window]) & (values <= windows.high[window])).all(axis=1)
        for cut in range(5):
            assert found[cut, window] == pytest.approx(weight[inside & (level > cut)].sum())


def test_widened_windows_end_with_the_outermost():
    wide = Windows(np.array([[0.0], [4.0]]), np.array([[1.0], [6.0]])).widened(4)
    assert wide.low[:, 0].tolist() == [0, 1]
    assert wide.high[:, 0].tolist() == [2.5, 6]
    assert wide.volume.tolist() == [2.5, 5]


def _even(n: int, *, events: float, cuts: int, seed: int, axes: int = 1):
    """Even in ``axes`` variables from 0 to 1, in 50 windows; all pass the first cut, and half each further one."""
    random = np.random.default_rng(seed)
    level = np.minimum(random.geometric(0.5, n), cuts)
    edges = np.linspace(0, 1, 51)
    low = np.repeat(edges[:-1, None], axes, axis=1)
    weight = np.full(n, events / n)
    return random.random((n, axes)), level, weight, weight**2, Windows(low, low + 0.02)


def test_well_simulated_windows_count_for_themselves():
    values, level, weight, variance, windows = _even(100_000, events=5000, cuts=5, seed=2)
    found = background_in_windows(values, level, weight, variance, windows, n_levels=5)
    assert found.measured.all()
    assert found.events == pytest.approx(found.simulated)
    # Poisson with weights of 1/20
    assert found.error == pytest.approx(np.sqrt(found.simulated * 0.05))


def test_thin_windows_learn_how_the_cut_acts_from_around():
    # 20 simulated candidates a window: behind five cuts 0.6 of them are left, and most windows are empty
    values, level, weight, variance, windows = _even(1000, events=5000, cuts=6, seed=3)
    found = background_in_windows(values, level, weight, variance, windows, n_levels=6)
    assert (found.simulated[5] == 0).sum() > 20
    assert (found.events[5] > 0).all()
    assert found.events[5].mean() == pytest.approx(100 / 2**5, rel=0.25)
    # ever tighter cuts never bring events back
    assert (np.diff(found.events, axis=0) <= 1e-9).all()
    pulls = (found.events[5] - 100 / 2**5) / found.error[5]
    assert np.abs(pulls).max() < 3.5


def test_one_heavy_event_is_spread_over_its_neighbourhood():
    # 50 events of small weights, and 40 candidates that stand for 100 events each, in 50 windows
    values, level, weight, _, windows = _even(50_000, events=50, cuts=3, seed=4)
    heavy = np.random.default_rng(5).random((40, 1))
    values, level = np.concatenate([values, heavy]), np.concatenate([level, np.full(40, 3)])
    weight = np.concatenate([weight, np.full(40, 100.0)])
    found = background_in_windows(values, level, weight, weight**2, windows, n_levels=3)
    assert (found.simulated[2] < 10).any()
    assert found.events[2].mean() == pytest.approx(40 * 100 / 50, rel=0.35)
    assert found.events[2].min() > 20


def test_without_background_nothing_is_measured():
    nothing = np.empty(0)
    windows = Windows(np.zeros((2, 1)), np.ones((2, 1)))
    found = background_in_windows(np.empty((0, 1)), np.empty(0, dtype=np.intp), nothing, nothing, windows, n_levels=3)
    assert not found.measured.any()
    assert not found.events.any()


def test_a_plane_of_windows():
    values, level, weight, variance, windows = _even(200_000, events=200_000, cuts=8, seed=6, axes=2)
    found = background_in_windows(values, level, weight, variance, windows, n_levels=8)
    # each cell holds 200000 / 2500 events before the cuts, 80 / 2^7 behind the last
    assert found.events[7].mean() == pytest.approx(80 / 2**7, rel=0.2)
    assert (found.events[7] > 0).all()
