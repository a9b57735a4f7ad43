"""How cross sections depend on the beams."""

from __future__ import annotations

from mlbkg.physics.beams import Beams
from mlbkg.simulation.base import CrossSection, ProcessParams

REFERENCE = 10.58
"""GeV: where Belle II quotes its cross sections."""


def inverse_s(value_nb: float, *, at: float = REFERENCE) -> CrossSection:
    """``value_nb`` at ``at`` GeV and 1/s elsewhere, as for point-like particles far above their threshold."""

    def cross_section_nb(beams: Beams, params: ProcessParams) -> float:
        return value_nb * (at / float(beams.total_mass)) ** 2

    return cross_section_nb
