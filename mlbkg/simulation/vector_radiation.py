"""gamma* -> l1 l2 V at tree level, unweighted: two leptons and a Z' or a photon, in the frame of gamma*.

What is proposed is uniform in y = ln(E + k) of V, where soft emission, dk/E, is flat; in ln(d2/d1), where the peaks along
the leptons, 1/(d1 d2), are; and in space. The squared amplitude, H_xx + H_yy of :mod:`mlbkg.physics.vector_emission`,
accepts or rejects. Over all orientations it is at most H_xx + H_yy + H_zz, so that its bound is found on a grid in y and
ln(d2/d1).

Momenta are in units of the mass of gamma*.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics.lorentz import FourVector
from mlbkg.physics.vector_emission import plane, spatial_trace, transverse_tensor
from mlbkg.simulation.kinematics import isotropic, turned

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]

NODES = 48
"""Of the quadrature in each of the two variables; its largest value, times MARGIN, is the bound."""
MARGIN = 1.05


class Masses(NamedTuple):
    """Of V and of the leptons in units of the mass of gamma*, arrays of one shape."""

    vector: Array
    first: Array
    second: Array

    @classmethod
    def of(cls, vector: Any, first: Any, second: Any, *, sqrt_s: Any) -> Masses:
        """All in GeV, numbers or arrays."""
        scaled = np.broadcast_arrays(*(np.asarray(mass, dtype=np.float64) / sqrt_s for mass in (vector, first, second)))
        return cls(*scaled)

    def take(self, chosen: NDArray[Any]) -> Masses:
        return Masses(*(mass[chosen] for mass in self))


@dataclass(frozen=True)
class Rate:
    """``(n,)`` each. integral: of H_xx + H_yy + H_zz over the leptons' energies in units of half the mass of gamma*.
    largest: bound of the weight."""

    integral: Array
    largest: Array


@dataclass(frozen=True)
class _Vector:
    """V at its momentum, and the interval of ln(d2/d1) that is open to it; arrays of one shape."""

    energy: Array
    momentum: Array
    low: Array
    high: Array

    @property
    def denominators(self) -> Array:
        """d1 + d2."""
        return 2.0 * self.energy


def rate(masses: Masses, *, softest: float = 0.0) -> Rate:
    """``masses``: ``(n,)`` below the threshold. ``softest``: smallest momentum of V, above 0 where V is massless."""
    point, weight = np.polynomial.legendre.leggauss(NODES)
    point, weight = 0.5 * (point + 1.0), 0.5 * weight
    at = Masses(*(mass[:, np.newaxis, np.newaxis] for mass in masses))
    low, high = _range_of_y(at, softest)
    vector = _vector(at, low + (high - low) * point[:, np.newaxis], high)
    d1, d2 = _denominators(vector, point)
    value = spatial_trace(d1, d2, mass=at.vector, m1=at.first, m2=at.second) * _jacobian(vector, d1, d2)
    integral = 2.0 * (high - low) * (value * weight * weight[:, np.newaxis]).sum(axis=(1, 2), keepdims=True)
    return Rate(integral[:, 0, 0], MARGIN * value.max(axis=(1, 2)))


def radiate(
    rng: Generator, masses: Masses, *, largest: Array, softest: float = 0.0
) -> tuple[FourVector, FourVector, FourVector]:
    """``(l1, l2, V)``, one event for each of ``masses``, in units of the mass of gamma*, z along the beams.

    largest: of :func:`rate`, ``(n,)``.
    """
    n = len(largest)
    made = np.empty((3, 4, n))
    pending = np.arange(n)
    excess = 0.0
    while len(pending):
        at, bound = masses.take(pending), largest[pending]
        particles, weight = _proposed(rng, at, softest)
        kept = rng.random(len(pending)) * bound < weight
        made[:, :, pending[kept]] = np.array(particles)[:, :, kept]
        excess = max(excess, float((weight / bound).max()) - 1.0)
        pending = pending[~kept]
    if excess > 0.0:
        logger.warning(
            "the bound of the squared amplitude was exceeded, by up to %.2g of itself: too few such events", excess
        )
    first, second, vector = (FourVector(*components) for components in made)
    return first, second, vector


def _proposed(rng: Generator, masses: Masses, softest: float) -> tuple[tuple[FourVector, FourVector, FourVector], Array]:
    """Events and their weights; H_xx + H_yy times the Jacobian."""
    n = len(masses.vector)
    low, high = _range_of_y(masses, softest)
    vector = _vector(masses, low + (high - low) * rng.random(n), high)
    d1, d2 = _denominators(vector, rng.random(n))
    p1, p2, k = _in_space(rng, masses, d1, d2)
    tensor = transverse_tensor(d1, d2, p1, p2, mass=masses.vector, m1=masses.first, m2=masses.second)
    return (p1, p2, k), tensor * _jacobian(vector, d1, d2)


def _range_of_y(masses: Masses, softest: float) -> tuple[Array, Array]:
    """From V with the momentum ``softest`` to the hardest V, against leptons at rest in their frame."""
    squared = masses.vector**2
    pair = masses.first + masses.second
    energy = 0.5 * (1.0 + squared - pair**2)
    momentum = 0.5 * np.sqrt(((1.0 - masses.vector) ** 2 - pair**2) * ((1.0 + masses.vector) ** 2 - pair**2))
    return np.log(softest + np.sqrt(softest**2 + squared)), np.log(energy + momentum)


def _vector(masses: Masses, y: Array, highest: Array) -> _Vector:
    """Differences that cancel at the threshold of the pair are written as products."""
    squared = masses.vector**2
    energy, momentum = 0.5 * (np.exp(y) + squared * np.exp(-y)), 0.5 * (np.exp(y) - squared * np.exp(-y))
    above = np.expm1(highest - y) * (np.exp(y) - squared * np.exp(-highest))
    pair = above + (masses.first + masses.second) ** 2
    # energies and momenta in the frame of the pair, times its mass
    boosted_energy = energy - squared
    lepton = 0.5 * np.sqrt(above * (above + 4.0 * masses.first * masses.second))
    difference = masses.first**2 - masses.second**2
    logs = []
    for own, twice in ((masses.first, pair + difference), (masses.second, pair - difference)):
        product = 0.5 * twice * boosted_energy + lepton * momentum
        steepest = squared + 2.0 * ((masses.vector * lepton) ** 2 + (own * boosted_energy) ** 2) / product
        logs.append(np.log(2.0 * energy / steepest - 1.0))
    return _Vector(energy, momentum, low=-logs[1], high=logs[0])


def _denominators(vector: _Vector, share: Array) -> tuple[Array, Array]:
    """d1 and d2 at a share of the interval of ln(d2/d1)."""
    log = vector.low + (vector.high - vector.low) * share
    return vector.denominators / (1.0 + np.exp(log)), vector.denominators / (1.0 + np.exp(-log))


def _jacobian(vector: _Vector, d1: Array, d2: Array) -> Array:
    """Of dE dd1 over dy and the share of the interval of ln(d2/d1)."""
    return vector.momentum * d1 * d2 / vector.denominators * (vector.high - vector.low)


def _in_space(rng: Generator, masses: Masses, d1: Array, d2: Array) -> tuple[FourVector, FourVector, FourVector]:
    at = plane(d1, d2, mass=masses.vector, m1=masses.first, m2=masses.second)
    axis, phi = isotropic(rng, len(d1)), rng.uniform(-np.pi, np.pi, len(d1))
    k = FourVector(at.energy, *(at.momentum * component for component in axis[1:]))
    p1 = turned(FourVector(at.e1, at.beside * np.cos(phi), at.beside * np.sin(phi), at.along), axis)
    return p1, FourVector(at.e2, -p1.px - k.px, -p1.py - k.py, -p1.pz - k.pz), k
