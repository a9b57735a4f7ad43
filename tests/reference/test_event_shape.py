"""Event shapes of configurations whose values are known in closed form."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from mlbkg.physics.event_shape import aplanarity, fox_wolfram, sphericity, sphericity_eigenvalues, thrust
from mlbkg.physics.segments import Segments

BACK_TO_BACK = [(0, 0, 3), (0, 0, -3)]
THREE_STAR = [(math.cos(a), math.sin(a), 0) for a in (0, 2 * math.pi / 3, 4 * math.pi / 3)]
OCTAHEDRON = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
CUBE = list(itertools.product((-1, 1), repeat=3))

# thrust, R2, sphericity, aplanarity. Star: P2(-1/2) = -1/8, so R2 = (3 - 6/8)/9. Cube and octahedron have no second
# harmonic; the cube's thrust axis is an edge's direction, the octahedron's a diagonal: both 1/sqrt(3).
CASES = {
    "back to back": (BACK_TO_BACK, 1.0, 1.0, 0.0, 0.0),
    "three-pointed star": (THREE_STAR, 2 / 3, 1 / 4, 3 / 4, 0.0),
    "octahedron": (OCTAHEDRON, 1 / math.sqrt(3), 0.0, 1.0, 0.5),
    "cube": (CUBE, 1 / math.sqrt(3), 0.0, 1.0, 0.5),
}


@pytest.mark.parametrize("case", CASES)
def test_symmetric_configurations(case: str) -> None:
    momenta, *expected = CASES[case]
    px, py, pz = np.array(momenta, dtype=np.float64).T
    event = Segments(np.array([len(momenta)]))
    eigenvalues = sphericity_eigenvalues(px, py, pz, event)
    found = [
        thrust(px, py, pz, event).value[0],
        fox_wolfram(px, py, pz, event).r2[0],
        sphericity(eigenvalues)[0],
        aplanarity(eigenvalues)[0],
    ]
    assert found == pytest.approx(expected, abs=1e-7)


def test_isotropic_event_is_round() -> None:
    # points spread evenly over the sphere: a Fibonacci lattice of 20,000
    n = 20_000
    z = 1 - (2 * np.arange(n) + 1) / n
    phi = np.pi * (3 - math.sqrt(5)) * np.arange(n)
    r = np.sqrt(1 - z * z)
    sphere, event = (r * np.cos(phi), r * np.sin(phi), z), Segments(np.array([n]))
    eigenvalues = sphericity_eigenvalues(*sphere, event)
    # mean |cos| over a sphere is 1/2
    assert thrust(*sphere, event).value[0] == pytest.approx(0.5, abs=1e-3)
    assert fox_wolfram(*sphere, event).r2[0] == pytest.approx(0.0, abs=1e-6)
    assert sphericity(eigenvalues)[0] == pytest.approx(1.0, abs=1e-3)
    assert aplanarity(eigenvalues)[0] == pytest.approx(0.5, abs=1e-3)


def test_three_jets_have_the_thrust_of_the_hardest() -> None:
    rng = np.random.default_rng(8)
    first, second = rng.normal(size=(2, 100, 3))
    momenta = np.stack([first, second, -first - second], axis=1)
    size = np.linalg.norm(momenta, axis=2)
    # momenta that add up to nothing: T = max x_i, x_i = 2 |p_i| / sum |p| (Farhi, PRL 39, 1587)
    found = thrust(*momenta.reshape(-1, 3).T.copy(), Segments(np.full(100, 3))).value
    assert found == pytest.approx(2 * size.max(axis=1) / size.sum(axis=1))
