"""e+e- -> e+e- mu+ mu- by two photons."""

from __future__ import annotations

from functools import partial

from numpy.random import Generator

from mlbkg.simulation.base import Generated, Setting, process
from mlbkg.simulation.two_photon import Fiducial, fiducial_cross_section, generate


@process(
    "two_photon_mumu",
    number=7,
    description="e⁺e⁻ → e⁺e⁻ μ⁺μ⁻ by two photons, both particles at 15-152 degrees with pT > 45 MeV if not set otherwise",
    cross_section_nb=partial(fiducial_cross_section, name="mumu"),
    resonant=False,
    params=Fiducial,
)
def generate_block(rng: Generator, n: int, setting: Setting) -> Generated:
    assert isinstance(setting.params, Fiducial)
    return generate(rng, n, "mumu", setting.beams, setting.params)
