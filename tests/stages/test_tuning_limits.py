"""Expected limits and Punzi's figure of repeated small experiments: their errors are what they fluctuate by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.config.load import load
from mlbkg.config.schema import Config
from mlbkg.evaluation.resampling import one_by_one, poisson_counts
from mlbkg.samples.folds import assign_folds
from mlbkg.samples.sample import Sample
from mlbkg.samples.split import split_folds
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.tuning_objectives import Scored, objectives_of

Array = NDArray[np.float64]
CONFIG = """
analysis: toy
seed: 7
luminosity_per_fb: 10
ntuples: {tree: t, event_id: [event]}
samples:
  - {name: signal, role: signal, files: signal.root, cross_section_nb: 1.0e-4}
  - {name: smooth, role: background, files: smooth.root, cross_section_nb: 1.0e-3}
  - {name: peak, role: background, files: peak.root, cross_section_nb: 2.0e-5}
features: [x]
spectators: [mass]
fit:
  variable: mass
  window: [9.35, 9.55]
  bins: 40
  signal: gaussian
  background: {shape: chebyshev, order: 1}
  peaking: {samples: [peak], uncertainty: 0.1}
limit: {quantity: cross_section}
tracking: {enabled: false}
"""
SIZES, WEIGHTS, FOLDS = [3000, 15000, 1000], [1 / 3, 1.0, 0.2], 3


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    path: Path = tmp_path_factory.mktemp("toy") / "toy.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return load(path).config


def experiment(*, seed: int) -> tuple[TrainingData, Array]:
    """A peak of 10 MeV on a flat background and one that peaks, too; the log-odds of a score 2 deviations apart."""
    rng = np.random.default_rng(seed)
    kind = np.repeat([0, 1, 2], SIZES)
    n, label = len(kind), np.where(kind == 0, 1, 0).astype(np.int8)
    mass = np.where(kind == 1, rng.uniform(9.35, 9.55, n), rng.normal(9.45, 0.01, n))
    x = rng.normal(np.choose(kind, [2.0, 0.0, 1.0]))
    weight = np.choose(kind, WEIGHTS)
    event_id = np.arange(n)[:, None]
    sample = Sample(
        feature_names=("x",),
        category_names=("signal", "smooth", "peak"),
        features=x[:, None].astype(np.float32),
        label=label,
        weight=weight,
        event_id=event_id,
        fold=assign_folds(event_id, n_folds=FOLDS, salt="s"),
        category=kind.astype(np.int16),
        spectators={"mass": mass},
    )
    data = TrainingData(
        sample=sample,
        compared=None,
        weight=weight,
        event_index=np.arange(n),
        splits=split_folds(sample, n_folds=FOLDS, validation_fraction=0.1, salt="s"),
        cutflow=(),
        negative_weights={},
        fingerprints={},
        rows=dict(zip(("signal", "smooth", "peak"), SIZES, strict=True)),
        searched=None,
    )
    return data, 2 * x - 2


@pytest.mark.parametrize("name", ["expected_limit", "counting_limit", "punzi"])
def test_errors_are_those_of_repeated_experiments(config: Config, name: str) -> None:
    """Of a value, and of the difference to a score that is smeared."""
    values, errors = [], []
    for seed in range(25):
        data, margin = experiment(seed=seed)
        smeared = margin + np.random.default_rng(100 + seed).normal(0, 1, len(margin))
        (objective,) = objectives_of(config, data, names=[name])
        best, other = (objective.measure(Scored(of, ())) for of in (margin, smeared))
        values.append((best.value, other.value - best.value))
        errors.append((best.estimate.error, other.minus(best).error))
    spread, told = np.std(values, axis=0, ddof=1), np.sqrt(np.mean(np.square(errors), axis=0))
    # 25 experiments know their spread to 14 %; the bootstrap of a minimum errs to the safe side
    assert (told > 0.7 * spread).all()
    assert (told < 1.7 * spread).all()


def test_replicas_that_are_fitted_again_vary_as_much(config: Config) -> None:
    """Yields are propagated instead of fitted, which leaves out what the shapes fluctuate by, and little else."""
    data, margin = experiment(seed=0)
    told = objectives_of(config, data, names=["expected_limit"])[0].measure(Scored(margin, ()))
    again = []
    for count in poisson_counts(len(margin), replicas=20, seed=config.seed):
        rows, _ = one_by_one(count, data.event_index)
        scored = Scored(margin[rows], ())
        again.append(objectives_of(config, replica(data, rows), names=["expected_limit"])[0].measure(scored).value)
    assert told.replicas[:20].std() == pytest.approx(np.std(again), rel=0.3)
    assert np.corrcoef(told.replicas[:20], again)[0, 1] > 0.6


def replica(data: TrainingData, rows: NDArray[np.intp]) -> TrainingData:
    """A sample of its own; each event has one candidate here."""
    of_sample = np.repeat(np.arange(len(SIZES)), SIZES)[rows]
    sizes = dict(zip(data.rows, np.bincount(of_sample).tolist(), strict=True))
    return replace(data, sample=data.sample.take(rows), event_index=np.arange(len(rows)), rows=sizes, splits=())


def test_counting_comes_near_the_fit(config: Config) -> None:
    """A fit of a Gaussian on a flat background is worth a count of its central 84 % to 6 %: 1.4 deviations either way keep
    0.84 of the signal and 2.8 sigma of background, the fit all of it and 2 sqrt(pi) sigma."""
    data, margin = experiment(seed=1)
    fit, count = (
        o.measure(Scored(margin, ())).value for o in objectives_of(config, data, names=["expected_limit", "counting_limit"])
    )
    assert count == pytest.approx(1.06 * fit, rel=0.1)


def test_by_fold_stands_for_all(config: Config) -> None:
    data, margin = experiment(seed=2)
    for objective in objectives_of(config, data, names=["expected_limit", "counting_limit", "punzi"]):
        found = objective.measure(Scored(margin, ()))
        assert len(found.by_fold) == FOLDS
        # a third of the events each: the error of a fold is that of all times the root of 3
        assert found.by_fold == pytest.approx([found.value] * FOLDS, abs=4 * np.sqrt(3) * found.estimate.error)
