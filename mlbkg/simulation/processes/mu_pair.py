"""e+e- -> mu+ mu- with photons of the beams and of the muons."""

from __future__ import annotations

from numpy.random import Generator

from mlbkg.simulation.base import Generated, Setting, process
from mlbkg.simulation.cross_sections import inverse_s
from mlbkg.simulation.muon_pairs import muon_pairs


@process(
    "mu_pair",
    number=10,
    description="e⁺e⁻ → μ⁺μ⁻(γ) with one photon of the beams and one of the muons at most; mc_mode is 13",
    # KKMC at 10.58 GeV, Belle II Physics Book (arXiv:1808.10567); the radiator alone makes 0.776 nb to 1.082 nb, and the
    # vacuum polarisation adds about 7 %
    cross_section_nb=inverse_s(1.148),
    resonant=False,
    beams="Y4S",
)
def generate_block(rng: Generator, n: int, setting: Setting) -> Generated:
    return muon_pairs(rng, n, float(setting.beams.total_mass))
