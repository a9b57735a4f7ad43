"""tau+ tau- -> two leptons and four neutrinos, with the correlation of the spins; only the leptons are seen.

Of a tau at rest with the polarisation P, the lepton has dGamma / dx dOmega ~ k [f(x) -+ g(x) P.n] for a negative or positive
tau, where x = E / E_max, x0 = m / E_max, k^2 = x^2 - x0^2, n is its direction, and by V-A

    f = x (3 - 2x) - x0^2,   g = k [2x - 2 + sqrt(1 - x0^2)]

(PDG, review of muon decay parameters, rho = delta = 3/4). Photons of the taus and of the leptons are left out.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics.constants import M_ELECTRON, M_MUON, M_TAU
from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.kinematics import back_to_back, boosted, fermion_pair_direction, isotropic
from mlbkg.simulation.particles import ELECTRON, MUON

Array = NDArray[np.float64]

BRANCHING_FRACTIONS = {MUON: 0.1739, ELECTRON: 0.1782}
"""PDG."""

MASSES = {MUON: M_MUON, ELECTRON: M_ELECTRON}

TABLE = 20_001
"""Points of the energy spectra."""


def modes(rng: Generator, n: int) -> NDArray[np.int64]:
    """``(n,)`` particle codes of the leptons that taus decay to, by their branching fractions."""
    share = np.array(list(BRANCHING_FRACTIONS.values()))
    return rng.choice(list(BRANCHING_FRACTIONS), size=n, p=share / share.sum())


def leptonic_mode(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """``mc_mode`` of two taus that decay to leptons of these codes: 1111, 1113 or 1313."""
    return 100 * np.minimum(first, second) + np.maximum(first, second)


def leptons_of_tau_pairs(
    rng: Generator, sqrt_s: Array, first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[FourVector, FourVector]:
    """Leptons of the codes ``first`` from tau- and ``second`` from tau+, of gamma* at rest with the masses ``sqrt_s``
    (GeV), z along the electrons; ``(n,)`` each."""
    flight = fermion_pair_direction(rng, len(sqrt_s), sqrt_s, M_TAU)
    taus = back_to_back(flight, sqrt_s, M_TAU, M_TAU)
    energies, directions = _decays(rng, np.array(flight[1:]), sqrt_s / (2.0 * M_TAU), np.array([first, second]))
    leptons = [
        boosted(_lepton(*decay), tau) for *decay, tau in zip(energies, directions, (first, second), taus, strict=True)
    ]
    return leptons[0], leptons[1]


def spin_correlation(flight: Array, gamma: Array, first: Array, second: Array) -> Array:
    """``first``.C.``second``, C_ij the mean of sigma_i sigma_j of the spins of tau- and tau+, each in its own rest frame.

    Unit vectors ``(3, n)``, z along the electrons; ``gamma`` of the taus ``(n,)``. A photon of polarisation e makes the
    triplet along f = e with its component along the flight over gamma, in which C_ij = delta_ij - 2 f_i f_j / f^2; the
    beams make the two e across z alike (the same as in J. Bernabeu et al., Nucl. Phys. B 790 (2008) 160, Eq. (6)).
    """
    shrunk = [vector - (1.0 - 1.0 / gamma) * _dot(flight, vector) * flight for vector in (first, second)]
    across = shrunk[0][0] * shrunk[1][0] + shrunk[0][1] * shrunk[1][1]
    total = 2.0 - (1.0 - 1.0 / gamma**2) * (1.0 - flight[2] ** 2)
    return np.asarray(_dot(first, second) - 2.0 * across / total)


def _decays(rng: Generator, flight: Array, gamma: Array, codes: NDArray[np.int64]) -> tuple[Array, Array]:
    """x ``(2, n)`` and directions ``(2, 3, n)`` of both leptons in the rest frames of their taus."""
    n = len(gamma)
    energies, directions = np.empty((2, n)), np.empty((2, 3, n))
    pending = np.arange(n)
    while len(pending):
        x, analysing_power = _energy_fractions(rng, codes[:, pending])
        axes = [np.array(isotropic(rng, len(pending))[1:]) for _ in range(2)]
        weight = 1.0 - analysing_power.prod(axis=0) * spin_correlation(flight[:, pending], gamma[pending], *axes)
        kept = 2.0 * rng.random(len(pending)) < weight
        energies[:, pending[kept]], directions[:, :, pending[kept]] = x[:, kept], np.array(axes)[:, :, kept]
        pending = pending[~kept]
    return energies, directions


def _energy_fractions(rng: Generator, codes: NDArray[np.int64]) -> tuple[Array, Array]:
    """x of leptons of these codes, and g/f there."""
    u = rng.random(codes.shape)
    x, power = np.empty(codes.shape), np.empty(codes.shape)
    for code in MASSES:
        own = codes == code
        cumulative, points, powers = _spectrum(code)
        x[own] = np.interp(u[own], cumulative, points)
        power[own] = np.interp(x[own], points, powers)
    return x, power


@lru_cache(maxsize=2)
def _spectrum(code: int) -> tuple[Array, Array, Array]:
    """Cumulative distribution, x and g/f; their limit at rest is 0."""
    smallest = 2.0 * M_TAU * MASSES[code] / (M_TAU**2 + MASSES[code] ** 2)
    x = np.linspace(smallest, 1.0, TABLE)
    k = np.sqrt(x**2 - smallest**2)
    f = x * (3.0 - 2.0 * x) - smallest**2
    g = k * (2.0 * x - 2.0 + np.sqrt(1.0 - smallest**2))
    cumulative = np.concatenate([[0.0], np.cumsum((k * f)[1:] + (k * f)[:-1])])
    return cumulative / cumulative[-1], x, g / f


def _lepton(x: Array, axis: Array, codes: NDArray[np.int64]) -> FourVector:
    """In the tau's rest frame."""
    mass = np.where(codes == MUON, M_MUON, M_ELECTRON)
    energy = np.maximum(x * (M_TAU**2 + mass**2) / (2.0 * M_TAU), mass)
    return FourVector(energy, *(np.sqrt(energy**2 - mass**2) * axis))


def _dot(a: Array, b: Array) -> Array:
    return np.asarray((a * b).sum(axis=0))
