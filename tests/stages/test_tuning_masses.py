"""Punzi's figure over masses of repeated small experiments: its errors are what it fluctuates by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.evaluation.peaks import measure_peaks
from mlbkg.evaluation.working_point import ByPunzi
from mlbkg.samples.folds import assign_folds
from mlbkg.samples.sample import Sample
from mlbkg.samples.split import split_folds
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.training_masses import SearchedSignal
from mlbkg.stages.training_scan import MassSearch
from mlbkg.stages.tuning_masses import punzi_over_masses

Array = NDArray[np.float64]
MASSES, EACH, BACKGROUND, FOLDS = np.array([[1.0], [2.0], [3.0], [4.0]]), 600, 6000, 3
HYPOTHESES = np.linspace(1, 4, 15)[:, None]


def experiment(*, seed: int, one_cut: bool = False) -> tuple[MassSearch, Array]:
    """Peaks in x on a flat background, and a score that tells signal of any mass alike."""
    rng = np.random.default_rng(seed)
    n = EACH * len(MASSES)
    label = np.repeat([1, 0], [n, BACKGROUND]).astype(np.int8)
    mass = np.where(label[:, None] == 1, np.resize(np.repeat(MASSES, EACH, axis=0), (len(label), 1)), np.nan)
    x = np.where(label == 1, rng.normal(mass[:, 0], 0.05), rng.uniform(0.5, 4.5, len(label)))
    score = rng.normal(1.5 * label)
    weight = np.where(label == 1, 10 / EACH, 0.5)
    event_id = np.arange(len(label))[:, None]
    sample = Sample(
        feature_names=("x",),
        category_names=("signal", "background"),
        features=x[:, None].astype(np.float32),
        label=label,
        weight=weight,
        event_id=event_id,
        fold=assign_folds(event_id, n_folds=FOLDS, salt="s"),
        category=(1 - label).astype(np.int16),
        spectators={},
    )
    signal = SearchedSignal(MASSES, np.full(len(MASSES), float(EACH)), mass, weight)
    data = TrainingData(
        sample=sample,
        compared=None,
        weight=weight,
        event_index=np.arange(len(label)),
        splits=split_folds(sample, n_folds=FOLDS, validation_fraction=0.1, salt="s"),
        cutflow=(),
        negative_weights={},
        fingerprints={},
        rows={"signal": n, "background": BACKGROUND},
        searched=signal,
    )
    values, of_signal = x[:, None], label == 1
    return MassSearch(
        data=data,
        signal=signal,
        variables=("x",),
        values=values,
        peaks=measure_peaks(mass[of_signal], values[of_signal], weight[of_signal], power=(1,)),
        hypotheses=HYPOTHESES,
        luminosity_per_fb=10.0,
        punzi=ByPunzi(3.0, 1.28155),
        window=2.0,
        one_cut=one_cut,
    ), score


def test_errors_are_those_of_repeated_experiments() -> None:
    """Of a value, and of the difference to a score that is smeared."""
    values, errors = [], []
    for seed in range(15):
        search, score = experiment(seed=seed)
        smeared = score + np.random.default_rng(100 + seed).normal(0, 0.7, len(score))
        best, other = punzi_over_masses(search, score, seed=3), punzi_over_masses(search, smeared, seed=3)
        values.append((best.value, other.value - best.value))
        errors.append((best.estimate.error, other.minus(best).error))
    spread, told = np.std(values, axis=0, ddof=1), np.sqrt(np.mean(np.square(errors), axis=0))
    # 15 experiments know their spread to 19 %; the bootstrap of a minimum errs to the safe side
    assert (told > 0.7 * spread).all()
    assert (told < 1.8 * spread).all()
    assert (np.mean(values, axis=0) > 3 * told / np.sqrt(15)).all()


@pytest.mark.parametrize("one_cut", [False, True], ids=["per window", "one cut"])
def test_folds_stand_for_all(one_cut: bool) -> None:
    search, score = experiment(seed=1, one_cut=one_cut)
    found = punzi_over_masses(search, score, seed=3)
    assert found.value == search.reached_by(score).punzi_fb
    assert len(found.by_fold) == FOLDS
    # a third of the events each: the error of a fold is that of all times the root of 3
    assert found.by_fold == pytest.approx([found.value] * FOLDS, abs=4 * np.sqrt(3) * found.estimate.error)
    assert len(set(found.by_fold)) == FOLDS


def test_a_replica_without_a_mass_has_no_value() -> None:
    """Of the first mass a single candidate is left, which a replica has with probability 1 - 1/e."""
    search, score = experiment(seed=4)
    kept = np.r_[0, EACH : len(score)]
    sample = search.data.sample.take(kept)
    data = replace(search.data, sample=sample, event_index=np.arange(len(kept)), splits=())
    signal = search.signal.part(kept, share=1.0)
    found = punzi_over_masses(replace(search, data=data, signal=signal, values=search.values[kept]), score[kept], seed=3)
    assert 0 < np.isnan(found.replicas).sum() < len(found.replicas)
    assert np.isfinite([found.value, found.estimate.error]).all()


def test_the_same_score_does_not_differ() -> None:
    search, score = experiment(seed=2)
    difference = punzi_over_masses(search, score, seed=3).minus(punzi_over_masses(search, score.copy(), seed=3))
    assert (difference.value, difference.error) == (0, 0)
