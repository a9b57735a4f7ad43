"""Two leptons that are seen, and what goes with them unseen: events of searches for something invisible."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.errors import ConfigError
from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import M_MUON
from mlbkg.physics.lorentz import FourVector
from mlbkg.registry import Field
from mlbkg.simulation.base import Generated, ProcessParams, Setting
from mlbkg.simulation.vector_radiation import Masses, radiate, rate

INVISIBLE = 14
"""``mc_mode`` of a Z' to neutrinos: the code of the muon neutrino."""

MASSES_AT_ONCE = 64
"""So that the grids on which bounds are searched stay small."""


class InvisibleVector(ProcessParams):
    """The largest mass is what Belle II's beams leave beside two muons."""

    masses: tuple[Annotated[float, Field(gt=0, lt=round(BEAMS["Y4S"].total_mass - 2 * M_MUON, 3))], ...] = Field(
        min_length=1, description="of the Z', GeV"
    )

    @property
    def hypotheses(self) -> tuple[tuple[float, ...], ...]:
        return tuple((mass,) for mass in self.masses)


def with_invisible_vector(rng: Generator, setting: Setting, leptons: tuple[float, float]) -> tuple[FourVector, FourVector]:
    """The leptons of e+e- -> l1 l2 V with V of each event's hypothesis; in GeV, in the centre-of-mass frame.

    Raises :class:`ConfigError` where the beams cannot make a mass.
    """
    mass, sqrt_s = setting.hypothesis[:, 0], float(setting.beams.total_mass)
    require_energy(setting, needed=mass + sum(leptons))
    different, which = np.unique(mass, return_inverse=True)
    largest = _bounds(tuple(different.tolist()), leptons, sqrt_s)[which]
    first, second, _ = radiate(rng, Masses.of(mass, *leptons, sqrt_s=sqrt_s), largest=largest)
    return scaled(first, sqrt_s), scaled(second, sqrt_s)


def require_energy(setting: Setting, *, needed: NDArray[np.float64]) -> None:
    """``needed``: GeV, of each event."""
    sqrt_s = float(setting.beams.total_mass)
    if np.max(needed, initial=0.0) < sqrt_s:
        return
    raise ConfigError(
        f"masses must leave energy to what goes with them: the beams {setting.beams.name} have {sqrt_s:.4f} GeV; "
        f"{needed.max():.4f} GeV are needed",
        where="masses",
        hint="Take smaller masses, or other beams",
    )


def scaled(momentum: FourVector, factor: Any) -> FourVector:
    return FourVector(*(component * factor for component in momentum))


def pair_events(
    first: FourVector, second: FourVector, *, pdg: tuple[NDArray[np.int64] | int, NDArray[np.int64] | int], mode: int
) -> Generated:
    """Events of two particles each; ``pdg`` of the first and the second, numbers or one value per event."""
    n = len(first.px)
    codes = [np.broadcast_to(np.asarray(code, dtype=np.int64), n) for code in pdg]
    return Generated(
        n_events=n,
        event=np.repeat(np.arange(n), 2),
        pdg=np.column_stack(codes).ravel(),
        momentum=FourVector(*(np.column_stack(pair).ravel() for pair in zip(first, second, strict=True))),
        mode=np.full(n, mode),
    )


@lru_cache(maxsize=8)
def _bounds(masses: tuple[float, ...], leptons: tuple[float, float], sqrt_s: float) -> NDArray[np.float64]:
    """Of the weights of :func:`radiate`; kept, since every block of a sample has the same masses."""
    parts = np.split(np.array(masses), range(MASSES_AT_ONCE, len(masses), MASSES_AT_ONCE))
    return np.concatenate([rate(Masses.of(part, *leptons, sqrt_s=sqrt_s)).largest for part in parts])
