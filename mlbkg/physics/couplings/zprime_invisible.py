"""g' of a Z' that couples to muons and decays to nothing but what is dark: e+e- -> mu+ mu- Z'."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.coupling import COUPLINGS, Coupling, FavouredBand
from mlbkg.physics.g_minus_2 import KNT_2018, favoured_band
from mlbkg.physics.zprime import cross_section_fb

Array = NDArray[np.float64]


def _cross_section_fb(masses: Array, sqrt_s: float) -> Array:
    return cross_section_fb(masses[:, 0], sqrt_s=sqrt_s)


COUPLINGS.add(
    "zprime_invisible",
    Coupling(
        name="zprime_invisible",
        symbol="g′",
        assumption="B(Z′ → invisible) = 1",
        power=2,
        cross_section_fb=_cross_section_fb,
        favoured=FavouredBand("(g−2)_μ ± 2σ", lambda mass: favoured_band(mass, KNT_2018)),
    ),
)
