"""Dark Higgsstrahlung, e+e- -> U* -> U h': a dark photon U that mixes with the photon by epsilon, and its Higgs h'.

B. Batell, M. Pospelov and A. Ritz, Phys. Rev. D 79, 115008 (2009), arXiv:0903.0363. The only combination of couplings that
enters is alpha_D epsilon^2. An h' lighter than U decays by loops alone, far outside the detector.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.constants import ALPHA, FB_GEV2, M_ELECTRON, M_MUON, M_TAU
from mlbkg.physics.hadronic_ratio import hadronic_ratio
from mlbkg.physics.zprime import charged_phase_space

Array = NDArray[np.float64]

LEPTONS = {"ee": M_ELECTRON, "mumu": M_MUON, "tautau": M_TAU}
"""Decay -> mass of one lepton in GeV."""


def cross_section_fb(mass_u: Array, mass_h: Array, *, sqrt_s: float) -> Array:
    """sigma(e+e- -> U h') for alpha_D epsilon^2 = 1; 0 where closed. Masses in GeV, any shapes that broadcast.

    sigma = pi alpha alpha_D epsilon^2/(3 s) (1 - m_U^2/s)^-2 sqrt(lambda) (lambda + 12 m_U^2/s), with
    lambda(1, m_h^2/s, m_U^2/s).
    """
    mass_u, mass_h = (np.asarray(mass, dtype=np.float64) for mass in (mass_u, mass_h))
    u = (mass_u / sqrt_s) ** 2
    triangle = _triangle(mass_u, mass_h, sqrt_s)
    # where it is closed the pole at m_U = sqrt(s) may be hit
    propagator = np.where(triangle > 0.0, 1.0 - u, 1.0)
    scale = math.pi * ALPHA / (3.0 * sqrt_s**2) * FB_GEV2
    return np.asarray(scale / propagator**2 * np.sqrt(triangle) * (triangle + 12.0 * u))


def angular_density(cos_theta: Array, mass_u: Array, mass_h: Array, *, sqrt_s: float) -> Array:
    """Density of the cosine of U's polar angle on [-1, 1]: 8 m_U^2/s + lambda sin^2, normalised."""
    u = (np.asarray(mass_u, dtype=np.float64) / sqrt_s) ** 2
    triangle = _triangle(mass_u, mass_h, sqrt_s)
    return np.asarray((8.0 * u + triangle * (1.0 - cos_theta**2)) / (16.0 * u + 4.0 / 3.0 * triangle))


def branching_fractions(mass_u: Array) -> dict[str, Array]:
    """Of a U that decays to nothing dark: ee, mumu, tautau, and hadrons by R; all 0 below two electrons. GeV."""
    mass_u = np.asarray(mass_u, dtype=np.float64)
    shares = {name: charged_phase_space(mass_u, lepton) for name, lepton in LEPTONS.items()}
    shares["hadrons"] = hadronic_ratio(mass_u)
    total = np.sum(list(shares.values()), axis=0)
    return {name: np.asarray(share / np.where(total > 0.0, total, 1.0)) for name, share in shares.items()}


def branching_fraction_mumu(mass_u: Array) -> Array:
    """B(U -> mu+ mu-) of :func:`branching_fractions`; 0 below two muons."""
    return branching_fractions(mass_u)["mumu"]


def _triangle(mass_u: Array, mass_h: Array, sqrt_s: float) -> Array:
    """lambda(1, m_h^2/s, m_U^2/s) as a product that does not cancel at the threshold; 0 beyond it."""
    u, h = (np.asarray(mass, dtype=np.float64) / sqrt_s for mass in (mass_u, mass_h))
    return np.asarray(np.maximum(1.0 - u - h, 0.0) * (1.0 + u + h) * (1.0 - u + h) * (1.0 + u - h))
