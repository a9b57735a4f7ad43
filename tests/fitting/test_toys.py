"""Toy experiments: their moments, their seeds, the constraints that fluctuate with them."""

from __future__ import annotations

import numpy as np
import pytest

from mlbkg.errors import FitError
from mlbkg.fitting.base import Window
from mlbkg.fitting.data import Binned, Unbinned
from mlbkg.fitting.model import Component, Model, Parameter, Rate, nuisance
from mlbkg.fitting.shapes.chebyshev import Chebyshev
from mlbkg.fitting.shapes.gaussian import Gaussian
from mlbkg.fitting.toys import Experiments, asimov, chunks, seeds

WINDOW = Window(0.0, 10.0)
EDGES = WINDOW.edges(20)
MODEL = Model(
    WINDOW,
    (
        Component("peak", Gaussian(WINDOW), Rate(1.0, "n", {"efficiency": 0.05}), ("mean", "sigma")),
        Component("line", Chebyshev(WINDOW, order=1), Rate(2000.0), ("c1",)),
    ),
    (
        Parameter("n", 500.0, step=30),
        Parameter("mean", 4.0, fixed=True),
        Parameter("sigma", 0.5, fixed=True),
        Parameter("c1", -0.3, -2, 2),
        nuisance("efficiency"),
    ),
)
THETA = MODEL.starts.tolist()


def test_asimov_data_are_what_is_expected() -> None:
    data = asimov(MODEL, THETA, EDGES)
    assert data.total == pytest.approx(2500)
    assert data.counts == pytest.approx(MODEL.expected(EDGES, THETA).sum(axis=0))
    assert data.variances is None


def test_counts_have_mean_and_variance_of_poisson() -> None:
    experiments = Experiments(MODEL, THETA, edges=EDGES)
    counts = np.array([experiments.draw(np.random.default_rng(s)).data.counts for s in seeds(1, 2000)])  # type: ignore[union-attr]
    expected = asimov(MODEL, THETA, EDGES).counts
    assert (np.abs(counts.mean(axis=0) - expected) < 4.5 * np.sqrt(expected / 2000)).all()
    assert counts.var(axis=0) == pytest.approx(expected, rel=0.15)


def test_single_candidates_follow_the_density() -> None:
    experiments = Experiments(MODEL, THETA)
    drawn = [experiments.draw(np.random.default_rng(s)).data for s in seeds(2, 200)]
    assert all(isinstance(data, Unbinned) and WINDOW.holds(data.x).all() for data in drawn)
    sizes = np.array([data.total for data in drawn])
    assert sizes.mean() == pytest.approx(2500, abs=4 * np.sqrt(2500 / 200))
    assert sizes.std() == pytest.approx(50, rel=0.25)
    counts = np.histogram(np.concatenate([data.x for data in drawn]), EDGES)[0]  # type: ignore[union-attr]
    expected = 200 * asimov(MODEL, THETA, EDGES).counts
    assert ((counts - expected) ** 2 / expected).sum() < 45.3  # 99.9 % of chi-square with 20 degrees of freedom


def test_constraints_are_measured_anew_about_the_truth() -> None:
    truth = [500.0, 4.0, 0.5, -0.3, 1.5]
    experiments = Experiments(MODEL, truth, edges=EDGES)
    drawn = [experiments.draw(np.random.default_rng(s)).model.parameters[4].constraint for s in seeds(3, 1000)]
    centres = np.array([constraint.mean for constraint in drawn if constraint])
    assert centres.mean() == pytest.approx(1.5, abs=4 / np.sqrt(1000))
    assert centres.std() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("edges", [None, EDGES])
def test_a_seed_gives_the_same_experiment(edges: np.ndarray | None) -> None:
    first, again, other = (
        Experiments(MODEL, THETA, edges=edges).draw(np.random.default_rng(seed))
        for seed in (seeds(4, 3)[1], seeds(4, 10)[1], seeds(5, 3)[1])
    )

    def numbers(data: object) -> np.ndarray:
        return data.counts if isinstance(data, Binned) else data.x  # type: ignore[attr-defined]

    assert numbers(first.data).tolist() == numbers(again.data).tolist()
    assert first.model == again.model
    assert numbers(first.data).tolist() != numbers(other.data).tolist()


def test_chunks_hold_every_seed_once() -> None:
    sequences = seeds(6, 53)
    assert [seed for chunk in chunks(sequences) for seed in chunk] == sequences


def test_a_model_that_expects_less_than_nothing() -> None:
    with pytest.raises(FitError, match=r"between x = 4 and 4\.5, because of component 'peak'") as error:
        Experiments(MODEL, [-2000.0, *THETA[1:]], edges=EDGES)
    assert "larger yield of 'peak'" in error.value.hint
