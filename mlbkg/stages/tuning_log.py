"""Tell the tracking server of a study: one run for each search, and one within it for each of its trials."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from mlbkg.atomic import atomic_write
from mlbkg.config.load import LoadedConfig
from mlbkg.report.tuning_result import Contestant, FigureOfMerit, SearchTold, TuningTold
from mlbkg.stages.provenance import data_sha256, events_sha256
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.training_log import log_datasets, provenance_tags
from mlbkg.stages.tuning_note import note_before, note_of
from mlbkg.stages.upload import spool_of
from mlbkg.tracking.base import NestedRun, RunLog
from mlbkg.tracking.mlflow_log import open_log
from mlbkg.tracking.mlflow_run import NOTE
from mlbkg.tuning.study import Goal
from mlbkg.tuning.trial import Trial

STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
"""How MLflow marks a trial of each state."""
SHARED = ("analysis", "study", "held_out", "config", "mlflow.source.name")
"""Tags that a trial has from its search."""
Named = Goal | FigureOfMerit


@dataclass(frozen=True)
class TrackedSearch:
    """What a search's run is called and described by. folder: of its study. key: what the values of its trials depend on."""

    loaded: LoadedConfig
    folder: Path
    key: str
    held_out: int
    goals: Sequence[Named]

    @property
    def name(self) -> str:
        several = self.loaded.config.tuning.searches > 1
        return f"study {self.folder.name}{f' part {self.held_out}' if several else ''}"


class SearchLog:
    """The run of one search; a context manager. A search that goes on, goes on in the run that it had."""

    def __init__(self, search: TrackedSearch) -> None:
        tracking = search.loaded.config.tracking
        self._search = search
        self._tags = _tags(search)
        self._note = note_before(search.loaded.config, search.folder)
        self._id_file = search.folder / f"mlflow-{search.held_out}.json"
        self._log: RunLog = open_log(
            enabled=tracking.enabled,
            uri=tracking.uri,
            experiment=tracking.experiment or search.loaded.config.analysis,
            run_name=search.name,
            description=self._note,
            run_id=self._earlier_run(),
            spool=spool_of(search.loaded.config.analysis, search.name.replace(" ", "-")),
            system_metrics=True,
        )

    @property
    def run_id(self) -> str | None:
        return self._log.run_id

    @property
    def failure(self) -> str | None:
        return self._log.failure

    def __enter__(self) -> Self:
        self._log.__enter__()
        self._log.tags(self._tags)
        self._log.parameters(_parameters(self._search))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._log.__exit__(kind, error, trace)
        if self._log.run_id is not None:
            with atomic_write(self._id_file) as file:
                json.dump({"uri": self._search.loaded.config.tracking.uri, "run_id": self._log.run_id}, file)

    def datasets(self, data: TrainingData) -> None:
        """All that the study reads: what this search sees, and what judges it."""
        self._log.tags({"data_sha256": data_sha256(data.fingerprints), "events_sha256": events_sha256(data)})
        log_datasets(data, self._search.loaded.config, self._log)

    def trial(self, trial: Trial) -> None:
        """As soon as it has ended; one that was told before is not told again."""
        shared = {name: self._tags[name] for name in SHARED}
        self._log.nested(nested_run_of(trial, self._search.goals, tags=shared))

    def results(self, search: SearchTold, told: TuningTold, files: Mapping[str, Sequence[Path]]) -> None:
        """What the search found and what that is worth. files: folder of the artefacts -> files or folders in it."""
        self._log.metrics(search_metrics(search, told))
        self._log.tags({NOTE: note_of(search, told, self._note), **_winner_tags(search)})
        for folder, paths in files.items():
            for path in paths:
                self._log.artifact(path, folder=folder)

    def _earlier_run(self) -> str | None:
        if not self._id_file.is_file():
            return None
        told: dict[str, str] = json.loads(self._id_file.read_text(encoding="utf-8"))
        return told["run_id"] if told["uri"] == self._search.loaded.config.tracking.uri else None


def nested_run_of(trial: Trial, goals: Sequence[Named], *, tags: Mapping[str, str]) -> NestedRun:
    """A trial with the parameter names of trainings, so that trials and trainings compare. ``tags``: of all trials."""
    own = {
        "stage": "trial",
        "trial": str(trial.number),
        "state": trial.state,
        "backend": trial.backend,
        "start": trial.start,
        "reason": trial.reason,
        "feasible": None if trial.feasible else "no",
    }
    return NestedRun(
        name=f"{trial.number:04d} {trial.backend}",
        parameters={"backend": trial.backend, **{f"{trial.backend}.{key}": of for key, of in trial.parameters.items()}},
        metrics=_metrics_of(trial, goals),
        tags={**tags, **{name: value for name, value in own.items() if value}},
        began=trial.began,
        ended=trial.ended,
        status=STATUS[trial.state],
        description=_told_of(trial),
        curves=_by_fold(trial),
    )


def search_metrics(search: SearchTold, told: TuningTold) -> dict[str, float]:
    """Of the winner by each figure of merit, then of those that it is compared with, and of the trials."""
    winner, *others = search.contestants
    counts = {state: len(search.ended(state)) for state in ("complete", "pruned", "failed")}
    metrics: dict[str, Any] = {}
    for figure in told.judged_by:
        metrics |= _of_winner(winner, figure.name)
    for other in others:
        metrics |= _of_other(other, told.judged_by)
    metrics |= {"trials": len(search.trials), **{f"trials/{state}": count for state, count in counts.items()}}
    metrics["seconds"] = sum(trial.seconds for trial in search.trials)
    for backend, shares in search.importance.shares.items():
        metrics |= {f"importance/{backend}.{name}": share.value for name, share in shares.items()}
    return _finite(metrics)


def _of_winner(winner: Contestant, figure: str) -> dict[str, float]:
    """Without a group stands the honest value, which is what a training would have."""
    judged = winner.figures[figure]
    found = {"": judged.honest, "search": judged.search, "gap": judged.gap}
    return {
        f"{figure}{f'/{what}' if what else ''}{suffix}": value
        for what, estimate in found.items()
        if estimate is not None
        for suffix, value in (("", estimate.value), ("_error", estimate.error))
    }


def _of_other(other: Contestant, figures: Sequence[FigureOfMerit]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for figure in figures:
        judged = other.figures[figure.name]
        metrics |= {
            f"{other.name}/{figure.name}": judged.honest.value,
            f"{other.name}/{figure.name}_error": judged.honest.error,
        }
        if judged.to_winner is not None:
            metrics[f"{figure.name}/gain_on_{other.name}"] = figure.gain(-judged.to_winner.value)
            metrics[f"{figure.name}/gain_on_{other.name}_error"] = judged.to_winner.error
    return metrics


def _metrics_of(trial: Trial, goals: Sequence[Named]) -> dict[str, float]:
    """Goals first; then what else the record holds with a value, and what a trial cost."""
    metrics: dict[str, Any] = {}
    if trial.values is not None:
        metrics |= {goal.name: value for goal, value in zip(goals, trial.values, strict=True)}
    for name, told in trial.record.items():
        if isinstance(told, Mapping) and "value" in told:
            metrics |= {name: told["value"], f"{name}_error": told.get("error")}
    trees = trial.record.get("trees")
    if trees:
        metrics["trees"] = float(np.mean(trees))
    metrics |= {f"violation/{number}": value for number, value in enumerate(trial.violation)}
    return _finite({**metrics, "seconds": trial.seconds})


def _by_fold(trial: Trial) -> dict[str, tuple[float, ...]]:
    curves = {}
    for name, told in trial.record.items():
        values = told.get("by_fold") if isinstance(told, Mapping) else None
        if values and all(value is not None for value in values):
            curves[f"{name}_by_fold"] = tuple(map(float, values))
    return curves


def _told_of(trial: Trial) -> str:
    where = f"start `{trial.start}`" if trial.start else "chosen by the sampler"
    return f"{trial.state}, {where}" + (f": {trial.reason}" if trial.reason else "")


def _tags(search: TrackedSearch) -> dict[str, str]:
    return {
        "stage": "tune",
        "study": search.folder.name,
        "study_key": search.key,
        "held_out": str(search.held_out),
        "run_folder": str(search.folder),
        **provenance_tags(search.loaded),
    }


def _winner_tags(search: SearchTold) -> dict[str, str]:
    return {"winner": f"{search.winner:04d} {search.contestants[0].backend}", "champion": search.contestants[0].backend}


def _parameters(search: TrackedSearch) -> dict[str, object]:
    config = search.loaded.config
    tuning = config.tuning
    return {
        "objective": ", ".join(tuning.objective),
        "trials": tuning.trials,
        "minutes": tuning.minutes,
        "backends": ", ".join(tuning.backends or tuple(of.backend for of in config.training.classifiers)),
        "folds": tuning.folds,
        "outer_folds": tuning.outer_folds,
        "searches": tuning.searches,
        "prune": tuning.prune,
        **{f"constraints.{name}": value for name, value in tuning.constraints.model_dump().items()},
        "warm_start": ", ".join(tuning.warm_start),
        "seed": config.seed,
        "n_features": len(config.features),
        "features": ", ".join(feature.name for feature in config.features),
        **{f"space.{name}": spelled for name, spelled in _spaces(tuning.search).items()},
    }


def _spaces(search: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Those that the config sets in place of the shipped ones."""
    return {
        f"{backend}.{name}": json.dumps(value.model_dump(exclude_defaults=True) if hasattr(value, "model_dump") else value)
        for backend, space in search.items()
        for name, value in space.items()
    }


def _finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if value is not None and np.isfinite(value)}
