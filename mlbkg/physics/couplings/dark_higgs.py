"""alpha_D epsilon^2 of dark Higgsstrahlung, from e+e- -> U h' with U -> mu+ mu- and an h' that is not seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.coupling import COUPLINGS, Coupling
from mlbkg.physics.dark_higgs import branching_fraction_mumu, cross_section_fb

Array = NDArray[np.float64]


def _cross_section_fb(masses: Array, sqrt_s: float) -> Array:
    """masses: ``(n, 2)`` of U and h'."""
    mass_u, mass_h = masses[:, 0], masses[:, 1]
    return cross_section_fb(mass_u, mass_h, sqrt_s=sqrt_s) * branching_fraction_mumu(mass_u)


COUPLINGS.add(
    "dark_higgs",
    Coupling(
        name="dark_higgs",
        symbol="α_D ε²",
        assumption="m(h′) < m(U), U decays as the photon does",
        power=1,
        cross_section_fb=_cross_section_fb,
        axes=2,
    ),
)
