"""Photons that the beams radiate before they collide: to leading order, with soft photons summed to all orders.

E. A. Kuraev and V. S. Fadin, Sov. J. Nucl. Phys. 41, 466 (1985), without terms in beta^2: the collision keeps the share
1 - x of s with the density

    W(x) = beta x^(beta-1) [1 + 3 beta/4 + alpha/pi (pi^2/3 - 1/2)] - beta (1 - x/2),   beta = 2 alpha/pi (ln s/m_e^2 - 1)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.constants import ALPHA, M_ELECTRON

Array = NDArray[np.float64]

NODES = 32
SOFT_BELOW = 0.1
"""Share of s that is lost, up to which the integral runs over x^beta; beyond it runs over log(1 - x)."""


def beta(sqrt_s: float) -> float:
    """How much is radiated: 0.0877 at 10.58 GeV."""
    return 2.0 * ALPHA / math.pi * (2.0 * math.log(sqrt_s / M_ELECTRON) - 1.0)


def flattened(x: Array, b: float) -> Array:
    """W(x) over the derivative of x^b, ``b`` = :func:`beta`: finite where W is not."""
    soft = 1.0 + 0.75 * b + ALPHA / math.pi * (math.pi**2 / 3.0 - 0.5)
    return np.asarray(soft - x ** (1.0 - b) * (1.0 - 0.5 * x))


def radiated(born: Callable[[Array], Array], *, sqrt_s: float, threshold: float) -> float:
    """The cross section with radiation off the beams, whatever they lose; in the unit of ``born``.

    born: centre-of-mass energies ``(n,)`` GeV -> cross sections ``(n,)`` without radiation. threshold: the energy in GeV
    where ``born`` begins; it must rise from there smoothly. Good to 1e-4.
    """
    most = 1.0 - (threshold / sqrt_s) ** 2
    if most <= 0.0:
        return 0.0
    lost, weight = _nodes(beta(sqrt_s), most)
    return float(weight @ born(sqrt_s * np.sqrt(1.0 - lost)))


def _nodes(b: float, most: float) -> tuple[Array, Array]:
    """Points x in (0, most) and weights that hold W(x)."""
    point, weight = np.polynomial.legendre.leggauss(NODES)
    point, weight = 0.5 * (point + 1.0), 0.5 * weight
    split = min(SOFT_BELOW, most)
    end = split**b
    x = (end * point) ** (1.0 / b)
    x_weight = end * weight * flattened(x, b)
    if split == most:
        return x, x_weight
    first, last = math.log1p(-split), math.log1p(-most)
    kept = np.exp(last + (first - last) * point)
    hard = 1.0 - kept
    density = b * hard ** (b - 1.0) * flattened(hard, b)
    return np.concatenate([x, hard]), np.concatenate([x_weight, (first - last) * weight * kept * density])
