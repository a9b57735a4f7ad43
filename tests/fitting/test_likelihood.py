"""The likelihood against iminuit's own cost functions on numba-stats' densities, and its derivatives against differences."""

from __future__ import annotations

from dataclasses import replace

import numba_stats.norm
import numba_stats.uniform
import numpy as np
import pytest
from iminuit.cost import ExtendedBinnedNLL, ExtendedUnbinnedNLL, NormalConstraint

from mlbkg.errors import FitError, WeightError
from mlbkg.fitting.base import Window
from mlbkg.fitting.data import Binned, Data, Unbinned, binned
from mlbkg.fitting.likelihood import likelihood
from mlbkg.fitting.model import Component, Constraint, Model, Parameter, Rate, nuisance
from mlbkg.fitting.shapes.chebyshev import Chebyshev
from mlbkg.fitting.shapes.gaussian import Gaussian
from mlbkg.fitting.toys import Experiments

WINDOW = Window(0.0, 1.0)
EDGES = WINDOW.edges(50)
SIGMA = 0.04


def model(order: int = 1) -> Model:
    slopes = tuple(Parameter(f"c{k}", 0.1, -2, 2, step=0.05) for k in range(1, order + 1))
    return Model(
        WINDOW,
        (
            Component("peak", Gaussian(WINDOW), Rate(50.0, "strength", {"efficiency": 0.1}), ("mean", "sigma")),
            Component("flat", Chebyshev(WINDOW, order=order), Rate(1.0, "flat"), tuple(p.name for p in slopes)),
        ),
        (
            Parameter("strength", 2.0, -10, 10, step=0.3),
            Parameter("flat", 1000.0, 0, 1e6, step=30),
            Parameter("mean", 0.45, 0.3, 0.6, step=0.01),
            Parameter("sigma", SIGMA, fixed=True),
            *slopes,
            replace(nuisance("efficiency"), constraint=Constraint(0.4, 1.0)),
        ),
    )


def toy(*, edges: np.ndarray | None) -> Data:
    return Experiments(model(), model().starts.tolist(), edges=edges).draw(np.random.default_rng(7)).data


def peak_and_line(integral: bool):
    """The same model written down with numba-stats: scaled densities, or their integrals."""

    def value(x, strength, flat, mean, c1, efficiency):
        of_gaussian = numba_stats.norm.cdf if integral else numba_stats.norm.pdf
        inside = np.diff(numba_stats.norm.cdf(np.array([0.0, 1.0]), mean, SIGMA))[0]
        lowest = numba_stats.norm.cdf(np.array([0.0]), mean, SIGMA)[0] if integral else 0.0
        line = x + c1 * (x**2 - x) if integral else 1 + c1 * (2 * x - 1)
        return 50 * strength * 1.1**efficiency * (of_gaussian(x, mean, SIGMA) - lowest) / inside + flat * line

    return value


def points(n: int = 6) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.array([2.0, 1000.0, 0.45, 0.1, 0.2]) + rng.normal(size=(n, 5)) * [0.5, 40, 0.01, 0.1, 1]


def test_binned_values_are_those_of_iminuit() -> None:
    data = toy(edges=EDGES)
    assert isinstance(data, Binned)
    theirs = ExtendedBinnedNLL(data.counts, EDGES, peak_and_line(True)) + NormalConstraint("efficiency", 0.4, 1.0)
    ours = likelihood(model(), data)
    for theta in points():
        assert ours.value(theta) == pytest.approx(theirs(*theta), rel=1e-10)


def test_unbinned_values_are_those_of_iminuit_up_to_a_constant() -> None:
    data = toy(edges=None)
    assert isinstance(data, Unbinned)

    def total_and_density(x, strength, flat, mean, c1, efficiency):
        value = peak_and_line(False)(x, strength, flat, mean, c1, efficiency)
        return 50 * strength * 1.1**efficiency + flat, value

    theirs = ExtendedUnbinnedNLL(data.x, total_and_density) + NormalConstraint("efficiency", 0.4, 1.0)
    ours = likelihood(model(), data)
    differences = [ours.value(theta) - theirs(*theta) for theta in points()]
    assert np.ptp(differences) < 1e-8


@pytest.mark.parametrize("kind", ["binned", "unbinned", "weighted", "weighted bins", "empty bins"])
def test_gradient_is_the_slope_of_the_value(kind: str) -> None:
    x = toy(edges=None)
    assert isinstance(x, Unbinned)
    weighted = Unbinned(x.x, np.random.default_rng(2).uniform(0.5, 4, len(x.x)))
    data: Data = {
        "binned": binned(x, EDGES),
        "unbinned": x,
        "weighted": weighted,
        "weighted bins": binned(weighted, EDGES),
        "empty bins": binned(Unbinned(x.x[:20]), EDGES),
    }[kind]
    ours = likelihood(model(order=3), data)
    theta = ours.starts + 0.4 * ours.steps
    numeric = [
        (ours.value(theta + step) - ours.value(theta - step)) / (2 * step.sum()) for step in np.diag(1e-3 * ours.steps)
    ]
    assert ours.gradient(theta) * ours.steps == pytest.approx(np.array(numeric) * ours.steps, rel=1e-5, abs=1e-5)


def test_gradient_leads_out_of_negative_expectations() -> None:
    ours = likelihood(model(), binned(Unbinned(np.array([0.45])), EDGES))
    theta = np.array([-9.0, 30.0, 0.45, 0.1, 0.0])
    for step in np.diag([1e-6, 1e-4, 1e-8, 1e-6, 1e-6]):
        slope = (ours.value(theta + step) - ours.value(theta - step)) / (2 * step.sum())
        assert ours.gradient(theta) @ np.sign(step) == pytest.approx(slope, rel=1e-4)
    assert ours.gradient(theta)[0] < 0


def test_a_perfect_model_has_value_zero() -> None:
    expected = model().expected(EDGES, model().starts.tolist()).sum(axis=0)
    unconstrained = model().with_centres({"efficiency": 0.0})
    ours = likelihood(unconstrained, Binned(EDGES, expected))
    assert ours.value(ours.starts) == pytest.approx(0, abs=1e-9)


def test_fixed_parameters_are_left_out() -> None:
    ours = likelihood(model().fixing({"mean": 0.5}), toy(edges=EDGES))
    assert ours.names == ("strength", "flat", "c1", "efficiency")
    assert ours.full(ours.starts)[2:4].tolist() == [0.5, SIGMA]


def test_data_outside_the_window() -> None:
    with pytest.raises(FitError, match=r"1 of 2 candidates are outside the fit window \[0, 1\], for example 1\.5"):
        likelihood(model(), Unbinned(np.array([0.5, 1.5])))
    with pytest.raises(FitError, match="bin edges are outside"):
        likelihood(model(), Binned(np.linspace(0, 2, 4), np.ones(3)))


def test_bins_that_count_less_than_nothing() -> None:
    with pytest.raises(WeightError, match="1 of 50 bins count less than nothing: -1"):
        likelihood(model(), Binned(EDGES, np.where(np.arange(50) == 3, -1.0, 2.0), np.ones(50)))


def test_an_effect_that_would_turn_a_rate_negative() -> None:
    peak = model().components[0]
    wrong = replace(
        model(), components=(replace(peak, rate=Rate(1.0, "strength", {"efficiency": -1.0})), model().components[1])
    )
    with pytest.raises(FitError, match="effect -1 of 'efficiency' on component 'peak'"):
        likelihood(wrong, toy(edges=EDGES))
