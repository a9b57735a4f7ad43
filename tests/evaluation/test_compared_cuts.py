"""Cuts against a classifier, on features whose best separation is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from mlbkg.evaluation.compared_cuts import CutComparison, CutFeatures, compare_cuts
from mlbkg.evaluation.estimates import from_plain, to_plain
from mlbkg.evaluation.peaks import measure_peaks
from mlbkg.evaluation.window_search import window_search
from mlbkg.evaluation.working_point import punzi_s_min

MASSES = np.array([1.0, 3.0, 5.0, 7.0])
NAMES = ("PtRecoilLMax", "PtRecoilLMin", "PtLL")
APART = 1.5


def _sample(*, background: int, more: float = 0.0, seed: int = 1, third: float = 0.0) -> dict[str, Any]:
    """x and y / 2 are Gaussian with unit width, the signal's 1.5 higher in both, so the likelihood ratio rises with
    x + y / 2. ``more``: separation of something that the classifier alone knows. ``third``: that of PtLL."""
    random = np.random.default_rng(seed)
    true = np.repeat(MASSES, 1000)
    signal = np.repeat([1, 0], [len(true), background])
    n = len(signal)
    x, y, z, hidden = random.standard_normal((4, n)) + np.outer([APART, APART, third, more], signal)
    weight = np.where(signal == 1, 0.276 * 0.05 / 1000, 400 / background)
    return {
        "candidates": (norm.cdf((x + y + more / APART * hidden) / 2), signal.astype(np.int8), weight, np.arange(n)),
        "masses": np.concatenate([true, np.full(background, np.nan)])[:, None],
        "values": np.concatenate([true**2 + 0.25 * random.standard_normal(len(true)), random.uniform(-1, 60, background)])[
            :, None
        ],
        "columns": {"PtRecoilLMax": x, "PtRecoilLMin": 2 * y, "PtLL": z},
    }


def _compared(sample: dict[str, Any], *, above: tuple[str, ...] = ("PtLL",), replicas: int = 50) -> CutComparison:
    of = sample["candidates"]
    signal = of[1] == 1
    peaks = measure_peaks(sample["masses"][signal], sample["values"][signal], of[2][signal], power=(2,))
    search = window_search(
        *of,
        masses=sample["masses"],
        values=sample["values"],
        peaks=peaks,
        hypotheses=peaks.masses,
        generated=np.full(len(MASSES), 20_000),
        luminosity_per_fb=0.276,
        a=3.0,
        b=1.28155,
        window=2.0,
    )
    features = CutFeatures("2018", ("PtRecoilLMax", "PtRecoilLMin"), above, sample["columns"])
    return compare_cuts(search, features=features, replicas=replicas, seed=2)


def test_cuts_find_the_likelihood_ratio():
    found = _compared(_sample(background=200_000))
    assert [line.mass for line in found.masses] == pytest.approx(MASSES)
    for line in found.masses:
        # x + y / 2 in units where y is twice as wide
        assert line.cuts.slope == pytest.approx(0.5, abs=0.2)
        assert line.left_over.value == pytest.approx(1, abs=0.2)
        assert line.classifier_background.value == pytest.approx(line.cut_background.value, rel=0.2)
        assert line.widened == 1


def test_cuts_reach_punzis_optimum():
    line = _compared(_sample(background=400_000), above=()).masses[1]
    # background in the window: 400 events over 61 GeV^2; along the ratio both are Gaussian, 1.5 sqrt(2) apart
    events = 400 / 61 * 4 * 0.25
    cut = np.linspace(-2, 5, 2000)
    sensitivity = punzi_s_min(events * norm.sf(cut), a=3, b=1.28155) / norm.sf(cut - APART * np.sqrt(2))
    best = float(sensitivity.min()) / (0.9545 * 0.05 * 0.276)
    assert line.sensitivity == pytest.approx(best, rel=0.05)
    assert line.background == pytest.approx(events * line.cut_background.value, rel=0.1)


def test_a_classifier_that_knows_more_leaves_less():
    found = _compared(_sample(background=100_000, more=1.5))
    for line in found.masses:
        assert line.left_over.value < 0.6
        assert line.left_over.value + 3 * line.left_over.error < 1
        assert line.classifier_rejection.value > line.cut_rejection.value
        assert line.classifier_sensitivity < line.sensitivity


def test_other_features_are_cut_on_where_they_help():
    without = _compared(_sample(background=100_000, third=1.5), above=())
    found = _compared(_sample(background=100_000, third=1.5))
    assert found.above == ("PtLL",)
    assert all(np.isfinite(line.cuts.above[0]) for line in found.masses)
    assert sum(line.sensitivity for line in found.masses) < 0.97 * sum(line.sensitivity for line in without.masses)


def test_numbers_are_those_of_the_cuts_that_are_told():
    sample = _sample(background=50_000, third=1.0)
    line = _compared(sample).masses[2]
    x, y, z = (sample["columns"][name] for name in NAMES)
    passed = (x + line.cuts.slope * y > line.cuts.offset) & (z > line.cuts.above[0])
    score, label, weight, _ = sample["candidates"]
    inside = np.abs(sample["values"][:, 0] - 25) < 2 * 0.25
    mine = inside & (sample["masses"][:, 0] == 5)
    # the measured peak is not exactly at 25 and 0.25 wide
    assert line.signal_efficiency.value == pytest.approx(passed[mine].mean(), abs=0.01)
    assert (score[mine] >= line.threshold).mean() == pytest.approx(line.signal_efficiency.value, abs=0.01)
    other = inside & (label == 0)
    assert line.cut_background.value == pytest.approx(passed[other].mean(), rel=0.05)
    assert line.cut_rejection.value == 1 - line.cut_background.value
    assert line.background == pytest.approx(weight[other & passed].sum(), rel=0.1)


def test_thin_windows_are_compared_on_more():
    # 300 candidates over 61 GeV^2: 5 in a window
    found = _compared(_sample(background=300))
    assert all(line.widened > 8 for line in found.masses)
    assert all(line.cut_background.passing >= 10 for line in found.masses)
    assert found.masses[1].background < 400 / 61


def test_errors_are_the_spread_of_samples():
    """The error of the rejection against what independent samples do, the cuts fixed by the first's optimum."""
    found = [
        _compared(_sample(background=20_000, more=1.0, seed=seed), above=(), replicas=40).masses[1] for seed in range(24)
    ]
    left = np.array([line.classifier_background.value for line in found])
    told = np.mean([line.classifier_rejection.error for line in found])
    # the optimum moves from sample to sample, which adds to the spread
    assert 0.5 * left.std() < told < 1.5 * left.std()


def test_a_feature_that_is_missing_passes_no_cut():
    sample = _sample(background=20_000)
    sample["columns"]["PtLL"][::2] = np.nan
    found = _compared(sample)
    assert all(line.signal_efficiency.value < 0.55 for line in found.masses)


def test_two_more_features_and_json():
    sample = _sample(background=20_000, third=1.0)
    sample["columns"]["More"] = sample["columns"]["PtLL"] ** 3
    found = _compared(sample, above=("PtLL", "More"), replicas=10)
    assert all(len(line.cuts.above) == 2 for line in found.masses)
    again = from_plain(CutComparison, to_plain(found))
    assert again.masses[0].left_over == found.masses[0].left_over
