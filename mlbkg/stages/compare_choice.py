"""Which runs are compared, by which metric they are sorted, and which metrics are shown."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mlbkg.errors import ConfigError, MlbkgError, UnknownNameError, did_you_mean
from mlbkg.report.compared_metrics import champions, known, most_telling
from mlbkg.report.compared_runs import BY_FOLD, ERROR, ComparedRun
from mlbkg.tracking.query import LATEST, FoundRun, FoundRuns, TrackingStore, by_metric

PROBE = 20
"""Latest runs that show which metrics there are."""
LIMIT = 20
MOST_SHOWN = 4
"""Metrics where none are asked for."""
LISTED = 12


@dataclass(frozen=True)
class Choice:
    """runs: ids or names, or how they begin; all of the experiment without any. asked: MLflow's filter.

    last: only so many of the latest. limit: of those, at most so many of the best. trials: the runs within studies, too.
    sort: metric; the most telling by default. metrics: that are shown. against: id or name of the run that the others are
    compared with; the best by default.
    """

    runs: Sequence[str] = ()
    asked: str = ""
    last: int | None = None
    limit: int = LIMIT
    trials: bool = False
    sort: str | None = None
    metrics: Sequence[str] = ()
    against: str | None = None


@dataclass(frozen=True)
class Chosen:
    """found, runs: the same runs in one order. more: the experiment has others. sort: None where no run has any metric."""

    found: tuple[FoundRun, ...]
    runs: tuple[ComparedRun, ...]
    more: bool
    sort: str | None
    metrics: tuple[str, ...]
    against: int


def choose(store: TrackingStore, experiment_id: str, choice: Choice, *, experiment: str) -> Chosen:
    """Raises :class:`UnknownNameError` for runs and metrics that are not there, and :class:`MlbkgError` without any run."""
    some = _candidates(store, experiment_id, choice, experiment=experiment)
    if not some.runs:
        raise _nothing(choice, experiment)
    sort = choice.sort or most_telling(compared(some.runs))
    if some.more and sort and not choice.last:
        order = by_metric(_checked(sort), smaller_first=known(sort).smaller_is_better is True)
        some = store.runs(experiment_id, asked=choice.asked, order=order, at_most=choice.limit, nested=choice.trials)
    found = _best_first(some.runs, sort)
    shown = found if choice.runs else found[: choice.limit]
    more = not choice.runs and (some.more or len(found) > len(shown))
    if choice.against:
        reference = _reference(store, experiment_id, choice.against, shown)
        shown = _best_first((*shown, *(() if reference in shown else (reference,))), sort)
    else:
        reference = shown[0]
    runs = compared(shown)
    names = {name for run in runs for name in run.metrics}
    for name in (*choice.metrics, *([choice.sort] if choice.sort else [])):
        _require(name, names)
    metrics = _shown(runs, sort, choice.metrics)
    return Chosen(tuple(shown), runs, more, sort, metrics, shown.index(reference) + 1)


def compared(found: Sequence[FoundRun]) -> tuple[ComparedRun, ...]:
    """Numbered from 1. Signs that would move a terminal's cursor are gone."""
    return tuple(
        ComparedRun(
            number=number,
            run_id=run.run_id,
            name=_printable(run.name),
            status=_printable(run.tags.get("state") or run.status.lower()),
            began=run.began,
            classifier=_printable(run.tags.get("champion") or run.tags.get("backend", "")),
            metrics=run.metrics,
            params={_printable(name): _printable(value) for name, value in run.params.items()},
        )
        for number, run in enumerate(found, start=1)
    )


def _candidates(store: TrackingStore, experiment_id: str, choice: Choice, *, experiment: str) -> FoundRuns:
    if choice.runs:
        found = {run.run_id: run for name in choice.runs for run in _named(store, experiment_id, name)}
        return FoundRuns(tuple(found.values()), more=False)
    at_most = choice.last or PROBE
    return store.runs(experiment_id, asked=choice.asked, order=LATEST, at_most=at_most, nested=choice.trials)


def _named(store: TrackingStore, experiment_id: str, name: str) -> tuple[FoundRun, ...]:
    found = store.named(experiment_id, name)
    if found:
        return found
    latest = store.runs(experiment_id, at_most=10 * PROBE, nested=True).runs
    listed = [f"{run.name} ({run.run_id})" for run in latest[:LISTED]]
    raise UnknownNameError(
        f"no run '{name}'{did_you_mean(name, [of for run in latest for of in (run.name, run.run_id)])}",
        details=["the latest:", *(f"  {_printable(line)}" for line in listed)],
        where=name,
        hint="Give a run's id or name, or how one begins; names with spaces stand between quotes.",
    )


def _reference(store: TrackingStore, experiment_id: str, name: str, shown: Sequence[FoundRun]) -> FoundRun:
    found = _named(store, experiment_id, name)
    there = [run for run in found if run in shown] or list(found)
    if len(there) > 1:
        raise ConfigError(
            f"--against '{name}' is {len(there)} runs",
            details=[f"{run.run_id}  {_printable(run.name)}" for run in there[:LISTED]],
            where="--against",
            hint="Give the id of one.",
        )
    return there[0]


def _best_first(found: Sequence[FoundRun], sort: str | None) -> tuple[FoundRun, ...]:
    """The latest first among equals; those without the metric last."""
    latest = sorted(found, key=lambda run: -run.began)
    if sort is None:
        return tuple(latest)
    sign = 1.0 if known(sort).smaller_is_better else -1.0

    def place(run: FoundRun) -> tuple[bool, float]:
        value = run.metrics.get(sort, math.nan)
        return not math.isfinite(value), sign * value if math.isfinite(value) else 0.0

    return tuple(sorted(latest, key=place))


def _shown(runs: Sequence[ComparedRun], sort: str | None, asked: Sequence[str]) -> tuple[str, ...]:
    """What is asked for, after what is sorted by; else that and other figures of merit that half of the runs have."""
    if asked:
        return tuple(dict.fromkeys(asked))
    common = [name for name in champions(runs) if 2 * sum(name in run.metrics for run in runs) >= len(runs)]
    merit = [name for name in common if known(name).smaller_is_better is not None]
    return tuple(dict.fromkeys([*([sort] if sort else []), *merit]))[:MOST_SHOWN]


def _checked(metric: str) -> str:
    """MLflow has no way to write a name with a backtick."""
    if "`" in metric:
        raise _unknown_metric(metric, ())
    return metric


def _require(metric: str, names: Collection[str]) -> None:
    if metric not in names:
        raise _unknown_metric(metric, names)


def _unknown_metric(metric: str, names: Collection[str]) -> UnknownNameError:
    plain = sorted(name for name in names if "/" not in name and not name.endswith((ERROR, BY_FOLD)))
    grouped = sorted(name for name in names if "/" in name)
    groups = ", ".join(dict.fromkeys(name.partition("/")[0] for name in grouped))
    return UnknownNameError(
        f"no run here has a metric '{metric}'{did_you_mean(metric, names)}",
        details=[
            f"there is: {', '.join(plain) or 'none'}",
            *([f"and in groups, as '{grouped[0]}': {groups}"] if grouped else []),
        ],
        where=metric,
        hint="All of them: mlbkg compare EXPERIMENT --json",
    )


def _nothing(choice: Choice, experiment: str) -> MlbkgError:
    if choice.asked:
        return MlbkgError(
            f"no run of experiment '{experiment}' passes the filter {choice.asked!r}",
            where="--filter",
            hint="See what there is: mlbkg compare EXPERIMENT" + ("" if choice.trials else "; trials of studies: --trials"),
        )
    return MlbkgError(f"experiment '{experiment}' has no runs yet", where=experiment, hint="Make one: mlbkg train CONFIG")


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
