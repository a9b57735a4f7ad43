"""The Z' of gauged L_mu - L_tau: at tree level it couples to the second and third family of leptons, and to nothing else.

L = g' Z'_a sum_l Q_l (l gamma^a l + nu_l gamma^a P_L nu_l), Q = +1 for mu and -1 for tau. He, Joshi, Lew and Volkas, Phys.
Rev. D 43, 22 (1991); Shuve and Yavin, Phys. Rev. D 89, 113004, arXiv:1403.2727.

Produced as e+e- -> gamma* -> l1 l2 Z', radiated off either lepton, without Z exchange (below 1.5 % at 10.58 GeV). The final
state mue has no such model: it is a benchmark, the same two diagrams where one lepton has the mass of an electron from
start to end, with g' so defined that mu+ e- and mu- e+ *together* have this cross section. Diagrams in which the beams' own
electrons change flavour are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.constants import ALPHA, FB_GEV2, M_ELECTRON, M_MUON, M_TAU
from mlbkg.physics.radiation import radiated
from mlbkg.physics.three_body_rate import integrated_rate

Array = NDArray[np.float64]

FINAL_STATES = {"mumu": (M_MUON, M_MUON), "mue": (M_MUON, M_ELECTRON)}
"""Name -> masses of the leptons beside the Z', GeV."""

CLOSED_FORM_BELOW = 0.5
"""M^2/s from which the terms of the closed form cancel to more than the quadrature leaves open."""


@dataclass(frozen=True)
class Widths:
    """Partial widths in GeV, of the shape of the masses. neutrinos: both flavours together."""

    neutrinos: Array
    muons: Array
    taus: Array

    @property
    def total(self) -> Array:
        return self.neutrinos + self.muons + self.taus

    @property
    def invisible_fraction(self) -> Array:
        return np.asarray(self.neutrinos / self.total)


def widths(mass: Array, *, g_prime: float = 1.0) -> Widths:
    """Of L_mu - L_tau at ``mass`` in GeV, any shape.

    A charged lepton gives g'^2 M/(12 pi) (1 + 2 m^2/M^2) sqrt(1 - 4 m^2/M^2), a neutrino of one handedness g'^2 M/(24 pi).
    """
    mass = np.asarray(mass, dtype=np.float64)
    scale = g_prime**2 * mass / (12.0 * math.pi)
    return Widths(scale, scale * charged_phase_space(mass, M_MUON), scale * charged_phase_space(mass, M_TAU))


def charged_phase_space(mass: Array, lepton_mass: float) -> Array:
    """(1 + 2 r) sqrt(1 - 4 r) with r = (m/M)^2: what a vector's width to two leptons has over that to massless ones."""
    r = (lepton_mass / np.asarray(mass, dtype=np.float64)) ** 2
    return np.asarray((1.0 + 2.0 * r) * np.sqrt(np.maximum(1.0 - 4.0 * r, 0.0)))


def branching_fraction_invisible(mass: Array) -> Array:
    """B(Z' -> nu nubar) of L_mu - L_tau: 1 below two muons, 1/2 below two taus, towards 1/3 above."""
    return widths(mass).invisible_fraction


def cross_section_fb(
    mass: Array, *, sqrt_s: float, g_prime: float = 1.0, final_state: str = "mumu", radiation: bool = False
) -> Array:
    """sigma(e+e- -> l1 l2 Z') at tree level with the leptons' masses, to 1e-6; 0 where closed.

    mass: ``(n,)`` GeV, above 0. radiation: with photons radiated by the beams (:mod:`mlbkg.physics.radiation`).
    """
    mass = np.asarray(mass, dtype=np.float64)
    leptons = FINAL_STATES[final_state]
    if radiation:
        at_one = np.array([_radiated(one, sqrt_s, leptons) for one in mass])
    else:
        at_one = _tree_level(mass, np.full(len(mass), sqrt_s), leptons)
    return np.asarray(g_prime**2 * at_one)


def massless_cross_section_fb(mass: Array, *, sqrt_s: float, g_prime: float = 1.0) -> Array:
    """As :func:`cross_section_fb` with massless leptons, where there is a closed form: sigma_0 g'^2/(8 pi^2) F(M^2/s).

    sigma_0 = 4 pi alpha^2/(3 s). High by 1 % at 0.5 GeV and by 7 % at 9 GeV for muons at 10.58 GeV.
    """
    mass = np.asarray(mass, dtype=np.float64)
    point_like = 4.0 * math.pi * ALPHA**2 / (3.0 * sqrt_s**2) * FB_GEV2
    return np.asarray(point_like * g_prime**2 / (8.0 * math.pi**2) * massless_spectrum((mass / sqrt_s) ** 2))


def massless_spectrum(epsilon: Array) -> Array:
    """F of M^2/s ``(n,)``: the integral of :mod:`mlbkg.physics.three_body_rate` over 8 for massless leptons; 0 from 1 on."""
    epsilon = np.asarray(epsilon, dtype=np.float64)
    massless = np.zeros_like(epsilon)
    smooth = integrated_rate(np.sqrt(epsilon), massless, massless) / 8.0
    return np.where(epsilon < CLOSED_FORM_BELOW, _closed_form(np.minimum(epsilon, CLOSED_FORM_BELOW)), smooth)


def _closed_form(epsilon: Array) -> Array:
    from scipy.special import spence

    log, log_one = np.log(epsilon), np.log1p(epsilon)
    dilogarithm = spence(1.0 + epsilon)
    brackets = log**2 - 4.0 * log * log_one - 4.0 * dilogarithm - math.pi**2 / 3.0
    return np.asarray(
        5.0 * (1.0 - epsilon**2) + (3.0 + 4.0 * epsilon + 3.0 * epsilon**2) * log + (1.0 + epsilon) ** 2 * brackets
    )


def _tree_level(mass: Array, sqrt_s: Array, leptons: tuple[float, float]) -> Array:
    """At g' = 1. ``mass`` and ``sqrt_s`` ``(n,)``. sigma = alpha^2 g'^2/(48 pi s) times the integral of T."""
    rate = integrated_rate(mass / sqrt_s, leptons[0] / sqrt_s, leptons[1] / sqrt_s)
    return np.asarray(ALPHA**2 / (48.0 * math.pi * sqrt_s**2) * FB_GEV2 * rate)


def _radiated(mass: float, sqrt_s: float, leptons: tuple[float, float]) -> float:
    def born(energies: Array) -> Array:
        return _tree_level(np.full(len(energies), mass), energies, leptons)

    return radiated(born, sqrt_s=sqrt_s, threshold=mass + sum(leptons))
