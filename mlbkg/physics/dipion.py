"""Hadronic transitions Y(nS) -> pi pi Y(mS): the matrix element measured by CLEO, its spectra, and how to draw from it.

CLEO, Phys. Rev. D 76, 072001 (2007), arXiv:0706.2317, with the chromomagnetic term C = 0; the same amplitude is EvtGen's
model YMSTOYNSPIPICLEO:

    A ~ (eps'.eps) [(q^2 - 2 m_pi^2) + (B/A) E_1 E_2]

q^2 is the squared mass of the dipion, E_1 and E_2 are the pions' energies in the parent's frame. Both terms are S-wave in
the direction of the dipion, which is therefore isotropic, and the daughter keeps the parent's polarisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.constants import M_PION, M_UPSILON_1S, M_UPSILON_2S, M_UPSILON_3S

if TYPE_CHECKING:
    from numpy.random import Generator

Array = NDArray[np.float64]

GRID_POINTS = 4001
"""Of the tabulated cumulative spectrum: interpolating in it moves no mass by more than 1e-5 GeV."""


@dataclass(frozen=True)
class Transition:
    """Masses in GeV; ``ratio`` is the complex B/A of the matrix element."""

    parent_mass: float
    daughter_mass: float
    ratio: complex
    pion_mass: float = M_PION

    @property
    def mass_range(self) -> tuple[float, float]:
        """Kinematic limits of the dipion mass."""
        return 2.0 * self.pion_mass, self.parent_mass - self.daughter_mass


# Central values of CLEO's fits, table V of arXiv:0706.2317, as in EvtGen
UPSILON_3S_TO_1S = Transition(M_UPSILON_3S, M_UPSILON_1S, -2.523 + 1.189j)
UPSILON_2S_TO_1S = Transition(M_UPSILON_2S, M_UPSILON_1S, -0.753 + 0.000j)
UPSILON_3S_TO_2S = Transition(M_UPSILON_3S, M_UPSILON_2S, -0.395 + 0.001j)


def dipion_energy(mass: Array, transition: Transition) -> Array:
    """Of the dipion in the parent's frame, GeV."""
    parent, daughter = transition.parent_mass, transition.daughter_mass
    return (parent**2 - daughter**2 + mass**2) / (2.0 * parent)


def matrix_element_squared(mass: Array, cos_theta: Array, transition: Transition) -> Array:
    """|M|^2 in GeV^4, without normalisation.

    ``cos_theta`` is that of a pion in the dipion frame, against the dipion's direction of flight in the parent's frame.
    """
    constant, slope = _pion_energies_product(mass, transition)
    return _squared(mass, constant - slope * cos_theta**2, transition)


def mass_spectrum(mass: Array, transition: Transition) -> Array:
    """Normalised g(m), 1/GeV: |M|^2 integrated over the angle, times p_X k; zero outside the kinematic limits."""
    grid = np.linspace(*transition.mass_range, GRID_POINTS)
    return _unnormalised_spectrum(mass, transition) / np.trapezoid(_unnormalised_spectrum(grid, transition), grid)


def angular_density(cos_theta: Array, transition: Transition) -> Array:
    """Density of ``cos_theta`` on [-1, 1], integrated over the mass."""
    grid = np.linspace(*transition.mass_range, GRID_POINTS)
    phase_space = _phase_space(grid, transition)
    cos_theta = np.asarray(cos_theta, dtype=np.float64)
    both = matrix_element_squared(grid, cos_theta[..., np.newaxis], transition) * phase_space
    return np.asarray(np.trapezoid(both, grid) / (2.0 * np.trapezoid(_unnormalised_spectrum(grid, transition), grid)))


def sample(rng: Generator, n: int, transition: Transition) -> tuple[Array, Array]:
    """``n`` dipion masses (GeV) and pion angles (cosine in [-1, 1]) drawn from the joint density."""
    grid = np.linspace(*transition.mass_range, GRID_POINTS)
    density = _unnormalised_spectrum(grid, transition)
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    mass = np.interp(rng.random(n), cumulative / cumulative[-1], grid)
    cosine = np.empty(n)
    pending = np.arange(n)
    # |M|^2 is a convex parabola in cos^2, so its largest value is at one of the ends
    ends = [matrix_element_squared(mass, np.full(n, end), transition) for end in (0.0, 1.0)]
    largest = np.maximum(*ends)
    while len(pending):
        tried = rng.uniform(-1.0, 1.0, len(pending))
        value = matrix_element_squared(mass[pending], tried, transition)
        kept = rng.random(len(pending)) * largest[pending] < value
        cosine[pending[kept]] = tried[kept]
        pending = pending[~kept]
    return mass, cosine


def _pion_energies_product(mass: Array, transition: Transition) -> tuple[Array, Array]:
    """(a, b) of E_1 E_2 = a - b cos^2."""
    energy = dipion_energy(mass, transition)
    momentum_squared = np.maximum(energy**2 - mass**2, 0.0)
    velocity_squared = np.maximum(0.25 - (transition.pion_mass / mass) ** 2, 0.0)
    return 0.25 * energy**2, momentum_squared * velocity_squared


def _squared(mass: Array, product: Array, transition: Transition) -> Array:
    q = mass**2 - 2.0 * transition.pion_mass**2
    return q**2 + abs(transition.ratio) ** 2 * product**2 + 2.0 * transition.ratio.real * q * product


def _phase_space(mass: Array, transition: Transition) -> Array:
    momentum = np.sqrt(np.maximum(dipion_energy(mass, transition) ** 2 - mass**2, 0.0))
    return momentum * np.sqrt(np.maximum(0.25 * mass**2 - transition.pion_mass**2, 0.0))


def _unnormalised_spectrum(mass: Array, transition: Transition) -> Array:
    mass = np.asarray(mass, dtype=np.float64)
    constant, slope = _pion_energies_product(mass, transition)
    # Averages of E1E2 = a - b c^2 and of its square over a flat cosine
    mean = constant - slope / 3.0
    mean_square = constant**2 - 2.0 * constant * slope / 3.0 + slope**2 / 5.0
    q = mass**2 - 2.0 * transition.pion_mass**2
    averaged = q**2 + abs(transition.ratio) ** 2 * mean_square + 2.0 * transition.ratio.real * q * mean
    low, high = transition.mass_range
    return np.where((mass >= low) & (mass <= high), averaged * _phase_space(mass, transition), 0.0)
