"""``mlbkg tune``: search for better hyper-parameters, judge the winner on events that the search never saw, train it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlbkg.config.load import LoadedConfig, load
from mlbkg.config.schema import Config
from mlbkg.config.search_spaces import search_spaces
from mlbkg.report.tuning_result import Contestant, TuningTold
from mlbkg.stages.check import check
from mlbkg.stages.progress import NoProgress, Progress
from mlbkg.stages.simulate import simulate_samples
from mlbkg.stages.stopwatch import Stopwatch
from mlbkg.stages.train import TrainResult, train
from mlbkg.stages.training_data import TrainingData, load_training_data
from mlbkg.stages.tuning_data import judged_by_all, search_events
from mlbkg.stages.tuning_files import TuningFiles, write_tuning
from mlbkg.stages.tuning_judgement import figure_of, judged_figures, pool
from mlbkg.stages.tuning_log import SearchLog, TrackedSearch
from mlbkg.stages.tuning_objectives import objectives_of
from mlbkg.stages.tuning_studies import Searched, Spaces, StudyFolder, run_search
from mlbkg.tracking.mlflow_log import warm_up


@dataclass(frozen=True)
class TuneResult:
    """mlflow_run_ids: of each search; None where tracking is off or failed. trained: None where it was not asked for."""

    study: StudyFolder
    told: TuningTold
    files: TuningFiles
    mlflow_run_ids: tuple[str | None, ...]
    trained: TrainResult | None
    seconds: Mapping[str, float]

    @property
    def winner(self) -> Contestant:
        return self.told.searches[0].contestants[0]

    def to_json(self) -> dict[str, Any]:
        return {
            "study": self.study.name,
            "study_dir": str(self.study.path),
            "tuned_config": str(self.files.tuned_config),
            "winner": {"backend": self.winner.backend, **self.winner.parameters},
            "mlflow_run_ids": list(self.mlflow_run_ids),
            **self.told.to_json(),
            "seconds": dict(self.seconds),
            "train": self.trained.to_json() if self.trained else None,
        }


def tune(
    config_path: Path,
    *,
    scale: float = 1.0,
    trials: int | None = None,
    then_train: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> TuneResult:
    """Search, judge, and train the config with the winner as its only classifier.

    A search goes on where it was left, killed or not, and is shared by all who run it at once on one storage. ``trials``: in
    place of the config's. Raises :class:`ConfigError` with all problems, and what reading raises, before a trial begins.
    """
    watch, progress, workers = Stopwatch(), progress or NoProgress(), workers or os.cpu_count() or 1
    loaded = _with_trials(load(config_path, scale=scale), trials)
    config = loaded.config
    if config.tracking.enabled:
        warm_up(config.tracking.uri)
    with watch.part("check"):
        spaces = search_spaces(config)
        check(config_path, scale=scale)
    with watch.part("simulation"):
        simulate_samples(loaded, force=False, workers=workers, progress=progress)
    with watch.part("reading and features"):
        data = load_training_data(config, workers=workers, progress=progress)
    study = StudyFolder.of(data, config)
    with ExitStack() as logs:
        with watch.part("search"):
            searched = _search(study, data, loaded, spaces, logs, workers=workers, progress=progress)
        with watch.part("figures and files"):
            told = _told(searched, data, config)
            files = write_tuning(study, searched, told, loaded)
        for found in searched:
            found.log.results(found.told, told, files.artifacts(found.told))
    run_ids = tuple(found.log.run_id for found in searched)
    trained = train(files.tuned_config, scale=scale, workers=workers, progress=progress) if then_train else None
    return TuneResult(study, told, files, run_ids, trained, watch.seconds)


def _with_trials(loaded: LoadedConfig, trials: int | None) -> LoadedConfig:
    if trials is None:
        return loaded
    config = loaded.config
    tuning = config.tuning.model_copy(update={"trials": trials})
    return replace(loaded, config=config.model_copy(update={"tuning": tuning}))


def _search(
    folder: StudyFolder,
    data: TrainingData,
    loaded: LoadedConfig,
    spaces: Spaces,
    logs: ExitStack,
    *,
    workers: int,
    progress: Progress,
) -> list[Searched]:
    config, searched = loaded.config, []
    for events in search_events(data, config):
        objectives = objectives_of(config, events.searched, names=config.tuning.objective)
        study = folder.open(config, objectives, held_out=events.held_out, spaces=spaces)
        tracked = TrackedSearch(loaded, folder.path, folder.key, events.held_out, study.goals)
        log = logs.enter_context(SearchLog(tracked))
        log.datasets(data)
        found = run_search(study, objectives, events, config, spaces, log=log, workers=workers, progress=progress)
        searched.append(found)
    return searched


def _told(searched: Sequence[Searched], data: TrainingData, config: Config) -> TuningTold:
    judging = judged_by_all(data, config)
    figures = [figure_of(objective) for objective in objectives_of(config, judging, names=judged_figures(config))]
    pooled = None
    if len(searched) > 1:
        pooled = pool([found.judgement for found in searched], [found.events.rows for found in searched], judging, config)
    goals = tuple(figures[: len(config.tuning.objective)])
    return TuningTold(goals, tuple(figures), tuple(found.told for found in searched), pooled)
