"""g' of gauged L_mu - L_tau, from e+e- -> mu+ mu- Z' with Z' -> invisible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.coupling import COUPLINGS, Coupling, FavouredBand
from mlbkg.physics.g_minus_2 import KNT_2018, favoured_band
from mlbkg.physics.zprime import branching_fraction_invisible, cross_section_fb

Array = NDArray[np.float64]


def _cross_section_fb(masses: Array, sqrt_s: float) -> Array:
    mass = masses[:, 0]
    return cross_section_fb(mass, sqrt_s=sqrt_s) * branching_fraction_invisible(mass)


COUPLINGS.add(
    "zprime_lmu_ltau",
    Coupling(
        name="zprime_lmu_ltau",
        symbol="g′",
        assumption="L_μ − L_τ",
        power=2,
        cross_section_fb=_cross_section_fb,
        favoured=FavouredBand("(g−2)_μ ± 2σ", lambda mass: favoured_band(mass, KNT_2018)),
    ),
)
