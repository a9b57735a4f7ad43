"""e+e- -> gamma* -> f fbar at the nominal energy, handed to Pythia. No initial-state radiation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics.beams import Beams
from mlbkg.simulation.base import Generated
from mlbkg.simulation.hard import HardRecord
from mlbkg.simulation.kinematics import at_rest, back_to_back, fermion_pair_direction
from mlbkg.simulation.pythia import decayed

VIRTUAL_PHOTON = 23
"""Pythia's gamma*/Z0."""


def fermion_pairs(
    rng: Generator, beams: Beams, pdg: NDArray[np.int64], mass: NDArray[np.float64], *, seed: int
) -> Generated:
    """One event per entry of ``pdg``, a pair of that fermion and its antifermion; ``mode`` is the fermion."""
    n, sqrt_s = len(pdg), float(beams.total_mass)
    events = np.arange(n)
    axis = fermion_pair_direction(rng, n, sqrt_s, mass)
    record = HardRecord(n)
    record.add(events, VIRTUAL_PHOTON, at_rest(sqrt_s, n), sqrt_s, resonance=True)
    for sign, fermion in zip((1, -1), back_to_back(axis, sqrt_s, mass, mass), strict=True):
        record.add(events, sign * pdg, fermion, mass, from_resonance=True)
    made = decayed(record.events(), sqrt_s=sqrt_s, seed=seed)
    return replace(made, mode=np.asarray(pdg, dtype=np.int64), from_dipion=None)
