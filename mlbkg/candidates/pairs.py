"""Which two tracks make a candidate, and all such pairs of many events at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlbkg.candidates.jagged import flat, momentum, segments
from mlbkg.physics.constants import M_ELECTRON, M_MUON, M_PION
from mlbkg.physics.segments import Segments
from mlbkg.registry import Registry

Indices = NDArray[np.int64]

# Loose selection of tracks from the interaction point, as in Belle II's "good tracks" with twice its z0; tracks of less
# transverse momentum curl up in the drift chamber and are badly measured.
MAX_D0_CM = 2.0
MAX_Z0_CM = 5.0
MIN_PT_GEV = 0.1

PAIR_BRANCHES = ("track_px", "track_py", "track_charge", "track_d0", "track_z0")
"""Branches that finding the pairs reads."""


@dataclass(frozen=True)
class PairKind:
    """Two opposite charges with the mass hypotheses ``masses`` (GeV).

    Daughter 0 is the positive track where both masses are equal. Where they differ, either charge may be daughter 0, and
    each pair of tracks makes two candidates. A candidate is true where |``truth_column``| of both daughters is ``truth``.
    """

    name: str
    description: str
    masses: tuple[float, float]
    truth_column: Literal["mc_from_dipion", "mc_pdg"]
    truth: tuple[int, int]


PAIRS: Registry[PairKind] = Registry("pair", package="mlbkg.candidates")

for _kind in (
    PairKind("pipi", "pi+ pi- of a transition to the Y(1S)", (M_PION, M_PION), "mc_from_dipion", (1, 1)),
    PairKind("mumu", "mu+ mu-", (M_MUON, M_MUON), "mc_pdg", (13, 13)),
    PairKind("mue", "muon (daughter 0) and electron of opposite charge", (M_MUON, M_ELECTRON), "mc_pdg", (13, 11)),
):
    PAIRS.add(_kind.name, _kind)


@dataclass(frozen=True)
class FoundPairs:
    """Each ``(n_candidates,)``, in event order: the event's row, and the daughters' positions among the event's tracks."""

    event: Indices
    track0: Indices
    track1: Indices


def find_pairs(events: Mapping[str, Any], kind: PairKind) -> FoundPairs:
    tracks = segments(events["track_charge"])
    charge = flat(events["track_charge"])
    accepted = _accepted(events)
    plus, minus = _opposite(np.flatnonzero(accepted & (charge > 0)), np.flatnonzero(accepted & (charge < 0)), tracks)
    if kind.masses[0] != kind.masses[1]:
        plus, minus = np.concatenate([plus, minus]), np.concatenate([minus, plus])
    event = tracks.ids[plus]
    order = np.argsort(event, kind="stable")
    event, plus, minus = event[order], plus[order], minus[order]
    return FoundPairs(event, plus - tracks.starts[event], minus - tracks.starts[event])


def _accepted(events: Mapping[str, Any]) -> NDArray[np.bool_]:
    pt = np.hypot(momentum(events["track_px"]), momentum(events["track_py"]))
    near = (np.abs(flat(events["track_d0"])) < MAX_D0_CM) & (np.abs(flat(events["track_z0"])) < MAX_Z0_CM)
    return np.asarray(near & (pt > MIN_PT_GEV), dtype=np.bool_)


def _opposite(plus: Indices, minus: Indices, tracks: Segments) -> tuple[Indices, Indices]:
    """Every combination of a track of ``plus`` with one of ``minus`` (flat positions, rising) of the same event."""
    partners = np.bincount(tracks.ids[minus], minlength=len(tracks))
    first_partner = np.cumsum(partners) - partners
    event = tracks.ids[plus]
    pairs = Segments(partners[event])
    partner = np.arange(pairs.counts.sum()) - pairs.repeat(pairs.starts - first_partner[event])
    return pairs.repeat(plus), minus[partner]
