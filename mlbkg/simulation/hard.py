"""Events before Pythia: what is left to decay, shower and hadronise, as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.physics.lorentz import FourVector


@dataclass(frozen=True)
class HardEvents:
    """Particles in the centre-of-mass frame, ``(n_particles,)``, sorted by event.

    resonance: True for the one particle of an event that is already decayed; it comes first in its event.
    from_resonance: True for its daughters.
    """

    n_events: int
    event: NDArray[np.int64]
    pdg: NDArray[np.int64]
    momentum: FourVector
    mass: NDArray[np.float64]
    resonance: NDArray[np.bool_]
    from_resonance: NDArray[np.bool_]

    def take(self, events: NDArray[np.int64]) -> HardEvents:
        """The chosen events (sorted indices), numbered anew."""
        number = np.full(self.n_events, -1)
        number[events] = np.arange(len(events))
        kept = number[self.event] >= 0
        return HardEvents(
            len(events),
            number[self.event[kept]],
            self.pdg[kept],
            FourVector(*(component[kept] for component in self.momentum)),
            self.mass[kept],
            self.resonance[kept],
            self.from_resonance[kept],
        )


@dataclass
class HardRecord:
    """Collects particles, many events at a time, into :class:`HardEvents`."""

    n_events: int
    _parts: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        events: NDArray[np.int64],
        pdg: Any,
        momentum: FourVector,
        mass: Any,
        *,
        resonance: bool = False,
        from_resonance: bool = False,
    ) -> None:
        """One particle for each of ``events``; ``pdg`` and ``mass`` are numbers or arrays."""
        shape = len(events)
        self._parts.append(
            {
                "event": events,
                "pdg": np.broadcast_to(np.asarray(pdg, dtype=np.int64), shape),
                "e": momentum.e,
                "px": momentum.px,
                "py": momentum.py,
                "pz": momentum.pz,
                "mass": np.broadcast_to(np.asarray(mass, dtype=np.float64), shape),
                "resonance": np.full(shape, resonance),
                "from_resonance": np.full(shape, from_resonance),
            }
        )

    def events(self) -> HardEvents:
        merged = {name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]}
        order = np.lexsort((~merged["resonance"], merged["event"]))
        ordered = {name: values[order] for name, values in merged.items()}
        momentum = FourVector(*(ordered.pop(name) for name in ("e", "px", "py", "pz")))
        return HardEvents(n_events=self.n_events, momentum=momentum, **ordered)
