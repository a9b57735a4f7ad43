"""Calibration, importance, correlations and distributions against closed forms and other programs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from mlbkg.evaluation.calibration import calibration, correct_prior
from mlbkg.evaluation.correlations import correlations, weighted_pearson
from mlbkg.evaluation.distributions import feature_distributions, suitable_edges
from mlbkg.evaluation.importance import HeldOut, importance, permutation_importance
from mlbkg.evaluation.metrics import auc


def _calibrated(n: int, seed: int):
    random = np.random.default_rng(seed)
    score = random.beta(0.5, 0.5, n)
    return score, (random.random(n) < score).astype(np.int8)


def test_a_perfect_score_is_calibrated():
    score, label = _calibrated(40_000, 1)
    result = calibration(score, label, np.ones(40_000), np.arange(40_000), seed=1)
    assert result.expected_error.value < 2 * result.expected_error_if_perfect
    pulls = [(b.signal_fraction - b.mean_score) / b.error for b in result.bins]
    assert np.std(pulls) < 2
    assert sum(b.candidates for b in result.bins) == 40_000
    assert result.physical_prior == pytest.approx(label.mean())


def test_reliability_is_that_of_scikit_learn_for_balanced_classes():
    score, label = _calibrated(20_000, 2)
    # as many of each, so that balancing changes nothing
    n = min(label.sum(), (1 - label).sum())
    rows = np.concatenate([np.flatnonzero(label == 1)[:n], np.flatnonzero(label == 0)[:n]])
    result = calibration(score[rows], label[rows], np.ones(2 * n), np.arange(2 * n), seed=1)
    fraction, mean = calibration_curve(label[rows], score[rows], n_bins=20)
    np.testing.assert_allclose([b.signal_fraction for b in result.bins], fraction, atol=1e-12)
    np.testing.assert_allclose([b.mean_score for b in result.bins], mean, atol=1e-12)


def test_an_overconfident_score_is_not_calibrated():
    score, label = _calibrated(20_000, 3)
    overconfident = score**3 / (score**3 + (1 - score) ** 3)
    result = calibration(overconfident, label, np.ones(20_000), np.arange(20_000), seed=1)
    assert result.expected_error.value > 5 * result.expected_error_if_perfect
    assert result.expected_error.error < result.expected_error.value / 5


def test_prior_correction_is_bayes():
    # Two Gaussians of unit width at +-1: log-odds 2 x for equal priors, 2 x + ln(pi / (1 - pi)) for prior pi.
    x = np.linspace(-3, 3, 13)
    even, rare = (1 / (1 + np.exp(-(2 * x + np.log(p / (1 - p))))) for p in (0.5, 0.01))
    np.testing.assert_allclose(correct_prior(even, training_prior=0.5, physical_prior=0.01), rare, rtol=1e-12)


def _held_out(n: int, predict, seed: int = 4) -> HeldOut:
    random = np.random.default_rng(seed)
    label = (random.random(n) < 0.5).astype(np.int8)
    X = random.standard_normal((n, 4)).astype(np.float32)
    X[:, 0] += 1.5 * label
    X[:, 1] = X[:, 0]
    return HeldOut(predict, X, label, random.uniform(0.5, 2, n), np.arange(n))


def test_permutation_importance_of_the_only_used_feature_is_all_there_is():
    held_out = _held_out(4000, lambda X: X[:, 0].astype(np.float64))
    full = auc(held_out.features[:, 0].astype(np.float64), held_out.label, held_out.weight)
    lines = importance(held_out, np.array([1.0, 0, 0, 0]), feature_names=("a", "b", "c", "d"), repeats=3, seed=1)
    assert [line.name for line in lines] == ["a", "b", "c", "d"]
    # shuffled, the score knows nothing: AUC one half
    assert lines[0].auc_drop.value == pytest.approx(full - 0.5, abs=4 * lines[0].auc_drop.error)
    assert 0 < lines[0].auc_drop.error < 0.02
    assert all(line.auc_drop.value == 0 and line.auc_drop.error == 0 for line in lines[1:])
    assert [line.gain for line in lines] == [1, 0, 0, 0]


def test_groups_are_shuffled_together():
    held_out = _held_out(4000, lambda X: np.maximum(X[:, 0], X[:, 1]).astype(np.float64))
    drops = permutation_importance(held_out, groups={"a": (0,), "both": (0, 1)}, repeats=1, seed=1)
    assert drops["both"].value > 2 * drops["a"].value
    assert drops["both"].value == pytest.approx(0.5, abs=0.2)


def test_importance_leaves_its_input_alone():
    held_out = _held_out(100, lambda X: X[:, 0].astype(np.float64))
    before = held_out.features.copy()
    permutation_importance(held_out, groups={"a": (0,)}, repeats=1, seed=1)
    np.testing.assert_array_equal(held_out.features, before)


def test_correlations_are_those_of_numpy_with_weights():
    random = np.random.default_rng(5)
    values = random.standard_normal((120_000, 3)) @ random.standard_normal((3, 3)) + [0, 100, -3e4]
    weight = random.uniform(0.1, 3, 120_000)
    covariance = np.cov(values, rowvar=False, aweights=weight)
    sigma = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(weighted_pearson(values, weight), covariance / np.outer(sigma, sigma), atol=1e-9)


def test_missing_values_leave_the_pair_not_the_row():
    random = np.random.default_rng(6)
    values = random.standard_normal((2000, 3))
    values[:, 1] += values[:, 0]
    values[:700, 2] = np.nan
    values[5, 0] = np.inf
    weight = np.ones(2000)
    found = weighted_pearson(values, weight)
    there = np.arange(2000) != 5
    assert found[0, 1] == pytest.approx(np.corrcoef(values[there, 0], values[there, 1])[0, 1], abs=1e-9)
    assert found[1, 2] == pytest.approx(np.corrcoef(values[700:, 1], values[700:, 2])[0, 1], abs=1e-9)


def test_a_constant_and_an_absent_quantity_have_no_correlation():
    values = np.column_stack([np.arange(50.0), np.full(50, 1e6 / 3), np.full(50, np.nan)])
    found = weighted_pearson(values, np.ones(50))
    assert found[0, 0] == pytest.approx(1)
    assert np.isnan(found[[0, 1, 2, 1], [1, 1, 0, 2]]).all()


def test_correlations_name_spectators_and_score():
    random = np.random.default_rng(7)
    label = np.repeat([1, 0], 100).astype(np.int8)
    found = correlations(
        random.standard_normal((200, 2)).astype(np.float32), feature_names=("a", "b"), spectators={"m": random.random(200)},
        score=random.random(200), label=label, weight=np.ones(200),
    )  # fmt: skip
    assert found.names == ("a", "b", "m", "score")
    assert found.signal.shape == found.background.shape == (4, 4)


def test_distributions_keep_every_weight():
    random = np.random.default_rng(8)
    label = np.repeat([1, 0], [100, 300]).astype(np.int8)
    category = np.repeat([0, 1, 2], [100, 200, 100]).astype(np.int16)
    value = random.standard_cauchy(400)
    value[:10] = np.nan
    weight = random.uniform(1, 2, 400)
    (one,) = feature_distributions(
        {"x": value}, label, weight, category, category_names=("signal", "b", "c"), event_index=np.arange(400),
        units={"x": "GeV"},
    )  # fmt: skip
    assert one.unit == "GeV"
    assert one.total(is_signal=True)[0].sum() == pytest.approx(weight[10:100].sum())
    assert one.total(is_signal=False)[0].sum() == pytest.approx(weight[100:].sum())
    assert one.missing_signal == pytest.approx(weight[:10].sum() / weight[:100].sum())
    assert [c.name for c in one.categories] == ["b", "c", "signal"]


def test_counts_get_a_bin_each_and_constants_one():
    label = np.repeat([1, 0], 50).astype(np.int8)
    np.testing.assert_allclose(suitable_edges(np.tile([0.0, 1, 2, 3, 4], 20), label), [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5])
    np.testing.assert_allclose(suitable_edges(np.full(100, 7.25), label), [6.75, 7.75])
    assert len(suitable_edges(np.full(100, np.nan), label)) == 2
