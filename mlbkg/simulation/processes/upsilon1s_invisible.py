"""Y(3S) -> pi+ pi- Y(1S), and the Y(1S) leaves nothing in the detector."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mlbkg.physics.constants import M_UPSILON_3S
from mlbkg.physics.dipion import UPSILON_3S_TO_1S
from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.base import Generated, Setting, process
from mlbkg.simulation.kinematics import at_rest, dipion_transition

INVISIBLE = 12
"""``mc_mode``: the code of the electron neutrino."""


@process(
    "upsilon1s_invisible",
    number=1,
    description="Υ(3S) → π⁺π⁻ Υ(1S), Υ(1S) → invisible",
    # 4.35 nb x B(pi+ pi- Y(1S)) = 4.37 %, for B(Y(1S) -> invisible) = 1
    cross_section_nb=4.35 * 0.0437,
    resonant=True,
)
def generate_block(rng: Generator, n: int, setting: Setting) -> Generated:
    first, second, _, mass = dipion_transition(rng, at_rest(M_UPSILON_3S, n), UPSILON_3S_TO_1S)
    return Generated(
        n_events=n,
        event=np.repeat(np.arange(n), 2),
        pdg=np.tile([211, -211], n),
        momentum=FourVector(*(np.column_stack(pair).ravel() for pair in zip(first, second, strict=True))),
        mode=np.full(n, INVISIBLE),
        from_dipion=np.ones(2 * n, dtype=bool),
        dipion_mass=mass,
    )
