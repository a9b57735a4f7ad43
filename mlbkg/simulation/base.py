"""What a process is, what it generates, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics.beams import Beams, beams_named
from mlbkg.physics.lorentz import FourVector
from mlbkg.registry import Registry


@dataclass(frozen=True)
class Generated:
    """The stable particles of ``n_events`` events, in the centre-of-mass frame with z along the electron beam.

    Particle arrays are ``(n_particles,)``, sorted by ``event`` (0 .. n_events - 1); event arrays are ``(n_events,)``.

    pdg: particle code. momentum: GeV. vertex: where it was made, (t, x, y, z) in cm, None where all are at the origin.
    from_dipion: True for the pions of Y(3S) -> pi+ pi- Y(1S).
    mode: see ``mc_mode`` in :mod:`mlbkg.simulation.events`.
    dipion_mass: GeV, NaN where the event has no transition Y(3S) -> pi+ pi- Y(1S).
    leptons: the pair that the Y(1S) decays to before it radiates, ``(2, n_events)`` each component, NaN where there is none.
    """

    n_events: int
    event: NDArray[np.int64]
    pdg: NDArray[np.int64]
    momentum: FourVector
    mode: NDArray[np.int64]
    vertex: FourVector | None = None
    from_dipion: NDArray[np.bool_] | None = None
    dipion_mass: NDArray[np.float64] | None = None
    leptons: FourVector | None = None


GenerateBlock = Callable[[Generator, int, int], Generated]
"""``(rng, n, pythia_seed)`` -> ``n`` events; the same arguments give the same events, whatever was generated before."""


@dataclass(frozen=True)
class Process:
    """One kind of collision.

    ``number`` is unique: events carry ``__experiment__ = 1000 + number``. ``cross_section_nb`` is that of what
    ``generate_block`` makes at the Y(3S), with branching fractions and generator cuts; None where it is not known.
    ``resonant``: the event has the mass of ``beams.resonance_mass`` exactly; else the spread of the beams.
    """

    name: str
    number: int
    description: str
    generate_block: GenerateBlock
    cross_section_nb: float | None
    resonant: bool
    beams: str = "Y3S"

    @property
    def nominal_beams(self) -> Beams:
        return beams_named(self.beams)


PROCESSES: Registry[Process] = Registry("process", package="mlbkg.simulation.processes")


def process(
    name: str, *, number: int, description: str, cross_section_nb: float | None, resonant: bool, beams: str = "Y3S"
) -> Callable[[GenerateBlock], GenerateBlock]:
    """Register the decorated function as the ``generate_block`` of a process."""

    def decorate(function: GenerateBlock) -> GenerateBlock:
        PROCESSES.add(name, Process(name, number, description, function, cross_section_nb, resonant, beams))
        return function

    return decorate
