"""Fits against closed forms, iminuit's own cost functions and toys; and what they say when they cannot be made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numba_stats.norm
import numpy as np
import pytest
from iminuit import Minuit
from iminuit.cost import ExtendedBinnedNLL
from scipy.optimize import brentq

from mlbkg.errors import FitError
from mlbkg.fitting.base import Array, Shape, ShapeParameter, Window
from mlbkg.fitting.data import Binned, Data, Unbinned, binned
from mlbkg.fitting.fit import fit, minimise
from mlbkg.fitting.model import Component, Constraint, Model, Parameter, Rate, nuisance
from mlbkg.fitting.shapes.chebyshev import Chebyshev
from mlbkg.fitting.shapes.gaussian import Gaussian
from mlbkg.fitting.toys import Experiments, asimov, seeds

WINDOW = Window(-1.0, 1.0)
EDGES = WINDOW.edges(40)
ONE_BIN = WINDOW.edges(1)


class Flat(Shape):
    @property
    def parameters(self) -> tuple[ShapeParameter, ...]:
        return ()

    def density(self, x: Array, theta: Sequence[float]) -> Array:
        return np.full(len(x), 1 / self.window.width)

    def cumulative(self, x: Array, theta: Sequence[float]) -> Array:
        return (x - self.window.low) / self.window.width


class OnlyFar(Flat):
    """No number below 1: what a shape gives that was started where its formula has none."""

    @property
    def parameters(self) -> tuple[ShapeParameter, ...]:
        return (ShapeParameter("far", 0.5, -10, 10),)

    def cumulative(self, x: Array, theta: Sequence[float]) -> Array:
        u = super().cumulative(x, theta)
        return u + (theta[0] - 2) * (u - u**2) if theta[0] > 1 else np.full(len(x), np.nan)

    def density(self, x: Array, theta: Sequence[float]) -> Array:
        u = super().cumulative(x, theta)
        return (1 + (theta[0] - 2) * (1 - 2 * u)) / self.window.width


class Hollow(Flat):
    """Negative in the middle of the window."""

    def cumulative(self, x: Array, theta: Sequence[float]) -> Array:
        return (-x + 2 * x**3) / 2 + 0.5

    def density(self, x: Array, theta: Sequence[float]) -> Array:
        return (-1 + 6 * x**2) / 2


def counting(background: float, *, low: float = -np.inf, error: float | None = None) -> Model:
    """signal + background in one bin."""
    nuisances = () if error is None else (nuisance("uncertain"),)
    effects = {} if error is None else {"uncertain": error}
    return Model(
        WINDOW,
        (
            Component("signal", Flat(WINDOW), Rate(1.0, "signal")),
            Component("background", Flat(WINDOW), Rate(background, None, effects)),
        ),
        (Parameter("signal", 5.0, low, step=5.0), *nuisances),
    )


def gaussian(*, mean: Parameter | None = None, sigma: Parameter | None = None) -> Model:
    return Model(
        WINDOW,
        (Component("peak", Gaussian(WINDOW), Rate(1.0, "n"), ("mean", "sigma")),),
        (
            Parameter("n", 300.0, 0, 1e6, step=20),
            mean or Parameter("mean", 0.05, -1, 1, step=0.01),
            sigma or Parameter("sigma", 0.12, 0.01, 1, step=0.01),
        ),
    )


def peak_over_line(strength: float = 60.0) -> Model:
    return Model(
        WINDOW,
        (
            Component("peak", Gaussian(WINDOW), Rate(1.0, "strength", {"efficiency": 0.1}), ("mean", "sigma")),
            Component("line", Chebyshev(WINDOW, order=1), Rate(1.0, "n_line"), ("c1",)),
        ),
        (
            Parameter("strength", strength, step=20.0),
            Parameter("n_line", 1000.0, 0, 1e6, step=30),
            Parameter("c1", 0.2, -2, 2, step=0.05),
            Parameter("mean", 0.1, fixed=True),
            Parameter("sigma", 0.1, fixed=True),
            nuisance("efficiency"),
        ),
    )


def unweighted(experiments: Experiments, rng: np.random.Generator) -> Array:
    data = experiments.draw(rng).data
    assert isinstance(data, Unbinned)
    return data.x


def counts(n: float) -> Binned:
    return Binned(ONE_BIN, np.array([float(n)]))


def test_counting_has_the_closed_form() -> None:
    result = fit(counting(20.0), counts(25), minos=("signal",))
    signal = result["signal"]
    assert signal.value == pytest.approx(5, abs=1e-4)
    assert signal.error == pytest.approx(np.sqrt(25), rel=1e-3)

    def rise(mu: float) -> float:
        return 2 * (mu - 25 + 25 * np.log(25 / mu)) - 1

    assert signal.error_low == pytest.approx(brentq(rise, 10, 25) - 25, rel=2e-3)
    assert signal.error_high == pytest.approx(brentq(rise, 25, 40) - 25, rel=2e-3)
    assert signal.minos
    assert not signal.at_limit
    assert result.minimum == pytest.approx(0, abs=1e-6)
    assert result.converged


def test_an_uncertain_background_adds_in_quadrature() -> None:
    signal = fit(counting(20.0, error=0.02), counts(25))["signal"]
    assert signal.error == pytest.approx(np.hypot(5, 20 * np.log(1.02)), rel=1e-3)


def test_a_gaussian_has_the_sample_s_moments() -> None:
    x = np.random.default_rng(3).normal(0.05, 0.1, 400)
    result = fit(gaussian(), Unbinned(x))
    assert result["n"].value == pytest.approx(400, rel=1e-4)
    assert result["n"].error == pytest.approx(20, rel=1e-3)
    assert result["mean"].value == pytest.approx(x.mean(), abs=1e-5)
    assert result["mean"].error == pytest.approx(x.std() / 20, rel=1e-3)
    assert result["sigma"].value == pytest.approx(x.std(), rel=1e-4)
    assert result["sigma"].error == pytest.approx(x.std() / np.sqrt(800), rel=2e-3)


@pytest.mark.parametrize("kind", ["binned", "unbinned"])
def test_weighted_yield_and_mean_have_the_closed_form(kind: str) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(0.05, 0.1, 3000)
    w = np.where(rng.random(3000) < 0.1, 20.0, 1.0)
    data: Data = Unbinned(x, w) if kind == "unbinned" else binned(Unbinned(x, w), WINDOW.edges(400))
    result = fit(gaussian(sigma=Parameter("sigma", 0.1, fixed=True)), data, minos=("n",))
    mean = float(w @ x / w.sum())
    assert result["n"].value == pytest.approx(w.sum(), rel=1e-4)
    assert result["n"].error == pytest.approx(np.sqrt(w @ w), rel=2e-3)
    assert result["n"].error_high == pytest.approx(np.sqrt(w @ w), rel=0.05)
    assert result["mean"].value == pytest.approx(mean, abs=2e-5)
    assert result["mean"].error == pytest.approx(np.sqrt(w**2 @ (x - mean) ** 2) / w.sum(), rel=5e-3)


def test_a_constraint_is_averaged_with_the_data() -> None:
    model = Model(
        WINDOW,
        (Component("all", Flat(WINDOW), Rate(1e6, "scale")),),
        (Parameter("scale", 1.0, step=1e-3, constraint=Constraint(1.002, 1e-3)),),
    )
    scale = fit(model, counts(1e6))["scale"]
    assert scale.value == pytest.approx(1.001, abs=2e-6)
    assert scale.error == pytest.approx(1e-3 / np.sqrt(2), rel=2e-3)


def test_the_result_of_iminuit_s_own_cost_function() -> None:
    data = Experiments(peak_over_line(), peak_over_line().starts.tolist(), edges=EDGES).draw(np.random.default_rng(5)).data
    assert isinstance(data, Binned)

    def integral(x, strength, n_line, c1):
        first, last = numba_stats.norm.cdf(np.array([-1.0, 1.0]), 0.1, 0.1)
        peak = (numba_stats.norm.cdf(x, 0.1, 0.1) - first) / (last - first)
        return strength * peak + n_line * ((x + 1) / 2 + c1 * (x**2 - 1) / 4)

    theirs = Minuit(ExtendedBinnedNLL(data.counts, EDGES, integral), 60, 1000, 0.2)
    theirs.tol = 1e-4
    theirs.migrad().hesse()
    ours = fit(peak_over_line().fixing({"efficiency": 0.0}), data)
    for name in ("strength", "n_line", "c1"):
        assert ours[name].value == pytest.approx(theirs.values[name], abs=2e-3 * theirs.errors[name])
        assert ours[name].error == pytest.approx(theirs.errors[name], rel=2e-3)
    assert ours.minimum == pytest.approx(theirs.fval, abs=1e-4)
    assert ours.covariance[:3, :3] == pytest.approx(np.array(theirs.covariance), rel=0.01)


def test_yields_have_correlated_errors() -> None:
    model = peak_over_line()
    result = fit(model, asimov(model, model.starts.tolist(), EDGES), minos=("strength",))
    peak, line = result.yields
    strength = result["strength"]
    assert peak.value == pytest.approx(60, rel=1e-3)
    # The efficiency moves strength and rate, not the yield that the data fix.
    assert strength.error**2 == pytest.approx(peak.error**2 + (60 * np.log(1.1)) ** 2, rel=0.01)
    assert peak.error_high / peak.error == pytest.approx(strength.error_high / strength.error)
    assert line.error == pytest.approx(result["n_line"].error)
    assert [p.fixed for p in result.parameters] == [False, False, False, True, True, False]
    assert not result.covariance[3].any()


def test_minimise_finds_the_same_minimum() -> None:
    experiments = Experiments(peak_over_line(), peak_over_line().starts.tolist(), edges=EDGES)
    for seed in seeds(1, 20):
        toy = experiments.draw(np.random.default_rng(seed))
        quick, full = minimise(toy.model, toy.data), fit(toy.model, toy.data)
        assert quick.minimum == pytest.approx(full.minimum, abs=1e-3)
        assert quick.minimum <= full.minimum + 1e-6
        assert quick.theta[0] == pytest.approx(full["strength"].value, abs=0.02 * full["strength"].error)


def test_conditional_minimum_lies_above_by_the_square_of_the_pull() -> None:
    model = peak_over_line(strength=0.0)
    data = asimov(model, model.starts.tolist(), EDGES)
    error = fit(model, data)["strength"].error
    above = minimise(model.fixing({"strength": 0.1 * error}), data).minimum - minimise(model, data).minimum
    assert above == pytest.approx(0.01, rel=0.05)


def test_a_parameter_at_its_bound_is_told() -> None:
    result = fit(counting(20.0, low=0.0), counts(10), minos=("signal",))
    assert result["signal"].value == pytest.approx(0, abs=1e-3)
    assert result["signal"].at_limit
    assert result["signal"].error_low == pytest.approx(0, abs=1e-3)

    def rise(s: float) -> float:
        return 2 * (s - 10 * np.log((20 + s) / 20)) - 1

    assert result["signal"].error_high == pytest.approx(brentq(rise, 1e-3, 20), rel=0.01)


def test_nothing_to_fit() -> None:
    result = fit(counting(20.0).fixing({"signal": 3.0}), counts(25))
    assert result["signal"].fixed
    assert result.yields[0].value == 3.0
    assert result.minimum == pytest.approx(2 * (23 - 25 + 25 * np.log(25 / 23)))


def far_only(start: float, step: float) -> Model:
    return Model(
        WINDOW,
        (Component("odd", OnlyFar(WINDOW), Rate(1.0, "n"), ("far",)),),
        (Parameter("n", 1000.0, 0, 1e6, step=30), Parameter("far", start, -10, 10, step=step)),
    )


def test_other_starting_points_are_tried_and_are_the_same_again() -> None:
    data = Binned(EDGES, np.full(40, 25.0))
    found = fit(far_only(0.5, 0.2), data)
    assert found.attempts > 1
    assert found["far"].value == pytest.approx(2, abs=1e-3)
    assert fit(far_only(0.5, 0.2), data).theta == found.theta
    assert minimise(far_only(0.5, 0.2), data).theta[1] == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize("method", [fit, minimise])
def test_not_converged(method) -> None:
    model = far_only(0.5, 1e-6)
    with pytest.raises(FitError, match="did not converge from 3 starting points; distance to the minimum") as error:
        method(model, Binned(EDGES, np.full(40, 25.0)), attempts=3)
    assert "lower the order of the background" in error.value.hint


def test_parameters_that_cannot_be_told_apart() -> None:
    twice = counting(1.0)
    other = Component("other", Flat(WINDOW), Rate(1.0, "other"))
    model = replace(
        twice, components=(*twice.components, other), parameters=(*twice.parameters, Parameter("other", 5.0, step=5))
    )
    with pytest.raises(FitError, match=r"cannot tell the parameters '(signal|other)' and '(signal|other)' apart"):
        fit(model, counts(25))


def test_a_negative_shape_is_named_with_place_and_value() -> None:
    model = Model(
        WINDOW,
        (
            Component("hollow", Hollow(WINDOW), Rate(1.0, "n")),
            Component("flat", Flat(WINDOW), Rate(1000.0)),
        ),
        (Parameter("n", 100.0, 0, 1e6, step=10),),
    )
    with pytest.raises(FitError, match=r"component 'hollow' is negative: -0\.5 at x = 0; its mean .* is 0\.5") as error:
        fit(model, asimov(model, [100.0], EDGES))
    assert "bernstein" in error.value.hint


@pytest.mark.parametrize("kind", ["binned", "unbinned"])
def test_a_negative_sum_is_named_with_its_worst_component(kind: str) -> None:
    model = peak_over_line().fixing({"efficiency": 0.0})
    x = np.concatenate([np.linspace(-1, -0.3, 40), np.linspace(0.5, 1, 30)])
    with pytest.raises(FitError, match=r"model is negative: .* mostly by component 'peak', whose yield is -"):
        fit(model, Unbinned(x) if kind == "unbinned" else binned(Unbinned(x), EDGES))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Unbinned(np.empty(0)), r"no candidates in the fit window \[-1, 1\]"),
        (Unbinned(np.zeros(3), np.zeros(3)), r"weights of the 3 candidates .* sum to 0"),
        (Binned(EDGES, np.zeros(40)), r"all 40 bins .* are empty, or their weights are zero"),
        (Binned(EDGES, np.zeros(40), np.zeros(40)), r"all 40 bins .* are empty, or their weights are zero"),
    ],
)
def test_no_data(data: Data, message: str) -> None:
    with pytest.raises(FitError, match=message) as error:
        fit(peak_over_line(), data)
    assert "selection.working_point" in error.value.hint or "weights" in error.value.hint


def test_minimise_takes_an_empty_experiment() -> None:
    assert minimise(counting(3.0), counts(0)).theta[0] == pytest.approx(-3, abs=1e-4)
    assert minimise(counting(3.0, low=0.0), counts(0)).theta[0] == pytest.approx(0, abs=1e-6)
    nothing = minimise(peak_over_line().fixing({"c1": 0.0}), Unbinned(np.empty(0)))
    assert nothing.theta[:2] == pytest.approx((0, 0), abs=1e-3)
    assert nothing.minimum == pytest.approx(0, abs=1e-3)


def test_a_constraint_of_zero_width() -> None:
    with pytest.raises(FitError, match="constraint of width 0 is none"):
        Constraint(1.0, 0.0)


def test_unknown_and_fixed_parameters_have_no_minos_error() -> None:
    with pytest.raises(FitError, match="no parameter 'strenght'; did you mean 'strength'"):
        fit(peak_over_line(), counts(3), minos=("strenght",))
    with pytest.raises(FitError, match="'mean' is fixed"):
        fit(peak_over_line(), counts(3), minos=("mean",))


@pytest.mark.parametrize("kind", ["binned", "unbinned"])
def test_pulls_of_weighted_toys_have_width_one(kind: str) -> None:
    """Heavy candidates are more often on the right, so that no common factor on the naive errors would do."""
    model = peak_over_line(0.0).fixing({"efficiency": 0.0, "strength": 0.0, "c1": 0.0})
    experiments = Experiments(model, model.starts.tolist())
    fitted = peak_over_line().fixing({"efficiency": 0.0})
    pulls, naive = [], []
    for seed in seeds(8, 150):
        rng = np.random.default_rng(seed)
        x = unweighted(experiments, rng)
        w = np.where(rng.random(len(x)) < (1 + x) / 4, 5.0, 1.0)  # 2 + x on average
        weighted = Unbinned(x, w)
        result = fit(fitted, weighted if kind == "unbinned" else binned(weighted, EDGES))
        deviation = np.array([result["strength"].value, result["n_line"].value - 2000, result["c1"].value - 0.5])
        errors = np.array([result[name].error for name in ("strength", "n_line", "c1")])
        pulls.append(deviation / errors)
        naive.append(deviation / errors * np.sqrt((w @ w) / w.sum()))
    assert np.std(pulls, axis=0) == pytest.approx(1, abs=0.18)  # 3 standard deviations of 150 toys
    assert np.mean(pulls, axis=0) == pytest.approx(0, abs=0.25)
    assert (np.std(naive, axis=0) > 1.4).all()
