"""Columns of a candidate's two tracks, of the pair they make, and of the nominal beams."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mlbkg.candidates.column import Columns, Group, Setting
from mlbkg.candidates.jagged import flat, segments
from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.events import TRACK

COMPONENTS = ("energy", "px", "py", "pz")


def four_vector(columns: Columns, prefix: str) -> FourVector:
    """The columns ``<prefix>_energy``, ``_px``, ``_py`` and ``_pz``."""
    return FourVector(*(columns[f"{prefix}_{component}"] for component in COMPONENTS))


def named(prefix: str) -> tuple[str, ...]:
    return tuple(f"{prefix}_{component}" for component in COMPONENTS)


def _track_branch(daughter: int, branch: str) -> Group:
    source, position = f"track_{branch}", f"daughter{daughter}_track"

    def compute(columns: Columns, setting: Setting) -> Iterable[Any]:
        tracks = columns[source]
        values = flat(tracks)[segments(tracks).starts[columns["event_index"]] + columns[position]]
        return (values.astype(np.float64) if branch in COMPONENTS else values,)

    description = f"of daughter {daughter}: {TRACK[branch].description}"
    return Group((f"daughter{daughter}_{branch}",), "candidate", TRACK[branch].unit, description, (source,), compute)


def _energy(daughter: int) -> Group:
    prefix = f"daughter{daughter}"
    needs = named(prefix)[1:]

    def compute(columns: Columns, setting: Setting) -> Iterable[Any]:
        square = sum(np.square(columns[name]) for name in needs)
        return (np.sqrt(square + setting.kind.masses[daughter] ** 2),)

    description = f"of daughter {daughter} with the pair's mass hypothesis"
    return Group((f"{prefix}_energy",), "candidate", "GeV", description, needs, compute)


def _pair(columns: Columns, setting: Setting) -> Iterable[Any]:
    return four_vector(columns, "daughter0").plus(four_vector(columns, "daughter1"))


def _in_cms(prefix: str) -> Group:
    def compute(columns: Columns, setting: Setting) -> Iterable[Any]:
        return setting.beams.to_cms(four_vector(columns, prefix))

    description = f"of the {prefix}, nominal centre-of-mass frame, z along the electron beam"
    return Group(named(f"{prefix}_cms"), "candidate", "GeV", description, named(prefix), compute)


def _beam(columns: Columns, setting: Setting) -> Iterable[Any]:
    total, sqrt_s = setting.beams.total, setting.beams.sqrt_s
    # a narrow resonance fixes the mass, the beams the velocity: both frames then give the same recoil mass
    scale = sqrt_s / np.sqrt(total.mass_squared)
    shape = np.shape(columns["event_index"])
    return [np.broadcast_to(np.float64(value), shape) for value in (*(scale * c for c in total), sqrt_s)]


def _is_signal(columns: Columns, setting: Setting) -> Iterable[Any]:
    column, truth = setting.kind.truth_column, setting.kind.truth
    true = [np.abs(columns[f"daughter{i}_{column}"]) == truth[i] for i in (0, 1)]
    return (true[0] & true[1],)


def _no_compute(columns: Columns, setting: Setting) -> Iterable[Any]:
    raise AssertionError("columns that a table is made with are never computed")


MADE_WITH = Group(
    ("event_index", "daughter0_track", "daughter1_track", "__candidate__", "__ncandidates__"),
    "candidate",
    "",
    "row of the event; positions of the daughters among its tracks; number of the candidate in its event, and of how many",
    (),
    _no_compute,
)

GROUPS = (
    MADE_WITH,
    *(_track_branch(daughter, branch) for daughter in (0, 1) for branch in TRACK),
    _energy(0),
    _energy(1),
    Group(named("pair"), "candidate", "GeV", "of the pair", (*named("daughter0"), *named("daughter1")), _pair),
    *(_in_cms(prefix) for prefix in ("pair", "daughter0", "daughter1")),
    Group((*named("beam"), "sqrt_s"), "constant", "GeV", "nominal e+e- system, of mass sqrt_s", (), _beam),
    Group(
        ("is_signal",),
        "candidate",
        "",
        "both daughters are what the pair is meant to be made of",
        tuple(f"daughter{i}_{column}" for i in (0, 1) for column in ("mc_from_dipion", "mc_pdg")),
        _is_signal,
    ),
)
