"""One search of a tuning: a study on disk, its trials, its winner, and what that is worth."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlbkg.config.schema import Config
from mlbkg.errors import MlbkgError, did_you_mean
from mlbkg.evaluation.estimates import Estimate
from mlbkg.report.tuning_result import SearchTold, TuningTold
from mlbkg.stages.progress import Progress
from mlbkg.stages.run_folder import RUNS
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.tuning_data import SearchEvents, key_of_study
from mlbkg.stages.tuning_judgement import Judgement, entrants_of, judge
from mlbkg.stages.tuning_log import SearchLog
from mlbkg.stages.tuning_objectives import Objective, constraints_of, measured_from
from mlbkg.stages.tuning_search import Search
from mlbkg.tuning.importance import importances
from mlbkg.tuning.space import SearchSpace
from mlbkg.tuning.study import Budget, Goal, Start, Study, open_study
from mlbkg.tuning.trial import Trial

STUDIES = "studies"
JOURNAL = "study.journal"
RESULT = "result"
TUNING = "tuning.json"
Spaces = Mapping[str, SearchSpace]
FROM_EACH_STUDY = 3
"""Trials of an earlier study that are tried first."""


@dataclass(frozen=True)
class StudyFolder:
    """``runs/<analysis>/studies/<name>``: the journal of its searches, and ``result`` once they have ended."""

    path: Path
    key: str

    @classmethod
    def of(cls, data: TrainingData, config: Config) -> StudyFolder:
        """Named by the config, or by what is made better and a few digits of what its values depend on."""
        key = key_of_study(data, config)
        name = config.tuning.study or f"{'-'.join(config.tuning.objective)}-{key[:6]}"
        return cls(RUNS / config.analysis / STUDIES / name, key)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def result(self) -> Path:
        return self.path / RESULT

    def open(self, config: Config, objectives: tuple[Objective, ...], *, held_out: int, spaces: Spaces) -> Study:
        self.path.mkdir(parents=True, exist_ok=True)
        return open_study(
            config.tuning.storage or str(self.path / JOURNAL),
            name=f"{config.analysis}/{self.name}/{held_out}",
            key=self.key,
            goals=[Goal(objective.name, objective.larger_is_better) for objective in objectives],
            spaces=spaces,
            seed=config.seed + held_out,
            prune=config.tuning.prune,
        )


@dataclass(frozen=True)
class Searched:
    """A search that has ended, and what its winner is worth. log: its run on the tracking server, still open."""

    study: Study
    events: SearchEvents
    judgement: Judgement
    told: SearchTold
    log: SearchLog


def run_search(
    study: Study,
    objectives: tuple[Objective, ...],
    events: SearchEvents,
    config: Config,
    spaces: Spaces,
    *,
    log: SearchLog,
    workers: int,
    progress: Progress,
) -> Searched:
    """Try until the budget is used up, then judge. Raises :class:`MlbkgError` where no trial is left to choose from."""
    tuning = config.tuning
    search = Search(events.searched, objectives, constraints_of(config, events.searched), seed=config.seed)
    advance = progress.step("search", total=tuning.trials, unit="trials")

    def tell(trial: Trial) -> None:
        log.trial(trial)
        if trial.state != "failed":
            advance(1, note=_best_of(study, objectives[0]))

    for trial in study.trials:
        tell(trial)

    study.run(
        search.evaluate,
        starts=tuple(_starts(config)),
        budget=Budget(tuning.trials, tuning.minutes * 60 if tuning.minutes else None),
        workers=workers,
        on_trial=tell,
    )
    winner = _winner(study)
    entrants = entrants_of(config, backend=winner.backend, parameters=winner.parameters)
    judgement = judge(entrants, events, config, workers=workers, progress=progress)
    told = SearchTold(
        name=study.name,
        held_out=events.held_out,
        trials=study.trials,
        winner=winner.number,
        front=tuple(trial.number for trial in study.front),
        contestants=judgement.contestants,
        improvement=_improvement(study, winner, objectives),
        importance=importances(study.trials, spaces),
    )
    return Searched(study, events, judgement, told, log)


def _winner(study: Study) -> Trial:
    best = study.best
    if best is None:
        raise MlbkgError(
            f"none of {len(study.trials)} trials is complete and keeps the constraints",
            where="tuning.constraints" if any(not trial.feasible for trial in study.trials) else "tuning",
            hint="Give the search more trials or time (tuning.trials, tuning.minutes), or looser constraints.",
        )
    return best


def _improvement(study: Study, winner: Trial, objectives: tuple[Objective, ...]) -> dict[str, Estimate]:
    """Of the winner on the first start; empty where that was not complete."""
    first = next((trial for trial in study.trials if trial.start is not None and trial.state == "complete"), None)
    if first is None:
        return {}
    names = [objective.name for objective in objectives]
    return {name: measured_from(winner.record, name).minus(measured_from(first.record, name)) for name in names}


def _best_of(study: Study, objective: Objective) -> str:
    best = study.best
    return f"best {best.values[0]:.5g} {objective.unit}".rstrip() if best and best.values else ""


def _starts(config: Config) -> Iterator[Start]:
    """The config's own classifiers, the backends' defaults, and the best of earlier studies."""
    tuning = config.tuning
    searched = tuning.backends or tuple(classifier.backend for classifier in config.training.classifiers)
    for classifier in (*config.training.classifiers, *tuning.compare):
        if classifier.backend in searched:
            yield Start(classifier.label, classifier.backend, classifier.parameters)
    for name in tuning.warm_start:
        for trial in _best_trials(RUNS / config.analysis / STUDIES / name, config):
            if trial.backend in searched:
                yield Start(f"{name} {trial.number}", trial.backend, trial.parameters)


def _best_trials(folder: Path, config: Config) -> list[Trial]:
    path = folder / RESULT / TUNING
    if not path.is_file():
        there = sorted(found.parents[1].name for found in folder.parent.glob(f"*/{RESULT}/{TUNING}"))
        raise MlbkgError(
            f"no finished study '{folder.name}' of analysis '{config.analysis}'{did_you_mean(folder.name, there)}",
            where="tuning.warm_start",
            hint=f"Finished: {', '.join(there) or 'none'}",
        )
    told = TuningTold.from_json(json.loads(path.read_text(encoding="utf-8")))
    return [trial for search in told.searches for trial in search.best(told.goals[0], FROM_EACH_STUDY)]
