"""Squared amplitude of e+e- -> gamma* -> l1 l2 V at tree level: a vector radiated by one of two leptons, with all masses.

A photon (mass 0) or a Z', two diagrams. Massless beams along z make the virtual photon transverse: with the tensor H^mn of
:mod:`mlbkg.physics.three_body_rate` the squared amplitude is (H_xx + H_yy)/(2 s), in the centre-of-mass frame, times
(4 pi alpha)^2 g'^2. V's polarisations are summed, the beams' averaged. H^mn is positive, so that

    0 <= H_xx + H_yy <= H_xx + H_yy + H_zz,   and the mean over all orientations is 2/3 of the sum.

Where both leptons have the same mass the current is conserved, and the sum is (-g_mn) H^mn = T.

Arguments without a unit are in units of sqrt(s), arrays ``(n,)`` or of any shapes that broadcast; d1 and d2 are the
denominators of the propagators, (p_i + k)^2 - m_i^2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.lorentz import FourVector

Array = NDArray[np.float64]


class Plane(NamedTuple):
    """Energies in the centre-of-mass frame, V's momentum, and the first lepton's along V and beside it."""

    e1: Array
    e2: Array
    energy: Array
    momentum: Array
    along: Array
    beside: Array


def squared_amplitude(p1: FourVector, p2: FourVector, vector: FourVector, *, mass: Array, m1: Array, m2: Array) -> Array:
    """(H_xx + H_yy)/(2 s) in GeV^-2, ``(n,)``.

    p1, p2, vector: four-momenta in the centre-of-mass frame, z along the beams, GeV ``(n,)``. mass, m1, m2: theirs, numbers
    or ``(n,)``; given because a mass that is small beside the energy cannot be had from the four-momentum.
    """
    sqrt_s = p1.e + p2.e + vector.e
    d1, d2 = (
        (2.0 * (p.e * vector.e - p.px * vector.px - p.py * vector.py - p.pz * vector.pz) + mass**2) / sqrt_s**2
        for p in (p1, p2)
    )
    first, second = (FourVector(*(component / sqrt_s for component in p)) for p in (p1, p2))
    tensor = transverse_tensor(d1, d2, first, second, mass=mass / sqrt_s, m1=m1 / sqrt_s, m2=m2 / sqrt_s)
    return np.asarray(tensor / (2.0 * sqrt_s**2))


def transverse_tensor(d1: Array, d2: Array, p1: FourVector, p2: FourVector, *, mass: Array, m1: Array, m2: Array) -> Array:
    """H_xx + H_yy."""
    along_x = contraction(d1, d2, p1.px, p2.px, mass=mass, m1=m1, m2=m2)
    return along_x + contraction(d1, d2, p1.py, p2.py, mass=mass, m1=m1, m2=m2)


def spatial_trace(d1: Array, d2: Array, *, mass: Array, m1: Array, m2: Array) -> Array:
    """H_xx + H_yy + H_zz, the same in all orientations of the event."""
    at = plane(d1, d2, mass=mass, m1=m1, m2=m2)
    nothing = np.zeros_like(at.along)
    axes = ((at.along, -at.momentum - at.along), (at.beside, -at.beside), (nothing, nothing))
    return np.asarray(sum(contraction(d1, d2, n1, n2, mass=mass, m1=m1, m2=m2) for n1, n2 in axes))


def plane(d1: Array, d2: Array, *, mass: Array, m1: Array, m2: Array) -> Plane:
    """The event in its own plane."""
    e1, e2 = 0.5 * (1.0 + m1**2 - d2 - m2**2), 0.5 * (1.0 + m2**2 - d1 - m1**2)
    energy = 0.5 * (d1 + d2)
    momentum = np.sqrt(np.maximum(energy**2 - mass**2, 0.0))
    along = (e1 * energy + 0.5 * (mass**2 - d1)) / np.where(momentum > 0.0, momentum, 1.0)
    beside = np.sqrt(np.maximum(e1**2 - m1**2 - along**2, 0.0))
    return Plane(e1, e2, energy, momentum, along, beside)


def contraction(d1: Array, d2: Array, n1: Array, n2: Array, *, mass: Array, m1: Array, m2: Array) -> Array:
    """n_m n_n H^mn for a unit vector n of space, in which the leptons have the momenta n1 and n2.

    The equations of motion turn the matrices between the spinors into (2 p1^a + gamma^a k) n/d1 - n (2 p2^a + k gamma^a)/d2;
    n p_j n = r_j reflects a momentum, r_j = p_j + 2 (n.p_j) n, and the traces that are left have at most four matrices.
    """
    m1m1, m2m2, m1m2, vv = m1 * m1, m2 * m2, m1 * m2, mass * mass
    p1k, p2k = 0.5 * (d1 - vv), 0.5 * (d2 - vv)
    p1p2 = 0.5 * (1.0 + vv - d1 - d2 - m1m1 - m2m2)
    # products with the reflected momenta; the three momenta along n add up to 0
    nk = n1 + n2
    mixed = 2.0 * n1 * n2 + p1p2
    k_r1, k_r2 = p1k - 2.0 * n1 * nk, p2k - 2.0 * n2 * nk
    p1_r1, p2_r2 = 2.0 * n1 * n1 + m1m1, 2.0 * n2 * n2 + m2m2
    square1 = 2.0 * k_r2 * p1k - 2.0 * m1m1 * (mixed + k_r2 + m1m2) - vv * mixed - 2.0 * m1m2 * (p1k + vv)
    square2 = 2.0 * k_r1 * p2k - 2.0 * m2m2 * (mixed + k_r1 + m1m2) - vv * mixed - 2.0 * m1m2 * (p2k + vv)
    cross = 2.0 * p1p2 * (mixed + m1m2) + p1p2 * (k_r1 + k_r2) + (mixed + m1m2) * (p1k + p2k)
    cross += p1p2 * vv - p1_r1 * p2k - p2_r2 * p1k - 2.0 * m1m2 * nk * nk
    return np.asarray(8.0 * (square1 / d1**2 + square2 / d2**2 + 2.0 * cross / (d1 * d2)))
