"""Everything that a Y(3S) does."""

from __future__ import annotations

from numpy.random import Generator

from mlbkg.simulation.base import Generated, Setting, process
from mlbkg.simulation.bottomonium import inclusive


@process(
    "upsilon3s_generic",
    number=3,
    description="e⁺e⁻ → Υ(3S), all decays; mc_mode is 11, 13, 15 for π⁺π⁻ Υ(1S) with leptons, 1 for π⁺π⁻ Υ(1S) with hadrons",
    # 121.8e6 Y(3S) in 28.0 fb^-1 of BaBar
    cross_section_nb=4.35,
    resonant=True,
)
def generate_block(rng: Generator, n: int, setting: Setting) -> Generated:
    return inclusive(rng, n, setting.pythia_seed)
