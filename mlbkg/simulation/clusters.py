"""The electromagnetic calorimeter (ECL) and the K_L and muon detector (KLM).

sigma(E)/E and the angular resolution follow the shapes of Belle's calorimeter with Belle II's 4 % at 100 MeV; efficiencies,
hadron showers and beam background are of the right size, chosen for this toy. Left out: split-off clusters of
hadron showers, photon conversions, merged clusters, the trigger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.simulation.acceptance import ECL, ECL_BARREL_MINIMUM_PT, KLM, in_ecl_barrel, in_ecl_gap, inside
from mlbkg.simulation.collisions import Collisions
from mlbkg.simulation.particles import ELECTRON, K_LONG, MUON, NEUTRAL_HADRONS, NEUTRON, PHOTON, charge

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

THRESHOLD = 0.020
"""GeV."""
PHOTON_EFFICIENCY = ((0.02, 0.05, 0.10, 0.50), (0.85, 0.95, 0.97, 0.99))
GAP_EFFICIENCY = 0.5
"""Of photons that enter a gap; the others meet no crystal."""
LEAKAGE = (0.15, 0.45)
"""Share of the energy that is still seen of a particle that enters a gap."""
MIP_ENERGY, MIP_WIDTH = 0.20, 0.03
SHOWERING_HADRONS = 0.5
CHARGED_SHOWER = (0.3, 1.0)
NEUTRAL_SHOWER = (0.2, 0.8)
NEUTRAL_HADRON_EFFICIENCY = 0.5
ANNIHILATION = 1.88
"""GeV that an antineutron adds by annihilating."""
LOOKS_HADRONIC = {"photon": 0.02, "minimum ionising": 0.1, "shower": 0.6, "neutral hadron": 0.8, "background": 0.1}

BACKGROUND_MEAN, BACKGROUND_ENERGY = 3.0, 0.040

KLM_EFFICIENCY = ((0.3, 1.0), (0.0, 0.6))
"""Momentum in GeV, K_L; a neutron has half of it."""
KLM_GAP_PHOTON_EFFICIENCY, KLM_GAP_PHOTON_MINIMUM = 0.8, 0.1
KLM_ANGLE = 0.03


@dataclass(frozen=True)
class Deposits:
    """Energy that each particle leaves in the ECL, ``(n_particles,)`` in GeV, 0 below threshold, and how it looks."""

    energy: Array
    hadronic: Mask


@dataclass(frozen=True)
class Clusters:
    """One collection: event of each entry, and its branches."""

    event: NDArray[np.int64]
    columns: dict[str, NDArray[np.generic]]


def deposit(rng: Generator, collisions: Collisions) -> Deposits:
    """What every particle leaves in the ECL, whether or not it has a track."""
    kind, theta, momentum = np.abs(collisions.pdg), collisions.theta, collisions.momentum
    n = len(kind)
    charged = charge(collisions.pdg) != 0
    shower = (kind == PHOTON) | (kind == ELECTRON)
    neutral = np.isin(kind, NEUTRAL_HADRONS)
    showering_hadron = charged & ~shower & (kind != MUON) & (rng.random(n) < SHOWERING_HADRONS)
    minimum = charged & ~shower & ~showering_hadron

    kinetic = np.maximum(momentum.e - np.sqrt(np.maximum(momentum.mass_squared, 0.0)), 0.0)
    mip = np.minimum(MIP_ENERGY + MIP_WIDTH * rng.standard_normal(n), kinetic)
    annihilation = np.where(collisions.pdg == -NEUTRON, ANNIHILATION, 0.0)
    energy = np.select(
        [shower, showering_hadron, minimum, neutral],
        [
            momentum.e,
            kinetic * rng.uniform(*CHARGED_SHOWER, n),
            mip,
            (kinetic + annihilation) * rng.uniform(*NEUTRAL_SHOWER, n),
        ],
        0.0,
    )
    energy = np.where(in_ecl_gap(theta), energy * rng.uniform(*LEAKAGE, n), energy)
    smeared = energy * (1.0 + energy_resolution(energy) * rng.standard_normal(n))
    energy = np.where(shower, smeared, energy)

    efficiency = np.where(kind == PHOTON, np.interp(momentum.e, *PHOTON_EFFICIENCY), 1.0)
    efficiency *= np.where((kind == PHOTON) & in_ecl_gap(theta), GAP_EFFICIENCY, 1.0)
    efficiency = np.where(neutral, NEUTRAL_HADRON_EFFICIENCY, efficiency)
    curls_up = charged & in_ecl_barrel(theta) & (momentum.pt < ECL_BARREL_MINIMUM_PT)
    seen = inside(theta, ECL) & ~curls_up & (rng.random(n) < efficiency) & (energy > THRESHOLD)
    looks = np.select(
        [shower, minimum, showering_hadron, neutral],
        [LOOKS_HADRONIC[name] for name in ("photon", "minimum ionising", "shower", "neutral hadron")],
        0.0,
    )
    return Deposits(np.where(seen, energy, 0.0), rng.random(n) < looks)


def energy_resolution(energy: Array) -> Array:
    """sigma(E)/E, 4.0 % at 0.1 GeV and 1.6 % at 1 GeV."""
    safe = np.maximum(energy, 1e-3)
    return np.asarray(np.sqrt((0.0035 / safe) ** 2 + (0.0081 / safe**0.25) ** 2 + 0.0134**2))


def angular_resolution(energy: Array) -> Array:
    """13 mrad at 0.1 GeV, 3 mrad at high energy."""
    return np.asarray(np.hypot(0.003, 0.004 / np.sqrt(energy)))


def neutral_clusters(rng: Generator, collisions: Collisions, deposits: Deposits, *, with_track: Mask) -> Clusters:
    """Deposits without a track, and beam background. ``with_track``: per particle."""
    seen = np.flatnonzero((deposits.energy > 0.0) & ~with_track)
    background_event = np.repeat(np.arange(collisions.n_events), rng.poisson(BACKGROUND_MEAN, collisions.n_events))
    n_background = len(background_event)
    energy = np.concatenate([deposits.energy[seen], THRESHOLD + rng.exponential(BACKGROUND_ENERGY, n_background)])
    theta = np.concatenate([collisions.theta[seen], np.deg2rad(rng.uniform(*ECL, n_background))])
    momentum = collisions.momentum
    phi = np.concatenate([np.arctan2(momentum.py[seen], momentum.px[seen]), rng.uniform(-np.pi, np.pi, n_background)])
    theta, phi = _measured(rng, theta, phi, angular_resolution(energy))
    is_background = np.arange(len(energy)) >= len(seen)
    hadronic = np.concatenate([deposits.hadronic[seen], rng.random(n_background) < LOOKS_HADRONIC["background"]])
    columns = {"energy": energy, "theta": theta, "phi": phi, "hadronic": hadronic, "mc_background": is_background}
    return Clusters(np.concatenate([collisions.event[seen], background_event]), columns)


def klm_clusters(rng: Generator, collisions: Collisions) -> Clusters:
    """Neutral hadrons, and photons that leave through the gaps of the ECL. Muons without a track are not looked for."""
    kind, theta, momentum = np.abs(collisions.pdg), collisions.theta, collisions.momentum
    hadron = np.interp(momentum.p, *KLM_EFFICIENCY)
    through_gap = (kind == PHOTON) & in_ecl_gap(theta) & (momentum.e > KLM_GAP_PHOTON_MINIMUM)
    efficiency = np.select(
        [kind == K_LONG, kind == NEUTRON, through_gap], [hadron, 0.5 * hadron, KLM_GAP_PHOTON_EFFICIENCY], 0.0
    )
    found = np.flatnonzero(inside(theta, KLM) & (rng.random(len(kind)) < efficiency))
    measured = _measured(rng, theta[found], np.arctan2(momentum.py[found], momentum.px[found]), KLM_ANGLE)
    return Clusters(collisions.event[found], {"theta": measured[0], "phi": measured[1]})


def _measured(rng: Generator, theta: Array, phi: Array, resolution: Array | float) -> tuple[Array, Array]:
    """Both angles smeared by the same distance on the sphere, and back in their ranges."""
    shifted = phi + resolution / np.sin(theta) * rng.standard_normal(len(phi))
    smeared = theta + resolution * rng.standard_normal(len(theta))
    return np.clip(smeared, 0.0, np.pi), np.asarray((shifted + np.pi) % (2.0 * np.pi) - np.pi)
