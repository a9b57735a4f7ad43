"""What a vector that couples to muons adds to their anomalous magnetic moment, at one loop.

    Delta a = g'^2/(8 pi^2) integral_0^1 dx 2 m^2 x^2 (1 - x) / (x^2 m^2 + (1 - x) M^2)

Leveille, Nucl. Phys. B 137, 63 (1978); g'^2/(8 pi^2) where M << m, g'^2 m^2/(12 pi^2 M^2) where M >> m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.constants import M_MUON

Array = NDArray[np.float64]

LOGIT = np.linspace(-40.0, 40.0, 641)
"""Of x: equal steps in log(x/(1-x)) converge exponentially, wherever between 0 and 1 the mass puts the integrand."""


@dataclass(frozen=True)
class Measurement:
    """Experiment minus Standard Model. ``name``: year and source."""

    name: str
    value: float
    error: float

    @property
    def label(self) -> str:
        return f"({self.value * 1e10:.1f} ± {self.error * 1e10:.1f}) × 10⁻¹⁰"


# BNL against Keshavarzi, Nomura and Teubner 2018, arXiv:1802.02995
KNT_2018 = Measurement("2019", 27.1e-10, 7.3e-10)
# BNL and Fermilab's first run against the White Paper of 2020, arXiv:2104.03281
WHITE_PAPER_2020 = Measurement("2021", 25.1e-10, 5.9e-10)
# World average of 2025 against the White Paper of 2025 (lattice), arXiv:2505.21476: no tension is left
WHITE_PAPER_2025 = Measurement("2025", 3.8e-10, 6.3e-10)

MEASUREMENTS = {found.name: found for found in (KNT_2018, WHITE_PAPER_2020, WHITE_PAPER_2025)}


def delta_a_mu(mass: Array, *, g_prime: float = 1.0) -> Array:
    """Of a vector of ``mass`` in GeV, any shape."""
    mass = np.asarray(mass, dtype=np.float64)
    x, rest = 1.0 / (1.0 + np.exp(-LOGIT)), 1.0 / (1.0 + np.exp(LOGIT))
    ratio = (mass[..., np.newaxis] / M_MUON) ** 2
    # dx = x (1 - x) d(logit)
    integrand = 2.0 * x**2 * rest / (x**2 + rest * ratio) * x * rest
    return np.asarray(g_prime**2 / (8.0 * math.pi**2) * integrand.sum(axis=-1) * (LOGIT[1] - LOGIT[0]))


def coupling_for(mass: Array, delta: float) -> Array:
    """g' that makes ``delta``; 0 where that is not positive."""
    return np.asarray(np.sqrt(max(delta, 0.0) / delta_a_mu(mass)))


def favoured_band(mass: Array, measurement: Measurement, *, sigmas: float = 2.0) -> tuple[Array, Array]:
    """Couplings g' that a measured Delta a +- ``sigmas`` errors asks for; the lower edge is 0 where no effect is within."""
    low, high = (measurement.value + sign * sigmas * measurement.error for sign in (-1.0, 1.0))
    return coupling_for(mass, low), coupling_for(mass, high)
