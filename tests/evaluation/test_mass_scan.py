"""Punzi's figure over masses, where the optimum is known: scores of the signal are even in 0..1, of the background
1 - u^(1/k), so that a cut that keeps a share e of the signal keeps e^k of the background."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest

from mlbkg.errors import EmptySampleError
from mlbkg.evaluation.estimates import from_plain, to_plain
from mlbkg.evaluation.mass_scan import MassScan, mean_punzi, scan_masses, smooth_path
from mlbkg.evaluation.peaks import evenly_spaced, measure_peaks
from mlbkg.evaluation.window_search import window_search
from mlbkg.evaluation.working_point import punzi_s_min

A, B = 3.0, 1.28155
MASSES = np.array([0.1, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.25, 7.5, 7.75, 8, 8.5])
LUMINOSITY, EFFICIENCY = 0.276, 0.05
IN_WINDOW = 0.9545
"""Of a Gaussian within two standard deviations."""


def toy(*, background: int, signal: int = 600, per_gev2: float = 5.0, power: float = 4.0, seed: int = 1) -> dict[str, Any]:
    """Widths that fall with the mass as at Belle II, background even in the squared recoil mass."""
    random = np.random.default_rng(seed)
    true = np.repeat(MASSES, signal)
    squared = true**2 + (0.3 - 0.03 * true) * random.standard_normal(len(true))
    weight = np.full(len(true), LUMINOSITY * EFFICIENCY / max(signal, 1))
    return {
        "score": np.concatenate([random.random(len(true)), 1 - random.random(background) ** (1 / power)]),
        "label": np.repeat(np.array([1, 0], np.int8), [len(true), background]),
        "weight": np.concatenate([weight, np.full(background, 83 * per_gev2 / background)]),
        "event_index": np.arange(len(true) + background),
        "masses": np.concatenate([true, np.full(background, np.nan)])[:, None],
        "values": np.concatenate([squared, random.uniform(-2, 81, background)])[:, None],
    }


def scanned(sample: dict[str, Any], *, hypotheses: int = 70, mean: bool = False) -> Any:
    signal = sample["label"] == 1
    peaks = measure_peaks(sample["masses"][signal], sample["values"][signal], sample["weight"][signal], power=(2,))
    settings = {
        "peaks": peaks,
        "hypotheses": evenly_spaced(peaks, low=0.1, high=8.5, number=hypotheses),
        "generated": np.full(len(MASSES), signal.sum() / len(MASSES) / EFFICIENCY),
        "luminosity_per_fb": LUMINOSITY,
        "a": A,
        "b": B,
        "window": 2.0,
    }
    search = window_search(**sample, **settings)
    return mean_punzi(search) if mean else scan_masses(search, variable="m2Recoil")


def truth(scan: MassScan, share: np.ndarray, *, per_gev2: float = 5.0, power: float = 4.0) -> np.ndarray:
    """What a cut really reaches that keeps ``share`` of the signal in each window, fb."""
    background = per_gev2 * (scan.high - scan.low) * share**power
    return punzi_s_min(background, a=A, b=B) / (share * IN_WINDOW * EFFICIENCY * LUMINOSITY)


def best_possible(scan: MassScan, **settings: float) -> np.ndarray:
    return np.min([truth(scan, np.full(len(scan.low), e), **settings) for e in np.linspace(0.01, 1, 400)], axis=0)


@pytest.fixture(scope="module")
def scan() -> MassScan:
    return scanned(toy(background=100_000))


def test_the_smooth_cut_reaches_the_optimum(scan):
    reached = truth(scan, scan.smooth.efficiency)
    assert (reached / best_possible(scan)).max() < 1.03
    assert reached.mean() / best_possible(scan).mean() < 1.005
    # 600 signal candidates a mass and some 350 of background a window
    assert scan.smooth.sensitivity == pytest.approx(reached, rel=0.17)
    assert scan.mean_sensitivity == pytest.approx(reached.mean(), rel=0.03)


@pytest.mark.parametrize(("per_gev2", "power"), [(0.5, 3.0), (500.0, 2.0)])
def test_few_and_many_background_events(per_gev2, power):
    found = scanned(toy(background=20_000, per_gev2=per_gev2, power=power, seed=2))
    best = best_possible(found, per_gev2=per_gev2, power=power)
    reached = truth(found, found.smooth.efficiency, per_gev2=per_gev2, power=power)
    assert reached.mean() / best.mean() < 1.01


def test_thin_simulation_is_not_run_after():
    # 3000 candidates over 83 GeV^2: about 30 in a window before the cut, a handful behind it
    found = scanned(toy(background=3000, seed=3))
    best = best_possible(found).mean()
    smooth, own = truth(found, found.smooth.efficiency).mean(), truth(found, found.optimum.efficiency).mean()
    assert smooth / best < 1.015
    assert own > smooth
    assert found.mean_sensitivity == pytest.approx(smooth, rel=0.05)


def test_a_few_heavy_candidates_count_on_average():
    # besides, 80 candidates that stand for 5 events each: 4.8 events per GeV^2 of the same shape
    light, heavy = toy(background=40_000, seed=4), toy(background=80, signal=0, per_gev2=400 / 83, seed=5)
    together = {name: np.concatenate([light[name], heavy[name]]) for name in light}
    together["event_index"] = np.arange(len(together["score"]))
    found = scanned(together)
    per_gev2 = 5 + 400 / 83
    before = per_gev2 * (found.high - found.low)
    assert (found.before.background / before).mean() == pytest.approx(1, abs=0.2)
    assert (found.before.background / before).std() < 0.35
    reached = truth(found, found.smooth.efficiency, per_gev2=per_gev2)
    # 80 candidates do not allow cuts as tight as would be best
    assert reached.mean() / best_possible(found, per_gev2=per_gev2).mean() < 1.05


def test_what_is_told_is_what_the_curve_keeps(scan):
    sample = toy(background=100_000)
    passed = sample["score"] >= scan.curve(sample["values"][:, 0])
    for row in (0, 30, 69):
        inside = (sample["values"][:, 0] >= scan.low[row]) & (sample["values"][:, 0] <= scan.high[row])
        kept = passed & inside & (sample["label"] == 0)
        assert scan.smooth.simulated[row] == pytest.approx(sample["weight"][kept].sum())
    mine = (sample["masses"][:, 0] == 8.5) & (sample["values"][:, 0] >= scan.low[-1])
    mine &= sample["values"][:, 0] <= scan.high[-1]
    assert scan.smooth.efficiency[-1] == pytest.approx(passed[mine].mean())
    assert scan.smooth.absolute_efficiency[-1] == pytest.approx((mine & passed).sum() / 12_000)
    share = scan.smooth.absolute_efficiency[-1]
    # binomial, of 600 / 0.05 generated events
    assert scan.smooth.absolute_efficiency_error[-1] == pytest.approx(np.sqrt(share * (1 - share) / 12_000))
    assert scan.smooth.threshold == pytest.approx(scan.curve((scan.low + scan.high) / 2), abs=1e-6)


def test_figures_of_merit_fit_together(scan):
    for points in (scan.before, scan.optimum, scan.smooth):
        assert points.s_min == pytest.approx(punzi_s_min(points.background, a=A, b=B))
        assert points.sensitivity == pytest.approx(points.s_min / (points.absolute_efficiency * LUMINOSITY))
    assert scan.before.efficiency == pytest.approx(np.ones(70))
    assert (scan.optimum.sensitivity <= scan.smooth.sensitivity * 1.03).all()
    assert scan.optimum.mean_sensitivity < scan.smooth.mean_sensitivity < scan.before.mean_sensitivity


def test_the_curve_is_smooth(scan):
    assert np.abs(np.diff(scan.smooth.efficiency)).max() < 0.12
    assert np.abs(np.diff(scan.smooth.efficiency)).mean() < np.abs(np.diff(scan.optimum.efficiency)).mean()
    assert np.all(np.diff(scan.curve.at) > 0)
    assert all(float(np.float32(cut)) == cut for cut in scan.curve.threshold)


def test_auc_of_each_mass(scan):
    # P(even in 0..1 > 1 - u^(1/4)) = E[u^(1/4)] = 4/5
    assert scan.ranking.auc == pytest.approx(np.full(20, 0.8), abs=4 * 0.014)
    pulls = (scan.ranking.auc - 0.8) / scan.ranking.auc_error
    assert 0.5 < np.sqrt((pulls**2).mean()) < 1.5


def test_one_cut_for_all_masses():
    found = scanned(toy(background=100_000), mean=True)
    windows = scanned(toy(background=2000), hypotheses=70)
    shares = np.linspace(0.01, 1, 400)
    mean = np.array([truth(windows, np.full(70, share)).mean() for share in shares])
    # a score above s keeps a share 1 - s of the signal
    reached = np.interp(1 - found.threshold[found.best], shares, mean)
    assert reached / mean.min() < 1.003
    assert found.mean_sensitivity[found.best] == pytest.approx(mean.min(), rel=0.03)
    assert found.points.mean_sensitivity == pytest.approx(found.mean_sensitivity[found.best])


def test_one_cut_for_a_plane_of_masses():
    random = np.random.default_rng(6)
    pairs = np.array(list(itertools.product([2.0, 4.0, 6.0, 8.0], [1.0, 2.0, 3.0])))
    true = np.repeat(pairs, 300, axis=0)
    values = true + np.array([0.05, 0.2]) * random.standard_normal(true.shape)
    n, density = 50_000, 4.0
    other = random.random((n, 2)) * [10, 5]
    sample = {
        "score": np.concatenate([random.random(len(true)), 1 - random.random(n) ** 0.25]),
        "label": np.repeat(np.array([1, 0], np.int8), [len(true), n]),
        "weight": np.concatenate([np.full(len(true), 8.0 * 0.1 / 300), np.full(n, 50 * density / n)]),
        "event_index": np.arange(len(true) + n),
        "masses": np.concatenate([true, np.full((n, 2), np.nan)]),
        "values": np.concatenate([values, other]),
    }
    peaks = measure_peaks(true, values, np.ones(len(true)), power=(1, 1))
    search = window_search(
        **sample, peaks=peaks, hypotheses=random.uniform([2, 1], [8, 3], (200, 2)), generated=np.full(12, 3000),
        luminosity_per_fb=8.0, a=A, b=B, window=2.0,
    )  # fmt: skip
    found = mean_punzi(search)
    shares = np.linspace(0.01, 1, 400)
    # windows of 4 widths: 0.2 GeV x 0.8 GeV
    mean = punzi_s_min(density * 0.16 * shares**4, a=A, b=B) / (shares * IN_WINDOW**2 * 0.1 * 8)
    reached = np.interp(1 - found.threshold[found.best], shares, mean)
    assert reached / mean.min() < 1.01
    assert found.mean_sensitivity[found.best] == pytest.approx(mean.min(), rel=0.06)
    assert found.points.absolute_efficiency.mean() == pytest.approx(
        (1 - found.threshold[found.best]) * IN_WINDOW**2 * 0.1, rel=0.05
    )


def test_smooth_path_is_the_minimum_of_all_paths():
    random = np.random.default_rng(7)
    cost, share = random.random((4, 6)), np.linspace(1, 0.25, 4)

    def total(path: tuple[int, ...], stiffness: float) -> float:
        slope = np.diff(share[list(path)]) * 6
        return cost[list(path), np.arange(6)].sum() / 6 + stiffness * (slope**2).sum() / 6

    for stiffness in (0.0, 0.02, 0.3):
        best = min(itertools.product(range(4), repeat=6), key=lambda path, of=stiffness: total(path, of))
        assert smooth_path(cost, share, stiffness=stiffness).tolist() == list(best)
    assert smooth_path(cost, share, stiffness=0).tolist() == cost.argmin(axis=0).tolist()
    assert len(set(smooth_path(cost, share, stiffness=1e6).tolist())) == 1


def test_order_and_events_without_a_value_do_not_matter():
    sample = toy(background=5000, signal=100)
    n = len(sample["score"])
    mixed = np.random.default_rng(8).permutation(n)
    lost = {
        "score": [0.999] * 3, "label": np.array([1, 0, 0], np.int8), "weight": [1.0] * 3, "event_index": [n, n + 1, n + 2],
        "masses": [[8.5], [np.nan], [np.nan]], "values": [[np.nan]] * 3,
    }  # fmt: skip
    again = {name: np.concatenate([column[mixed], lost[name]]) for name, column in sample.items()}
    first = scanned(sample)
    second = scanned({**again, "event_index": np.concatenate([mixed, [n, n + 1, n + 2]])})
    assert second.curve.threshold == pytest.approx(first.curve.threshold, abs=1e-6)
    assert second.smooth.sensitivity == pytest.approx(first.smooth.sensitivity)


def test_one_mass_and_no_background_in_its_window():
    sample = toy(background=300, signal=100)
    rows = (sample["masses"][:, 0] == 3) | (sample["values"][:, 0] > 20) & (sample["label"] == 0)
    alone = {name: column[rows] for name, column in sample.items()}
    signal = alone["label"] == 1
    peaks = measure_peaks(alone["masses"][signal], alone["values"][signal], alone["weight"][signal], power=(2,))
    search = window_search(
        **alone, peaks=peaks, hypotheses=np.array([[2.9], [3.0]]), generated=np.array([2000]),
        luminosity_per_fb=LUMINOSITY, a=A, b=B, window=2.0,
    )  # fmt: skip
    found = scan_masses(search, variable="m2Recoil")
    # S_min without background is 3.0832 for a = 3, b = 1.28155 (physics/0308063), and nothing is gained by a cut
    assert found.smooth.s_min == pytest.approx([3.0832, 3.0832], abs=1e-4)
    assert found.smooth.efficiency == pytest.approx([1, 1])
    assert np.isnan(found.ranking.auc).all()


def test_a_mass_that_left_its_window_is_told():
    sample = toy(background=100, signal=40)
    signal = sample["label"] == 1
    peaks = measure_peaks(sample["masses"][signal], sample["values"][signal], sample["weight"][signal], power=(2,))
    sample["values"][sample["masses"] == 4.0] += 30
    with pytest.raises(EmptySampleError, match="no signal of mass 4 GeV is left"):
        window_search(
            **sample, peaks=peaks, hypotheses=np.array([[3.0]]), generated=np.full(20, 800), luminosity_per_fb=1.0,
            a=A, b=B, window=2.0,
        )  # fmt: skip


def test_through_json_and_back(scan):
    again = from_plain(MassScan, to_plain(scan))
    assert again.curve == scan.curve
    assert again.smooth.sensitivity == pytest.approx(scan.smooth.sensitivity)
    assert again.masses.shape == (70, 1)
    assert again.plane.background.shape == scan.plane.background.shape


def test_half_a_million_candidates_take_seconds():
    sample = toy(background=500_000)
    begun = time.process_time()
    scanned(sample)
    assert time.process_time() - begun < 10
