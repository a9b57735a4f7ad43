"""Two-photon fluxes and cross sections against their reference values (physics.md 1.9)."""

import numpy as np
import pytest

from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import M_MUON
from mlbkg.simulation.base import PROCESSES
from mlbkg.simulation.two_photon import ALPHA, cross_section, fiducial_fraction, generate, muons

Y3S = BEAMS["Y3S"]


@pytest.mark.parametrize(("minimum_mass", "expected_nb"), [(0.5, 21.7), (0.2114, 77.0)])
def test_muon_pair_cross_section(minimum_mass: float, expected_nb: float) -> None:
    assert cross_section("mumu", 10.58, minimum_mass=minimum_mass) == pytest.approx(expected_nb, rel=0.005)


def test_pion_pair_cross_section_is_that_of_belle_ii() -> None:
    # Belle II's Monte Carlo campaign: 1.895 nb; like e+e- mu+mu-, with W > 0.5 GeV
    assert cross_section("pipi", 10.58, minimum_mass=0.5) == pytest.approx(1.895, rel=0.02)


@pytest.mark.parametrize("w", [0.25, 0.5, 2.0, 8.0])
def test_angular_density_of_muons_integrates_to_the_closed_form(w: float) -> None:
    # sigma = 4 pi alpha^2 / W^2 {(1 + 4r - 8r^2) L - (1 + 4r) beta}, r = m^2/W^2, L = 2 ln[(W/2m)(1 + beta)]
    r = (M_MUON / w) ** 2
    beta = np.sqrt(1 - 4 * r)
    log = 2 * np.log(w / (2 * M_MUON) * (1 + beta))
    closed = 4 * np.pi * ALPHA**2 / w**2 * ((1 + 4 * r - 8 * r**2) * log - (1 + 4 * r) * beta)
    rapidity = np.linspace(0.0, 12.0, 4001)
    c = np.tanh(rapidity)
    assert 2 * np.trapezoid(muons(np.array(w), c) * (1 - c**2), rapidity) == pytest.approx(closed, rel=1e-4)


@pytest.mark.parametrize("name", ["pipi", "mumu"])
def test_cross_section_of_the_process_is_the_fiducial_one(name: str) -> None:
    n = 400_000
    fraction = fiducial_fraction(np.random.default_rng(1), n, name, Y3S)
    expected = fraction * cross_section(name, Y3S.total_mass)
    error = expected * np.sqrt((1 - fraction) / (fraction * n))
    assert PROCESSES[f"two_photon_{name}"].cross_section_nb == pytest.approx(expected, abs=5 * error)


@pytest.mark.parametrize("name", ["pipi", "mumu"])
def test_momentum_is_conserved_and_the_electrons_are_mostly_lost(name: str) -> None:
    n = 20_000
    made = generate(np.random.default_rng(2), n, name, Y3S)
    for component in made.momentum[1:]:
        np.testing.assert_allclose(np.bincount(made.event, weights=component), 0.0, atol=1e-10)
    energy = np.bincount(made.event, weights=made.momentum.e)
    assert abs(np.median(energy) / Y3S.total_mass - 1) < 1e-3
    lab = Y3S.to_lab(made.momentum)
    theta = np.rad2deg(np.arctan2(lab.pt, lab.pz))
    electrons = np.abs(made.pdg) == 11
    assert np.mean((theta < 12.4) | (theta > 155.1), where=electrons) > 0.9
    # Fiducial for the nominal beams
    assert theta[~electrons].min() > 15
    assert theta[~electrons].max() < 152
