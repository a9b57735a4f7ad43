"""R(m) = sigma(e+e- -> hadrons) / sigma(e+e- -> mu+mu-, massless): what a dark photon's decay to hadrons is measured in.

A compilation for branching fractions, good to 5 % below 0.95 and above 2 GeV, 10 % between, and 30 % at the foot of the phi.
Four regions of the mass:

- below 1.06 GeV, sums over channels: pi+pi- by Gounaris and Sakurai's form factor with rho, omega mixing and rho(1450);
  omega and phi to all else by Breit-Wigner resonances, kaon pairs with their threshold
- 1.06 to 2 GeV: exclusive channels summed by the PDG ("EXCLSUM 07"), averaged over 50 MeV
- 2 to 4.8 GeV: BES, Phys. Rev. Lett. 84, 594 and 88, 101802 (as tabulated by the PDG), neighbouring points averaged where
  nothing resonates; open charm and its resonances from psi(3770) on
- above: perturbative QCD to third order in alpha_s for four flavours

J/psi, psi(2S) and all Upsilon states are left out: they are narrower than any detector resolves, a dark photon mixes with
them rather than decaying through them, and searches veto them. R is the continuum there, and without b quarks up to 10.58
GeV. The table's source is the PDG's compilation of hadronic cross sections (hep-ph/0312114, edition 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.constants import ALPHA, M_PION

Array = NDArray[np.float64]

EXCLUSIVE_BELOW = 1.06
PERTURBATIVE_ABOVE = 4.8

M_KAON = 0.493677
THREE_PIONS = 3 * M_PION

MEASURED = np.array([
    # PDG, exclusive channels
    (1.06, 0.92), (1.10, 0.94), (1.15, 0.90), (1.20, 0.94), (1.25, 1.04), (1.30, 1.17), (1.35, 1.38), (1.40, 1.57),
    (1.45, 1.65), (1.50, 2.18), (1.55, 2.27), (1.60, 2.41), (1.65, 2.75), (1.70, 2.60), (1.75, 2.57), (1.80, 2.38),
    (1.85, 2.10), (1.90, 1.92), (1.95, 2.03),
    # BES
    (2.00, 2.18), (2.20, 2.38), (2.50, 2.38), (2.70, 2.30), (2.80, 2.20), (3.00, 2.21), (3.20, 2.21), (3.40, 2.30),
    (3.55, 2.23), (3.73, 2.15), (3.75, 2.47), (3.76, 2.77), (3.764, 3.29), (3.770, 3.60), (3.780, 3.27), (3.79, 2.62),
    (3.81, 2.40), (3.85, 2.47), (3.89, 2.64), (3.94, 2.97), (4.00, 3.16), (4.01, 3.53), (4.02, 4.43), (4.03, 4.50),
    (4.06, 4.40), (4.08, 4.15), (4.11, 3.98), (4.15, 4.08), (4.18, 4.13), (4.20, 3.87), (4.22, 3.40), (4.25, 2.95),
    (4.30, 3.05), (4.35, 3.42), (4.40, 3.80), (4.43, 3.88), (4.46, 3.68), (4.50, 3.49), (4.54, 3.35), (4.60, 3.42),
])  # fmt: skip
"""(mass in GeV, R), increasing in mass."""


@dataclass(frozen=True)
class Resonance:
    """Mass and width in GeV; ``electronic``: B(e+e-)."""

    mass: float
    width: float
    electronic: float = 0.0


# PDG 2022
OMEGA = Resonance(0.78266, 0.00868, 7.38e-5)
PHI = Resonance(1.019461, 0.004249, 2.979e-4)
OMEGA_TO_TWO_PIONS = 0.0153
PHI_TO_KAONS = 0.831

# CMD-2, Phys. Lett. B 648, 28 (2007), hep-ex/0610021; rho(1450) and its share as fixed there
RHO = Resonance(0.77597, 0.14598)
RHO_1450 = Resonance(1.465, 0.310)
RHO_1450_SHARE = -0.0859
MIXING = 1.57e-3 * np.exp(1j * np.deg2rad(10.4))

LAMBDA_QCD = 0.325
"""GeV, of alpha_s with four flavours to two loops: 0.215 at 4.8 GeV, which is what 0.118 at the Z runs to."""


def hadronic_ratio(mass: Array) -> Array:
    """R at ``mass`` in GeV, of the same shape; 0 below two pions."""
    mass = np.asarray(mass, dtype=np.float64)
    tabulated = np.interp(mass, *np.vstack([MEASURED, _matching_point()]).T)
    regions = [mass < EXCLUSIVE_BELOW, mass < PERTURBATIVE_ABOVE]
    return np.select(regions, [_exclusive(mass), tabulated], perturbative_ratio(np.maximum(mass, PERTURBATIVE_ABOVE)))


def perturbative_ratio(mass: Array) -> Array:
    """Four massless flavours to order alpha_s^3.

    Gorishny, Kataev and Larin, Phys. Lett. B 259, 144 (1991), as in the PDG's review of QCD; two-loop running.
    """
    flavours, charges_squared, charges = 4, 10.0 / 9.0, 2.0 / 3.0
    a = strong_coupling(mass) / np.pi
    second = 1.9857 - 0.1152 * flavours
    third = -6.63694 - 1.20013 * flavours - 0.00518 * flavours**2 - 1.240 * charges**2 / (3.0 * charges_squared)
    return np.asarray(3.0 * charges_squared * (1.0 + a + second * a**2 + third * a**3))


def strong_coupling(scale: Array) -> Array:
    """alpha_s with four flavours at ``scale`` in GeV, to two loops."""
    b0, b1 = 25.0 / 3.0, 154.0 / 3.0
    log = 2.0 * np.log(scale / LAMBDA_QCD)
    return np.asarray(4.0 * np.pi / (b0 * log) * (1.0 - b1 / b0**2 * np.log(log) / log))


def pion_form_factor_squared(mass: Array) -> Array:
    """|F_pi|^2 of e+e- -> pi+pi- for masses above the threshold: rho with omega mixed in, and rho(1450)."""
    s = np.asarray(mass, dtype=np.float64) ** 2
    omega = OMEGA.mass**2 / (OMEGA.mass**2 - s - 1j * OMEGA.mass * OMEGA.width)
    rho = gounaris_sakurai(s, RHO) * (1.0 + MIXING * s / OMEGA.mass**2 * omega)
    total = (rho + RHO_1450_SHARE * gounaris_sakurai(s, RHO_1450)) / (1.0 + RHO_1450_SHARE)
    return np.asarray(np.abs(total) ** 2)


def gounaris_sakurai(s: Array, resonance: Resonance) -> NDArray[np.complex128]:
    """Phys. Rev. Lett. 21, 244 (1968): a P wave of two pions with a finite range; 1 at s = 0."""
    m, width = resonance.mass, resonance.width
    k, k_pole = _pion_momentum(s), _pion_momentum(np.array(m * m))
    h, h_pole = _gounaris_sakurai_h(s), _gounaris_sakurai_h(np.array(m * m))
    slope = h_pole * (1.0 / (8.0 * k_pole**2) - 1.0 / (2.0 * m**2)) + 1.0 / (2.0 * np.pi * m**2)
    shift = width * m**2 / k_pole**3 * (k**2 * (h - h_pole) + (m**2 - s) * k_pole**2 * slope)
    log = np.log((m + 2.0 * k_pole) / (2.0 * M_PION))
    d = 3.0 / np.pi * M_PION**2 / k_pole**2 * log + m / (2.0 * np.pi * k_pole) - M_PION**2 * m / (np.pi * k_pole**3)
    running_width = width * (k / k_pole) ** 3 * m / np.sqrt(s)
    return np.asarray(m**2 * (1.0 + d * width / m) / (m**2 - s + shift - 1j * m * running_width))


def _exclusive(mass: Array) -> Array:
    two_pions = mass > 2.0 * M_PION
    within = np.where(two_pions, mass, 1.0)
    velocity = np.sqrt(1.0 - (2.0 * M_PION / within) ** 2)
    pions = np.where(two_pions, 0.25 * velocity**3 * pion_form_factor_squared(within), 0.0)
    omega = _breit_wigner(mass, OMEGA) * (1.0 - OMEGA_TO_TWO_PIONS) * (mass > THREE_PIONS)
    kaons = _kaon_momentum(mass) ** 3 / _kaon_momentum(np.array(PHI.mass)) ** 3
    phi = _breit_wigner(mass, PHI) * (PHI_TO_KAONS * kaons + (1.0 - PHI_TO_KAONS) * (mass > THREE_PIONS))
    return np.asarray(pions + omega + phi)


def _breit_wigner(mass: Array, resonance: Resonance) -> Array:
    """R of a resonance that is narrow: 9 B(e+e-) / alpha^2 at its peak."""
    m, width = resonance.mass, resonance.width
    shape = (m * width) ** 2 / ((mass**2 - m**2) ** 2 + (m * width) ** 2)
    return np.asarray(9.0 / ALPHA**2 * resonance.electronic * shape * (mass / m) ** 2)


def _pion_momentum(s: Array) -> Array:
    return np.sqrt(0.25 * s - M_PION**2)


def _kaon_momentum(mass: Array) -> Array:
    return np.sqrt(np.maximum(0.25 * mass**2 - M_KAON**2, 0.0))


def _gounaris_sakurai_h(s: Array) -> Array:
    root, k = np.sqrt(s), _pion_momentum(s)
    return 2.0 / np.pi * k / root * np.log((root + 2.0 * k) / (2.0 * M_PION))


def _matching_point() -> Array:
    return np.array([[PERTURBATIVE_ABOVE, perturbative_ratio(np.array(PERTURBATIVE_ABOVE)).item()]])
