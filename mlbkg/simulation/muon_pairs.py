"""e+e- -> mu+ mu- with up to two photons: one of the beams', one of the muons'.

The muons radiate at tree level, with the matrix element of a Z' of mass 0, photons above 1/1000 of the mass of gamma*: 10
MeV at 10.58 GeV. The rest of the cross section to order alpha, sigma_0 (1 + 3 alpha/(4 pi)) less what is above, is a pair
back to back. Left out: a second photon of the muons; interference with the photons of the beams, which makes the
directions of the muons asymmetric in charge; and how the vacuum polarisation runs with the mass of gamma*, a few per cent
and the resonances.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics.constants import ALPHA, M_MUON
from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.assembly import assembled
from mlbkg.simulation.base import Generated
from mlbkg.simulation.initial_radiation import SOFTEST_KEPT, beam_axes, photons, point_like, shares_lost
from mlbkg.simulation.kinematics import back_to_back, boosted, fermion_pair_direction, turned
from mlbkg.simulation.particles import MUON, PHOTON
from mlbkg.simulation.vector_radiation import Masses, radiate, rate

Array = NDArray[np.float64]

SOFTEST = 1e-3
"""Photon of the muons, in units of the mass of gamma*."""
TABLE = 128


class _Radiation(NamedTuple):
    """At a table of masses of gamma* (GeV): the share of pairs with a photon, and the bound of its weight."""

    sqrt_s: Array
    share: Array
    largest: Array


def born(sqrt_s: Array) -> Array:
    """sigma(e+e- -> mu+ mu-) without radiation over 4 pi alpha^2/3, GeV^-2."""
    return point_like(sqrt_s, M_MUON)


def muon_pairs(rng: Generator, n: int, sqrt_s: float) -> Generated:
    lost = shares_lost(rng, n, born, sqrt_s=sqrt_s, threshold=2.0 * M_MUON)
    photon = photons(rng, lost, sqrt_s=sqrt_s)
    axis = beam_axes(rng, photon, sqrt_s=sqrt_s)
    left = FourVector(sqrt_s - photon.e, -photon.px, -photon.py, -photon.pz)
    at_rest = final_states(rng, sqrt_s * np.sqrt(1.0 - lost), highest=sqrt_s)
    plus, minus, own_photon = (boosted(turned(particle, axis), left) for particle in at_rest)
    return assembled(
        [(-MUON, plus), (MUON, minus), (PHOTON, own_photon), (PHOTON, photon)],
        mode=np.full(n, MUON),
        kept=[True, True, own_photon.e > 0.0, photon.e > SOFTEST_KEPT],
    )


def final_states(rng: Generator, sqrt_s: Array, *, highest: float) -> tuple[FourVector, FourVector, FourVector]:
    """``(mu+, mu-, photon)`` from gamma* at rest with the masses ``sqrt_s`` (GeV), z along the beams.

    The photon is 0 where the muons do not radiate. highest: GeV, no mass is above it.
    """
    table = _radiation(highest)
    hard = rng.random(len(sqrt_s)) < np.interp(sqrt_s, table.sqrt_s, table.share, left=0.0)
    made = np.zeros((3, 4, len(sqrt_s)))
    made[:2] = back_to_back(fermion_pair_direction(rng, len(sqrt_s), sqrt_s, M_MUON), sqrt_s, M_MUON, M_MUON)
    mass = sqrt_s[hard]
    largest = np.interp(mass, table.sqrt_s, table.largest)
    made[:, :, hard] = mass * np.array(radiate(rng, _masses(mass), largest=largest, softest=SOFTEST))
    plus, minus, photon = (FourVector(*components) for components in made)
    return plus, minus, photon


@lru_cache(maxsize=8)
def _radiation(highest: float) -> _Radiation:
    """sigma(mu+ mu- gamma) = alpha^3/(12 s) times the integral of T; sigma_0 (1 + 3 alpha/(4 pi)) with the rest."""
    threshold = 2.0 * M_MUON
    # from where the muons can lose 4 x SOFTEST of their mass, twice the softest photon
    sqrt_s = threshold + np.geomspace(2.0 * SOFTEST * threshold, highest - threshold, TABLE)
    at = rate(_masses(sqrt_s), softest=SOFTEST)
    hard = ALPHA**3 / (12.0 * sqrt_s**2) * at.integral
    return _Radiation(
        sqrt_s, hard / (4.0 * np.pi * ALPHA**2 / 3.0 * born(sqrt_s) * (1.0 + 0.75 * ALPHA / np.pi)), at.largest
    )


def _masses(sqrt_s: Array) -> Masses:
    return Masses.of(0.0, M_MUON, M_MUON, sqrt_s=sqrt_s)
