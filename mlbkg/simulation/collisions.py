"""True beam energies of each event, and its particles in the laboratory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics.beams import Beams
from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.acceptance import CDC, ECL, inside
from mlbkg.simulation.base import Generated

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Collisions:
    """Stable particles in the laboratory, ``(n_particles,)`` sorted by event, and what is known of each event.

    momentum: GeV. vertex: (t, x, y, z) in cm from the collision point. n_leptons_in_*: -1 where there are none.
    """

    n_events: int
    event: NDArray[np.int64]
    pdg: NDArray[np.int64]
    momentum: FourVector
    vertex: FourVector
    from_dipion: NDArray[np.bool_]
    her_energy: Array
    ler_energy: Array
    sqrt_s: Array
    mode: NDArray[np.int64]
    dipion_mass: Array
    n_leptons_in_cdc: NDArray[np.int64]
    n_leptons_in_ecl: NDArray[np.int64]

    @property
    def theta(self) -> Array:
        return np.asarray(np.arctan2(self.momentum.pt, self.momentum.pz))


def collide(rng: Generator, generated: Generated, beams: Beams, *, resonant: bool) -> Collisions:
    """``generated`` as the beams of each event make it."""
    n, event = generated.n_events, generated.event
    her, ler = beam_energies(rng, n, beams, resonant=resonant)
    true_beams = replace(beams, her_energy=her, ler_energy=ler)
    sqrt_s = np.full(n, true_beams.sqrt_s) if resonant else true_beams.total_mass
    # Momenta that scale with the energy keep their sum at zero; the energies miss sqrt(s) by less than 1e-4 of it
    scale = np.ones(n) if resonant else sqrt_s / beams.total_mass
    per_particle = replace(beams, her_energy=her[event], ler_energy=ler[event])
    momentum = per_particle.to_lab(_scaled(generated.momentum, scale[event]))
    nowhere = FourVector(*np.zeros((4, len(event))))
    in_cdc, in_ecl = _leptons_inside(generated, replace(beams, her_energy=her, ler_energy=ler))
    return Collisions(
        n_events=n,
        event=event,
        pdg=generated.pdg,
        momentum=momentum,
        vertex=nowhere if generated.vertex is None else per_particle.to_lab(generated.vertex),
        from_dipion=np.zeros(len(event), dtype=bool) if generated.from_dipion is None else generated.from_dipion,
        her_energy=her,
        ler_energy=ler,
        sqrt_s=sqrt_s,
        mode=generated.mode,
        dipion_mass=np.full(n, np.nan) if generated.dipion_mass is None else generated.dipion_mass,
        n_leptons_in_cdc=in_cdc,
        n_leptons_in_ecl=in_ecl,
    )


def beam_energies(rng: Generator, n: int, beams: Beams, *, resonant: bool) -> tuple[Array, Array]:
    """Gaussian energies of both beams, GeV; on a narrow resonance only those pairs that have its mass.

    Massless beams have s = 4 E_her E_ler cos^2 of half the crossing angle: a resonance fixes the sum of the logarithms, and
    what is left of two Gaussians on that line is again a Gaussian.
    """
    relative = np.array([beams.her_spread / beams.her_energy, beams.ler_spread / beams.ler_energy])
    shifts = relative[:, np.newaxis] * rng.standard_normal((2, n))
    if resonant:
        missing = 2.0 * np.log(beams.sqrt_s / beams.total_mass) - shifts.sum(axis=0)
        shifts += (relative**2 / (relative**2).sum())[:, np.newaxis] * missing
    return beams.her_energy * np.exp(shifts[0]), beams.ler_energy * np.exp(shifts[1])


def _scaled(momentum: FourVector, scale: Array) -> FourVector:
    mass_squared = np.maximum(momentum.mass_squared, 0.0)
    px, py, pz = momentum.px * scale, momentum.py * scale, momentum.pz * scale
    return FourVector(np.sqrt(mass_squared + px**2 + py**2 + pz**2), px, py, pz)


def _leptons_inside(generated: Generated, beams: Beams) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many of the two leptons of the Y(1S) are inside the CDC, and inside the ECL."""
    if generated.leptons is None:
        return np.full(generated.n_events, -1), np.full(generated.n_events, -1)
    lab = beams.to_lab(generated.leptons)
    theta = np.arctan2(lab.pt, lab.pz)
    none = np.isnan(theta[0])
    in_cdc, in_ecl = (np.where(none, -1, inside(theta, part).sum(axis=0)) for part in (CDC, ECL))
    return in_cdc, in_ecl
