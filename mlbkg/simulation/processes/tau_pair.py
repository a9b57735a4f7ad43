"""e+e- -> tau+ tau-."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import M_TAU
from mlbkg.simulation.base import Generated, process
from mlbkg.simulation.fermion_pairs import fermion_pairs


@process(
    "tau_pair",
    number=5,
    description="e⁺e⁻ → τ⁺τ⁻ without initial-state radiation and spin correlations; mc_mode is 15",
    # Belle II's 0.919 nb at 10.58 GeV, scaled with 1/s
    cross_section_nb=0.959,
    resonant=False,
)
def generate_block(rng: Generator, n: int, pythia_seed: int) -> Generated:
    return fermion_pairs(rng, BEAMS["Y3S"], np.full(n, 15), np.full(n, M_TAU), seed=pythia_seed)
