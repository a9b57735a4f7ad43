from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mlbkg.fitting.adjusted import Adjusted
from mlbkg.fitting.base import Window
from mlbkg.fitting.data import Binned
from mlbkg.fitting.model import Component, Constraint, Model, Parameter, Rate, nuisance
from mlbkg.fitting.shapes.chebyshev import Chebyshev
from mlbkg.fitting.shapes.gaussian import Gaussian
from mlbkg.fitting.shapes.template import Template
from mlbkg.fitting.toys import Experiments
from mlbkg.limits.result import Problem


@pytest.fixture
def counting() -> Callable[..., Problem]:
    """Bins with signal and background, and log-normal nuisances exp(uncertainty * nuisance), one per bin of background."""

    def make(
        observed: list[float] | float | None,
        background: list[float] | float,
        *,
        signal: list[float] | float = 1.0,
        background_uncertainty: list[float] | float = 0.0,
        efficiency_uncertainty: float = 0.0,
        low: float = 0.0,
        high: float = 1e5,
        step: float = 1.0,
    ) -> Problem:
        expected, widths = np.broadcast_arrays(np.atleast_1d(background), background_uncertainty)
        bins = len(expected)
        window = Window(0.0, float(bins))
        parameters = [Parameter("mu", step, low, high, step=step)]
        effects = {}
        if efficiency_uncertainty:
            parameters.append(nuisance("efficiency"))
            effects = {"efficiency": np.expm1(efficiency_uncertainty)}
        shape = Template(window, contents=np.atleast_1d(np.asarray(signal, dtype=float)))
        components = [Component("signal", shape, Rate(float(np.sum(signal)), "mu", effects))]
        for index, (count, width) in enumerate(zip(expected, widths, strict=True)):
            if not count:
                continue
            name = f"background_{index}"
            own = Template(window, contents=np.eye(bins)[index])
            components.append(Component(name, own, Rate(float(count), None, {name: np.expm1(width)} if width else {})))
            if width:
                parameters.append(nuisance(name))
        model = Model(window, tuple(components), tuple(parameters))
        edges = window.edges(bins)
        data = None if observed is None else Binned(edges, np.atleast_1d(np.asarray(observed, dtype=float)))
        return Problem(model, "mu", edges, data)

    return make


@pytest.fixture
def gaussian(counting: Callable[..., Problem]) -> Callable[[float], Problem]:
    """A measurement of mu with standard deviation 1e-5: a count of 1e8 expected, so that it is normal."""

    def make(estimate: float) -> Problem:
        return counting(1e8 + 1e4 * estimate, 1e8, signal=1e9, low=-1.0, high=1.0, step=1e-5)

    return make


@pytest.fixture
def peak() -> Callable[..., Problem]:
    """A peak of the size, the systematic uncertainties and the background of an invisible decay in a recoil mass.

    true: value of the parameter of interest in the data, None for no data. ``luminosity``: relative.
    """

    def make(true: float | None, *, luminosity: float = 1.0, unbinned: bool = False, seed: int = 1) -> Problem:
        window = Window(9.40, 9.52, "GeV")
        shape = Adjusted(Gaussian(window), (9.4604, 0.0022))
        moving = ("shift", "width")
        efficiency = {"tracking": 0.02, "pid": 0.01, "trigger": 0.03, "pairs": 0.01, "pipi": 0.02}
        components = (
            Component("signal", shape, Rate(2.4e7 * luminosity, "br", efficiency), moving),
            Component("peaking", shape, Rate(84e3 * luminosity, None, {"peaking": 0.05, "tracking": 0.02}), moving),
            Component("background", Chebyshev(window, order=2), Rate(1.0, "n_background"), ("c1", "c2")),
        )
        parameters = (
            Parameter("br", 0.0, -0.01, 0.01, step=1e-5),
            Parameter("n_background", 1.7e6 * luminosity, 0.0, 1e9, step=2000 * luminosity**0.5),
            Parameter("c1", -0.1, -2.0, 2.0, step=0.002),
            Parameter("c2", 0.02, -2.0, 2.0, step=0.002),
            Parameter("shift", 0.0, -0.01, 0.01, step=1e-4, constraint=Constraint(0.0, 1e-4)),
            Parameter("width", 1.0, 0.5, 2.0, step=0.02, constraint=Constraint(1.0, 0.03)),
            nuisance("peaking"),
            *(nuisance(name) for name in efficiency),
        )
        model, edges = Model(window, components, parameters), window.edges(120)
        if true is None:
            return Problem(model, "br", edges)
        theta = [true, *model.starts[1:]]
        drawn = Experiments(model, theta, edges=None if unbinned else edges).draw(np.random.default_rng(seed))
        return Problem(model, "br", edges, drawn.data)

    return make
