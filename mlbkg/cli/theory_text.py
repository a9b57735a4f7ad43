"""What ``mlbkg theory`` prints for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlbkg.cli.show import folded, table

DECAYS = {"nunu": "νν̄", "ee": "e⁺e⁻", "mumu": "μ⁺μ⁻", "tautau": "τ⁺τ⁻", "hadrons": "hadrons"}
FINAL_STATES = {"mumu": "μ⁺μ⁻Z′", "mue": "μ±e∓Z′"}


def zprime_text(found: Mapping[str, Any]) -> str:
    head = f"σ(e⁺e⁻ → {FINAL_STATES[found['final_state']]}) = {found['cross_section_fb']:.6g} fb at {found['sqrt_s']:g} GeV"
    invisible = f"{found['branching_fraction_invisible']:.5f}"
    lines = [
        f"{head}, M(Z′) = {found['mass']:g} GeV, g′ = {found['g_prime']:g}",
        *([f"without radiation off the beams: {found['cross_section_without_isr_fb']:.6g} fb"] if found["isr"] else []),
        f"B(Z′ → invisible) = {invisible}, with it: {found['cross_section_invisible_fb']:.6g} fb",
        folded(found["model"]),
    ]
    if found["width_gev"] is not None:
        total = found["width_gev"]
        widths = [*found["partial_widths_gev"].items(), ("total", total)]
        rows = [(DECAYS.get(name, name), f"{width:.6g}", f"{width / total:.5f}" if total else "–") for name, width in widths]
        lines.append(table("Decays of Z′", ("decay", "width [GeV]", "fraction"), rows))
    return _with_figure(lines, found)


def dark_higgs_text(found: Mapping[str, Any]) -> str:
    masses = f"m(U) = {found['mass_u']:g} GeV, m(h′) = {found['mass_h']:g} GeV"
    lines = [
        f"σ(e⁺e⁻ → U h′) = {found['cross_section_fb']:.6g} fb × α_D ε² at {found['sqrt_s']:g} GeV, {masses}",
        f"with U → μ⁺μ⁻: {found['cross_section_mumu_fb']:.6g} fb × α_D ε²",
    ]
    if found["mass_h"] >= found["mass_u"]:
        lines.append("Such an h′ is not invisible: it decays to U.")
    rows = [(DECAYS[name], f"{fraction:.4f}") for name, fraction in found["branching_fractions"].items()]
    lines.append(table(f"Decays of U, R = {found['hadronic_ratio']:.3f}", ("decay", "fraction"), rows))
    return _with_figure(lines, found)


def g_minus_2_text(found: Mapping[str, Any]) -> str:
    rows = [
        (
            name,
            f"{band['delta_a_mu'] * 1e10:.1f} ± {band['delta_a_mu_error'] * 1e10:.1f}",
            f"{band['g_prime_low']:.4g}",
            f"{band['g_prime_high']:.4g}",
            "within" if band["within"] else "outside",
        )
        for name, band in found["bands"].items()
    ]
    lines = [
        f"Δa_μ = {found['delta_a_mu']:.5g} for M(Z′) = {found['mass']:g} GeV, g′ = {found['g_prime']:g}",
        table(
            f"g′ asked for within {found['sigmas']:g} standard deviations",
            ("year", "Δa_μ [10⁻¹⁰]", "from", "to", "this g′"),
            rows,
        ),
    ]
    return _with_figure(lines, found)


def _with_figure(lines: list[str], found: Mapping[str, Any]) -> str:
    return "\n".join([*lines, *([f"figure  {found['figure']}"] if "figure" in found else [])])
