"""Charged particles in the drift chamber: efficiency, resolution of momentum, angles and impact parameters.

sigma(pT)/pT = 0.11 % pT (+) 0.30 %/beta reproduces the recoil-mass resolution of real Belle II data (the width table of the
Z' search); the other numbers are of the size of Belle II's, chosen for this toy. Left out: tails of the resolution, decays
in flight, curling, duplicate and fake tracks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.simulation.acceptance import CDC, inside
from mlbkg.simulation.collisions import Collisions
from mlbkg.simulation.identification import identify
from mlbkg.simulation.particles import charge

Array = NDArray[np.float64]

EFFICIENCY = ((0.05, 0.10, 0.20, 0.50), (0.0, 0.85, 0.95, 0.975))
"""pT in GeV, and the efficiency there; straight lines between, constant above."""

MAXIMUM_ORIGIN_RADIUS = 10.0
"""cm: particles made further out leave too few hits."""

PT_SLOPE, PT_CONSTANT = 0.0011, 0.0030
ANGLE_CONSTANT, ANGLE_SLOPE = 0.5e-3, 0.8e-3
D0_CONSTANT, D0_SLOPE = 12e-4, 25e-4
Z0_CONSTANT, Z0_SLOPE = 15e-4, 30e-4
"""cm, and cm GeV: constant (+) slope / (p beta sin^1.5 theta), with sin^2.5 for z0."""

BEAM_SPOT_Z = 0.015
"""cm: two bunches 10 um wide that cross at 83 mrad overlap over this length."""


@dataclass(frozen=True)
class Tracks:
    """Reconstructed tracks ``(n_tracks,)``: index of each one's particle, its event, its branches less the cluster."""

    particle: NDArray[np.int64]
    event: NDArray[np.int64]
    columns: dict[str, NDArray[np.generic]]


def reconstruct_tracks(rng: Generator, collisions: Collisions) -> Tracks:
    momentum, vertex = collisions.momentum, collisions.vertex
    charges = charge(collisions.pdg)
    possible = (charges != 0) & inside(collisions.theta, CDC) & (np.hypot(vertex.px, vertex.py) < MAXIMUM_ORIGIN_RADIUS)
    found = np.flatnonzero(possible & (rng.random(len(charges)) < np.interp(momentum.pt, *EFFICIENCY)))
    n = len(found)
    px, py, pz, energy = (component[found] for component in (momentum.px, momentum.py, momentum.pz, momentum.e))
    pt, p = np.hypot(px, py), np.sqrt(px**2 + py**2 + pz**2)
    beta, theta, phi = p / energy, np.arctan2(pt, pz), np.arctan2(py, px)

    measured_pt = pt * np.abs(1.0 + np.hypot(PT_SLOPE * pt, PT_CONSTANT / beta) * rng.standard_normal(n))
    angle_error = np.hypot(ANGLE_CONSTANT, ANGLE_SLOPE / p)
    measured_theta = theta + angle_error * rng.standard_normal(n)
    measured_phi = phi + angle_error * rng.standard_normal(n)

    d0_error = np.hypot(D0_CONSTANT, D0_SLOPE / (p * beta * np.sin(theta) ** 1.5))
    z0_error = np.hypot(Z0_CONSTANT, Z0_SLOPE / (p * beta * np.sin(theta) ** 2.5))
    d0, z0 = _impact(vertex.px[found], vertex.py[found], vertex.pz[found], px, py, pz)
    spot = BEAM_SPOT_Z * rng.standard_normal(collisions.n_events)
    event = collisions.event[found]
    columns = {
        "px": measured_pt * np.cos(measured_phi),
        "py": measured_pt * np.sin(measured_phi),
        "pz": measured_pt / np.tan(measured_theta),
        "charge": charges[found],
        "d0": d0 + d0_error * rng.standard_normal(n),
        "z0": z0 + z0_error * rng.standard_normal(n) + spot[event],
        "d0_error": d0_error,
        "z0_error": z0_error,
        **identify(rng, collisions.pdg[found], p, theta),
        "mc_pdg": collisions.pdg[found],
        "mc_from_dipion": collisions.from_dipion[found],
    }
    return Tracks(found, event, columns)


def _impact(x: Array, y: Array, z: Array, px: Array, py: Array, pz: Array) -> tuple[Array, Array]:
    """d0 and z0 of a straight line; the curvature over a K_S flight path is far below the effect of the flight."""
    pt = np.hypot(px, py)
    return (x * py - y * px) / pt, z - (x * px + y * py) * pz / pt**2
