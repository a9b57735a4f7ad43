"""Photons that the beams radiate before they make a virtual photon.

How much energy is lost follows the radiator of :mod:`mlbkg.physics.radiation`, all of it in one photon, whose polar angle
is that of one photon to order alpha with the mass of the electron: G. Bonneau and F. Martin, Nucl. Phys. B27 (1971) 381.
Most of them leave through the beam pipe, the others are seen. Left out: a second photon along the beams where one is
seen, and the interference with radiation off the final state.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics.constants import M_ELECTRON
from mlbkg.physics.lorentz import FourVector, boost
from mlbkg.physics.radiation import SOFT_BELOW, beta, flattened
from mlbkg.simulation.kinematics import direction

Array = NDArray[np.float64]

TABLE = 2000
"""Points for soft photons, and again for hard ones."""
SOFTEST_KEPT = 1e-3
"""GeV: a photon with less leaves no particle."""


def point_like(sqrt_s: Array, mass: float) -> Array:
    """sigma(e+e- -> f fbar) of a point-like fermion of charge 1, without radiation, over 4 pi alpha^2/3; GeV^-2."""
    r = (mass / sqrt_s) ** 2
    return np.asarray((1.0 + 2.0 * r) * np.sqrt(np.maximum(1.0 - 4.0 * r, 0.0)) / sqrt_s**2)


def shares_lost(rng: Generator, n: int, born: Callable[[Array], Array], *, sqrt_s: float, threshold: float) -> Array:
    """Shares of s that ``n`` events lose.

    born: centre-of-mass energies in GeV -> cross sections without radiation, any unit; a function of a module, since what is
    made of it is kept. threshold: GeV, where ``born`` begins.
    """
    cumulative, power = _spectrum(born, sqrt_s, threshold)
    return np.asarray(np.interp(rng.random(n), cumulative, power) ** (1.0 / beta(sqrt_s)))


def photons(rng: Generator, lost: Array, *, sqrt_s: float) -> FourVector:
    """One that carries away the share ``lost`` of s, for each event; in the centre-of-mass frame, z along the electrons."""
    energy = 0.5 * sqrt_s * lost
    axis = direction(_polar_angles(rng, lost, sqrt_s), rng.uniform(-np.pi, np.pi, len(lost)))
    return FourVector(energy, *(energy * component for component in axis[1:]))


def beam_axes(rng: Generator, photon: FourVector, *, sqrt_s: float) -> FourVector:
    """Unit vectors that what is left knows as the beams, in its own rest frame.

    The electron's direction or the positron's, with probabilities as their squared energies in that frame: exact for one
    photon off massless beams (F. A. Berends et al., Nucl. Phys. B206 (1982) 61), whose squared amplitude is the sum of the
    squares t^2 + t'^2 + u^2 + u'^2.
    """
    half = 0.5 * sqrt_s
    squares = _squares(photon, sqrt_s)
    electron = rng.random(len(photon.e)) * squares.sum(axis=0) < squares[0]
    beam = FourVector(half, 0.0, 0.0, np.where(electron, half, -half))
    energy = sqrt_s - photon.e
    seen = boost(beam, bx=photon.px / energy, by=photon.py / energy, bz=photon.pz / energy)
    return FourVector(np.zeros_like(seen.e), seen.px / seen.e, seen.py / seen.e, seen.pz / seen.e)


def _squares(photon: FourVector, sqrt_s: float) -> Array:
    """Energies of the electron and of the positron in the frame of what is left, squared, up to a factor."""
    return np.array([(sqrt_s - photon.e + sign * photon.pz) ** 2 for sign in (1.0, -1.0)])


@lru_cache(maxsize=8)
def _spectrum(born: Callable[[Array], Array], sqrt_s: float, threshold: float) -> tuple[Array, Array]:
    """Cumulative distribution, and the power beta of the share that is lost: in it, the spectrum of soft photons is flat."""
    b, most = beta(sqrt_s), 1.0 - (threshold / sqrt_s) ** 2
    split = min(SOFT_BELOW, most)
    soft = (np.linspace(0.0, 1.0, TABLE) * split**b) ** (1.0 / b)
    hard = -np.expm1(np.linspace(np.log1p(-split), np.log1p(-most), TABLE))
    x = np.concatenate([soft, hard[1:]])
    power = x**b
    density = flattened(x, b) * born(sqrt_s * np.sqrt(np.maximum(1.0 - x, 1.0 - most)))
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(power))])
    return cumulative / cumulative[-1], power


def _polar_angles(rng: Generator, lost: Array, sqrt_s: float) -> Array:
    """Cosines; 1/(1 - v^2 cos^2) is proposed, v the electrons' velocity, and the rest is at most 1."""
    delta = (2.0 * M_ELECTRON / sqrt_s) ** 2
    velocity = np.sqrt(1.0 - delta)
    rapidity = np.arcsinh(velocity / np.sqrt(delta))
    cosine = np.empty(len(lost))
    pending = np.arange(len(lost))
    while len(pending):
        x = lost[pending]
        # sin^2 from the rapidity, since 1 - cos^2 cancels
        tried = rng.uniform(-rapidity, rapidity, len(x))
        cos = np.tanh(tried) / velocity
        sin2 = np.maximum(1.0 / np.cosh(tried) ** 2 - delta, 0.0) / velocity**2
        kappa = (1.0 - x) ** 2 + 1.0
        subtracted = (0.5 * (x * sin2) ** 2 + delta * ((1.0 - 2.0 * x) * sin2 - x**2 * cos**4)) / kappa
        weight = (sin2 - subtracted) / (sin2 + delta * cos**2)
        kept = rng.random(len(x)) * (1.0 + delta) < weight
        cosine[pending[kept]] = cos[kept]
        pending = pending[~kept]
    return np.clip(cosine, -1.0, 1.0)
