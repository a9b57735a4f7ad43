"""A frozen shape that is moved and widened, against the shape with other parameters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbkg.fitting.adjusted import Adjusted, peak_position
from mlbkg.fitting.base import Shape, Window
from mlbkg.fitting.shapes.chebyshev import Chebyshev
from mlbkg.fitting.shapes.cruijff import Cruijff
from mlbkg.fitting.shapes.double_crystal_ball import DoubleCrystalBall
from mlbkg.fitting.shapes.double_gaussian import DoubleGaussian
from mlbkg.fitting.shapes.gaussian import Gaussian
from mlbkg.fitting.shapes.template import Template

WINDOW = Window(9.40, 9.52, "GeV")
EDGES = WINDOW.edges(120)
PEAKS = [
    (Gaussian(WINDOW), (9.46, 0.0023)),
    (DoubleGaussian(WINDOW), (9.46, 0.002, 2.5, 0.7)),
    (DoubleCrystalBall(WINDOW), (9.46, 0.002, 1.2, 3.0, 1.6, 8.0)),
    (Cruijff(WINDOW), (9.46, 0.002, 0.15, 0.003, 0.25)),
    (Gaussian(WINDOW), (9.45, 0.05)),
]
"""The last is cut by the window on both sides."""


def moved(shape: Shape, theta: tuple[float, ...], *, shift: float, width: float) -> list[float]:
    """The same change by the shape's own parameters."""
    changed = []
    for parameter, value in zip(shape.parameters, theta, strict=True):
        if parameter.name == "mean":
            value += shift
        changed.append(value * width if parameter.name.startswith("sigma") else value)
    return changed


@pytest.mark.parametrize(("shape", "theta"), PEAKS)
def test_the_peak_is_found(shape: Shape, theta: tuple[float, ...]) -> None:
    assert Adjusted(shape, theta).peak == pytest.approx(theta[0], abs=1e-6)


@pytest.mark.parametrize(("shape", "theta"), PEAKS)
def test_unchanged_at_the_starting_values(shape: Shape, theta: tuple[float, ...]) -> None:
    adjusted = Adjusted(shape, theta)
    start = adjusted.started(EDGES, np.ones(len(EDGES)))
    assert start == (0.0, 1.0)
    assert adjusted.density(EDGES, start) == pytest.approx(shape.density(EDGES, theta), rel=1e-9)
    assert adjusted.cumulative(EDGES, start) == pytest.approx(shape.cumulative(EDGES, theta), abs=1e-12)


@pytest.mark.parametrize(("shape", "theta"), PEAKS)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(shift=st.floats(-0.02, 0.02), width=st.floats(0.5, 2.0))
def test_same_as_other_parameters(shape: Shape, theta: tuple[float, ...], shift: float, width: float) -> None:
    adjusted, other = Adjusted(shape, theta), moved(shape, theta, shift=shift, width=width)
    scale = shape.density(EDGES, other).max()
    assert adjusted.density(EDGES, (shift, width)) == pytest.approx(shape.density(EDGES, other), abs=1e-6 * scale)
    assert adjusted.cumulative(EDGES, (shift, width)) == pytest.approx(shape.cumulative(EDGES, other), abs=1e-6)


def test_parameters_keep_the_peak_in_the_window() -> None:
    shift, width = Adjusted(Gaussian(WINDOW), (9.46, 0.002)).parameters
    assert (shift.low, shift.high, shift.unit) == (pytest.approx(-0.06), pytest.approx(0.06), "GeV")
    assert width.low > 0
    assert width.start == 1


def test_a_template_moves_as_a_whole() -> None:
    contents = np.zeros(12)
    contents[4:7] = 1.0, 4.0, 2.0
    template = Template(WINDOW, contents=contents)
    adjusted = Adjusted(template, ())
    assert adjusted.peak == pytest.approx(9.455, abs=1e-4)
    to_the_right = Template(WINDOW, contents=np.roll(contents, 2))
    assert adjusted.cumulative(EDGES, (0.02, 1.0)) == pytest.approx(to_the_right.cumulative(EDGES, ()), abs=1e-9)
    fine = WINDOW.edges(100_000)
    density = adjusted.density((fine[1:] + fine[:-1]) / 2, (0.004, 1.7))
    assert density.mean() * WINDOW.width == pytest.approx(1, abs=1e-4)


def test_peak_of_a_parabola() -> None:
    """1 + c1 u + c2 (2 u^2 - 1) is largest at u = -c1 / (4 c2)."""
    found = peak_position(Chebyshev(WINDOW, order=2), (0.3, -0.4))
    assert found == pytest.approx(9.46 + 0.06 * 0.3 / 1.6, abs=1e-6)


def test_peak_at_the_end_of_the_window() -> None:
    assert peak_position(Chebyshev(WINDOW, order=1), (-0.3,)) == pytest.approx(9.40, abs=1e-6)
