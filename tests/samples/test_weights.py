from __future__ import annotations

import logging

import numpy as np
import pytest

from mlbkg.errors import WeightError
from mlbkg.samples.weights import apply_negative_policy, balance, check_finite, flatten, physics_weight

SIGNED = np.array([2.0, -0.5, 1.0, -1.5, 3.0])


def test_physics_weight_of_the_upsilon_sample() -> None:
    """4.35 nb and 200 /fb make 8.7e8 Υ(3S): the figure that goes with BaBar's 121.8e6 in 28 /fb."""
    assert physics_weight(4.35, 200, 1) == pytest.approx(8.7e8)
    assert physics_weight(4.35, 28.0, 1) == pytest.approx(121.8e6)
    assert physics_weight(4.35, 200, 400_000) == pytest.approx(2175)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ((0.0, 1.0, 1), "cross_section_nb"),
        ((np.nan, 1.0, 1), "cross_section_nb"),
        ((1.0, -1.0, 1), "luminosity_per_fb"),
        ((1.0, np.inf, 1), "luminosity_per_fb"),
        ((1.0, 1.0, 0), "generated_events"),
    ],
)
def test_physics_weight_refuses(values: tuple[float, float, int], name: str) -> None:
    with pytest.raises(WeightError, match=f"{name} must be positive"):
        physics_weight(*values)


def test_error_policy_names_everything() -> None:
    with pytest.raises(WeightError) as caught:
        apply_negative_policy(SIGNED, "error", sample="continuum")
    text = str(caught.value)
    for part in (
        "sample 'continuum': 2 of 5 weights are negative (40.00%, the smallest -1.5)",
        "training.negative_weights: absolute",
        "becomes 8 instead of 4",
        "training.negative_weights: drop",
        "becomes 6",
        "yields, efficiencies and limits keep the signed weights",
    ):
        assert part in text
    assert caught.value.where == "continuum"


def test_absolute_policy(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        weight, keep, report = apply_negative_policy(SIGNED, "absolute", sample="continuum")
    assert weight.tolist() == [2, 0.5, 1, 1.5, 3]
    assert keep.all()
    assert (report.n_total, report.n_negative, report.sum_before, report.sum_after) == (5, 2, 4, 8)
    assert "'continuum': 2 of 5 weights are negative" in caplog.text
    assert "from 4 to 8" in caplog.text
    assert SIGNED[1] == -0.5, "the caller's weights are left alone"


def test_drop_policy(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        weight, keep, report = apply_negative_policy(SIGNED, "drop", sample="continuum")
    assert keep.tolist() == [True, False, True, False, True]
    assert weight[keep].tolist() == [2, 1, 3]
    assert (report.sum_before, report.sum_after) == (4, 6)
    assert "from 4 to 6" in caplog.text


@pytest.mark.parametrize("policy", ["error", "absolute", "drop"])
def test_without_negative_weights_nothing_changes(policy, caplog: pytest.LogCaptureFixture) -> None:
    weight, keep, report = apply_negative_policy(np.array([0.0, 1.0, 2.0]), policy, sample="signal")
    assert weight.tolist() == [0, 1, 2]
    assert keep.all()
    assert (report.n_negative, report.sum_before, report.sum_after) == (0, 3, 3)
    assert not caplog.records


def test_not_finite_weights_are_refused() -> None:
    bad = np.array([1.0, np.nan, np.inf])
    with pytest.raises(WeightError, match="sample 'signal': 2 of 3 weights are not finite, the first in row 1"):
        check_finite(bad, sample="signal")
    with pytest.raises(WeightError, match="not finite"):
        apply_negative_policy(bad, "drop", sample="signal")
    with pytest.raises(WeightError, match="not finite"):
        balance(bad, np.array([1, 0, 1], dtype=np.int8))


def test_balance() -> None:
    weight = np.array([1.0, 3.0, 10.0, 20.0, 50.0])
    label = np.array([1, 1, 0, 0, 0], dtype=np.int8)
    balanced = balance(weight, label)
    assert balanced[label == 1].sum() == pytest.approx(2.5)
    assert balanced[label == 0].sum() == pytest.approx(2.5)
    assert balanced.mean() == pytest.approx(1)
    assert balanced[1] / balanced[0] == pytest.approx(3)
    assert balanced[4] / balanced[2] == pytest.approx(5)


def test_balance_knows_no_scale() -> None:
    """Luminosity must not change a training."""
    rng = np.random.default_rng(1)
    weight, label = rng.exponential(size=100), (np.arange(100) % 3 == 0).astype(np.int8)
    np.testing.assert_allclose(balance(1e6 * weight, label), balance(weight, label), rtol=1e-12)


@pytest.mark.parametrize(
    ("weight", "label", "message"),
    [
        ([1.0, 1.0], [0, 0], r"signal \(0 candidates\) sum to zero"),
        ([1.0, 0.0], [1, 0], r"background \(1 candidates\) sum to zero"),
        ([1.0, -1.0], [1, 0], "1 of 2 training weights are negative"),
    ],
)
def test_balance_refuses(weight: list[float], label: list[int], message: str) -> None:
    with pytest.raises(WeightError, match=message):
        balance(np.array(weight), np.array(label, dtype=np.int8))


def test_every_hypothesis_weighs_the_same() -> None:
    weight = np.array([1.0, 1.0, 1.0, 3.0, 7.0, 2.0])
    label = np.array([1, 1, 1, 1, 0, 0], dtype=np.int8)
    truth = np.array([0.1, np.float32(0.1), 0.5, 0.5, np.nan, 0.5])[:, None]
    flat = flatten(weight, label, truth, names=["mc_mass"])
    assert flat.tolist() == [1.5, 1.5, 0.75, 2.25, 7, 2]
    assert flat.sum() == weight.sum()
    assert weight.tolist() == [1, 1, 1, 3, 7, 2], "the caller's weights are left alone"


def test_hypotheses_of_two_masses() -> None:
    truth = np.array([[4, 0.1], [4, 0.5], [4, 0.5], [5, 0.1]])
    flat = flatten(np.ones(4), np.ones(4, dtype=np.int8), truth, names=["mc_mass", "mc_mass_h"])
    np.testing.assert_allclose(flat, [4 / 3, 2 / 3, 2 / 3, 4 / 3])


def test_flattening_refuses() -> None:
    signal = np.ones(3, dtype=np.int8)
    with pytest.raises(WeightError, match="1 of 3 signal candidates have no true mass in mc_mass"):
        flatten(np.ones(3), signal, np.array([[1.0], [np.nan], [2.0]]), names=["mc_mass"])
    with pytest.raises(WeightError, match="no training weight is left of 1 of 2 hypotheses, the first at mc_mass = 2"):
        flatten(np.array([1.0, 1.0, 0.0]), signal, np.array([[1.0], [1.0], [2.0]]), names=["mc_mass"])
