"""What a column of a candidate table is: its shape, what it is made of, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mlbkg.candidates.pairs import PairKind
from mlbkg.physics.beams import Beams

Columns = Mapping[str, Any]

Level = Literal["candidate", "constant", "event", "collection", "rest"]
"""candidate: flat ``(n_candidates,)``; constant: the same, one value broadcast; event: flat ``(n_events,)``;
collection: jagged, a row per event; rest: jagged, a row per candidate. ``event_index`` leads from candidates to events."""


@dataclass(frozen=True)
class Setting:
    """What a table holds beside its columns."""

    kind: PairKind
    beams: Beams


@dataclass(frozen=True)
class Group:
    """Columns that are computed together. ``compute`` is pure and returns one array per name."""

    names: tuple[str, ...]
    level: Level
    unit: str
    description: str
    needs: tuple[str, ...]
    compute: Callable[[Columns, Setting], Iterable[Any]]
