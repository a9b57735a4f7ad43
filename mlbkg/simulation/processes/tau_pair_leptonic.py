"""e+e- -> tau+ tau-, both of which decay to a muon or an electron: two leptons and four neutrinos."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics.constants import M_TAU
from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.assembly import assembled
from mlbkg.simulation.base import Generated, Setting, process
from mlbkg.simulation.cross_sections import inverse_s
from mlbkg.simulation.initial_radiation import SOFTEST_KEPT, beam_axes, photons, point_like, shares_lost
from mlbkg.simulation.kinematics import boosted, turned
from mlbkg.simulation.particles import PHOTON
from mlbkg.simulation.processes.tau_pair import CROSS_SECTION_NB
from mlbkg.simulation.tau_decays import BRANCHING_FRACTIONS, leptonic_mode, leptons_of_tau_pairs, modes


@process(
    "tau_pair_leptonic",
    number=12,
    description="e⁺e⁻ → τ⁺τ⁻ with two leptonic decays and correlated spins, and one photon of the beams at most; mc_mode is "
    "1111 (ee), 1113 (μe) or 1313 (μμ)",
    cross_section_nb=inverse_s(CROSS_SECTION_NB * sum(BRANCHING_FRACTIONS.values()) ** 2),
    resonant=False,
    beams="Y4S",
)
def generate_block(rng: Generator, n: int, setting: Setting) -> Generated:
    sqrt_s = float(setting.beams.total_mass)
    lost = shares_lost(rng, n, born, sqrt_s=sqrt_s, threshold=2.0 * M_TAU)
    photon = photons(rng, lost, sqrt_s=sqrt_s)
    axis = beam_axes(rng, photon, sqrt_s=sqrt_s)
    left = FourVector(sqrt_s - photon.e, -photon.px, -photon.py, -photon.pz)
    first, second = modes(rng, n), modes(rng, n)
    at_rest = leptons_of_tau_pairs(rng, sqrt_s * np.sqrt(1.0 - lost), first, second)
    leptons = [boosted(turned(lepton, axis), left) for lepton in at_rest]
    return assembled(
        [(first, leptons[0]), (-second, leptons[1]), (PHOTON, photon)],
        mode=leptonic_mode(first, second),
        kept=[True, True, photon.e > SOFTEST_KEPT],
    )


def born(sqrt_s: NDArray[np.float64]) -> NDArray[np.float64]:
    return point_like(sqrt_s, M_TAU)
