"""The curves of ``mlbkg theory --plot``: what was asked for at one point, over all masses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import mlbkg.physics.dark_higgs as higgs
import mlbkg.physics.zprime as z
from mlbkg.evaluation.estimates import Array
from mlbkg.physics.constants import M_MUON, M_TAU
from mlbkg.physics.g_minus_2 import MEASUREMENTS, favoured_band
from mlbkg.report.quantity import Quantity
from mlbkg.report.style import Caption
from mlbkg.report.theory_figures import (
    CALCULATION,
    Curve,
    FavouredRegion,
    Marked,
    Plane,
    draw_dark_higgs,
    draw_g_minus_2,
    draw_zprime,
)

PROCESSES = {"mumu": "e⁺e⁻ → μ⁺μ⁻Z′", "mue": "e⁺e⁻ → μ±e∓Z′"}
DECAYS_OF_U = {"ee": "e⁺e⁻", "mumu": "μ⁺μ⁻", "tautau": "τ⁺τ⁻", "hadrons": "hadrons"}
CURVE_POINTS, PLANE_POINTS = 240, 300
LIGHTEST, HEAVIEST = 0.005, 10.0
"""GeV; of curves over the logarithm of a mass."""


def plot_zprime(
    path: Path, *, mass: float, cross_section_fb: float, sqrt_s: float, g_prime: float, final_state: str, radiation: bool
) -> Path:
    """The talk's FIG. 2 and the branching fractions below it, with the point that was asked for."""
    masses = _masses(sqrt_s)
    produced = z.cross_section_fb(masses, sqrt_s=sqrt_s, g_prime=g_prime, final_state=final_state, radiation=radiation)
    produced = np.where(produced > 0, produced, np.nan)
    widths = z.widths(masses)
    curves = [Curve("B(Z′ → invisible) = 1", produced)]
    if final_state == "mumu":
        curves.insert(0, Curve("B(Z′ → invisible) of\n$L_\\mu - L_\\tau$", produced * widths.invisible_fraction))
    shares = {"invisible": widths.neutrinos, "μ⁺μ⁻": widths.muons, "τ⁺τ⁻": widths.taus}
    return draw_zprime(
        masses,
        curves,
        [Curve(name, share / widths.total) for name, share in shares.items()],
        path,
        process=PROCESSES[final_state],
        marked=Marked(mass, cross_section_fb, f"{mass:g} GeV: {_femtobarn(cross_section_fb)}"),
        caption=_caption(f"g′ = {g_prime:g}, √s = {sqrt_s:g} GeV{', with ISR' if radiation else ''}"),
    )


def plot_dark_higgs(path: Path, *, mass_u: float, mass_h: float, mumu_fb: float, sqrt_s: float) -> Path:
    """The plane of masses and the branching fractions of U below it, with the point that was asked for."""
    centres = (np.arange(PLANE_POINTS) + 0.5) * sqrt_s / PLANE_POINTS
    values = higgs.cross_section_fb(centres, centres[:, np.newaxis], sqrt_s=sqrt_s) * higgs.branching_fraction_mumu(centres)
    masses = _masses(sqrt_s)
    return draw_dark_higgs(
        Plane(centres, centres, np.where(values > 0, values, np.nan), sqrt_s),
        masses,
        [Curve(DECAYS_OF_U[name], share) for name, share in higgs.branching_fractions(masses).items()],
        path,
        marked=Marked(mass_u, mass_h, f"({mass_u:g}, {mass_h:g}) GeV: {_femtobarn(mumu_fb)}"),
        caption=_caption(f"e⁺e⁻ → U h′,  √s = {sqrt_s:g} GeV"),
    )


def plot_g_minus_2(path: Path, *, mass: float, g_prime: float, sigmas: float) -> Path:
    """The bands of all measurements over the mass, with the point that was asked for."""
    masses = np.geomspace(min(LIGHTEST, mass), max(HEAVIEST, mass), CURVE_POINTS)
    regions = [
        FavouredRegion(f"{name}: {found.label} ± {sigmas:g}σ", *favoured_band(masses, found, sigmas=sigmas))
        for name, found in MEASUREMENTS.items()
    ]
    marked = Marked(mass, g_prime, f"{mass:g} GeV, g′ = {g_prime:g}") if g_prime > 0 else None
    return draw_g_minus_2(masses, regions, path, marked=marked, caption=_caption("Z′ at one loop"))


def _masses(sqrt_s: float) -> Array:
    """Up to ``sqrt_s``, dense where cross sections change with the mass's logarithm and where muons and taus set in."""
    even = np.linspace(0.0, sqrt_s, CURVE_POINTS)[1:]
    low = np.geomspace(LIGHTEST, 1.0, CURVE_POINTS // 2)
    thresholds = 2.0 * np.array([M_MUON, M_TAU])
    return np.unique(np.concatenate([low, even, thresholds, thresholds + 0.005]).clip(max=sqrt_s))


def _femtobarn(value: float) -> str:
    return Quantity("σ", "fb").text(value)


def _caption(title: str) -> Caption:
    return Caption(title=title, luminosity_per_fb=None, origin=CALCULATION)
