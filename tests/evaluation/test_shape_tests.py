"""Overtraining and sculpting: p-values are uniform where nothing is to be found, and small where something is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import kstest

from mlbkg.evaluation.overtraining import overtraining
from mlbkg.evaluation.sculpting import jensen_shannon, mutual_information, sculpting
from mlbkg.evaluation.two_samples import paired_test, split_test

EXPERIMENTS = 200


def _uniform(p_values: list[float]) -> float:
    """p-value of a Kolmogorov-Smirnov test for uniformity."""
    return float(kstest(p_values, "uniform").pvalue)


def test_paired_p_values_are_uniform_with_weights_and_several_candidates():
    found = []
    for seed in range(EXPERIMENTS):
        random = np.random.default_rng(seed)
        event = random.integers(0, 300, 450)
        true = random.standard_normal(300)[event]
        weight = random.exponential(size=300)[event]
        first, second = (true + 0.5 * random.standard_normal(450) for _ in range(2))
        found.append(paired_test(first, second, weight, event, seed=seed).p_value)
    assert _uniform(found) > 0.01
    assert np.mean(np.array(found) < 0.05) < 0.11


def test_split_p_values_are_uniform_with_weights_and_several_candidates():
    found = []
    for seed in range(EXPERIMENTS):
        random = np.random.default_rng(seed)
        event = random.integers(0, 1200, 1500)
        weight = random.exponential(size=1200)[event]
        value, passed = random.standard_normal(1200)[event], (random.random(1200) < 0.1)[event]
        found.append(split_test(value, passed, weight, event, seed=seed).p_value)
    assert _uniform(found) > 0.01
    assert np.mean(np.array(found) < 0.05) < 0.11


def test_the_textbook_test_would_be_wrong_for_pairs():
    # Why scipy's ks_2samp is not used: it takes two scores of one event for two independent events and never alarms.
    from scipy.stats import ks_2samp

    random = np.random.default_rng(1)
    true = random.standard_normal(2000)
    first, second = true, true + 0.03 + 0.05 * random.standard_normal(2000)
    assert ks_2samp(first, second).pvalue > 0.3
    assert paired_test(first, second, np.ones(2000), np.arange(2000), seed=1).p_value < 0.01


def _scores(n: int, *, memory: float, seed: int = 3):
    random = np.random.default_rng(seed)
    label = (random.random(n) < 0.5).astype(np.int8)
    margin = 2 * (2 * label - 1) + 1.5 * random.standard_normal(n)
    noise = [0.3 * random.standard_normal(n) for _ in range(2)]
    seen = margin + noise[1] + memory * (2 * label - 1)
    return 1 / (1 + np.exp(-(margin + noise[0]))), 1 / (1 + np.exp(-seen)), label, random.uniform(0.5, 2, n)


def test_overtraining_is_seen_and_its_size_told():
    score, seen, label, weight = _scores(8000, memory=0.3)
    result = overtraining(score, seen, label, weight, np.arange(8000), seed=1)
    assert result.signal.test.p_value < 0.001
    assert result.background.test.p_value < 0.001
    assert result.auc_difference.value > 5 * result.auc_difference.error
    assert result.auc_difference.value == pytest.approx(result.auc_train.value - result.auc_out_of_fold.value)
    # pairing takes out what both have in common
    assert result.auc_difference.error < 0.7 * np.hypot(result.auc_train.error, result.auc_out_of_fold.error)
    assert result.signal.train.sum() == pytest.approx(1)


def test_no_overtraining_is_none_and_missing_scores_are_left_out():
    score, seen, label, weight = _scores(8000, memory=0.0)
    seen[::4] = np.nan
    result = overtraining(score, seen, label, weight, np.arange(8000), seed=1)
    assert result.candidates == 6000
    assert min(result.signal.test.p_value, result.background.test.p_value) > 0.01
    assert abs(result.auc_difference.value) < 4 * result.auc_difference.error


def test_independent_spectators_are_not_sculpted():
    p_values, distances, expected, information = [], [], [], []
    for seed in range(100):
        random = np.random.default_rng(1000 + seed)
        weight = random.uniform(0.2, 3, 3000)
        result = sculpting(
            "m", random.standard_normal(3000), random.random(3000), weight, np.arange(3000), threshold=0.9, seed=seed
        )
        p_values.append(result.test.p_value)
        distances.append(result.jensen_shannon)
        expected.append(result.jensen_shannon_expected)
        information.append(result.mutual_information)
    assert _uniform(p_values) > 0.01
    assert np.median(distances) == pytest.approx(np.median(expected), rel=0.15)
    assert abs(np.mean(information)) < 0.005


def test_a_score_made_of_the_spectator_sculpts():
    random = np.random.default_rng(5)
    value = random.standard_normal(4000)
    score = 1 / (1 + np.exp(-value))
    result = sculpting("m", value, score, np.ones(4000), np.arange(4000), threshold=0.7, seed=1)
    assert result.test.p_value < 0.001
    assert result.test.distance > 0.9
    assert result.jensen_shannon > 20 * result.jensen_shannon_expected
    assert result.correlation > 0.9
    # 16 equal bins that know each other exactly: 4 bits
    assert result.mutual_information == pytest.approx(4, abs=0.1)


def test_shapes_are_normalised_and_the_ratio_is_theirs():
    random = np.random.default_rng(6)
    value, score, weight = random.random(5000), random.random(5000), random.uniform(1, 2, 5000)
    value[:50] = np.nan
    result = sculpting("m", value, score, weight, np.arange(5000), threshold=0.8, seed=1)
    assert result.missing == pytest.approx(weight[:50].sum() / weight.sum())
    assert result.before.sum() == pytest.approx(1)
    assert result.after.sum() == pytest.approx(1)
    np.testing.assert_allclose(result.ratio, result.after / result.before)
    pull = (result.ratio - 1) / result.ratio_error
    assert 0.6 < pull.std() < 1.5


def test_too_few_or_none_that_pass_are_said_to_be():
    random = np.random.default_rng(7)
    value, score = random.random(100), random.random(100) * 0.5
    none = sculpting("m", value, score, np.ones(100), np.arange(100), threshold=0.9, seed=1)
    assert none.test is None
    assert np.isnan(none.jensen_shannon)
    every = sculpting("m", value, score, np.ones(100), np.arange(100), threshold=0.0, seed=1)
    assert every.test is None
    assert every.jensen_shannon == pytest.approx(0, abs=1e-12)


def test_jensen_shannon_is_that_of_scipy():
    p, q = np.array([0.1, 0.4, 0.5, 0.0]), np.array([0.3, 0.3, 0.1, 0.3])
    assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    assert jensen_shannon(np.array([1.0, 0]), np.array([0, 1.0])) == pytest.approx(1)


def test_mutual_information_of_a_bivariate_gaussian():
    # -log2(1 - rho^2) / 2, less what 16 x 16 bins lose
    random = np.random.default_rng(8)
    x = random.standard_normal(100_000)
    y = 0.6 * x + 0.8 * random.standard_normal(100_000)
    found = mutual_information(x, y, np.ones(100_000), np.arange(100_000))
    assert found == pytest.approx(-np.log2(1 - 0.36) / 2, rel=0.06)


def test_a_constant_has_the_same_shape_everywhere():
    random = np.random.default_rng(3)
    weight = random.exponential(size=500)
    found = split_test(np.zeros(500), random.random(500) < 0.3, weight, np.arange(500), seed=1)
    assert (found.distance, found.p_value) == (0.0, 1.0)
