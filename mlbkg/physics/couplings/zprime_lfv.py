"""g' of the benchmark with e+e- -> mu+ e- Z' and mu- e+ Z' (see :mod:`mlbkg.physics.zprime`), where Z' is never seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.coupling import COUPLINGS, Coupling
from mlbkg.physics.zprime import cross_section_fb

Array = NDArray[np.float64]


def _cross_section_fb(masses: Array, sqrt_s: float) -> Array:
    return cross_section_fb(masses[:, 0], sqrt_s=sqrt_s, final_state="mue")


COUPLINGS.add(
    "zprime_lfv",
    Coupling(
        name="zprime_lfv",
        symbol="g′",
        assumption="B(Z′ → invisible) = 1",
        power=2,
        cross_section_fb=_cross_section_fb,
    ),
)
