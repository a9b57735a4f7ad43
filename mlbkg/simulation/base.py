"""What a process is, what it generates, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.physics.beams import Beams
from mlbkg.physics.lorentz import FourVector
from mlbkg.registry import Params, Registry


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


class ProcessParams(Params):
    """What a config may set of a process, beside its number of events and its beams."""

    @property
    def hypotheses(self) -> tuple[tuple[float, ...], ...]:
        """Masses (GeV) of the particles that are searched for, one entry for each hypothesis in the sample; event ``i`` of a
        sample belongs to hypothesis ``i`` modulo their number. Empty where nothing is searched for."""
        return ()


@dataclass(frozen=True)
class Setting:
    """What a block is generated with. ``hypothesis``: ``(n, n_masses)`` GeV of each event, ``(n, 0)`` without any."""

    beams: Beams
    pythia_seed: int
    params: ProcessParams
    hypothesis: NDArray[np.float64]


CrossSection = Callable[[Beams, Any], float]
"""``(beams, params)`` -> nb of what a process generates with them; ``params`` are the process' own."""

GenerateBlock = Callable[[Generator, int, Setting], Generated]
"""``(rng, n, setting)`` -> ``n`` events; the same arguments give the same events, whatever was generated before."""


@dataclass(frozen=True)
class Process:
    """One kind of collision.

    ``number`` is unique: events carry ``__experiment__ = 1000 + number``. ``cross_section_nb`` is that of what
    ``generate_block`` makes, with branching fractions and generator cuts: a number for ``beams`` alone, or a function of
    beams and settings; None where it is not known.
    ``resonant``: the event has the mass of ``beams.resonance_mass`` exactly; else the spread of the beams.
    ``beams``: where a config names none.
    """

    name: str
    number: int
    description: str
    generate_block: GenerateBlock
    cross_section_nb: float | CrossSection | None
    resonant: bool
    beams: str = "Y3S"
    params: type[ProcessParams] = ProcessParams

    def cross_section(self, beams: Beams, params: ProcessParams) -> float | None:
        """nb; None where it is not known."""
        if callable(self.cross_section_nb):
            return self.cross_section_nb(beams, params)
        return self.cross_section_nb if beams.name == self.beams else None


PROCESSES: Registry[Process] = Registry("process", package="mlbkg.simulation.processes")


def process(
    name: str,
    *,
    number: int,
    description: str,
    cross_section_nb: float | CrossSection | None,
    resonant: bool,
    beams: str = "Y3S",
    params: type[ProcessParams] = ProcessParams,
) -> Callable[[GenerateBlock], GenerateBlock]:
    """Register the decorated function as the ``generate_block`` of a process."""

    def decorate(function: GenerateBlock) -> GenerateBlock:
        PROCESSES.add(name, Process(name, number, description, function, cross_section_nb, resonant, beams, params))
        return function

    return decorate
