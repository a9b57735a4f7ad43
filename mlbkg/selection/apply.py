"""Stream candidates through an ONNX model and write those above the working point, file by file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import ConfigError, MlbkgError
from mlbkg.evaluation.threshold_curve import ThresholdCurve
from mlbkg.export.load import open_model, read_again
from mlbkg.ntuples.belle2_names import escape
from mlbkg.ntuples.files import describe
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.parallel import advance, parallel_map
from mlbkg.samples.cuts import CutCount, CutCounter
from mlbkg.samples.folds import assign_folds
from mlbkg.samples.source import CandidateBlock, Recipe, SampleSource, cuts_of, stream
from mlbkg.selection.score import Scorer, is_selected, open_scorer

log = logging.getLogger(__name__)

ADDED = ("score", "fold", "physics_weight")
"""Branches that every skim has beside those kept."""


@dataclass(frozen=True)
class ModelUse:
    """The model and how it is used. ``threshold``: selected are scores at or above it.

    keep: columns of the skims, None for all. variables: that are there anyway, as the features or spectators of these names.
    sha256: of the file as it was checked; where it is not given, each process checks the file itself.
    """

    model: Path
    threshold: float | ThresholdCurve
    n_folds: int
    salt: str
    keep: tuple[str, ...] | None
    keep_all_candidates: bool
    variables: tuple[str, ...] = ()
    sha256: str | None = None

    @property
    def content(self) -> bytes:
        """The checked bytes. Raises :class:`MlbkgError` where the file is another one now."""
        return read_again(self.model, self.sha256) if self.sha256 else open_model(self.model).content

    @property
    def cut(self) -> str:
        """``"score >= 0.5"``, or ``"score >= t(m2Recoil)"``."""
        return self.threshold.cut if isinstance(self.threshold, ThresholdCurve) else f"score >= {self.threshold:.6g}"

    def passed(self, block: CandidateBlock, score: NDArray[np.float32]) -> NDArray[np.bool_]:
        """``(n,)``"""
        if isinstance(self.threshold, ThresholdCurve):
            return is_selected(score, self.threshold, block.columns[self.threshold.variable])
        return is_selected(score, self.threshold)


@dataclass(frozen=True)
class SelectedFile:
    sample: str
    source: str
    skim: str
    read: int
    selected: int
    written: int
    counts: tuple[CutCount, ...]


@dataclass(frozen=True)
class FailedFile:
    sample: str
    path: str
    error: str


@dataclass(frozen=True)
class _Task:
    source: SampleSource
    recipe: Recipe
    use: ModelUse
    skim: Path
    threads: int


def apply_model(
    sources: Sequence[SampleSource],
    recipe: Recipe,
    use: ModelUse,
    folder: Path,
    *,
    workers: int,
    on_candidates: Callable[[int], None] | None = None,
) -> Iterator[SelectedFile | FailedFile]:
    """Select every file of every source into ``folder/<sample>[_<number>].root``, in ``workers`` processes.

    Each file is scored by as many threads as there are workers, so that one large file keeps all cores busy, too; where
    other processes do so already, the threads only take turns. A file that cannot be read is answered with a
    :class:`FailedFile`, and the others go on.
    """
    tasks = [
        _Task(replace(source, files=(file,)), recipe, use, folder / _skim_name(source, i), workers)
        for source in sources
        for i, file in enumerate(source.files)
    ]
    yield from parallel_map(_select_file, tasks, workers=workers, on_progress=on_candidates)


def _skim_name(source: SampleSource, number: int) -> str:
    return f"{source.name}.root" if len(source.files) == 1 else f"{source.name}_{number}.root"


def _select_file(task: _Task) -> SelectedFile | FailedFile:
    source = task.source
    try:
        return _select(task)
    except MlbkgError as error:
        return FailedFile(source.name, source.files[0], str(error))


def _select(task: _Task) -> SelectedFile:
    source, use = task.source, task.use
    kept = _kept_branches(task)
    counter = CutCounter(source.name, [*cuts_of(source, task.recipe), use.cut], 1)
    last = len(counter.cuts)
    written = selected = 0
    tree = "candidates" if task.recipe.pair else source.tree
    with (
        open_scorer(use.content, threads=task.threads) as scorer,
        AtomicRootWriter(task.skim, tree=tree, metadata={"sample": source.name}) as writer,
    ):
        blocks = stream(source, task.recipe, counter, keep=kept)
        for block, columns in _scored(blocks, task, scorer, kept):
            passed = use.passed(block, columns["score"])
            counter.count(last, block.weight[passed])
            selected += int(passed.sum())
            if not use.keep_all_candidates:
                columns = {name: values[passed] for name, values in columns.items()}
            writer.extend(columns)
            written += len(columns["score"])
            advance(block.read)
    counts = counter.counts()
    return SelectedFile(source.name, source.files[0], str(task.skim), counts[0].events, selected, written, counts)


def _scored(
    blocks: Iterable[CandidateBlock], task: _Task, scorer: Scorer, kept: Sequence[str]
) -> Iterator[tuple[CandidateBlock, dict[str, Any]]]:
    """Each block with the columns of its skim. The next one is read while its scores are made."""
    ahead: Callable[[], tuple[CandidateBlock, dict[str, Any]]] | None = None
    for block in blocks:
        before, ahead = ahead, _begin(block, task, scorer, kept)
        if before is not None:
            yield before()
    if ahead is not None:
        yield ahead()


def _begin(
    block: CandidateBlock, task: _Task, scorer: Scorer, kept: Sequence[str]
) -> Callable[[], tuple[CandidateBlock, dict[str, Any]]]:
    fold = assign_folds(block.event_id, n_folds=task.use.n_folds, salt=task.use.salt)
    scores = scorer.start(block.matrix(task.recipe.feature_names), fold)
    variables = task.use.variables

    def finish() -> tuple[CandidateBlock, dict[str, Any]]:
        return block, {
            **{name: block.columns[name] if name in variables else block.columns.column(name) for name in kept},
            "score": scores(),
            "fold": fold.astype(np.int32),
            "physics_weight": block.weight,
        }

    return finish


def _kept_branches(task: _Task) -> tuple[str, ...]:
    anyway = (*task.source.truth, *task.use.variables)
    hidden = {escape(name) for name in anyway}
    kept = (*(name for name in _wanted(task) if escape(name) not in hidden), *anyway)
    clashing = [name for name in kept if name in ADDED]
    if clashing:
        raise ConfigError(
            f"{task.source.files[0]} has a branch '{clashing[0]}' already, which the skim needs for itself",
            where=task.source.files[0],
            hint="List the branches to keep, without it: selection.branches in the config.",
        )
    return kept


def _wanted(task: _Task) -> tuple[str, ...]:
    """As the config asks; ``all`` is every branch of candidates, or every number of events and of their candidates."""
    recipe = task.recipe
    if task.use.keep is not None:
        return task.use.keep
    ntuple = describe(task.source.files[0], tree=task.source.tree)
    kinds = {name: info.kind for name, info in ntuple.branches.items()}
    if other := [name for name, kind in kinds.items() if kind == "other"]:
        log.info("%s: branches that hold no numbers are left out of the skim: %s", ntuple.path, ", ".join(other))
    if recipe.pair is None:
        return tuple(name for name, kind in kinds.items() if kind != "other")
    of_events = [name for name, kind in kinds.items() if kind == "number"]
    return tuple(dict.fromkeys((*of_events, "__candidate__", *recipe.feature_names, *recipe.spectator_names)))


def total_entries(sources: Sequence[SampleSource]) -> int:
    """Entries of all files together, from the headers; files that cannot be read count nothing."""
    total = 0
    for source in sources:
        for file in source.files:
            try:
                total += describe(file, tree=source.tree).entries
            except MlbkgError as error:
                log.debug("%s: %s", file, error.what)
    return total
