"""Boosts, on anything with arithmetic: numbers, numpy and awkward arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class FourVector(NamedTuple):
    """Energy and momentum in GeV; each component a number or an array."""

    e: Any
    px: Any
    py: Any
    pz: Any

    @property
    def p(self) -> Any:
        return np.sqrt(self.px**2 + self.py**2 + self.pz**2)

    @property
    def pt(self) -> Any:
        return np.hypot(self.px, self.py)

    @property
    def mass_squared(self) -> Any:
        return self.e**2 - self.px**2 - self.py**2 - self.pz**2

    def plus(self, other: FourVector) -> FourVector:
        return FourVector(self.e + other.e, self.px + other.px, self.py + other.py, self.pz + other.pz)

    def minus(self, other: FourVector) -> FourVector:
        return FourVector(self.e - other.e, self.px - other.px, self.py - other.py, self.pz - other.pz)


def boost(vector: FourVector, *, bx: Any, by: Any, bz: Any) -> FourVector:
    """``vector`` as seen after an active boost by the velocity ``(bx, by, bz)`` (units of c): a particle at rest gets it."""
    b2 = bx * bx + by * by + bz * bz
    gamma = 1.0 / np.sqrt(1.0 - b2)
    along = bx * vector.px + by * vector.py + bz * vector.pz
    # (gamma - 1) / b^2 without the cancellation at small velocities
    shift = gamma * gamma / (gamma + 1.0) * along + gamma * vector.e
    return FourVector(gamma * (vector.e + along), vector.px + shift * bx, vector.py + shift * by, vector.pz + shift * bz)
