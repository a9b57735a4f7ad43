"""How many candidates pass selections that are not the search's own, streamed, several files side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlbkg.ntuples.expression_functions import truth
from mlbkg.ntuples.expressions import Expression
from mlbkg.parallel import advance, parallel_map
from mlbkg.samples.cuts import CutCounter
from mlbkg.samples.source import CandidateBlock, Recipe, SampleSource, cuts_of, stream

Selections = Mapping[str, Sequence[str]]
"""Name -> cuts that come after the preselection."""


@dataclass(frozen=True)
class Passed:
    """weight: ``(n,)`` physics weights of the candidates that passed. event_id: ``(n, n_id)`` of their events.

    value: ``(n,)`` of the variable that was asked for, NaN without one.
    """

    weight: NDArray[np.float64]
    event_id: NDArray[np.int64]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.weight)


@dataclass(frozen=True)
class _Task:
    source: SampleSource
    recipe: Recipe
    selections: Selections
    variable: str | None


def pass_selections(
    sources: Sequence[SampleSource],
    recipe: Recipe,
    selections: Selections,
    *,
    variable: str | None = None,
    workers: int,
    on_rows: Callable[[int], None] | None = None,
) -> dict[str, Passed]:
    """What of all ``sources`` together passes each selection, each file being read once.

    variable: a feature, spectator or branch whose values are wanted.

    Raises :class:`EmptySampleError` for a selection that nothing passes, with what each cut left, and what
    :func:`~mlbkg.samples.source.stream` raises.
    """
    tasks = [_Task(replace(s, files=(file,)), recipe, selections, variable) for s in sources for file in s.files]
    counters = {name: _counter(name, cuts, len(tasks)) for name, cuts in selections.items()}
    parts: dict[str, list[Passed]] = {name: [] for name in selections}
    for done in parallel_map(_pass, tasks, workers=workers, on_progress=on_rows):
        for name, (passed, counter) in done.items():
            parts[name].append(passed)
            counters[name].merge(counter)
    for counter in counters.values():
        counter.raise_if_empty()
    return {name: _joined(passed) for name, passed in parts.items()}


def _counter(name: str, cuts: Sequence[str], n_files: int) -> CutCounter:
    return CutCounter(f"{name} after the preselection", cuts, n_files)


def _pass(task: _Task) -> dict[str, tuple[Passed, CutCounter]]:
    cuts = {name: [Expression.parse(text) for text in texts] for name, texts in task.selections.items()}
    counters = {name: _counter(name, texts, 1) for name, texts in task.selections.items()}
    no_events = np.empty((0, len(task.recipe.event_id)), dtype=np.int64)
    parts = {name: [Passed(np.empty(0), no_events, np.empty(0))] for name in cuts}
    keep = {name for expressions in cuts.values() for cut in expressions for name in cut.names}
    keep |= {task.variable} if task.variable else set()
    preselection = CutCounter(task.source.name, cuts_of(task.source, task.recipe), 1)
    for block in stream(task.source, task.recipe, preselection, keep=sorted(keep), allow_empty=True):
        value = np.asarray(block.columns[task.variable], dtype=np.float64) if task.variable else np.full(len(block), np.nan)
        for name, expressions in cuts.items():
            rows = _rows(block, expressions, counters[name])
            parts[name].append(Passed(block.weight[rows], block.event_id[rows], value[rows]))
        advance(block.read)
    return {name: (_joined(passed), counters[name]) for name, passed in parts.items()}


def _rows(block: CandidateBlock, cuts: Sequence[Expression], counter: CutCounter) -> NDArray[np.bool_]:
    kept = np.ones(len(block), dtype=np.bool_)
    counter.count(0, block.weight)
    for step, cut in enumerate(cuts, 1):
        for name in cut.names:
            counter.saw(step, name, np.asarray(block.columns[name], dtype=np.float64)[kept])
        kept &= np.broadcast_to(truth(block.columns.evaluate(cut)), kept.shape)
        counter.count(step, block.weight[kept])
    return kept


def _joined(parts: Sequence[Passed]) -> Passed:
    return Passed(*(np.concatenate([getattr(part, key) for part in parts]) for key in ("weight", "event_id", "value")))
