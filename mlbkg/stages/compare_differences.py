"""Whether runs differ by more than noise: by event where their scores are still on this disk, fold by fold otherwise."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.evaluation.estimates import Array, Events
from mlbkg.evaluation.paired import FEWEST, AucByEvent, corrected_resampled_t
from mlbkg.ntuples.files import describe, metadata
from mlbkg.ntuples.read import read_all
from mlbkg.report.compared_figures import MOST_RUNS
from mlbkg.report.compared_metrics import known
from mlbkg.report.compared_runs import BY_FOLD, Compared, Difference, Differences, NotComparable
from mlbkg.samples.folds import event_index
from mlbkg.stages.progress import Progress
from mlbkg.stages.run_folder import FOLDERS
from mlbkg.stages.training_files import OUT_OF_FOLD
from mlbkg.tracking.query import FoundRun, TrackingStore

BY_EVENT = "auc"
"""The metric that has a test by event."""
ANOTHER_BY_FOLD = ("expected_limit", "punzi")
"""Metrics whose values by fold are of something else, which is found faster and goes the same way."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ground:
    """Candidates that some runs share, row by row ``(n,)``. ``n_events``: with a number of their own."""

    label: NDArray[np.int8]
    fold: NDArray[np.int32]
    weight: Array
    event_index: Events
    n_events: int


def differences_between(
    found: Sequence[FoundRun],
    store: TrackingStore,
    *,
    metric: str | None,
    against: int,
    folders: Iterable[Path],
    progress: Progress,
) -> Differences:
    """Of each run with number ``against``, and of the first ones with each other. Runs are numbered from 1.

    ``metric``: that would be tested if it can be; AUC otherwise. ``folders``: where run folders may lie.
    """
    numbered = dict(enumerate(found, start=1))
    pairs = dict.fromkeys((number, against) for number in numbered if number != against)
    for one, other in combinations(list(numbered)[:MOST_RUNS], 2):
        if against not in (one, other):
            pairs[one, other] = None
    tested = _tested(found, metric)
    steps = {number: _by_fold(run, store, tested) for number, run in numbered.items()}
    scores = _by_event(numbered, tuple(folders), progress) if tested == BY_EVENT else {}
    return Differences(
        tested,
        {
            (one, other): _difference(
                (numbered[one], numbered[other]), (scores.get(one), scores.get(other)), (steps[one], steps[other]), tested
            )
            for one, other in pairs
        },
    )


def folds_of(run: FoundRun) -> tuple[str, str] | None:
    """What runs on the same candidates in the same folds have alike: trials their search, others what was hashed."""
    if run.parent is not None:
        return "search", run.parent
    events = run.tags.get("events_sha256")
    return ("events", events) if events else None


def why_not_comparable(run: FoundRun, other: FoundRun) -> str | None:
    """In a few words; None for runs on the same candidates in the same folds."""
    mine, theirs = folds_of(run), folds_of(other)
    if mine is None or theirs is None:
        return "folds not known"
    if mine == theirs:
        return None
    if mine[0] == theirs[0] == "search":
        return "another search"
    if mine[0] != theirs[0]:
        return "a search has part of the events"
    folds, others = run.params.get("folds"), other.params.get("folds")
    if folds != others:
        return f"other folds: {folds}, not {others}"
    if run.tags.get("features_sha256") != other.tags.get("features_sha256"):
        return "other candidates, or folds"
    names = dict.fromkeys([*run.datasets, *other.datasets])
    changed = [name for name in names if run.datasets.get(name) != other.datasets.get(name)]
    return f"other candidates: {', '.join(changed)}" if changed else "folds by another salt"


def _tested(found: Sequence[FoundRun], metric: str | None) -> str:
    names = {name.removesuffix(BY_FOLD) for run in found for name in run.metrics if name.endswith(BY_FOLD)}
    testable = [name for name in (metric, BY_EVENT, *sorted(names)) if name in names and name not in ANOTHER_BY_FOLD]
    return testable[0] if testable else BY_EVENT


def _by_fold(run: FoundRun, store: TrackingStore, metric: str) -> Array:
    name = f"{metric}{BY_FOLD}"
    return np.array(store.steps(run.run_id, name) if name in run.metrics else (), dtype=np.float64)


def _by_event(
    numbered: Mapping[int, FoundRun], folders: Sequence[Path], progress: Progress
) -> dict[int, tuple[AucByEvent, int]]:
    """Of the runs whose scores are found: number -> AUC by event, and how many events there are."""
    files = {number: path for number, run in numbered.items() if (path := scores_of(run, folders)) is not None}
    alike: dict[tuple[str, str], list[int]] = {}
    for number in files:
        key = folds_of(numbered[number])
        if key is not None:
            alike.setdefault(key, []).append(number)
    groups = [group for group in alike.values() if len(group) > 1]
    if not groups:
        return {}
    advance = progress.step("compare event by event", total=sum(map(len, groups)), unit="runs")
    scored: dict[int, tuple[AucByEvent, int]] = {}
    for group in groups:
        ground: Ground | None = None
        for number in group:
            try:
                ground = ground or read_ground(files[number])
                scored[number] = read_auc(files[number], ground), ground.n_events
            except MlbkgError as error:
                log.warning("%s is not compared event by event: %s", numbered[number].name, error.what)
            advance(1)
    return scored


def scores_of(run: FoundRun, folders: Sequence[Path]) -> Path | None:
    """The out-of-fold scores of a training whose run folder lies in one of ``folders``; None where they are gone."""
    told = run.tags.get("run_folder", "")
    if run.tags.get("stage") != "train" or not told:
        return None
    for folder in folders:
        path = folder / told / FOLDERS["train"] / OUT_OF_FOLD
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return path
    return None


def read_ground(path: Path) -> Ground:
    """What stands before the fold tells events of one sample apart; signal and background are never of one sample."""
    branches = list(describe(path).branches)
    names = branches[: branches.index("fold")] if "fold" in branches else []
    columns = _columns(path, [*names, "label", "fold", "physics_weight"])
    label = columns["label"].astype(np.int8)
    event_id = np.column_stack([columns[name].astype(np.int64) for name in names])
    index = event_index(event_id, label.astype(np.int16))
    weight = columns["physics_weight"].astype(np.float64)
    return Ground(label, columns["fold"], weight, index, n_events=int(index.max(initial=-1)) + 1)


def read_auc(path: Path, ground: Ground) -> AucByEvent:
    """Of the champion. Raises :class:`MlbkgError` for other candidates than those of ``ground``."""
    score = f"score_{metadata(path).get('champion')}"
    columns = _columns(path, [score, "label", "fold"])
    same = all(np.array_equal(columns[name], getattr(ground, name)) for name in ("label", "fold"))
    if not same:
        raise MlbkgError(f"{path} holds other candidates than were logged", where=str(path))
    return AucByEvent.of(columns[score].astype(np.float64), ground.label, ground.weight, ground.event_index)


def _columns(path: Path, names: Sequence[str]) -> dict[str, Any]:
    return read_all(path, dict.fromkeys(names, "the comparison"), scalars=names, threads=1)


def _difference(
    runs: tuple[FoundRun, FoundRun],
    scores: tuple[tuple[AucByEvent, int] | None, tuple[AucByEvent, int] | None],
    steps: tuple[Array, Array],
    metric: str,
) -> Compared:
    reason = why_not_comparable(*runs)
    if reason is not None:
        return NotComparable(reason)
    one, other = scores
    if one is not None and other is not None:
        return Difference(one[0].minus(other[0]), "events", one[1])
    mine, theirs = steps
    if len(mine) != len(theirs) or len(mine) < FEWEST:
        return NotComparable(f"no {known(metric).label} by fold")
    k = len(mine)
    return Difference(corrected_resampled_t(mine - theirs, test_over_train=1 / (k - 1)), "folds", k)
