"""Rate of gamma* -> l1 l2 V: a vector that is radiated by one of two leptons, with all masses, at tree level.

The virtual photon and V couple to the leptons as vectors; two diagrams, V off either lepton. With the polarisations of V
summed to -g_ab (V couples to a conserved current), averaged over the photon's orientation, all that is left of the squared
amplitude is

    T = (-g_mn) H^mn,   H^mn = sum_ab (-g_ab) Tr[(p1 + m1) A^ma (p2 - m2) Abar^nb]
    A^ma = gamma^a (p1 + k + m1) gamma^m / d1 + gamma^m (-p2 - k + m2) gamma^a / d2,   d_i = (p_i + k)^2 - m_i^2

Everything here is in units of the photon's mass: squared momenta are fractions of s, and T has no dimension.
Where the leptons are massless, T = 8 {[(x1+e)^2 + (x2+e)^2] / (d1 d2) - e (1/d1^2 + 1/d2^2)} with e = M^2/s, x_i = 1 - d_j.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NODES = 48
"""Of each of the two Gauss-Legendre integrals: 1e-7 of the rate or better from masses of 1e-4 up to the threshold."""
CHUNK = 64
"""Masses at a time, so that the working arrays stay small."""


def integrated_rate(mass: Array, m1: Array, m2: Array) -> Array:
    """Integral of T over dx1 dx2, the leptons' energies in units of half the photon's mass.

    mass, m1, m2: ``(n,)`` masses of V and of the leptons in units of the photon's mass; 0 beyond the threshold.
    """
    result = np.zeros(len(mass))
    open_ = np.flatnonzero(mass + m1 + m2 < 1.0)
    for start in range(0, len(open_), CHUNK):
        part = open_[start : start + CHUNK]
        result[part] = _integrate(*(values[part, np.newaxis, np.newaxis] for values in (mass, m1, m2)))
    return result


def contracted_tensor(d1: Array, d2: Array, *, mass: Array, m1: Array, m2: Array) -> Array:
    """T of the module's head where the denominators of the propagators are ``d1`` and ``d2``."""
    m1m1, m2m2, m1m2, vv = m1 * m1, m2 * m2, m1 * m2, mass * mass
    p1p2 = 0.5 * (1.0 + vv - d1 - d2 - m1m1 - m2m2)
    # p_i . (p_i + k), p_j . (p_i + k) and (p1 + k) . (p2 + k)
    own1, own2 = 0.5 * (d1 - vv) + m1m1, 0.5 * (d2 - vv) + m2m2
    other1, other2 = 0.5 * (1.0 - d1 - m1m1 - m2m2), 0.5 * (1.0 - d2 - m1m1 - m2m2)
    both = p1p2 + 0.5 * (d1 + d2)
    square1 = 2.0 * own1 * other1 - d1 * p1p2 - 4.0 * m1m1 * other1 - 4.0 * m1m2 * (own1 + vv)
    square2 = 2.0 * own2 * other2 - d2 * p1p2 - 4.0 * m2m2 * other2 - 4.0 * m1m2 * (own2 + vv)
    cross = 2.0 * p1p2 * both - m2m2 * own1 - m1m1 * own2 + m1m2 * (p1p2 + other1 + other2 + both) + 2.0 * m1m1 * m2m2
    return np.asarray(16.0 * (square1 / d1**2 + square2 / d2**2 + 2.0 * cross / (d1 * d2)))


@dataclass(frozen=True)
class _Pair:
    """The leptons at one squared mass of theirs, in their frame. All ``(n, NODES, 1)``.

    denominators: d1 + d2. steepest: the smallest d1 and the smallest d2. weight: of the integral over the squared mass.
    """

    denominators: Array
    steepest: tuple[Array, Array]
    weight: Array


def _integrate(mass: Array, m1: Array, m2: Array) -> Array:
    """Over the squared mass of the pair and the angle in its frame. dx1 dx2 = d(pair mass squared) d(d1).

    The angle's variable is log(d2 / d1), in which the peaks of collinear emission, 1/(d1 d2), are flat.
    """
    pair = _pairs(mass, m1, m2)
    low, high = (np.log(pair.denominators / steepest - 1.0) for steepest in pair.steepest[::-1])
    node, node_weight = _nodes()
    log = -low + (low + high) * node
    d1, d2 = pair.denominators / (1.0 + np.exp(log)), pair.denominators / (1.0 + np.exp(-log))
    value = contracted_tensor(d1, d2, mass=mass, m1=m1, m2=m2) * d1 * d2 / pair.denominators
    return np.asarray((value * node_weight * (low + high) * pair.weight).sum(axis=(1, 2)))


def _pairs(mass: Array, m1: Array, m2: Array) -> _Pair:
    """Nodes in v, where the energy of V is M cosh(eta) and eta = eta_max (1 - v^2).

    eta flattens soft emission, 1/E; v the square root at the threshold of the pair. Differences that cancel near a threshold
    are written as products.
    """
    node, node_weight = _nodes()
    v, v_weight = node[:, np.newaxis], node_weight[:, np.newaxis]
    room = (1.0 - mass - m1 - m2) * (1.0 - mass + m1 + m2)
    fastest = 2.0 * np.arcsinh(np.sqrt(room / (4.0 * mass)))
    eta = fastest * (1.0 - v * v)
    above = 4.0 * mass * np.sinh(0.5 * (fastest + eta)) * np.sinh(0.5 * (fastest - eta))
    squared = above + (m1 + m2) ** 2
    momentum = mass * np.sinh(eta)
    # energies and momenta in the frame of the pair, times its mass
    energy, boosted = 0.5 * (1.0 - squared - mass**2), momentum
    lepton = 0.5 * np.sqrt(above * (above + 4.0 * m1 * m2))
    energy1, energy2 = 0.5 * (squared + m1**2 - m2**2), 0.5 * (squared - m1**2 + m2**2)
    steepest = tuple(
        mass**2 + 2.0 * ((mass * lepton) ** 2 + (own * energy) ** 2) / (energy_of * energy + lepton * boosted)
        for own, energy_of in ((m1, energy1), (m2, energy2))
    )
    weight = v_weight * 2.0 * fastest * v * 2.0 * momentum
    return _Pair(denominators=1.0 - squared + mass**2, steepest=(steepest[0], steepest[1]), weight=weight)


@functools.cache
def _nodes() -> tuple[Array, Array]:
    """Points and weights on [0, 1]."""
    point, weight = np.polynomial.legendre.leggauss(NODES)
    return 0.5 * (point + 1.0), 0.5 * weight
