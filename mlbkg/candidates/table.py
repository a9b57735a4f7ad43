"""Candidates of a chunk of events: columns that are made when asked for and kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.candidates.column import Group, Level, Setting
from mlbkg.candidates.daughters import GROUPS as DAUGHTER_GROUPS
from mlbkg.candidates.event import GROUPS as EVENT_GROUPS
from mlbkg.candidates.jagged import is_jagged, take_rows
from mlbkg.candidates.pairs import PAIR_BRANCHES, PAIRS, FoundPairs, PairKind
from mlbkg.candidates.rest_of_event import GROUPS as REST_GROUPS
from mlbkg.physics.beams import Beams
from mlbkg.physics.segments import Segments
from mlbkg.simulation.events import COLLECTIONS, EVENT

GROUP_OF = {name: group for group in (*DAUGHTER_GROUPS, *EVENT_GROUPS, *REST_GROUPS) for name in group.names}
_BRANCHES: dict[str, tuple[Level, str, str]] = {
    **{name: ("candidate", branch.unit, branch.description) for name, branch in EVENT.items()},
    **{
        f"{collection}_{name}": ("collection", branch.unit, branch.description)
        for collection, branches in COLLECTIONS.items()
        for name, branch in branches.items()
    },
}


class CandidateTable(Mapping[str, Any]):
    """Column name -> array. ``len`` is the number of columns; ``n_candidates`` and ``n_events`` count rows.

    Levels of columns are those of :data:`mlbkg.candidates.column.Level`; flat event branches are handed out per candidate.
    Events without a candidate have no row in the columns of events.
    """

    def __init__(
        self,
        events: Mapping[str, Any],
        *,
        setting: Setting,
        event_rows: NDArray[np.intp],
        columns: Mapping[str, NDArray[Any]],
    ) -> None:
        """``event_rows (n_events,)``: rows of ``events`` that have a candidate. ``columns``: at least those made with."""
        self._events = events
        self._setting = setting
        self._event_rows = event_rows
        self._made = dict(columns)

    @classmethod
    def of_pairs(cls, events: Mapping[str, Any], found: FoundPairs, *, kind: PairKind, beams: Beams) -> CandidateTable:
        n_events = len(events["track_charge"])
        per_event = Segments(np.bincount(found.event, minlength=n_events))
        event_rows = np.flatnonzero(per_event.counts)
        columns: dict[str, NDArray[Any]] = {
            "event_index": np.repeat(np.arange(len(event_rows)), per_event.counts[event_rows]),
            "daughter0_track": found.track0,
            "daughter1_track": found.track1,
            "__candidate__": (np.arange(len(found.event)) - per_event.starts[found.event]).astype(np.int32),
            "__ncandidates__": per_event.counts[found.event].astype(np.int32),
        }
        return cls(events, setting=Setting(kind, beams), event_rows=event_rows, columns=columns)

    @property
    def n_candidates(self) -> int:
        return len(self._made["event_index"])

    @property
    def n_events(self) -> int:
        return len(self._event_rows)

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            group = GROUP_OF.get(name)
            if group is None:
                self._made[name] = self._from_events(name)
            else:
                self._made.update(zip(group.names, group.compute(self, self._setting), strict=True))
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    @cached_property
    def _names(self) -> dict[str, None]:
        computable = (name for name in GROUP_OF if all(branch in self._events for branch in _branches_of([name])))
        return dict.fromkeys((*computable, *self._events))

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> CandidateTable:
        """The chosen candidates (mask or indices), in that order, with the events that still have one."""
        index = self._made["event_index"][rows]
        used = np.zeros(self.n_events, dtype=np.bool_)
        used[index] = True
        event_rows = np.flatnonzero(used)
        made = {}
        for name, values in self._made.items():
            group = GROUP_OF.get(name)
            level = group.level if group else ("collection" if is_jagged(values) else "candidate")
            if level == "candidate":
                made[name] = values[rows]
            elif level == "event":
                made[name] = values[event_rows]
        made["event_index"] = (np.cumsum(used) - 1)[index]
        return CandidateTable(self._events, setting=self._setting, event_rows=self._event_rows[event_rows], columns=made)

    def _from_events(self, name: str) -> Any:
        values = self._events[name]
        if is_jagged(values):
            return take_rows(values, self._event_rows)
        return np.asarray(values)[self._event_rows[self._made["event_index"]]]


def known_columns() -> dict[str, tuple[Level, str, str]]:
    """Column -> level, unit and description, of all that a table of simulated events has."""
    made = {name: (group.level, group.unit, group.description) for name, group in GROUP_OF.items()}
    return {**made, **_BRANCHES}


def required_event_columns(needs: Iterable[str], *, pair: str) -> list[str]:
    """The event branches to read for the candidate columns ``needs``, and to find the candidates, sorted.

    A name that is no known column is taken for a flat event branch of the user's own.
    Raises :class:`UnknownNameError` for an unknown pair.
    """
    truth = [f"daughter{i}_{PAIRS[pair].truth_column}" for i in (0, 1)]
    wanted = {*needs}
    if "is_signal" in wanted:
        wanted = {*(wanted - {"is_signal"}), *truth}
    return sorted({*PAIR_BRANCHES, *_branches_of(wanted)})


def _branches_of(names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    todo, seen = list(names), set[str]()
    while todo:
        name = todo.pop()
        group: Group | None = GROUP_OF.get(name)
        if group is None:
            found.add(name)
        elif name not in seen:
            seen.update(group.names)
            todo.extend(group.needs)
    return found
