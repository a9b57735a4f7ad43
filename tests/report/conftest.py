"""A made-up fit and made-up limits of the size of the Υ(1S) analysis: a small peak on a large smooth background."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mlbkg.fitting.base import Window
from mlbkg.fitting.data import Binned
from mlbkg.fitting.model import Component, Model, Parameter, Rate, nuisance
from mlbkg.fitting.result import FitResult, FittedParameter, FittedYield, Goodness
from mlbkg.fitting.shapes.chebyshev import Chebyshev
from mlbkg.fitting.shapes.double_gaussian import DoubleGaussian
from mlbkg.limits.result import Band, Limit, Scan
from mlbkg.report.fit_figures import FitView
from mlbkg.report.quantity import Quantity

YIELDS = {"signal": (7286.0, 1900.0), "peaking": (84_000.0, 3100.0), "background": (1.8e7, 5200.0)}
PEAK = ("mean", "sigma", "ratio", "core_fraction")
BENT = ("c1", "c2")


def _model(yields: dict[str, tuple[float, float]]) -> Model:
    window = Window(9.40, 9.52, "GeV/c^2")
    peak, smooth = DoubleGaussian(window), Chebyshev(window, order=2)
    parameters = (
        *(Parameter(f"n_{name}", value) for name, (value, _) in yields.items()),
        *(Parameter(name, value, fixed=True) for name, value in zip(PEAK, (9.4604, 0.0021, 1.9, 0.7), strict=True)),
        *(Parameter(name, value) for name, value in zip(BENT, (0.12, -0.03), strict=True)),
        nuisance("tracking"),
    )
    components = (
        Component("signal", peak, Rate(1.0, "n_signal", {"tracking": 0.01}), PEAK),
        Component("peaking", peak, Rate(1.0, "n_peaking"), PEAK),
        Component("background", smooth, Rate(1.0, "n_background"), BENT),
    )
    return Model(window, components, parameters)


def _result(model: Model, yields: dict[str, tuple[float, float]]) -> FitResult:
    errors = {**{f"n_{name}": error for name, (_, error) in yields.items()}, "c1": 0.002, "c2": 0.002, "tracking": 0.98}
    fitted = tuple(
        FittedParameter(
            p.name, p.start, errors.get(p.name, 0.0), -errors.get(p.name, 0.0), errors.get(p.name, 0.0), minos=False,
            fixed=p.fixed, at_limit=False,
        )
        for p in model.parameters
    )  # fmt: skip
    sigma = np.array([parameter.error for parameter in fitted])
    correlation = np.eye(len(sigma))
    correlation[0, 1] = correlation[1, 0] = -0.87
    correlation[7, 8] = correlation[8, 7] = 0.31
    return FitResult(
        fitted, correlation * np.outer(sigma, sigma),
        tuple(FittedYield(name, value, error, -error, error) for name, (value, error) in yields.items()),
        minimum=-1.0, converged=True, attempts=1,
    )  # fmt: skip


def _view(yields: dict[str, tuple[float, float]], *, bins: int = 120, data_name: str = "data") -> FitView:
    model = _model(yields)
    edges = model.window.edges(bins)
    expected = model.expected(edges, model.starts).sum(axis=0)
    counts = np.random.default_rng(5).poisson(expected).astype(np.float64)
    errors = np.sqrt(np.maximum(expected, 1e-9))
    pulls = (counts - expected) / errors
    goodness = Goodness(edges, counts, errors, expected, pulls, float((pulls**2).sum()), bins - 5, 0.43)
    result, data = _result(model, yields), Binned(edges, counts)
    return FitView(Quantity("mRecoil", "GeV/c^2"), model, result, data, data_name, goodness, smooth=("background",))


@pytest.fixture(scope="session")
def fit_view() -> Callable[..., FitView]:
    """A fit with these yields and errors, those of the analysis by default."""

    def make(yields: dict[str, tuple[float, float]] | None = None, **options: object) -> FitView:
        return _view({**YIELDS, **(yields or {})}, **options)

    return make


@pytest.fixture(scope="session")
def limit() -> Callable[..., Limit]:
    """A 90 % limit with a median of ``median``, and a scan like that of a Gaussian measurement."""

    def make(method: str = "cls", median: float = 3.7e-5, *, observed: float | None = None, scan: bool = False) -> Limit:
        from scipy.stats import norm

        band = Band(*(median * factor for factor in (0.54, 0.72, 1.0, 1.39, 1.86)))
        if not scan:
            return Limit(method, 0.9, observed, band)
        values = np.linspace(0, 3 * median, 31)
        sigma = median / 1.645
        # arXiv:1007.1727, eq. (89) in the Gaussian limit: CLs = [1 - Phi(mu/sigma - N)] / Phi(N)
        expected = np.array([norm.sf(values / sigma - n) / norm.cdf(n) for n in (-2, -1, 0, 1, 2)])
        seen = None if observed is None else np.clip(norm.sf(values / sigma - 0.4) / norm.cdf(0.4), 0, 1)
        return Limit(method, 0.9, observed, band, scan=Scan(values, seen, np.clip(expected, 0, 1)))

    return make
