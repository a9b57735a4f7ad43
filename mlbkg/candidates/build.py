"""From events to candidates, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlbkg.candidates.pairs import PAIRS, find_pairs
from mlbkg.candidates.table import CandidateTable
from mlbkg.physics.beams import beams_named


def build(events: Mapping[str, Any], *, pair: str, beams: str) -> CandidateTable:
    """All candidates of a chunk of events.

    ``events``: branches as ``mlbkg.simulation.events`` names them, flat ones ``(n_events,)``, collections jagged.
    Raises :class:`UnknownNameError` for an unknown pair or unknown beams.
    """
    kind = PAIRS[pair]
    return CandidateTable.of_pairs(events, find_pairs(events, kind), kind=kind, beams=beams_named(beams))
