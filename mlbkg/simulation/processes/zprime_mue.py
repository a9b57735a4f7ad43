"""e+e- -> mu+ e- Z' and mu- e+ Z', equally often, and the Z' leaves nothing in the detector."""

from __future__ import annotations

from numpy.random import Generator

from mlbkg.physics.constants import M_ELECTRON, M_MUON
from mlbkg.simulation.base import Generated, Setting, process
from mlbkg.simulation.lepton_pairs import INVISIBLE, InvisibleVector, pair_events, with_invisible_vector


@process(
    "zprime_mue",
    number=9,
    description="e⁺e⁻ → μ±e∓ Z′, Z′ → invisible: zprime_mumu with one lepton as light as an electron, no t channel",
    # no model: see mlbkg.physics.zprime for the benchmark
    cross_section_nb=None,
    resonant=False,
    beams="Y4S",
    params=InvisibleVector,
)
def generate_block(rng: Generator, n: int, setting: Setting) -> Generated:
    muon, electron = with_invisible_vector(rng, setting, (M_MUON, M_ELECTRON))
    charge = rng.choice([-1, 1], n)
    return pair_events(muon, electron, pdg=(-13 * charge, 11 * charge), mode=INVISIBLE)
