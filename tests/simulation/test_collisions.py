"""Beam energies of single events, and the way into the laboratory."""

import numpy as np
import pytest

from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import M_UPSILON_3S
from mlbkg.simulation.base import PROCESSES, ProcessParams, Setting
from mlbkg.simulation.collisions import beam_energies, collide

N = 100_000


def setting(pythia_seed: int) -> Setting:
    return Setting(BEAMS["Y3S"], pythia_seed, ProcessParams(), np.empty((0, 0)))


def test_spread_of_the_centre_of_mass_energy() -> None:
    # basf2's beam spreads of 5.13 and 2.375 MeV give sigma(sqrt s) = 4.99 MeV at the Y(3S) (physics.md 5.1)
    beams = BEAMS["Y3S"]
    her, ler = beam_energies(np.random.default_rng(1), N, beams, resonant=False)
    mass = 2 * np.sqrt(her * ler) * np.cos(beams.half_crossing_angle)
    assert mass.std() == pytest.approx(4.99e-3, rel=0.02)
    assert mass.mean() == pytest.approx(10.3547, abs=1e-4)
    assert her.std() == pytest.approx(5.13e-3, rel=0.02)


def test_a_narrow_resonance_takes_only_beams_of_its_mass() -> None:
    beams = BEAMS["Y3S"]
    her, ler = beam_energies(np.random.default_rng(2), N, beams, resonant=True)
    mass = 2 * np.sqrt(her * ler) * np.cos(beams.half_crossing_angle)
    np.testing.assert_allclose(mass, M_UPSILON_3S, rtol=1e-12)
    # What remains of two Gaussian log-energies on the line of constant sum
    a, b = 5.13e-3 / 6.855, 2.375e-3 / 3.917
    assert np.log(her).std() == pytest.approx(a * b / np.hypot(a, b), rel=0.02)


@pytest.mark.parametrize(("name", "resonant"), [("upsilon3s_generic", True), ("tau_pair", False)])
def test_the_laboratory_holds_the_momentum_of_the_beams(name: str, resonant: bool) -> None:
    made = PROCESSES[name].generate_block(np.random.default_rng(3), 500, setting(4))
    lab = collide(np.random.default_rng(5), made, BEAMS["Y3S"], resonant=resonant)
    total = [np.bincount(lab.event, weights=component) for component in lab.momentum]
    angle = BEAMS["Y3S"].half_crossing_angle
    np.testing.assert_allclose(total[0], lab.her_energy + lab.ler_energy, rtol=2e-4)
    np.testing.assert_allclose(total[1], (lab.her_energy + lab.ler_energy) * np.sin(angle), rtol=2e-4)
    np.testing.assert_allclose(total[2], 0.0, atol=1e-6)
    np.testing.assert_allclose(total[3], (lab.her_energy - lab.ler_energy) * np.cos(angle), rtol=1e-3)
