"""Dark Higgsstrahlung, e+e- -> U h', U -> mu+ mu-, and the h' leaves nothing in the detector.

The current of the beams and that of the muons are both conserved, so that the amplitude is their scalar product and the U's
polarisation is carried over: with E and z the muons' energies and momenta along the beams in the centre-of-mass frame,

    |M|^2 ~ E+ E- - z+ z- + m_mu^2,

at most m_U^2/2 + p_U^2/4. Summed over the muons' directions it leaves 8 m_U^2/s + lambda sin^2(theta_U), as in Batell,
Pospelov and Ritz, Phys. Rev. D 79, 115008 (2009), arXiv:0903.0363.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import M_MUON
from mlbkg.physics.lorentz import FourVector
from mlbkg.registry import Field
from mlbkg.simulation.base import Generated, ProcessParams, Setting, process
from mlbkg.simulation.kinematics import back_to_back, boosted, isotropic
from mlbkg.simulation.lepton_pairs import pair_events, require_energy

MassU = Annotated[float, Field(gt=2 * M_MUON, lt=round(BEAMS["Y4S"].total_mass, 3))]
MassH = Annotated[float, Field(gt=0, lt=round(BEAMS["Y4S"].total_mass - 2 * M_MUON, 3))]


class DarkHiggs(ProcessParams):
    masses: tuple[tuple[MassU, MassH], ...] = Field(min_length=1, description="of U and h', GeV")

    @property
    def hypotheses(self) -> tuple[tuple[float, ...], ...]:
        return self.masses


@process(
    "dark_higgs",
    number=11,
    description="e⁺e⁻ → U h′, U → μ⁺μ⁻, h′ → invisible, without initial-state radiation; any list of pairs [m_U, m_h′]",
    # proportional to couplings: see mlbkg.physics.dark_higgs
    cross_section_nb=None,
    resonant=False,
    beams="Y4S",
    params=DarkHiggs,
)
def generate_block(rng: Generator, n: int, setting: Setting) -> Generated:
    mass_u, mass_h = setting.hypothesis.T
    require_energy(setting, needed=mass_u + mass_h)
    plus, minus = muons(rng, mass_u, mass_h, sqrt_s=float(setting.beams.total_mass))
    return pair_events(plus, minus, pdg=(-13, 13), mode=13)


def muons(
    rng: Generator, mass_u: NDArray[np.float64], mass_h: NDArray[np.float64], *, sqrt_s: float
) -> tuple[FourVector, FourVector]:
    """``(mu+, mu-)`` of one event for each pair of masses (GeV), in the centre-of-mass frame."""
    n = len(mass_u)
    made = np.empty((2, 4, n))
    pending = np.arange(n)
    while len(pending):
        m_u, m_h = mass_u[pending], mass_h[pending]
        u, _ = back_to_back(isotropic(rng, len(pending)), sqrt_s, m_u, m_h)
        pair = [boosted(muon, u) for muon in back_to_back(isotropic(rng, len(pending)), m_u, M_MUON, M_MUON)]
        kept = rng.random(len(pending)) * (m_u**2 / 2.0 + u.p**2 / 4.0) < squared_amplitude(*pair)
        made[:, :, pending[kept]] = np.array(pair)[:, :, kept]
        pending = pending[~kept]
    return FourVector(*made[0]), FourVector(*made[1])


def squared_amplitude(plus: FourVector, minus: FourVector) -> NDArray[np.float64]:
    """Of muons in the centre-of-mass frame, z along the beams, up to a factor that depends on the masses alone; GeV^2."""
    return np.asarray(plus.e * minus.e - plus.pz * minus.pz + M_MUON**2)
