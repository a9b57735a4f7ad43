"""e+e- -> tau+ tau-."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics.constants import M_TAU
from mlbkg.simulation.base import Generated, Setting, process
from mlbkg.simulation.cross_sections import inverse_s
from mlbkg.simulation.fermion_pairs import fermion_pairs
from mlbkg.simulation.particles import ELECTRON, MUON, charge
from mlbkg.simulation.tau_decays import leptonic_mode

TAU = 15
CROSS_SECTION_NB = 0.919
"""Belle II's, at 10.58 GeV."""


@process(
    "tau_pair",
    number=5,
    description="e⁺e⁻ → τ⁺τ⁻ without initial-state radiation and spin correlations; mc_mode is 1111, 1113 or 1313 where "
    "both decay to leptons (see tau_pair_leptonic), else 15",
    cross_section_nb=inverse_s(CROSS_SECTION_NB),
    resonant=False,
)
def generate_block(rng: Generator, n: int, setting: Setting) -> Generated:
    made = fermion_pairs(rng, setting.beams, np.full(n, 15), np.full(n, M_TAU), seed=setting.pythia_seed)
    return replace(made, mode=_modes(made))


def _modes(made: Generated) -> NDArray[np.int64]:
    """A hadronic decay leaves a charged hadron beside whatever leptons its neutral pions make."""
    kind, charged = np.abs(made.pdg), charge(made.pdg) != 0
    muons, electrons = (np.bincount(made.event[kind == code], minlength=made.n_events) for code in (MUON, ELECTRON))
    leptonic = (np.bincount(made.event[charged], minlength=made.n_events) == 2) & (muons + electrons == 2)
    first, second = np.where(electrons > 0, ELECTRON, MUON), np.where(muons > 0, MUON, ELECTRON)
    return np.where(leptonic, leptonic_mode(first, second), TAU)
