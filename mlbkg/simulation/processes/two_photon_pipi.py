"""e+e- -> e+e- pi+ pi- by two photons."""

from __future__ import annotations

from numpy.random import Generator

from mlbkg.physics.beams import BEAMS
from mlbkg.simulation.base import Generated, process
from mlbkg.simulation.two_photon import generate


@process(
    "two_photon_pipi",
    number=6,
    description="e⁺e⁻ → e⁺e⁻ π⁺π⁻ by two photons, both particles at 15-152 degrees with pT > 45 MeV",
    cross_section_nb=1.96,
    resonant=False,
)
def generate_block(rng: Generator, n: int, pythia_seed: int) -> Generated:
    return generate(rng, n, "pipi", BEAMS["Y3S"])
