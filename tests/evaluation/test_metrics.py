"""Ranking metrics against scikit-learn, closed forms and repeated experiments."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from mlbkg.errors import WeightError
from mlbkg.evaluation.metrics import auc, auc_influence, event_error, float32_floor, log_loss, rank, roc_curve, threshold_at
from mlbkg.evaluation.resampling import poisson_counts, ranking_replicas


def _toy(n: int, seed: int, *, digits: int | None = None):
    random = np.random.default_rng(seed)
    label = (random.random(n) < 0.4).astype(np.int8)
    margin = 1.5 * (2 * label - 1) + random.standard_normal(n) * 1.5
    if digits is not None:
        margin = np.round(margin, digits)
    weight = random.uniform(0.2, 3, n)
    return 1 / (1 + np.exp(-margin)), margin, label, weight


@pytest.mark.parametrize("digits", [None, 1, 0])
def test_auc_is_that_of_scikit_learn_with_weights_and_ties(digits):
    score, _, label, weight = _toy(5000, 1, digits=digits)
    assert auc(score, label, weight) == pytest.approx(roc_auc_score(label, score, sample_weight=weight), abs=1e-12)
    assert auc_influence(score, label, weight)[0] == pytest.approx(auc(score, label, weight), abs=1e-12)


def test_roc_is_that_of_scikit_learn_at_every_distinct_score():
    score, _, label, weight = _toy(2000, 2, digits=1)
    false, true, threshold = sklearn_roc_curve(label, score, sample_weight=weight, drop_intermediate=False)
    ours = roc_curve(score, label, weight)
    np.testing.assert_allclose(ours.background_efficiency, false, atol=1e-12)
    np.testing.assert_allclose(ours.signal_efficiency, true, atol=1e-12)
    np.testing.assert_array_equal(ours.threshold, threshold)


def test_thinned_roc_keeps_ends_and_area():
    score, _, label, weight = _toy(50_000, 3)
    curve = roc_curve(score, label, weight)
    thin = curve.thinned(400)
    assert len(thin.threshold) <= 402
    assert (thin.signal_efficiency[0], thin.signal_efficiency[-1]) == (0, pytest.approx(1))
    assert thin.auc == pytest.approx(curve.auc, abs=1e-4)


def test_log_loss_is_that_of_scikit_learn_and_finite_for_sure_mistakes():
    score, margin, label, weight = _toy(3000, 4)
    assert log_loss(margin, label, weight) == pytest.approx(sklearn_log_loss(label, score, sample_weight=weight), rel=1e-12)
    # ln(1 + e^800) = 800 to double precision
    assert log_loss(np.array([-800.0, 3.0]), np.array([1, 0], np.int8), np.array([1.0, 0.0])) == pytest.approx(800)


def test_threshold_keeps_at_least_what_was_asked_and_ties_with_it():
    score = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    weight = np.array([1.0, 1.0, 1.0, 1.0, 1.0])
    threshold = threshold_at(score, weight, efficiency=0.4)
    assert threshold == float32_floor(0.3)
    assert weight[score >= threshold].sum() / weight.sum() == pytest.approx(0.8)
    assert threshold_at(score, weight, efficiency=0.2) == float32_floor(0.7)
    assert threshold_at(score, weight, efficiency=1.0) == float32_floor(0.1)


def test_a_threshold_between_neighbouring_float32_numbers_still_tells_them_apart():
    one = np.float32(0.75)
    score = np.array([one, np.nextafter(one, np.float32(0))], dtype=np.float64)
    assert threshold_at(score, np.ones(2), efficiency=0.5) == float(one)


def test_thresholds_are_float32_that_keep_every_row_in_float32_too():
    score = np.random.default_rng(5).random(1000)
    threshold = threshold_at(score, np.ones(1000), efficiency=0.3)
    assert np.float32(threshold) == threshold
    assert ((score >= threshold) <= (score.astype(np.float32) >= np.float32(threshold))).all()
    assert float32_floor(0.1) <= 0.1 < float(np.nextafter(np.float32(float32_floor(0.1)), np.float32(1)))


def test_auc_error_agrees_between_bootstrap_influence_and_the_binormal_formula():
    # Two unit Gaussians shifted by d: AUC = Phi(d / sqrt 2). Variance by Hanley and McNeil, Radiology 143 (1982) 29, needs
    # Q1 = P(two signals above one background), Q2 = P(one signal above two backgrounds); equal here by symmetry.
    random = np.random.default_rng(6)
    n, d = 2000, 1.2
    label = np.repeat([1, 0], n).astype(np.int8)
    score = random.standard_normal(2 * n) + d * label
    x = np.linspace(-9, 9, 20001)
    q1 = float(np.trapezoid(norm.pdf(x) * norm.sf(x - d) ** 2, x))
    area = norm.cdf(d / math.sqrt(2))
    expected = math.sqrt((area * (1 - area) + 2 * (n - 1) * (q1 - area**2)) / n**2)
    event = np.arange(2 * n)
    value, influence = auc_influence(score, label, np.ones(2 * n))
    assert value == pytest.approx(area, abs=4 * expected)
    assert event_error(influence, event) == pytest.approx(expected, rel=0.05)
    replicas = ranking_replicas(
        score, label, np.ones(2 * n), np.zeros(2 * n, np.int16), n_categories=1, event_index=event, replicas=400, seed=1
    )
    assert replicas.auc(replicas.background.sum(axis=1)).std() == pytest.approx(expected, rel=0.15)


def test_candidates_of_one_event_are_one_piece_of_information():
    # The same rows four times, as four candidates of each event, know no more than once.
    score, _, label, weight = _toy(1500, 7)
    event = np.arange(1500)
    once = event_error(auc_influence(score, label, weight)[1], event)
    four = [np.tile(values, 4) for values in (score, label, weight)]
    assert event_error(auc_influence(*four)[1], np.tile(event, 4)) == pytest.approx(once, rel=1e-9)
    assert event_error(auc_influence(*four)[1], np.arange(6000)) == pytest.approx(once / 2, rel=1e-9)

    def bootstrap(score, label, weight, event):
        boot = ranking_replicas(
            score, label, weight, np.zeros(len(score), np.int16), n_categories=1, event_index=event, replicas=300, seed=3
        )
        return boot.auc(boot.background[:, 0]).std()

    assert bootstrap(*four, np.tile(event, 4)) == pytest.approx(bootstrap(score, label, weight, event), rel=1e-6)


def test_rejection_error_is_the_scatter_of_repeated_experiments():
    found = []
    for seed in range(60):
        score, margin, label, weight = _toy(3000, 100 + seed)
        result = rank(
            score, margin, label, weight, np.zeros(3000, np.int16) + (1 - label), category_names=("signal", "background"),
            event_index=np.arange(3000), signal_efficiency=0.8, replicas=60, seed=seed, roc_points=50,
        )  # fmt: skip
        found.append((result.background_rejection.value, result.background_rejection.error))
    values, errors = np.array(found).T
    # The scatter of 60 is known to 9 %.
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.25)


def test_bins_of_the_bootstrap_do_not_move_a_replica():
    score, _, label, weight = _toy(40_000, 8)
    event = np.arange(40_000)
    boot = ranking_replicas(
        score, label, weight, np.zeros(40_000, np.int16), n_categories=1, event_index=event, replicas=2, seed=11
    )
    counts = next(poisson_counts(40_000, replicas=1, seed=11))
    background = boot.background[:, 0]
    assert boot.auc(background)[0] == pytest.approx(auc(score, label, weight * counts), abs=1e-5)
    curve = roc_curve(score, label, weight * counts)
    exact = float(np.interp(0.849, curve.signal_efficiency, curve.background_efficiency))
    assert boot.background_efficiency(background, signal_efficiency=0.849)[0] == pytest.approx(exact, abs=3e-4)


def test_poisson_counts_are_poisson():
    counts = next(poisson_counts(2_000_000, replicas=1, seed=1))
    assert counts.mean() == pytest.approx(1, abs=4 / math.sqrt(2e6))
    assert counts.var() == pytest.approx(1, abs=0.005)
    assert (counts == 0).mean() == pytest.approx(math.exp(-1), abs=0.0015)


def test_same_seed_gives_the_same_errors():
    score, margin, label, weight = _toy(2000, 9)
    results = [
        rank(
            score, margin, label, weight, (1 - label).astype(np.int16), category_names=("s", "b"),
            event_index=np.arange(2000), signal_efficiency=0.8, replicas=20, seed=seed, roc_points=50,
        ).auc.error
        for seed in (1, 1, 2)
    ]  # fmt: skip
    assert results[0] == results[1] != results[2]


def test_categories_with_nothing_and_nothing_kept():
    score = np.concatenate([np.linspace(0.6, 1, 50), np.linspace(0, 0.5, 40), np.linspace(0.55, 0.9, 10)])
    label = np.repeat([1, 0], 50).astype(np.int8)
    category = np.repeat([0, 1, 2], [50, 40, 10]).astype(np.int16)
    result = rank(
        score, np.log(score + 1e-9), label, np.ones(100), category, category_names=("signal", "far", "near", "absent"),
        event_index=np.arange(100), signal_efficiency=0.8, replicas=50, seed=1, roc_points=50,
    )  # fmt: skip
    far, near, absent = result.categories
    assert (far.background_efficiency.value, far.background_rejection.value) == (0, 1)
    # One-sided Clopper-Pearson for 0 of 40: 1 - 0.1^(1/40)
    assert far.background_efficiency.upper_90 == pytest.approx(1 - 0.1 ** (1 / 40))
    assert far.background_rejection.error > 0.01
    assert near.background_efficiency.value > 0
    assert absent.candidates == 0
    assert absent.roc is None
    assert math.isnan(absent.auc.value)
    assert math.isnan(absent.background_efficiency.value)


def test_negative_weights_give_what_their_sums_say():
    # A row of weight 2 equals one of weight 3 and, with the same score, one of weight -1.
    score, _, label, weight = _toy(500, 12)
    doubled = np.concatenate([score, score]), np.concatenate([label, label])
    split = np.concatenate([1.5 * weight, -0.5 * weight])
    assert auc(*doubled, split) == pytest.approx(auc(score, label, weight), abs=1e-12)


@pytest.mark.parametrize(
    ("weight", "what"),
    [
        ([1.0, np.nan, 1.0, 1.0], "1 of 4 weights are not finite; the first is in row 1"),
        ([1.0, -1.0, 1.0, 1.0], "the weights of the signal sum to 0 over 2 candidates"),
        ([1.0, 1.0, -1.0, -2.0], "the weights of the background sum to -3 over 2 candidates"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weight, what):
    with pytest.raises(WeightError, match=what):
        roc_curve(np.arange(4.0), np.array([1, 1, 0, 0], np.int8), np.array(weight))


def test_hundred_replicas_of_half_a_million_candidates_take_seconds():
    score, _, label, weight = _toy(500_000, 13)
    start = time.perf_counter()
    ranking_replicas(
        score, label, weight, np.zeros(500_000, np.int16), n_categories=1, event_index=np.arange(500_000),
        replicas=100, seed=1,
    )  # fmt: skip
    # 0.4 s on one quiet core; the margin is for a busy machine
    assert time.perf_counter() - start < 6
