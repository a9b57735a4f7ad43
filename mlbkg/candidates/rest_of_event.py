"""Columns of what is left of an event without a candidate's two tracks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mlbkg.candidates.column import Columns, Group, Setting
from mlbkg.candidates.daughters import named
from mlbkg.candidates.jagged import flat, jagged, momentum, segments, take_rows
from mlbkg.physics.constants import M_PION
from mlbkg.physics.segments import Segments
from mlbkg.simulation.events import COLLECTIONS


def _track_rows(columns: Columns, setting: Setting) -> Iterable[Any]:
    tracks, event = segments(columns["track_charge"]), columns["event_index"]
    all_tracks = Segments(tracks.counts[event])
    position = np.arange(all_tracks.counts.sum()) - all_tracks.repeat(all_tracks.starts)
    daughters = (all_tracks.repeat(columns[name]) for name in ("daughter0_track", "daughter1_track"))
    rest = np.logical_and(*(position != daughter for daughter in daughters))
    row = position + all_tracks.repeat(tracks.starts[event])
    return (jagged(row[rest], Segments(all_tracks.counts - 2)),)


def _track_branch(branch: str) -> Group:
    source = f"track_{branch}"

    def compute(columns: Columns, setting: Setting) -> Iterable[Any]:
        rows = columns["roe_track_row"]
        return (jagged(flat(columns[source])[flat(rows)], segments(rows)),)

    description = "of the tracks of the rest of the event"
    return Group(
        (f"roe_{source}",), "rest", COLLECTIONS["track"][branch].unit, description, (source, "roe_track_row"), compute
    )


def _neutral_branch(collection: str, branch: str) -> Group:
    source = f"{collection}_{branch}"

    def compute(columns: Columns, setting: Setting) -> Iterable[Any]:
        return (take_rows(columns[source], columns["event_index"]),)

    unit = COLLECTIONS[collection][branch].unit
    return Group((f"roe_{source}",), "rest", unit, f"of the {collection}s of the rest of the event", (source,), compute)


def _sum(columns: Columns, setting: Setting) -> Iterable[Any]:
    rows = segments(columns["roe_track_px"])
    momenta = [momentum(columns[f"roe_track_{c}"]) for c in ("px", "py", "pz")]
    energy = np.sqrt(sum(np.square(p) for p in momenta) + M_PION**2)
    photons = segments(columns["photon_energy"])
    neutral = (photons.sum(flat(columns[name]))[columns["event_index"]] for name in named("photon"))
    return [rows.sum(tracks) + more for tracks, more in zip((energy, *momenta), neutral, strict=True)]


GROUPS = (
    Group(
        ("roe_track_row",),
        "rest",
        "",
        "positions of the other tracks in the flattened track_* columns",
        ("track_charge",),
        _track_rows,
    ),
    *(_track_branch(branch) for branch in COLLECTIONS["track"]),
    *(_neutral_branch(name, branch) for name in ("cluster", "klm") for branch in COLLECTIONS[name]),
    Group(
        named("roe"),
        "candidate",
        "GeV",
        "sum of the tracks, as pions, and photon candidates of the rest of the event",
        ("roe_track_px", "roe_track_py", "roe_track_pz", *named("photon")),
        _sum,
    ),
)
