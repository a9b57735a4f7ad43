"""e+e- -> mu+ mu- Z', and the Z' leaves nothing in the detector."""

from __future__ import annotations

from numpy.random import Generator

from mlbkg.physics.constants import M_MUON
from mlbkg.simulation.base import Generated, Setting, process
from mlbkg.simulation.lepton_pairs import INVISIBLE, InvisibleVector, pair_events, with_invisible_vector


@process(
    "zprime_mumu",
    number=8,
    description="e⁺e⁻ → μ⁺μ⁻ Z′, Z′ → invisible, at tree level without initial-state radiation; any list of masses",
    # proportional to the coupling squared: see mlbkg.physics.zprime
    cross_section_nb=None,
    resonant=False,
    beams="Y4S",
    params=InvisibleVector,
)
def generate_block(rng: Generator, n: int, setting: Setting) -> Generated:
    plus, minus = with_invisible_vector(rng, setting, (M_MUON, M_MUON))
    return pair_events(plus, minus, pdg=(-13, 13), mode=INVISIBLE)
