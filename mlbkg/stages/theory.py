"""``mlbkg theory``: cross sections, widths and branching fractions of the models that the searches are for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import mlbkg.physics.dark_higgs as higgs
import mlbkg.physics.zprime as z
from mlbkg.errors import ConfigError, UnknownNameError, did_you_mean
from mlbkg.physics.g_minus_2 import MEASUREMENTS, delta_a_mu, favoured_band
from mlbkg.physics.hadronic_ratio import hadronic_ratio
from mlbkg.report.theory_figures import SUFFIXES
from mlbkg.stages.theory_figures import plot_dark_higgs, plot_g_minus_2, plot_zprime

MODELS = {
    "mumu": "gauged L_mu - L_tau; tree level, photon exchange",
    "mue": "benchmark: the two diagrams of mumu with one lepton as light as an electron; mu+ e- and mu- e+ together; "
    "nothing is assumed of decays but that they are invisible",
}


@dataclass(frozen=True)
class ZPrime:
    """Cross sections in fb, widths in GeV; ``widths``: None where the model does not say what Z' decays to."""

    mass: float
    sqrt_s: float
    g_prime: float
    final_state: str
    radiation: bool
    cross_section_fb: float
    without_radiation_fb: float
    massless_fb: float
    widths: z.Widths | None
    figure: Path | None

    @property
    def branching_fraction_invisible(self) -> float:
        """That of L_mu - L_tau, also where g' is 0; 1 by assumption for the benchmark."""
        return z.branching_fraction_invisible(np.array(self.mass)).item() if self.final_state == "mumu" else 1.0

    def to_json(self) -> dict[str, Any]:
        found = self.widths
        partial = {"nunu": found.neutrinos, "mumu": found.muons, "tautau": found.taus} if found else {}
        return {
            "cross_section_fb": self.cross_section_fb,
            "branching_fraction_invisible": self.branching_fraction_invisible,
            "width_gev": float(found.total) if found else None,
            "partial_widths_gev": {name: float(width) for name, width in partial.items()},
            "cross_section_invisible_fb": self.cross_section_fb * self.branching_fraction_invisible,
            "cross_section_without_isr_fb": self.without_radiation_fb,
            "cross_section_massless_leptons_fb": self.massless_fb,
            "mass": self.mass,
            "sqrt_s": self.sqrt_s,
            "g_prime": self.g_prime,
            "final_state": self.final_state,
            "isr": self.radiation,
            "model": MODELS[self.final_state],
            **_figure(self.figure),
        }


@dataclass(frozen=True)
class DarkHiggs:
    """``cross_section_fb`` for alpha_D epsilon^2 = 1."""

    mass_u: float
    mass_h: float
    sqrt_s: float
    cross_section_fb: float
    branching_fractions: dict[str, float]
    hadronic_ratio: float
    figure: Path | None

    def to_json(self) -> dict[str, Any]:
        return {
            "cross_section_fb": self.cross_section_fb,
            "branching_fraction_mumu": self.branching_fractions["mumu"],
            "branching_fractions": dict(self.branching_fractions),
            "cross_section_mumu_fb": self.cross_section_fb * self.branching_fractions["mumu"],
            "hadronic_ratio": self.hadronic_ratio,
            "mass_u": self.mass_u,
            "mass_h": self.mass_h,
            "sqrt_s": self.sqrt_s,
            **_figure(self.figure),
        }


@dataclass(frozen=True)
class GMinus2:
    """``bands``: measurement -> lowest and highest g' that it asks for at this mass."""

    mass: float
    g_prime: float
    sigmas: float
    delta_a_mu: float
    bands: dict[str, tuple[float, float]]
    figure: Path | None

    def to_json(self) -> dict[str, Any]:
        return {
            "delta_a_mu": self.delta_a_mu,
            "bands": {
                name: {
                    "g_prime_low": low,
                    "g_prime_high": high,
                    "within": low <= self.g_prime <= high,
                    "delta_a_mu": MEASUREMENTS[name].value,
                    "delta_a_mu_error": MEASUREMENTS[name].error,
                }
                for name, (low, high) in self.bands.items()
            },
            "mass": self.mass,
            "g_prime": self.g_prime,
            "sigmas": self.sigmas,
            **_figure(self.figure),
        }


def zprime(
    *,
    mass: float,
    sqrt_s: float,
    g_prime: float = 1.0,
    final_state: str = "mumu",
    radiation: bool = False,
    plot: Path | None = None,
) -> ZPrime:
    """e+e- -> l l Z' at one mass. plot: also draws the cross section over all masses.

    Raises :class:`ConfigError` for numbers that cannot be and unknown final states.
    """
    _positive(sqrt_s, "sqrt-s")
    _below(mass, "mass", sqrt_s)
    _not_negative(g_prime, "g-prime")
    _plottable(plot)
    if final_state not in z.FINAL_STATES:
        raise UnknownNameError(
            f"unknown final state '{final_state}'{did_you_mean(final_state, z.FINAL_STATES)}",
            where="--final-state",
            hint=f"Known: {', '.join(z.FINAL_STATES)}",
        )
    at = np.array([mass])
    plain = z.cross_section_fb(at, sqrt_s=sqrt_s, g_prime=g_prime, final_state=final_state).item()
    value = plain
    if radiation:
        value = z.cross_section_fb(at, sqrt_s=sqrt_s, g_prime=g_prime, final_state=final_state, radiation=True).item()
    if plot is not None:
        plot_zprime(
            plot,
            mass=mass,
            cross_section_fb=value,
            sqrt_s=sqrt_s,
            g_prime=g_prime,
            final_state=final_state,
            radiation=radiation,
        )
    return ZPrime(
        mass=mass,
        sqrt_s=sqrt_s,
        g_prime=g_prime,
        final_state=final_state,
        radiation=radiation,
        cross_section_fb=value,
        without_radiation_fb=plain,
        massless_fb=z.massless_cross_section_fb(at, sqrt_s=sqrt_s, g_prime=g_prime).item(),
        widths=z.widths(np.array(mass), g_prime=g_prime) if final_state == "mumu" else None,
        figure=plot,
    )


def dark_higgs(*, mass_u: float, mass_h: float, sqrt_s: float, plot: Path | None = None) -> DarkHiggs:
    """e+e- -> U h' at one pair of masses. plot: also draws the plane of all masses.

    Raises :class:`ConfigError` for numbers that cannot be.
    """
    _positive(sqrt_s, "sqrt-s")
    _below(mass_u, "mass-u", sqrt_s)
    _below(mass_h, "mass-h", sqrt_s)
    _plottable(plot)
    fractions = {name: value.item() for name, value in higgs.branching_fractions(np.array(mass_u)).items()}
    cross_section = higgs.cross_section_fb(np.array(mass_u), np.array(mass_h), sqrt_s=sqrt_s).item()
    if plot is not None:
        plot_dark_higgs(plot, mass_u=mass_u, mass_h=mass_h, mumu_fb=cross_section * fractions["mumu"], sqrt_s=sqrt_s)
    return DarkHiggs(
        mass_u=mass_u,
        mass_h=mass_h,
        sqrt_s=sqrt_s,
        cross_section_fb=cross_section,
        branching_fractions=fractions,
        hadronic_ratio=hadronic_ratio(np.array(mass_u)).item(),
        figure=plot,
    )


def g_minus_2(*, mass: float, g_prime: float = 1.0, sigmas: float = 2.0, plot: Path | None = None) -> GMinus2:
    """What a Z' adds to the muon's anomalous moment, and the couplings that measurements ask for at its mass.

    sigmas: half width of the bands in errors. Raises :class:`ConfigError` for numbers that cannot be.
    """
    _positive(mass, "mass")
    _not_negative(g_prime, "g-prime")
    _positive(sigmas, "sigmas")
    _plottable(plot)
    at = np.array(mass)
    bands = {name: favoured_band(at, found, sigmas=sigmas) for name, found in MEASUREMENTS.items()}
    if plot is not None:
        plot_g_minus_2(plot, mass=mass, g_prime=g_prime, sigmas=sigmas)
    return GMinus2(
        mass=mass,
        g_prime=g_prime,
        sigmas=sigmas,
        delta_a_mu=delta_a_mu(at, g_prime=g_prime).item(),
        bands={name: (low.item(), high.item()) for name, (low, high) in bands.items()},
        figure=plot,
    )


def _figure(path: Path | None) -> dict[str, str]:
    return {} if path is None else {"figure": str(path)}


def _positive(value: float, option: str) -> None:
    if not 0 < value < math.inf:
        raise ConfigError(f"{option} must be a number above 0; got {value:g}", where=f"--{option}")


def _not_negative(value: float, option: str) -> None:
    if not 0 <= value < math.inf:
        raise ConfigError(f"{option} must be a number that is not negative; got {value:g}", where=f"--{option}")


def _below(mass: float, option: str, sqrt_s: float) -> None:
    _positive(mass, option)
    if mass >= sqrt_s:
        raise ConfigError(
            f"{option} must be below sqrt-s, which is {sqrt_s:g} GeV; got {mass:g}",
            where=f"--{option}",
            hint="Masses are in GeV: 1.5 for 1500 MeV.",
        )


def _plottable(path: Path | None) -> None:
    if path is not None and path.suffix not in SUFFIXES:
        raise ConfigError(f"a figure's name must end with {', '.join(SUFFIXES)}; got '{path.name}'", where="--plot")
