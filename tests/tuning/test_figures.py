"""Figures of merit of two Gaussians a known distance apart, whose values and whose fluctuations are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kstest, norm

from mlbkg.evaluation.working_point import ByPunzi
from mlbkg.tuning.figures import (
    Ground,
    measure_auc,
    measure_background_rejection,
    measure_log_loss,
    measure_punzi,
    measure_sculpting,
)
from mlbkg.tuning.measured import Measured

Array = NDArray[np.float64]
Measure = Callable[[Ground, Array], Measured]
DISTANCE = 2.0


def sample(n: int, *, seed: int, replicas: int = 50) -> tuple[Ground, Array]:
    """Signal and background at distance 2, two candidates an event, background of twice the weight; the log-odds."""
    rng = np.random.default_rng(seed)
    label = np.repeat([1, 0], n).astype(np.int8)
    x = rng.normal(np.where(label == 1, DISTANCE, 0.0))
    event = np.arange(2 * n) // 2
    ground = Ground(label, np.where(label == 1, 1.0, 2.0), event, replicas=replicas, seed=5)
    return ground, DISTANCE * x - DISTANCE**2 / 2


def rejection(ground: Ground, margin: Array) -> Measured:
    return measure_background_rejection(ground, margin, signal_efficiency=0.8)


def test_values_of_two_gaussians() -> None:
    ground, margin = sample(100_000, seed=1)
    area = measure_auc(ground, margin)
    assert area.value == pytest.approx(norm.cdf(DISTANCE / np.sqrt(2)), abs=4 * area.estimate.error)
    kept = rejection(ground, margin)
    # 80 % of the signal lie above 2 - 0.8416
    assert kept.value == pytest.approx(norm.cdf(DISTANCE + norm.ppf(0.2)), abs=4 * kept.estimate.error)
    loss = measure_log_loss(ground, margin)
    x, dx = np.linspace(-10, 12, 200_001, retstep=True)
    expected = float((norm.pdf(x) * np.log1p(np.exp(DISTANCE * x - DISTANCE**2 / 2))).sum() * dx)
    assert loss.value == pytest.approx(expected, abs=4 * loss.estimate.error)


@pytest.mark.parametrize("measure", [measure_auc, rejection, measure_log_loss], ids=["auc", "rejection", "log_loss"])
def test_errors_are_those_of_repeated_samples(measure: Measure) -> None:
    """Of a value, and of the difference to a score that was smeared a little, which is known far better."""
    values, differences, errors = [], [], []
    for seed in range(150):
        ground, margin = sample(1000, seed=seed)
        smeared = margin + np.random.default_rng(1000 + seed).normal(0, 0.5, len(margin))
        best, other = measure(ground, margin), measure(ground, smeared)
        values.append(best.value)
        differences.append(other.value - best.value)
        errors.append((best.estimate.error, other.minus(best).error))
    told = np.sqrt(np.mean(np.square(errors), axis=0))
    spread = np.std([values, differences], axis=1, ddof=1)
    # 150 samples know their spread to 6 %; the bootstrap of a quantile, which a rejection rests on, errs to the safe side
    assert (told > 0.8 * spread).all()
    assert (told < 1.4 * spread).all()
    assert told[1] < 0.7 * told[0]


def test_equal_trials_do_not_differ() -> None:
    ground, margin = sample(500, seed=3)
    difference = measure_auc(ground, margin).minus(measure_auc(ground, margin.copy()))
    assert (difference.value, difference.error) == (0, 0)


def test_punzi_by_hand() -> None:
    """Ten of twenty signal events and four of forty background events pass the best cut: physics/0308063, a 3, b 1.28155."""
    margin = np.concatenate([np.full(10, 2.0), np.full(10, 0.0), np.full(4, 2.0), np.full(36, -5.0)])
    label = np.repeat([1, 0], [20, 40]).astype(np.int8)
    ground = Ground(label, np.ones(60), np.arange(60), replicas=20, seed=1)
    a, b = 3.0, 1.28155

    def needed(background: float) -> float:
        root = np.sqrt(background)
        return float(a**2 / 8 + 9 * b**2 / 13 + a * root + b / 2 * np.sqrt(b**2 + 4 * a * root + 4 * background))

    found = measure_punzi(ground, margin, rule=ByPunzi(a, b))
    assert found.value == pytest.approx(min(needed(4) / 0.5, needed(4) / 1.0, needed(40)))
    assert found.estimate.error > 0


def test_sculpting_is_the_distance_of_kolmogorov_and_smirnov() -> None:
    ground, margin = sample(20_000, seed=4)
    rng = np.random.default_rng(40)
    free = rng.normal(size=len(margin))
    tied = free + 0.4 * margin
    found = measure_sculpting(ground, margin, signal_efficiency=0.8, spectators=[free, tied])
    background = ground.label == 0
    threshold = np.sort(margin[ground.label == 1])[4000]
    passed = background & (margin >= threshold)
    distance = kstest(tied[passed], tied[background]).statistic
    assert found.value == pytest.approx(distance, abs=0.01)  # 200 bins
    alone = measure_sculpting(ground, margin, signal_efficiency=0.8, spectators=[free])
    assert alone.value < 0.1 * found.value


def test_error_of_sculpting_is_that_of_repeated_samples() -> None:
    """Of a value, and of the difference to a score that is smeared."""
    values, errors = [], []
    for seed in range(80):
        ground, margin = sample(1500, seed=seed)
        rng = np.random.default_rng(500 + seed)
        spectator, smeared = rng.normal(0.3 * margin), margin + rng.normal(0, 1, len(margin))
        best, other = (
            measure_sculpting(ground, of, signal_efficiency=0.8, spectators=[spectator]) for of in (margin, smeared)
        )
        values.append((best.value, other.value - best.value))
        errors.append((best.estimate.error, other.minus(best).error))
    told, spread = np.sqrt(np.mean(np.square(errors), axis=0)), np.std(values, axis=0, ddof=1)
    assert told == pytest.approx(spread, rel=0.3)  # 80 samples know their spread to 8 %


def test_what_no_background_has_is_not_sculpted() -> None:
    ground, margin = sample(200, seed=6)
    nowhere = np.where(ground.label == 1, 1.0, np.nan)
    found = measure_sculpting(ground, margin, signal_efficiency=0.8, spectators=[nowhere])
    assert (found.value, found.estimate.error) == (0, 0)
