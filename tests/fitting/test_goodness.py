"""Goodness of fit against scipy, and its p values over toys."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, chisquare, kstest, power_divergence

from mlbkg.errors import FitError
from mlbkg.fitting.base import Window
from mlbkg.fitting.data import Binned, Unbinned, binned
from mlbkg.fitting.fit import fit
from mlbkg.fitting.goodness import goodness, goodness_by_toys, likelihood_ratio
from mlbkg.fitting.model import Component, Model, Parameter, Rate, nuisance
from mlbkg.fitting.shapes.chebyshev import Chebyshev
from mlbkg.fitting.toys import Experiments, asimov, seeds

WINDOW = Window(0.0, 1.0)
EDGES = WINDOW.edges(30)


def line(expected: float, *, order: int = 1) -> Model:
    slopes = tuple(Parameter(f"c{k}", 0.0, -2, 2, step=0.1) for k in range(1, order + 1))
    return Model(
        WINDOW,
        (Component("line", Chebyshev(WINDOW, order=order), Rate(1.0, "n", {"size": 0.1}), tuple(p.name for p in slopes)),),
        (Parameter("n", expected, 0, 1e7, step=np.sqrt(expected)), *slopes, nuisance("size")),
    )


def toys(model: Model, number: int, *, edges: np.ndarray | None = EDGES):
    experiments = Experiments(model, model.starts.tolist(), edges=edges)
    return [experiments.draw(np.random.default_rng(seed)) for seed in seeds(11, number)]


def test_chi_square_is_pearson_s() -> None:
    toy = toys(line(3000), 1)[0]
    result = fit(toy.model, toy.data)
    found = goodness(toy.model, result, toy.data, bins=30)
    assert isinstance(toy.data, Binned)
    assert found.edges.tolist() == EDGES.tolist()
    theirs = chisquare(found.counts, found.expected * found.counts.sum() / found.expected.sum())
    assert found.chi2 == pytest.approx(theirs.statistic, rel=1e-3)
    assert found.ndf == 28  # 30 bins, two free parameters; the constrained one takes none
    assert found.p_value == pytest.approx(chi2.sf(found.chi2, 28))
    assert found.pulls == pytest.approx((found.counts - found.expected) / np.sqrt(found.expected))
    assert found.chi2_per_ndf == pytest.approx(found.chi2 / 28)


def test_likelihood_ratio_is_scipy_s_g_test() -> None:
    counts, expected = np.array([3.0, 0.0, 7.0, 12.0]), np.array([2.5, 1.5, 8.0, 10.0])
    # scipy wants equal sums: the extended part is added by hand. Its G test refuses no empty bins.
    theirs = power_divergence(counts, expected * 1.0, lambda_="log-likelihood").statistic
    assert likelihood_ratio(counts, expected) == pytest.approx(theirs + 2 * (expected - counts).sum())


def test_bins_are_merged_until_each_expects_five() -> None:
    model = line(40)
    found = goodness(model, fit(model, asimov(model, model.starts.tolist(), EDGES)), toys(model, 1)[0].data, bins=30)
    assert (found.expected > 5 - 1e-3).all()
    assert len(found.counts) == 7  # 4 bins of 1.33 each make 5.3; two of 30 are left over and join the last
    assert found.expected.sum() == pytest.approx(40, rel=1e-3)
    assert found.counts.sum() == toys(model, 1)[0].data.total
    assert found.edges[[0, -1]].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("kind", ["counts", "weighted"])
def test_p_values_are_uniform(kind: str) -> None:
    p_values = []
    for toy in toys(line(2000), 120, edges=None):
        assert isinstance(toy.data, Unbinned)
        x = toy.data.x
        weight = np.where(np.random.default_rng(len(x)).random(len(x)) < 0.3, 4.0, 1.0) if kind == "weighted" else None
        data = binned(Unbinned(x, weight), EDGES)
        p_values.append(goodness(toy.model, fit(toy.model, data), data, bins=30).p_value)
    assert kstest(p_values, "uniform").pvalue > 0.01


def test_single_candidates_are_put_into_bins() -> None:
    toy = toys(line(500), 1, edges=None)[0]
    found = goodness(toy.model, fit(toy.model, toy.data), toy.data, bins=10)
    assert len(found.counts) == 10
    assert found.counts.sum() == toy.data.total


def test_a_wrong_model_fits_badly() -> None:
    bent = line(3000, order=2)
    x = toys(bent.starting_at([3000, 0.0, 0.6, 0.0]), 1)[0].data
    straight = fit(line(3000), x)
    assert goodness(line(3000), straight, x, bins=30).p_value < 1e-4
    assert goodness_by_toys(line(3000), straight, x, bins=30, toys=50, seed=1).p_value == 0


def test_p_value_by_toys_is_that_of_the_statistic() -> None:
    toy = toys(line(3000), 1)[0]
    found = goodness_by_toys(toy.model, fit(toy.model, toy.data), toy.data, bins=30, toys=300, seed=2)
    assert found.failed == 0
    assert found.toys == 300
    # With 100 candidates per bin the likelihood ratio has a chi-square distribution (Wilks).
    assert found.p_value == pytest.approx(chi2.sf(found.statistic, 28), abs=4 * found.p_value_error)


def test_toys_of_weighted_candidates_are_refused() -> None:
    data = Binned(EDGES, np.full(30, 10.0), np.full(30, 20.0))
    with pytest.raises(FitError, match="toys of weighted candidates"):
        goodness_by_toys(line(300), fit(line(300), data), data, bins=30, toys=10, seed=1)
