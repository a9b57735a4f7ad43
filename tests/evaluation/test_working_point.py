"""Working points: Punzi's published form, the three rules, yields and their errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from mlbkg.evaluation.working_point import (
    ByPunzi,
    ByScore,
    BySignalEfficiency,
    punzi_s_min,
    punzi_scan,
    working_point,
)


@pytest.mark.parametrize(("background", "s_min"), [(0, 3.0832), (1, 7.9535), (10, 17.4654), (100, 46.897), (1000, 139.543)])
def test_punzi_s_min(background, s_min):
    # physics/0308063 evaluated by hand for a = 3, b = 1.28155; figures to the digits given
    assert punzi_s_min(background, a=3, b=1.28155) == pytest.approx(s_min, abs=6e-4 if s_min > 20 else 6e-5)


def _gaussians(n: int, seed: int):
    random = np.random.default_rng(seed)
    label = np.repeat([1, 0], n).astype(np.int8)
    z = random.standard_normal(2 * n) + 2.5 * label
    weight = np.where(label == 1, 0.01, 1000 / n)
    return norm.cdf(z / 2), label, weight, (1 - label).astype(np.int16)


def _apply(rule, score, label, weight, category):
    return working_point(
        rule, score, label, weight, category, category_names=("signal", "flat"), event_index=np.arange(len(score))
    )


def test_by_score_keeps_equal_scores():
    score = np.array([0.25, 0.5, 0.75, 0.25, 0.5, 0.75])
    label = np.array([1, 1, 1, 0, 0, 0], np.int8)
    point = _apply(ByScore(0.5), score, label, np.array([1.0, 1, 1, 2, 2, 4]), (1 - label).astype(np.int16))
    assert point.threshold == 0.5
    assert point.signal_efficiency.value == pytest.approx(2 / 3)
    assert point.background_efficiency.value == pytest.approx(6 / 8)
    assert point.background_yield.value == pytest.approx(6)
    assert point.signal_yield.value == pytest.approx(2)


def test_by_signal_efficiency_meets_it_within_one_candidate():
    score, label, weight, category = _gaussians(5000, 1)
    point = _apply(BySignalEfficiency(0.849), score, label, weight, category)
    assert 0.849 - 1e-12 <= point.signal_efficiency.value < 0.849 + 1.5 / 5000
    # binomial error of 5000
    assert point.signal_efficiency.error == pytest.approx(math.sqrt(0.849 * 0.151 / 5000), rel=0.02)


def test_by_punzi_finds_the_optimum_of_two_gaussians():
    score, label, weight, category = _gaussians(200_000, 2)
    point = _apply(ByPunzi(3.0, 1.28155), score, label, weight, category)
    cut = np.linspace(0, 5, 5001)
    sensitivity = punzi_s_min(1000 * norm.sf(cut), a=3, b=1.28155) / norm.sf(cut - 2.5)
    best = sensitivity.min()
    z = 2 * norm.ppf(point.threshold)
    at_found = punzi_s_min(1000 * norm.sf(z), a=3, b=1.28155) / norm.sf(z - 2.5)
    assert at_found == pytest.approx(best, rel=0.005)


def test_punzi_does_not_reward_running_out_of_simulation():
    # Background of 30 candidates worth 100 events each: beyond the last of them B looks like zero.
    random = np.random.default_rng(3)
    score = np.concatenate([random.random(2000) ** 0.5, random.random(30)])
    label = np.repeat([1, 0], [2000, 30]).astype(np.int8)
    weight = np.where(label == 1, 1.0, 100.0)
    scan = punzi_scan(score, label, weight, np.arange(2030), a=3, b=1.28155)
    assert scan.measured[scan.best]
    assert scan.background[scan.best] >= 1000
    assert not scan.measured[np.nanargmin(scan.sensitivity)]


def test_scan_yields_are_sums_of_weights():
    score, label, weight, _ = _gaussians(3000, 4)
    scan = punzi_scan(score, label, weight, np.arange(6000), a=3, b=1.28155)
    k = len(scan.threshold) // 3
    kept = (score >= scan.threshold[k]) & (label == 0)
    assert scan.background[k] == pytest.approx(weight[kept].sum())
    assert scan.background_error[k] == pytest.approx(math.sqrt((weight[kept] ** 2).sum()))


def test_nothing_kept_still_has_an_error_and_a_bound():
    score = np.concatenate([np.full(100, 0.9), np.full(200, 0.1)])
    label = np.repeat([1, 0], [100, 200]).astype(np.int8)
    point = _apply(ByScore(0.5), score, label, np.where(label == 1, 1.0, 3.0), (1 - label).astype(np.int16))
    assert point.background_yield.value == 0
    # Wilson's half width for 0 of 200 is 1 / (2 * 201); 600 events in all
    assert point.background_yield.error == pytest.approx(600 / 402)
    assert point.background_efficiency.upper_90 == pytest.approx(1 - 0.1 ** (1 / 200))
