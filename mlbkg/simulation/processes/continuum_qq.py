"""e+e- -> q qbar with the four light flavours."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mlbkg.simulation.base import Generated, Setting, process
from mlbkg.simulation.cross_sections import inverse_s
from mlbkg.simulation.fermion_pairs import fermion_pairs

CROSS_SECTIONS_NB = {2: 1.676, 1: 0.419, 3: 0.400, 4: 1.387}
"""Belle II's values at 10.58 GeV, scaled with 1/s to 10.355 GeV."""

QUARK_MASSES = {1: 0.33, 2: 0.33, 3: 0.50, 4: 1.50}
"""GeV, Pythia's."""


@process(
    "continuum_qq",
    number=4,
    description="e⁺e⁻ → uū, dd̄, ss̄, cc̄ without initial-state radiation; mc_mode is the quark",
    cross_section_nb=inverse_s(sum(CROSS_SECTIONS_NB.values()), at=10.355),
    resonant=False,
)
def generate_block(rng: Generator, n: int, setting: Setting) -> Generated:
    shares = np.array(list(CROSS_SECTIONS_NB.values()))
    quark = rng.choice(list(CROSS_SECTIONS_NB), size=n, p=shares / shares.sum())
    mass = np.array([0.0, *(QUARK_MASSES[code] for code in sorted(QUARK_MASSES))])[quark]
    return fermion_pairs(rng, setting.beams, quark, mass, seed=setting.pythia_seed)
