"""The peaking background: Y(3S) -> pi+ pi- Y(1S) with a leptonic Y(1S), whose leptons may both be lost."""

from __future__ import annotations

from numpy.random import Generator

from mlbkg.simulation.base import Generated, Setting, process
from mlbkg.simulation.bottomonium import leptonic


@process(
    "upsilon1s_leptonic",
    number=2,
    description="Υ(3S) → π⁺π⁻ Υ(1S), Υ(1S) → e⁺e⁻, μ⁺μ⁻ or τ⁺τ⁻, with photons radiated by the leptons",
    cross_section_nb=4.35 * 0.0437 * (0.0238 + 0.0248 + 0.0260),
    resonant=True,
)
def generate_block(rng: Generator, n: int, setting: Setting) -> Generated:
    return leptonic(rng, n, setting.pythia_seed)
