"""What holds for every registered shape, and every shape against another way to compute it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import integrate, optimize, stats

from mlbkg.errors import FitError, UnknownNameError, WeightError
from mlbkg.fitting.base import SHAPES, Array, Sampled, Shape, Window

WINDOW = Window(9.40, 9.52, "GeV")
EDGES = WINDOW.edges(120)
INSIDE = (EDGES[1:] + EDGES[:-1]) / 2
TEMPLATE = (np.array([9.401, 9.45, 9.46, 9.461, 9.47, 9.519]), np.array([1.0, 2.0, 5.0, 4.0, 0.5, 1.5]))

SETTINGS: dict[str, dict[str, Any]] = {
    "bernstein": {"order": 4},
    "chebyshev": {"order": 4},
    "template": {"sample": "signal", "bins": 6},
}
TRUTHS: dict[str, tuple[float, ...]] = {
    "bernstein": (2.0, 1.5, 0.8, 0.4),
    "chebyshev": (-0.4, 0.2, -0.1, 0.05),
    "cruijff": (9.46, 0.002, 0.08, 0.003, 0.12),
    "double_crystal_ball": (9.46, 0.002, 1.2, 3.0, 1.6, 8.0),
    "double_gaussian": (9.4604, 0.002, 2.5, 0.7),
    "exponential": (-12.0,),
    "gaussian": (9.4604, 0.0023),
    "template": (),
}
WITH_PARAMETERS = [name for name, truth in TRUTHS.items() if truth]


def sample(name: str) -> Sampled:
    assert name == "signal"
    return TEMPLATE


def made(name: str, window: Window = WINDOW, **changed: Any) -> Shape:
    family = SHAPES[name]
    return family.build(family.params(**{**SETTINGS.get(name, {}), **changed}), window, sample)


def drawn(shape: Shape, theta: Sequence[float], *, n: int, seed: int = 1) -> Array:
    """Candidates by inversion of the cumulative on a fine grid."""
    grid = shape.window.edges(50_000)
    return np.interp(np.random.default_rng(seed).random(n), shape.cumulative(grid, theta), grid)


def integral(shape: Shape, theta: Sequence[float], low: float, high: float) -> float:
    """scipy's adaptive quadrature, between points near enough that it cannot miss a narrow peak."""
    names = [parameter.name for parameter in shape.parameters]
    points = {low, high, *WINDOW.edges(24)}
    if "mean" in names:
        mean = theta[names.index("mean")]
        widths = [value for name, value in zip(names, theta, strict=True) if name.startswith("sigma")]
        around = np.geomspace(0.1, 100, 13)
        points |= {mean, *(mean + sign * step * width for sign in (-1, 1) for width in widths for step in around)}
    ends = np.array(sorted(point for point in points if low <= point <= high))
    parts = [
        integrate.quad(lambda x: shape.density(np.array([x]), theta)[0], *pair, epsabs=1e-13, epsrel=1e-11)[0]
        for pair in pairwise(ends)
    ]
    return float(np.sum(parts))


def theta_of(name: str) -> st.SearchStrategy[tuple[float, ...]]:
    """Parameters anywhere between the bounds, widths down to a thousandth of the window."""
    if name == "chebyshev":  # where the sum of |c_k| is at most 1, the polynomial is nowhere negative
        return st.lists(st.floats(-0.25, 0.25), min_size=4, max_size=4).map(tuple)
    ranges = []
    for parameter in made(name).parameters:
        low = 1e-3 * WINDOW.width if parameter.name.startswith("sigma") else parameter.low
        ranges.append(st.floats(low, parameter.high))
    return st.tuples(*ranges)


def test_all_families_are_found() -> None:
    assert SHAPES.names() == tuple(sorted(TRUTHS))


@pytest.mark.parametrize("name", SHAPES.names())
def test_contract(name: str) -> None:
    shape = made(name)
    names = [parameter.name for parameter in shape.parameters]
    assert len(set(names)) == len(names)
    for parameter in shape.parameters:
        assert parameter.low <= parameter.start <= parameter.high
        assert np.isfinite([parameter.low, parameter.high]).all()
    assert len(TRUTHS[name]) == len(names)
    assert SHAPES[name].description
    assert all(field.description for field in SHAPES[name].params.model_fields.values())


@pytest.mark.parametrize("name", SHAPES.names())
def test_integral_at_the_starting_values(name: str) -> None:
    shape = made(name)
    assert integral(shape, shape.started(*TEMPLATE), WINDOW.low, WINDOW.high) == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("name", SHAPES.names())
@settings(max_examples=15, deadline=None, derandomize=True)
@given(data=st.data())
def test_density_and_cumulative(name: str, data: st.DataObject) -> None:
    shape, theta = made(name), data.draw(theta_of(name))
    cumulative = shape.cumulative(EDGES, theta)
    assert cumulative[[0, -1]] == pytest.approx([0, 1], abs=1e-12)
    assert (np.diff(cumulative) >= -1e-14).all()
    assert (shape.density(INSIDE, theta) >= -1e-12).all()
    between = data.draw(st.floats(WINDOW.low, WINDOW.high))
    below = integral(shape, theta, WINDOW.low, between)
    assert below == pytest.approx(shape.cumulative(np.array([between]), theta)[0], abs=1e-8)
    assert below + integral(shape, theta, between, WINDOW.high) == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("name", SHAPES.names())
def test_other_windows(name: str) -> None:
    """The narrowest and the widest peak, and a window far from zero relative to its width."""
    for window in (Window(-3.0, 50.0), Window(1e4, 1e4 + 1)):
        if name == "template":
            continue
        shape = made(name, window)
        for edge in ("low", "start", "high"):
            theta = [
                getattr(parameter, edge) if parameter.name.startswith("sigma") else parameter.start
                for parameter in shape.parameters
            ]
            reached = shape.cumulative(window.edges(50), theta)
            assert reached[[0, -1]] == pytest.approx([0, 1], abs=1e-12)
            assert (np.diff(reached) >= -1e-14).all()


def crystal_ball(theta: Sequence[float]) -> tuple[Array, Array]:
    from numba_stats import crystalball_ex

    mean, sigma, *tails = theta
    arguments = (tails[0], tails[1], sigma, tails[2], tails[3], sigma, mean)
    below, above = crystalball_ex.cdf(np.array([WINDOW.low, WINDOW.high]), *arguments)
    part = above - below
    return crystalball_ex.pdf(INSIDE, *arguments) / part, (crystalball_ex.cdf(EDGES, *arguments) - below) / part


def cruijff(theta: Sequence[float]) -> tuple[Array, Array]:
    """numba_stats writes z^2 / (2 + 2 beta z^2): its beta is half of alpha. Integrals by scipy's quadrature."""
    from numba_stats import cruijff as reference

    mean, sigma_low, alpha_low, sigma_high, alpha_high = theta
    arguments = (alpha_low / 2, alpha_high / 2, mean, sigma_low, sigma_high)

    def height(x: float) -> float:
        return float(reference.density(np.array([x]), *arguments)[0])

    parts = [
        integrate.quad(height, low, high, points=[mean] if low < mean < high else None, epsabs=1e-15)[0]
        for low, high in pairwise(EDGES)
    ]
    reached = np.concatenate([[0.0], np.cumsum(parts)])
    return reference.density(INSIDE, *arguments) / reached[-1], reached / reached[-1]


def of_scipy(distribution: Any) -> tuple[Array, Array]:
    return distribution.pdf(INSIDE), distribution.cdf(EDGES)


def truncated_normal(theta: Sequence[float]) -> tuple[Array, Array]:
    mean, sigma = theta
    return of_scipy(stats.truncnorm((WINDOW.low - mean) / sigma, (WINDOW.high - mean) / sigma, mean, sigma))


def two_normals(theta: Sequence[float]) -> tuple[Array, Array]:
    mean, sigma, ratio, core = theta
    parts = [(core, stats.norm(mean, sigma)), (1 - core, stats.norm(mean, ratio * sigma))]
    below, above = (sum(share * part.cdf(end) for share, part in parts) for end in (WINDOW.low, WINDOW.high))
    density = sum(share * part.pdf(INSIDE) for share, part in parts)
    return density / (above - below), (sum(share * part.cdf(EDGES) for share, part in parts) - below) / (above - below)


def falling(theta: Sequence[float]) -> tuple[Array, Array]:
    scale = -1 / theta[0]
    return of_scipy(stats.truncexpon(WINDOW.width / scale, WINDOW.low, scale))


def cosines(theta: Sequence[float]) -> tuple[Array, Array]:
    """T_k(cos t) = cos(k t), and its integral over cos t from the addition theorem: Abramowitz and Stegun 22.3.15."""
    coefficients = [1.0, *theta]

    def angle(x: Array) -> Array:
        return np.arccos(np.clip(2 * (x - WINDOW.low) / WINDOW.width - 1, -1, 1))

    def primitive(t: Array) -> Array:
        total = coefficients[0] * np.cos(t) - coefficients[1] * np.sin(t) ** 2 / 2
        for k, c in enumerate(coefficients[2:], start=2):
            total = total + c * (np.cos((k + 1) * t) / (k + 1) - np.cos((k - 1) * t) / (k - 1)) / 2
        return np.asarray(total)

    start, end = primitive(np.array([np.pi, 0.0]))
    density = sum(c * np.cos(k * angle(INSIDE)) for k, c in enumerate(coefficients)) * 2 / WINDOW.width
    return np.asarray(density / (end - start)), (primitive(angle(EDGES)) - start) / (end - start)


def betas(theta: Sequence[float]) -> tuple[Array, Array]:
    """A Bernstein polynomial is a mixture of beta distributions; here c2 of c0 .. c4 is the fixed one."""
    shares = np.array([*theta[:2], 1.0, *theta[2:]])
    parts = [stats.beta(k + 1, 5 - k, WINDOW.low, WINDOW.width) for k in range(5)]
    weighted = [(share / shares.sum(), part) for share, part in zip(shares, parts, strict=True)]
    density = np.array([share * part.pdf(INSIDE) for share, part in weighted]).sum(axis=0)
    return density, np.array([share * part.cdf(EDGES) for share, part in weighted]).sum(axis=0)


def scipy_histogram(theta: Sequence[float]) -> tuple[Array, Array]:
    contents = np.histogram(TEMPLATE[0], WINDOW.edges(6), weights=TEMPLATE[1])
    return of_scipy(stats.rv_histogram(contents, density=False))


REFERENCES: dict[str, Callable[[Sequence[float]], tuple[Array, Array]]] = {
    "bernstein": betas,
    "chebyshev": cosines,
    "cruijff": cruijff,
    "double_crystal_ball": crystal_ball,
    "double_gaussian": two_normals,
    "exponential": falling,
    "gaussian": truncated_normal,
    "template": scipy_histogram,
}


@pytest.mark.parametrize("name", REFERENCES)
def test_against_other_implementations(name: str) -> None:
    density, cumulative = REFERENCES[name](TRUTHS[name])
    shape = made(name)
    assert shape.density(INSIDE, TRUTHS[name]) == pytest.approx(density, rel=1e-8, abs=1e-12)
    assert shape.cumulative(EDGES, TRUTHS[name]) == pytest.approx(cumulative, abs=1e-9)


def test_cruijff_without_tails_is_a_bifurcated_gaussian() -> None:
    """Its content: sqrt(pi/2) (sigma_low + sigma_high), the share below the mean sigma_low / (sigma_low + sigma_high)."""
    shape, theta = made("cruijff"), (9.46, 0.002, 0.0, 0.003, 0.0)
    assert shape.density(np.array([9.46]), theta)[0] == pytest.approx(1 / (np.sqrt(np.pi / 2) * 0.005), rel=1e-12)
    assert shape.cumulative(np.array([9.46]), theta)[0] == pytest.approx(0.4, rel=1e-12)


def test_crystal_ball_at_power_one_lies_between_its_neighbours() -> None:
    shape = made("double_crystal_ball")
    below, at, above = (shape.cumulative(EDGES, (9.46, 0.002, 1.2, n, 1.6, n)) for n in (1 - 1e-9, 1.0, 1 + 1e-9))
    assert at == pytest.approx((below + above) / 2, abs=1e-13)


def test_double_gaussian_of_one_width_is_gaussian() -> None:
    one = made("gaussian").cumulative(EDGES, (9.46, 0.003))
    assert made("double_gaussian").cumulative(EDGES, (9.46, 0.003, 1.0, 0.4)) == pytest.approx(one, abs=1e-14)


@pytest.mark.parametrize("slope", [0.0, 1e-12, -1e-12])
def test_flat_exponential(slope: float) -> None:
    assert made("exponential").density(INSIDE, (slope,)) == pytest.approx(1 / WINDOW.width)


def test_chebyshev_may_be_negative_but_stays_normalised() -> None:
    shape, theta = made("chebyshev", order=8), (2.0,) * 8
    assert shape.density(INSIDE, theta).min() < 0
    assert shape.cumulative(EDGES, theta)[-1] == pytest.approx(1)


def test_the_fixed_coefficient_of_bernstein_is_the_middle_one() -> None:
    assert [parameter.name for parameter in made("bernstein", order=4).parameters] == ["c0", "c1", "c3", "c4"]


def test_units_are_those_of_the_window() -> None:
    assert [parameter.unit for parameter in made("double_gaussian").parameters] == ["GeV", "GeV", "", ""]
    assert [parameter.unit for parameter in made("exponential").parameters] == ["1/GeV"]
    assert [parameter.unit for parameter in made("exponential", Window(0, 1)).parameters] == [""]


def distance(shape: Shape, theta: Sequence[float], truth: Sequence[float]) -> float:
    """Largest difference of the two cumulatives."""
    grid = WINDOW.edges(2000)
    return float(np.abs(shape.cumulative(grid, theta) - shape.cumulative(grid, truth)).max())


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_started_is_near_the_truth_and_inside_the_bounds(name: str) -> None:
    shape = made(name)
    x = drawn(shape, TRUTHS[name], n=5000)
    theta = shape.started(x, np.ones(len(x)))
    assert distance(shape, theta, TRUTHS[name]) < 0.05
    for value, parameter in zip(theta, shape.parameters, strict=True):
        assert parameter.low < value < parameter.high


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_started_honours_weights_and_the_window(name: str) -> None:
    """Candidates of weight two are two candidates, and those outside the window are none."""
    shape = made(name)
    x = drawn(shape, TRUTHS[name], n=4000)
    weight = np.where(x < np.median(x), 2.0, 1.0)
    twice = np.repeat(x, weight.astype(int))
    outside = np.concatenate([x, np.full(9000, WINDOW.high + 1)])
    theta = shape.started(outside, np.concatenate([weight, np.ones(9000)]))
    assert theta == pytest.approx(shape.started(twice, np.ones(len(twice))), rel=0.01, abs=1e-6)


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_started_survives_negative_weights_and_few_candidates(name: str) -> None:
    shape = made(name)
    for x, weight in (
        (np.array([9.46]), np.array([3.0])),
        (np.array([9.40, 9.52, 9.43]), np.array([2.0, 2.0, -3.5])),
    ):
        theta = shape.started(x, weight)
        assert np.isfinite(shape.density(INSIDE, theta)).all()
        assert (shape.density(INSIDE, theta) >= 0).all()
        assert all(p.low <= value <= p.high for value, p in zip(theta, shape.parameters, strict=True))


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_started_refuses_weights_that_sum_to_nothing(name: str) -> None:
    with pytest.raises(WeightError, match=r"0 of 3 candidates are in the fit window \[9.4, 9.52\].*is 0"):
        made(name).started(np.full(3, 12.0), np.ones(3))


def test_exponential_starts_at_the_largest_likelihood() -> None:
    """scipy's minimum of the negative logarithm of the likelihood."""
    shape = made("exponential")
    x = drawn(shape, (-12.0,), n=2000)
    best = optimize.minimize_scalar(lambda slope: -np.log(shape.density(x, (slope,))).sum(), bounds=(-60, 60))
    assert shape.started(x, np.ones(len(x)))[0] == pytest.approx(best.x, rel=1e-5)


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_a_binned_likelihood_fit_from_the_start_finds_the_truth(name: str) -> None:
    """By Nelder and Mead; at the minimum, twice the gain over the truth is a chi^2 of as many degrees as parameters."""
    shape, truth = made(name), TRUTHS[name]
    x = drawn(shape, truth, n=20_000, seed=7)
    counts = np.histogram(x, EDGES)[0]
    scales = np.array([parameter.high - parameter.low for parameter in shape.parameters])

    def deviance(scaled: Array) -> float:
        expected = np.maximum(np.diff(shape.cumulative(EDGES, scaled * scales)), 1e-12)
        return float(-2 * (counts * np.log(expected)).sum())

    start = np.array(shape.started(x, np.ones(len(x)))) / scales
    bounds = [(p.low / scale, p.high / scale) for p, scale in zip(shape.parameters, scales, strict=True)]
    options = {"xatol": 1e-7, "fatol": 1e-4, "maxfev": 4000, "adaptive": True}
    simplex = np.vstack([start, start + np.diag(np.maximum(0.003 * np.abs(start), 1e-4))])
    options["initial_simplex"] = np.clip(simplex, *np.transpose(bounds))
    best = optimize.minimize(deviance, start, method="Nelder-Mead", bounds=bounds, options=options)
    gain = deviance(np.array(truth) / scales) - best.fun
    assert -0.01 < gain < stats.chi2(len(truth)).isf(1e-3)
    assert distance(shape, best.x * scales, truth) < 0.01


@pytest.mark.parametrize("order", [0, 9])
def test_chebyshev_of_an_order_out_of_range(order: int) -> None:
    with pytest.raises(ValidationError, match="order"):
        made("chebyshev", order=order)


def test_template_needs_a_sample() -> None:
    with pytest.raises(ValidationError, match=r"sample\n.*Field required"):
        SHAPES["template"].params(bins=3)


def test_shapes_refuse_settings_they_do_not_have() -> None:
    with pytest.raises(ValidationError, match=r"order\n.*Extra inputs"):
        SHAPES["gaussian"].params(order=2)


def test_unknown_shape() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'chebyshev'"):
        SHAPES["chebychev"]


@pytest.mark.parametrize(
    ("sampled", "message"),
    [
        ((np.empty(0), np.empty(0)), r"is empty: none of its 0 candidates.*\nChange fit.window"),
        ((np.ones(3), np.ones(3)), r"is empty: none of its 3 candidates is in the fit window \[9.4, 9.52\]"),
        ((np.array([9.41, 9.45]), np.array([-2.0, 5.0])), r"negative in 1 of 6 bins\n  9.4 .. 9.42: -2\nTake fewer bins"),
        ((np.array([9.41, 9.45]), np.zeros(2)), r"zero everywhere.*\nLook at the sample's weight"),
    ],
)
def test_templates_that_are_none(sampled: Sampled, message: str) -> None:
    family = SHAPES["template"]
    with pytest.raises(FitError, match=message):
        family.build(family.params(sample="mc", bins=6), WINDOW, lambda name: sampled)


def test_template_says_which_bins_are_empty(caplog: pytest.LogCaptureFixture) -> None:
    made("template", bins=12)
    assert "template of 'signal': 7 of 12 bins are empty" in caplog.text
