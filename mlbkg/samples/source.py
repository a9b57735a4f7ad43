"""From files to chunks of candidates that passed the cuts, streamed, with features computed on the survivors only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.candidates.build import build
from mlbkg.candidates.table import required_event_columns
from mlbkg.errors import NtupleError, WeightError
from mlbkg.features.base import Feature
from mlbkg.features.resolve import FeatureColumns, FeatureSpec, base_columns, resolve
from mlbkg.ntuples.expression_functions import truth
from mlbkg.ntuples.expressions import Expression
from mlbkg.ntuples.read import Chunk, iterate
from mlbkg.samples.cuts import CutCounter

ENTRY = "__entry__"
"""Row number within the file: an event id for ntuples that have none."""


@dataclass(frozen=True)
class SampleSource:
    """One sample's files. ``scale`` turns a generator weight into a physics weight: sigma * L / N generated.

    hidden: condition on candidates that are dropped before anything counts, cuts or looks at them: the blind range of data.
    truth: branches with the masses that a candidate was simulated with; only signal has any.
    """

    name: str
    category: str
    label: int
    files: tuple[str, ...]
    tree: str
    scale: float = 1.0
    cut: str | None = None
    weight: str | None = None
    hidden: str | None = None
    truth: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """How rows are made, the same for every sample and for training and selection. Plain data: it travels to workers."""

    event_id: tuple[str, ...]
    features: tuple[FeatureSpec, ...]
    spectators: tuple[FeatureSpec, ...] = ()
    preselection: tuple[str, ...] = ()
    pair: str | None = None
    beams: str = ""

    @property
    def library(self) -> Mapping[str, Feature]:
        """All features that expressions may name: the listed ones."""
        return _library_of(self)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.features)

    @property
    def spectator_names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.spectators)


@lru_cache(maxsize=16)
def _library_of(recipe: Recipe) -> Mapping[str, Feature]:
    return resolve([*recipe.features, *recipe.spectators], registered=recipe.pair is not None)


@dataclass(frozen=True)
class CandidateBlock:
    """Candidates of one chunk that passed every cut.

    columns: features, spectators and columns by name. event_id: ``(n, n_id)`` int64. weight: ``(n,)`` physics weight.
    read: entries of the file that were looked at for this block.
    """

    columns: FeatureColumns
    event_id: NDArray[np.int64]
    weight: NDArray[np.float64]
    path: str
    read: int

    def __len__(self) -> int:
        return len(self.weight)

    def matrix(self, names: Sequence[str]) -> NDArray[np.float32]:
        """``(n, len(names))``, C-contiguous."""
        matrix = np.empty((len(self), len(names)), dtype=np.float32)
        for i, name in enumerate(names):
            matrix[:, i] = self.columns[name]
        return matrix


def cuts_of(source: SampleSource, recipe: Recipe) -> tuple[str, ...]:
    return (*((source.cut,) if source.cut else ()), *recipe.preselection)


def stream(
    source: SampleSource,
    recipe: Recipe,
    counter: CutCounter,
    *,
    keep: Sequence[str] = (),
    allow_empty: bool = False,
    threads: int = 1,
) -> Iterator[CandidateBlock]:
    """Blocks of the candidates of ``source`` that pass, in file order; memory does not grow with the files.

    ``keep``: columns wanted beside features, spectators and event id. ``counter`` is filled on the way.
    ``allow_empty``: pass over files without rows.
    Raises :class:`NtupleError` for files that cannot be read and :class:`WeightError` for weights that are not finite.
    """
    cuts = [Expression.parse(text) for text in cuts_of(source, recipe)]
    weight = Expression.parse(source.weight) if source.weight else None
    hidden = Expression.parse(source.hidden) if source.hidden else None
    reader = _Reader(source, recipe, cuts, weight, hidden, keep)
    chunks = iterate(
        source.files,
        reader.branches,
        tree=source.tree,
        scalars=reader.scalars,
        allow_empty=allow_empty,
        threads=threads,
    )
    for chunk in chunks:
        yield reader.block(chunk, counter)


@dataclass(frozen=True)
class _Reader:
    source: SampleSource
    recipe: Recipe
    cuts: Sequence[Expression]
    weight: Expression | None
    hidden: Expression | None
    keep: Sequence[str]

    @property
    def scalars(self) -> tuple[str, ...]:
        """Branches that must hold one number a row; what is only kept may be jagged."""
        return () if self.recipe.pair is not None else self.computed

    @cached_property
    def computed(self) -> tuple[str, ...]:
        """Columns that something is computed from."""
        names = set(self.recipe.library)
        for expression in (*self.cuts, self.weight, self.hidden):
            names.update(expression.names if expression else ())
        return tuple(sorted({*base_columns(names, self.recipe.library), *self.recipe.event_id, *self.source.truth}))

    @cached_property
    def needed(self) -> tuple[str, ...]:
        kept = (name for name in self.keep if name not in self.recipe.library)
        return tuple(sorted({*self.computed, *kept}))

    @cached_property
    def branches(self) -> tuple[str, ...]:
        needed: Sequence[str] = [name for name in self.needed if name != ENTRY]
        if self.recipe.pair is not None:
            needed = required_event_columns(needed, pair=self.recipe.pair)
        return tuple(needed)

    def block(self, chunk: Chunk, counter: CutCounter) -> CandidateBlock:
        base = self._base(chunk)
        columns = FeatureColumns(base, self.recipe.library)
        n = _length(base, self.recipe.event_id[0])
        if self.hidden is not None:
            rows = np.flatnonzero(~np.broadcast_to(truth(columns.evaluate(self.hidden)), (n,)))
            base = _take(base, rows)
            columns, n = columns.take(base, rows), len(rows)
        weight = self._weight(columns, n, chunk.path)
        counter.count(0, weight)
        for step, cut in enumerate(self.cuts, 1):
            for name in cut.names:
                counter.saw(step, name, np.asarray(columns[name], dtype=np.float64))
            rows = np.flatnonzero(np.broadcast_to(truth(columns.evaluate(cut)), (n,)))
            if len(rows) < n:
                base = _take(base, rows)
                columns, weight, n = columns.take(base, rows), weight[rows], len(rows)
            counter.count(step, weight)
        return CandidateBlock(columns, self._event_id(base, chunk.path), weight, chunk.path, chunk.stop - chunk.start)

    def _base(self, chunk: Chunk) -> Mapping[str, Any]:
        columns = dict(chunk.columns)
        if self.recipe.pair is not None:
            return build(columns, pair=self.recipe.pair, beams=self.recipe.beams)
        if ENTRY in self.needed:
            columns[ENTRY] = np.arange(chunk.start, chunk.stop, dtype=np.int64)
        return columns

    def _weight(self, columns: FeatureColumns, n: int, path: str) -> NDArray[np.float64]:
        if self.weight is None:
            return np.full(n, self.source.scale)
        generator = np.broadcast_to(np.asarray(columns.evaluate(self.weight), dtype=np.float64), (n,))
        bad = ~np.isfinite(generator)
        if bad.any():
            raise WeightError(
                f"{bad.sum()} of {n} weights '{self.weight.text}' are not finite in {path} (sample '{self.source.name}')",
                where=path,
            )
        return generator * self.source.scale

    def _event_id(self, base: Mapping[str, Any], path: str) -> NDArray[np.int64]:
        parts = []
        for name in self.recipe.event_id:
            part = np.asarray(base[name])
            if part.dtype.kind not in "iub":
                whole = np.isfinite(part).all() and (part == np.floor(part)).all() and (np.abs(part) < 2.0**53).all()
                if not whole:
                    raise NtupleError(
                        f"event id branch '{name}' holds numbers that are not whole in {path} (sample '{self.source.name}')",
                        where=path,
                        hint="Set ntuples.event_id in the config to branches that identify an event.",
                    )
            parts.append(part.astype(np.int64))
        return np.column_stack(parts)


def _length(columns: Mapping[str, Any], flat: str) -> int:
    return len(columns[flat])


def _take(columns: Mapping[str, Any], rows: NDArray[np.intp]) -> Mapping[str, Any]:
    take = getattr(columns, "take", None)
    if take is not None:
        taken: Mapping[str, Any] = take(rows)
        return taken
    return {name: values[rows] for name, values in columns.items()}
