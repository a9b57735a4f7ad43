"""Nominal beams: energies, crossing angle, boost and centre-of-mass axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlbkg.errors import UnknownNameError, did_you_mean
from mlbkg.physics.constants import M_UPSILON_3S
from mlbkg.physics.lorentz import FourVector, boost


@dataclass(frozen=True)
class Beams:
    """Electron (HER) and positron (LER) beams, each ``half_crossing_angle`` (rad) off the z axis towards +x.

    Energies and spreads in GeV; the energies may be arrays, one value per event or particle. ``resonance_mass``, where the
    resonance is narrower than the beams' spread, is the mass that is really made: it stands for sqrt(s), and the beams give
    the boost alone.
    """

    name: str
    her_energy: Any
    ler_energy: Any
    half_crossing_angle: float = 0.0415
    her_spread: float = 0.00513
    ler_spread: float = 0.002375
    resonance_mass: float | None = None

    @property
    def total(self) -> FourVector:
        """Four-momentum of the e+e- system in the laboratory, massless electrons."""
        both, difference = self.her_energy + self.ler_energy, self.her_energy - self.ler_energy
        return FourVector(
            both, both * math.sin(self.half_crossing_angle), 0.0, difference * math.cos(self.half_crossing_angle)
        )

    @property
    def velocity(self) -> tuple[Any, Any, Any]:
        """Of the centre of mass in the laboratory, units of c."""
        total = self.total
        return total.px / total.e, total.py / total.e, total.pz / total.e

    @property
    def sqrt_s(self) -> Any:
        return self.resonance_mass or self.total_mass

    @property
    def total_mass(self) -> Any:
        """Mass of the e+e- system that the beam energies give, whatever is made."""
        return np.sqrt(self.total.mass_squared)

    def to_cms(self, lab: FourVector) -> FourVector:
        """``lab`` in the centre-of-mass frame, z along the electron beam there, y as in the laboratory."""
        bx, by, bz = self.velocity
        return self._rotated(boost(lab, bx=-bx, by=-by, bz=-bz), towards_beam=True)

    def to_lab(self, cms: FourVector) -> FourVector:
        """The inverse of :meth:`to_cms`."""
        bx, by, bz = self.velocity
        return boost(self._rotated(cms, towards_beam=False), bx=bx, by=by, bz=bz)

    def _rotated(self, vector: FourVector, *, towards_beam: bool) -> FourVector:
        bx, by, bz = self.velocity
        electron = FourVector(
            self.her_energy,
            self.her_energy * math.sin(self.half_crossing_angle),
            0.0,
            self.her_energy * math.cos(self.half_crossing_angle),
        )
        axis = boost(electron, bx=-bx, by=-by, bz=-bz)
        sine, cosine = axis.px / axis.p, axis.pz / axis.p
        if towards_beam:
            sine = -sine
        return FourVector(vector.e, cosine * vector.px + sine * vector.pz, vector.py, cosine * vector.pz - sine * vector.px)


# Energies and spreads: basf2, generators/scripts/beamparameters.py
BEAMS: dict[str, Beams] = {
    beams.name: beams
    for beams in (
        Beams("Y4S", 7.004, 4.002),
        Beams("Y4S_off", 6.964, 3.979),
        Beams("Y3S", 6.855, 3.917, resonance_mass=M_UPSILON_3S),
        Beams("Y3S_off", 6.816, 3.895),
    )
}


def beams_named(name: str) -> Beams:
    """Raises :class:`UnknownNameError` with the nearest name."""
    if name not in BEAMS:
        raise UnknownNameError(
            f"unknown beams '{name}'{did_you_mean(name, BEAMS)}", where=name, hint=f"Known: {', '.join(sorted(BEAMS))}"
        )
    return BEAMS[name]
