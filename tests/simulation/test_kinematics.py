"""Decays conserve four-momentum, and point where their densities say."""

import numpy as np
import pytest

from mlbkg.physics.dipion import UPSILON_3S_TO_1S
from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.kinematics import at_rest, dipion_transition, fermion_pair_direction, two_body

N = 100_000


def moving(mass: float) -> FourVector:
    p = np.random.default_rng(1).normal(size=(3, N))
    return FourVector(np.sqrt(mass**2 + (p**2).sum(axis=0)), *p)


def test_two_body_decay_conserves_four_momentum() -> None:
    parent = moving(10.0)
    first, second = two_body(np.random.default_rng(2), parent, 10.0, (0.0, 9.46))
    np.testing.assert_allclose(np.array(first.plus(second)), np.array(parent), atol=1e-11)
    np.testing.assert_allclose(second.mass_squared, 9.46**2, rtol=1e-12)
    np.testing.assert_allclose(first.mass_squared, 0.0, atol=1e-11)


def test_dipion_transition_conserves_four_momentum() -> None:
    parent = moving(UPSILON_3S_TO_1S.parent_mass)
    first, second, daughter, mass = dipion_transition(np.random.default_rng(3), parent, UPSILON_3S_TO_1S)
    np.testing.assert_allclose(np.array(first.plus(second).plus(daughter)), np.array(parent), atol=1e-11)
    np.testing.assert_allclose(first.plus(second).mass_squared, mass**2, rtol=1e-9)
    np.testing.assert_allclose(daughter.mass_squared, UPSILON_3S_TO_1S.daughter_mass**2, rtol=1e-12)


def test_dipion_direction_is_isotropic_and_the_pion_angle_is_about_it() -> None:
    parent = at_rest(UPSILON_3S_TO_1S.parent_mass, N)
    first, second, daughter, mass = dipion_transition(np.random.default_rng(4), parent, UPSILON_3S_TO_1S)
    assert (daughter.pz / daughter.p).mean() == pytest.approx(0.0, abs=5 / np.sqrt(3 * N))
    assert ((daughter.pz / daughter.p) ** 2).mean() == pytest.approx(1 / 3, abs=5 * 0.3 / np.sqrt(N))
    # Boosting along the dipion turns cos(theta) into the energy difference: E1 - E2 = 2 (p_X / m) k cos(theta)
    k = np.sqrt(mass**2 / 4 - UPSILON_3S_TO_1S.pion_mass**2)
    cos_theta = (first.e - second.e) * mass / (2 * daughter.p * k)
    # <cos^2> of CLEO's matrix element (physics.md 1.2)
    assert (cos_theta**2).mean() == pytest.approx(0.2645, abs=5 * 0.3 / np.sqrt(N))


@pytest.mark.parametrize(
    ("mass", "cos2"),
    # <cos^2> of 1 + cos^2 is 2/5; at threshold the density is flat
    [(0.0, 0.4), (4.999999, 1 / 3)],
)
def test_fermion_pairs_about_the_beam(mass: float, cos2: float) -> None:
    axis = fermion_pair_direction(np.random.default_rng(5), N, 10.0, mass)
    assert (axis.pz**2).mean() == pytest.approx(cos2, abs=5 * 0.3 / np.sqrt(N))
    assert axis.px.mean() == pytest.approx(0.0, abs=5 / np.sqrt(3 * N))
