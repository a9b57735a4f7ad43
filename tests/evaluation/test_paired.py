"""Paired tests give published numbers, and find a difference by chance as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm, ttest_rel

from mlbkg.evaluation.estimates import Estimate
from mlbkg.evaluation.metrics import auc
from mlbkg.evaluation.paired import AucByEvent, PairedTest, corrected_resampled_t

# Three tests of 43 patients with ovarian cancer: albumin, total protein, Krebs-Goplerud score, outcome. DeLong et al., 1988,
# as given in the SAS/STAT user's guide, example "Comparing Receiver Operating Characteristic Curves".
PATIENTS = np.fromstring(
    """
    3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
    3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
    4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
    4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
    2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
    """,
    sep=" ",
).reshape(-1, 4)
POSITIVE, NEGATIVE = 31, 12


def of_patients(score: np.ndarray, *, copies: int = 1) -> AucByEvent:
    n = copies * len(score)
    return AucByEvent.of(
        np.tile(score, copies), np.tile(PATIENTS[:, 3], copies).astype(np.int8), np.ones(n), np.arange(n, dtype=np.int64)
    )


@pytest.mark.parametrize(
    ("column", "area", "difference", "error"), [(0, 0.7366, 0.0108, 0.0953), (1, 0.6478, -0.0780, 0.1046)]
)
def test_the_patients_of_delong(column: int, area: float, difference: float, error: float):
    """The guide's output. It divides by n - 1 in each class where weighted sums divide by n."""
    found = of_patients(PATIENTS[:, column])
    test = found.minus(of_patients(10 - PATIENTS[:, 2]))
    assert found.value == pytest.approx(area, abs=5e-5)
    assert test.difference.value == pytest.approx(difference, abs=5e-5)
    scaled = [test.difference.error * math.sqrt(n / (n - 1)) for n in (POSITIVE, NEGATIVE)]
    assert scaled[0] < error < scaled[1]
    assert test.significance == test.difference.value / test.difference.error
    assert test.p_value == pytest.approx(2 * norm.sf(abs(test.significance)), rel=1e-12)


def test_an_event_adds_what_its_copies_add():
    once, twice = of_patients(PATIENTS[:, 0]), of_patients(PATIENTS[:, 0], copies=2)
    halves = twice.by_event.reshape(2, -1).sum(axis=0)
    assert twice.value == pytest.approx(once.value)
    np.testing.assert_allclose(halves, once.by_event, rtol=1e-12)


def test_a_score_does_not_differ_from_itself():
    one = of_patients(PATIENTS[:, 0])
    assert one.minus(of_patients(3 * PATIENTS[:, 0])) == PairedTest(Estimate(0.0, 0.0), 1.0, 0.0)


def test_correction_of_the_t_test():
    """scikit-learn 1.9, example "Statistical comparison of models using grid search": 10 times 10 folds, t = 2.611
    (p = 0.005 one-sided) becomes t = 0.750 (p = 0.227)."""
    shape = np.random.default_rng(1).normal(size=100)
    shape = (shape - shape.mean()) / shape.std(ddof=1)
    differences = shape + 2.6111648 / math.sqrt(100)
    found = corrected_resampled_t(differences, test_over_train=10 / 90)
    assert found.difference.value / found.difference.error == pytest.approx(0.750, abs=5e-4)
    assert found.p_value / 2 == pytest.approx(0.227, abs=5e-4)
    plain = corrected_resampled_t(differences, test_over_train=0.0)
    assert plain.difference.value / plain.difference.error == pytest.approx(2.611, abs=5e-4)
    assert plain.p_value / 2 == pytest.approx(0.005, abs=5e-4)
    assert norm.sf(found.significance) == pytest.approx(found.p_value / 2)


def test_without_sharing_it_is_the_paired_t_test():
    rng = np.random.default_rng(2)
    one, other = rng.normal(0, 1, 7), rng.normal(0.5, 1, 7)
    found = corrected_resampled_t(one - other, test_over_train=0.0)
    plain = ttest_rel(one, other)
    assert found.p_value == pytest.approx(plain.pvalue)
    assert math.copysign(1, found.significance) == math.copysign(1, plain.statistic)


def test_no_spread():
    assert corrected_resampled_t(np.zeros(5), test_over_train=0.25) == PairedTest(Estimate(0.0, 0.0), 1.0, 0.0)
    assert corrected_resampled_t(np.full(4, -0.5), test_over_train=0.25).significance == -math.inf
    with pytest.raises(ValueError, match="1 differences have no spread"):
        corrected_resampled_t(np.ones(1), test_over_train=0.25)


def false_positives(differences: np.ndarray, *, test_over_train: float) -> float:
    """Share of experiments, rows of ``differences``, with p < 0.05."""
    found = [corrected_resampled_t(row, test_over_train=test_over_train).p_value < 0.05 for row in differences]
    return float(np.mean(found))


def losses(x: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Two learners with the same expected loss: each predicts its own quantity by the mean of the training sample.

    x: ``(experiments, 2, n)``; test: ``(k, n)``. The answer: ``(experiments, k)`` differences of their mean squared errors.
    """
    train = ~test
    mean = np.einsum("ein,kn->eik", x, train) / train.sum(axis=1)
    loss = [((x[:, i, None, :] - mean[:, i, :, None]) ** 2 * test).sum(axis=2) / test.sum(axis=1) for i in range(2)]
    return loss[0] - loss[1]


def test_false_positives_of_random_splits():
    """30 random splits of 100 events, 10 of them to test on: the case that the correction was derived for."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1000, 2, 100))
    test = np.argsort(rng.random((30, 100)), axis=1) < 10
    differences = losses(x, test)
    assert false_positives(differences, test_over_train=10 / 90) == pytest.approx(0.05, abs=0.02)
    assert false_positives(differences, test_over_train=0.0) > 0.25


def test_false_positives_of_folds():
    """Disjoint tests: the correction errs on the safe side, if at all."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(1000, 2, 100))
    test = np.arange(100) % 5 == np.arange(5)[:, None]
    assert false_positives(losses(x, test), test_over_train=1 / 4) < 0.05


def test_false_positives_by_event():
    """Two scores of equal power, correlated as two trainings of one recipe are; weights, and two candidates an event."""
    rng = np.random.default_rng(5)
    n, wrong = 600, 0
    label = (np.arange(n) % 2).astype(np.int8)
    event = np.arange(n, dtype=np.int64) // 4 * 2 + label
    for _ in range(400):
        shared = np.repeat(rng.normal(size=n // 2), 2)[np.argsort(np.argsort(event, kind="stable"))]
        scores = [1.0 * label + shared + 0.5 * rng.normal(size=n) for _ in range(2)]
        weight = rng.uniform(0.2, 2.0, n)
        one, other = (AucByEvent.of(score, label, weight, event) for score in scores)
        wrong += one.minus(other).p_value < 0.05
        assert one.value == pytest.approx(auc(scores[0], label, weight))
    assert wrong / 400 == pytest.approx(0.05, abs=0.03)
