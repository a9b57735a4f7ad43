"""Files of all samples to one :class:`Sample` in memory, several files side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlbkg.parallel import advance, parallel_map
from mlbkg.samples.cuts import CutCount, CutCounter
from mlbkg.samples.folds import assign_folds
from mlbkg.samples.sample import Sample, concatenate
from mlbkg.samples.source import CandidateBlock, Recipe, SampleSource, cuts_of, stream


@dataclass(frozen=True)
class LoadedSamples:
    """``sample``: all candidates. ``source``: ``(n,)`` index into the sources. ``cutflow``: every cut of every source."""

    sample: Sample
    source: np.ndarray[tuple[int], np.dtype[np.int16]]
    cutflow: tuple[CutCount, ...]


@dataclass(frozen=True)
class _Task:
    source: SampleSource
    recipe: Recipe
    categories: tuple[str, ...]
    truth: tuple[str, ...]
    n_folds: int
    salt: str


def load_samples(
    sources: Sequence[SampleSource],
    recipe: Recipe,
    *,
    n_folds: int,
    salt: str,
    workers: int,
    on_rows: Callable[[int], None] | None = None,
) -> LoadedSamples:
    """Read, cut and compute every source, in the order given.

    Raises :class:`EmptySampleError` for a source of which nothing is left, and what :func:`stream` raises.
    """
    categories = tuple(dict.fromkeys(source.category for source in sources))
    truth = tuple(dict.fromkeys(name for source in sources for name in source.truth))
    tasks = [
        _Task(replace(source, files=(file,)), recipe, categories, truth, n_folds, salt)
        for source in sources
        for file in source.files
    ]
    counters = {s.name: CutCounter(s.name, cuts_of(s, recipe), len(s.files)) for s in sources}
    loaded = parallel_map(_load, tasks, workers=workers, on_progress=on_rows)
    parts, rows = [], dict.fromkeys(counters, 0)
    for task, (part, counter) in zip(tasks, loaded, strict=True):
        parts.append(part)
        rows[task.source.name] += len(part)
        counters[task.source.name].merge(counter)
    for counter in counters.values():
        counter.raise_if_empty()
    index = np.repeat(np.arange(len(sources), dtype=np.int16), list(rows.values()))
    counts = tuple(count for counter in counters.values() for count in counter.counts())
    return LoadedSamples(concatenate(parts), index, counts)


def _load(task: _Task) -> tuple[Sample, CutCounter]:
    counter = CutCounter(task.source.name, cuts_of(task.source, task.recipe), 1)
    parts = [_no_rows(task)]
    for block in stream(task.source, task.recipe, counter, allow_empty=True):
        parts.append(_rows(block, task))
        advance(block.read)
    return concatenate(parts), counter


def _rows(block: CandidateBlock, task: _Task) -> Sample:
    n = len(block)
    return Sample(
        feature_names=task.recipe.feature_names,
        category_names=task.categories,
        features=block.matrix(task.recipe.feature_names),
        label=np.full(n, task.source.label, dtype=np.int8),
        weight=block.weight,
        event_id=block.event_id,
        fold=assign_folds(block.event_id, n_folds=task.n_folds, salt=task.salt),
        category=np.full(n, task.categories.index(task.source.category), dtype=np.int16),
        spectators={name: np.asarray(block.columns[name], dtype=np.float64) for name in task.recipe.spectator_names},
        truth={
            name: np.asarray(block.columns.column(name), dtype=np.float64)
            if name in task.source.truth
            else np.full(n, np.nan)
            for name in task.truth
        },
    )


def _no_rows(task: _Task) -> Sample:
    recipe = task.recipe
    return Sample(
        feature_names=recipe.feature_names,
        category_names=task.categories,
        features=np.empty((0, len(recipe.features)), dtype=np.float32),
        label=np.empty(0, dtype=np.int8),
        weight=np.empty(0),
        event_id=np.empty((0, len(recipe.event_id)), dtype=np.int64),
        fold=np.empty(0, dtype=np.int8),
        category=np.empty(0, dtype=np.int16),
        spectators={name: np.empty(0) for name in recipe.spectator_names},
        truth={name: np.empty(0) for name in task.truth},
    )
