"""Columns of whole events: photon candidates, all particles in the centre-of-mass frame, their sum and their shape."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from mlbkg.candidates.column import Columns, Group, Setting
from mlbkg.candidates.daughters import COMPONENTS, named
from mlbkg.candidates.jagged import flat, jagged, momentum, segments
from mlbkg.physics.constants import M_PION
from mlbkg.physics.event_shape import cleo_cones, fox_wolfram, sphericity_eigenvalues, thrust
from mlbkg.physics.lorentz import FourVector

# A photon candidate is an ECL cluster without a track whose shower is not a hadron's, above the energies that Belle II's
# single-track-pair searches ask for (arXiv:1912.11276): most beam background lies below.
MIN_PHOTON_ENERGY_GEV = 0.100
MIN_PHOTON_ENERGY_BARREL_GEV = 0.075
# ECL barrel, basf2 AcceptanceVariables.cc
ECL_BARREL_RAD = (math.radians(32.2), math.radians(128.7))

N_CONES = 3
_PARTICLES = named("particle_cms")
_THRUST = ("event_thrust", "event_thrust_x", "event_thrust_y", "event_thrust_z")


def above_photon_threshold(energy: Any, theta: Any) -> Any:
    barrel = (theta > ECL_BARREL_RAD[0]) & (theta < ECL_BARREL_RAD[1])
    return energy > np.where(barrel, MIN_PHOTON_ENERGY_BARREL_GEV, MIN_PHOTON_ENERGY_GEV)


def _photons(columns: Columns, setting: Setting) -> Iterable[Any]:
    clusters = segments(columns["cluster_energy"])
    energy, theta = momentum(columns["cluster_energy"]), momentum(columns["cluster_theta"])
    chosen = above_photon_threshold(energy, theta) & (flat(columns["cluster_hadronic"]) == 0)
    energy, theta, phi = energy[chosen], theta[chosen], momentum(columns["cluster_phi"])[chosen]
    pt = energy * np.sin(theta)
    photons = clusters.select(chosen)
    momenta = (energy, pt * np.cos(phi), pt * np.sin(phi), energy * np.cos(theta))
    return [jagged(component, photons) for component in momenta]


def _particles(columns: Columns, setting: Setting) -> Iterable[Any]:
    tracks, photons = segments(columns["track_px"]), segments(columns["photon_energy"])
    both, from_tracks, from_photons = tracks.joined(photons)
    lab = np.empty((4, int(both.counts.sum())))
    for row, component in enumerate(COMPONENTS[1:], 1):
        lab[row, from_tracks] = momentum(columns[f"track_{component}"])
        lab[row, from_photons] = momentum(columns[f"photon_{component}"])
    square = lab[1] ** 2 + lab[2] ** 2 + lab[3] ** 2
    square[from_tracks] += M_PION**2
    lab[0] = np.sqrt(square)
    return [jagged(component, both) for component in setting.beams.to_cms(FourVector(*lab))]


def _visible(columns: Columns, setting: Setting) -> Iterable[Any]:
    rows = segments(columns[_PARTICLES[0]])
    return [rows.sum(flat(columns[name])) for name in _PARTICLES]


def _momenta(columns: Columns) -> tuple[Any, Any, Any, Any]:
    px, py, pz = (flat(columns[name]) for name in _PARTICLES[1:])
    return px, py, pz, segments(columns[_PARTICLES[1]])


def _thrust(columns: Columns, setting: Setting) -> Iterable[Any]:
    return thrust(*_momenta(columns))


def _fox_wolfram(columns: Columns, setting: Setting) -> Iterable[Any]:
    return (fox_wolfram(*_momenta(columns)).r2,)


def _sphericity(columns: Columns, setting: Setting) -> Iterable[Any]:
    return sphericity_eigenvalues(*_momenta(columns)).T


def _cones(columns: Columns, setting: Setting) -> Iterable[Any]:
    axis = (columns[_THRUST[1]], columns[_THRUST[2]], columns[_THRUST[3]])
    return cleo_cones(*_momenta(columns), axis=axis, n_cones=N_CONES).T


GROUPS = (
    Group(
        named("photon"),
        "collection",
        "GeV",
        "of the photon candidates",
        ("cluster_energy", "cluster_theta", "cluster_phi", "cluster_hadronic"),
        _photons,
    ),
    Group(
        _PARTICLES,
        "collection",
        "GeV",
        "of all tracks, as pions, and photon candidates, nominal centre-of-mass frame",
        ("track_px", "track_py", "track_pz", *named("photon")),
        _particles,
    ),
    Group(named("visible_cms"), "event", "GeV", "sum of particle_cms_*", _PARTICLES, _visible),
    Group(_THRUST, "event", "", "thrust of particle_cms_* and its axis, of either sign", _PARTICLES[1:], _thrust),
    Group(
        ("event_r2",), "event", "", "second over zeroth Fox-Wolfram moment of particle_cms_*", _PARTICLES[1:], _fox_wolfram
    ),
    Group(
        ("sphericity_eigenvalue0", "sphericity_eigenvalue1", "sphericity_eigenvalue2"),
        "event",
        "",
        "of the sphericity tensor of particle_cms_*, falling",
        _PARTICLES[1:],
        _sphericity,
    ),
    Group(
        tuple(f"event_cleo_cone{i}" for i in range(N_CONES)),
        "event",
        "GeV",
        "momentum of particle_cms_* in a ten-degree cone around the thrust axis",
        (*_PARTICLES[1:], *_THRUST[1:]),
        _cones,
    ),
)
