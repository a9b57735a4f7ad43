"""Decays of moving particles, vectorised over events. Random numbers come from the generator that is passed in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics import dipion
from mlbkg.physics.lorentz import FourVector, boost

Array = NDArray[np.float64]


def at_rest(mass: float, n: int) -> FourVector:
    zero = np.zeros(n)
    return FourVector(np.full(n, mass), zero, zero, zero)


def isotropic(rng: Generator, n: int) -> FourVector:
    """Unit momenta without a preferred direction; energy 0."""
    return direction(rng.uniform(-1.0, 1.0, n), rng.uniform(-np.pi, np.pi, n))


def direction(cos_theta: Array, phi: Array) -> FourVector:
    sin_theta = np.sqrt(np.maximum(1.0 - cos_theta**2, 0.0))
    return FourVector(np.zeros_like(cos_theta), sin_theta * np.cos(phi), sin_theta * np.sin(phi), cos_theta)


def back_to_back(axis: FourVector, mass: Any, first_mass: Any, second_mass: Any) -> tuple[FourVector, FourVector]:
    """Two particles from one of ``mass`` at rest, the first along the unit vector ``axis``."""
    first_energy = (mass**2 + first_mass**2 - second_mass**2) / (2.0 * mass)
    momentum = np.sqrt(np.maximum(first_energy**2 - first_mass**2, 0.0))
    px, py, pz = momentum * axis.px, momentum * axis.py, momentum * axis.pz
    return FourVector(first_energy + 0.0 * px, px, py, pz), FourVector(mass - first_energy + 0.0 * px, -px, -py, -pz)


def boosted(vector: FourVector, frame: FourVector) -> FourVector:
    """``vector``, given in the rest frame of a particle, where that particle has the four-momentum ``frame``."""
    return boost(vector, bx=frame.px / frame.e, by=frame.py / frame.e, bz=frame.pz / frame.e)


def two_body(rng: Generator, parent: FourVector, mass: Any, masses: tuple[float, float]) -> tuple[FourVector, FourVector]:
    """Isotropic decay of ``parent`` (invariant mass ``mass``) to two particles."""
    first, second = back_to_back(isotropic(rng, len(parent.px)), mass, *masses)
    return boosted(first, parent), boosted(second, parent)


def dipion_transition(
    rng: Generator, parent: FourVector, transition: dipion.Transition
) -> tuple[FourVector, FourVector, FourVector, Array]:
    """Two pions, the daughter and the dipion's mass; the dipion is isotropic in the parent's frame (S wave)."""
    n = len(parent.px)
    mass, cos_theta = dipion.sample(rng, n, transition)
    axis = isotropic(rng, n)
    pair, daughter = back_to_back(axis, transition.parent_mass, mass, transition.daughter_mass)
    first, second = back_to_back(
        _at_angle(axis, cos_theta, rng.uniform(-np.pi, np.pi, n)), mass, transition.pion_mass, transition.pion_mass
    )
    pions = [boosted(boosted(pion, pair), parent) for pion in (first, second)]
    return pions[0], pions[1], boosted(daughter, parent), mass


def fermion_pair_direction(rng: Generator, n: int, mass: Any, fermion_mass: Any) -> FourVector:
    """Unit vectors with the density of e+e- -> V -> f fbar: 1 + cos^2 + (1 - beta^2) sin^2 about the beams."""
    slope = np.broadcast_to(1.0 - 4.0 * (np.asarray(fermion_mass) / mass) ** 2, n)
    cos_theta = np.empty(n)
    pending = np.arange(n)
    while len(pending):
        tried = rng.uniform(-1.0, 1.0, len(pending))
        # (2 - beta^2) + beta^2 cos^2, at most 2
        squared = slope[pending]
        kept = 2.0 * rng.random(len(pending)) < 2.0 - squared + squared * tried**2
        cos_theta[pending[kept]] = tried[kept]
        pending = pending[~kept]
    return direction(cos_theta, rng.uniform(-np.pi, np.pi, n))


def turned(vector: FourVector, axis: FourVector) -> FourVector:
    """``vector`` after the rotation that takes the z axis to the unit vector ``axis``."""
    transverse = axis.pt
    safe = np.where(transverse > 0.0, transverse, 1.0)
    cos_phi, sin_phi = np.where(transverse > 0.0, axis.px / safe, 1.0), axis.py / safe
    along = axis.pz * vector.px + transverse * vector.pz
    return FourVector(
        vector.e,
        cos_phi * along - sin_phi * vector.py,
        sin_phi * along + cos_phi * vector.py,
        axis.pz * vector.pz - transverse * vector.px,
    )


def _at_angle(axis: FourVector, cos_theta: Array, phi: Array) -> FourVector:
    """Unit vectors at the angle ``theta`` to the unit vectors ``axis``, turned by ``phi`` about them."""
    return turned(direction(cos_theta, phi), axis)
