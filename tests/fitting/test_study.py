"""Bias and coverage of a fit as in the analysis, and that the study does not depend on who makes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlbkg.errors import FitError
from mlbkg.fitting.base import Window
from mlbkg.fitting.model import Component, Model, Parameter, Rate, nuisance
from mlbkg.fitting.shapes.chebyshev import Chebyshev
from mlbkg.fitting.shapes.double_gaussian import DoubleGaussian
from mlbkg.fitting.study import StudyPoint, study

WINDOW = Window(9.40, 9.52, "GeV")
EDGES = WINDOW.edges(120)


def upsilon1s() -> Model:
    """Signal over a constrained peak of the same shape and a free polynomial: the yields of 200 / fb at B = 3e-4."""
    peak = DoubleGaussian(WINDOW)
    shape = {"mean": 9.4604, "sigma": 0.002, "ratio": 1.36, "core_fraction": 0.62}
    return Model(
        WINDOW,
        (
            Component("signal", peak, Rate(1.0, "n_signal", {"efficiency": 0.03, "luminosity": 0.01}), tuple(shape)),
            Component("peaking", peak, Rate(84e3, None, {"control": 0.01, "ratio_lost_seen": 0.02}), tuple(shape)),
            Component("background", Chebyshev(WINDOW, order=2), Rate(1.0, "n_background"), ("c1", "c2")),
        ),
        (
            Parameter("n_signal", 0.0, 0.0, 1e6, step=2000.0),
            Parameter("n_background", 1.7e6, 0, 1e8, step=2000.0),
            Parameter("c1", 0.2, -2, 2, step=0.01),
            Parameter("c2", -0.1, -2, 2, step=0.01),
            *(Parameter(name, value, fixed=True) for name, value in shape.items()),
            *(nuisance(name) for name in ("efficiency", "luminosity", "control", "ratio_lost_seen")),
        ),
    )


def assert_unbiased(point: StudyPoint, *, pull: float, width: float, coverage: float) -> None:
    assert point.failed == 0
    assert point.mean_pull == pytest.approx(0, abs=pull)
    assert point.pull_width == pytest.approx(1, abs=width)
    assert point.coverage == pytest.approx(0.6827, abs=coverage)
    assert abs(point.bias) < 4 * point.bias_error


def test_no_bias_and_the_right_coverage() -> None:
    """Tolerances are three standard deviations of 150 toys."""
    for point in study(upsilon1s(), poi="n_signal", values=(0.0, 3300.0, 9900.0), toys=150, seed=20190313, edges=EDGES):
        assert_unbiased(point, pull=0.25, width=0.18, coverage=0.115)
        assert point.toys == len(point.pulls) == len(point.fitted) == 150


@pytest.mark.slow
def test_no_bias_and_the_right_coverage_with_1000_toys() -> None:
    """What is asked of the analysis: mean pull within 0.1, width within 0.05, coverage within 3 %."""
    for point in study(upsilon1s(), poi="n_signal", values=(0.0, 3300.0, 9900.0), toys=1000, seed=1, edges=EDGES, workers=2):
        assert_unbiased(point, pull=0.1, width=0.05, coverage=0.03)


def small() -> Model:
    """Some hundred single candidates."""
    big = upsilon1s()
    signal, peaking, background = big.components
    return replace(
        big.starting_at([0.0, 400.0, *big.starts[2:]]),
        components=(signal, replace(peaking, rate=Rate(40.0, None, {"control": 0.1, "ratio_lost_seen": 0.1})), background),
    )


def test_single_candidates() -> None:
    (point,) = study(small(), poi="n_signal", values=(30.0,), toys=100, seed=5)
    assert_unbiased(point, pull=0.3, width=0.22, coverage=0.14)


def test_the_number_of_workers_does_not_matter() -> None:
    alone = study(small(), poi="n_signal", values=(0.0, 20.0), toys=30, seed=9, edges=EDGES)
    counted: list[int] = []
    shared = study(
        small(), poi="n_signal", values=(0.0, 20.0), toys=30, seed=9, edges=EDGES, workers=2, on_toy=counted.append
    )
    assert sum(counted) == 60
    for one, other in zip(alone, shared, strict=True):
        assert one.pulls.tolist() == other.pulls.tolist()
        assert one.fitted.tolist() == other.fitted.tolist()


def test_fits_that_fail_are_counted_and_explained() -> None:
    """Two candidates do not fix a polynomial of second order."""
    tiny = small().starting_at([0.0, 2.0, *small().starts[2:]])
    tiny = replace(tiny, components=(tiny.components[0], tiny.components[2]))
    with pytest.raises(FitError, match=r"of 20 toy experiments at 0 could not be fitted") as error:
        study(tiny, poi="n_signal", values=(0.0,), toys=20, seed=1, edges=WINDOW.edges(20))
    assert error.value.details


def test_unknown_parameter() -> None:
    with pytest.raises(FitError, match="no parameter 'n_sig'"):
        study(small(), poi="n_sig", values=(0.0,), toys=2, seed=1)
    assert np.isfinite(small().starts).all()
