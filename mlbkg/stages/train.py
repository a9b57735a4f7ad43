"""``mlbkg train``: features, folds, classifiers, evaluation, ONNX and tracking."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlbkg.classifiers.base import BACKENDS
from mlbkg.classifiers.cross_fit import Contender, CrossFit, cross_fit
from mlbkg.config.load import LoadedConfig, load
from mlbkg.config.schema import Config
from mlbkg.evaluation.distributions import Distribution
from mlbkg.evaluation.estimates import to_plain
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.evaluation.sculpting import Sculpting
from mlbkg.evaluation.working_point import Found, Rule
from mlbkg.fitting.fake_signal import FakeSignal
from mlbkg.limits.cut_scan import CutScan
from mlbkg.parallel import one_thread_each
from mlbkg.samples.source import Recipe
from mlbkg.stages.check import check
from mlbkg.stages.progress import NoProgress, Progress
from mlbkg.stages.run_folder import RunFolder, new_run
from mlbkg.stages.simulate import simulate_samples
from mlbkg.stages.sources import recipe_of
from mlbkg.stages.stopwatch import Stopwatch
from mlbkg.stages.trained import Comparison, Trained, units_of
from mlbkg.stages.training_comparison import compare, fake_signals
from mlbkg.stages.training_data import TrainingData, load_training_data
from mlbkg.stages.training_evaluation import champion_of, distributions_of, evaluate_fit, name_of, rule_of
from mlbkg.stages.training_files import TrainingFiles, write_training
from mlbkg.stages.training_fit import scan_fits
from mlbkg.stages.training_log import log_training
from mlbkg.stages.training_scan import (
    MassSearch,
    OverMasses,
    compared_with_cuts,
    mass_search,
    masses_json,
    search_masses,
)
from mlbkg.tracking.mlflow_log import warm_up


@dataclass(frozen=True)
class TrainResult:
    """``files``: what lies in the run's folder. ``mlflow_run_id``: None where tracking is off or failed."""

    trained: Trained
    run: RunFolder
    files: TrainingFiles
    mlflow_run_id: str | None
    tracking_failure: str | None
    seconds: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        trained = self.trained
        best = trained.best
        return {
            "run_dir": str(self.run.path),
            "model": str(self.files.model),
            "folds_model": str(self.files.folds_model),
            "figures": str(self.files.figures),
            "mlflow_run_id": self.mlflow_run_id,
            "tracking_failure": self.tracking_failure,
            "champion": best.name,
            "folds": trained.loaded.config.training.folds,
            "seconds": dict(self.seconds),
            "backends": {
                fit.contender.label: _backend_json(fit, evaluation, trained.punzi_fb)
                for fit, evaluation in zip(trained.fits, trained.evaluations, strict=True)
            },
            "categories": _categories_json(best),
            "sculpting": [_sculpting_json(found) for found in best.sculpting],
            "comparison": _comparison_json(trained.comparison, trained.punzi_fb) if trained.comparison else None,
            "cut_scan": _scan_json(trained.scan) if trained.scan else None,
            "fake_signal": {name: _faked_json(found) for name, found in trained.faked.items()},
            "reference": asdict(trained.reference) if trained.reference else None,
            "masses": masses_json(trained.over_masses, trained.loaded.config.scan),
            "compared_cuts": to_plain(trained.cuts),
        }


def train(
    config_path: Path, *, scale: float = 1.0, workers: int | None = None, progress: Progress | None = None
) -> TrainResult:
    """Train every classifier of the config on every fold, evaluate out of fold, export, track.

    Samples with a ``simulate`` section are made first where they do not exist, ``scale`` times as large as the config says.
    Everything is on disk before the tracking
    server hears of it. Raises :class:`ConfigError` with all problems, and :class:`OSError` where the run's folder cannot be
    made, before long work starts.
    """
    watch, progress, workers = Stopwatch(), progress or NoProgress(), workers or os.cpu_count() or 1
    loaded = load(config_path, scale=scale)
    if loaded.config.tracking.enabled:
        warm_up(loaded.config.tracking.uri)
    with watch.part("check"):
        check(config_path, scale=scale)
    with watch.part("simulation"):
        simulate_samples(loaded, force=False, workers=workers, progress=progress)
    run = new_run(loaded.config.analysis)
    with run.writing("train") as folder:
        trained = _train(loaded, watch=watch, workers=workers, progress=progress)
        files = write_training(trained, folder, watch=watch, workers=workers, progress=progress)
    files = files.moved(run.stage("train"))
    with watch.part("tracking"):
        log = log_training(trained, run, files, seconds=watch.seconds)
    return TrainResult(trained, run, files, log.run_id, log.failure, watch.seconds)


def _train(loaded: LoadedConfig, *, watch: Stopwatch, workers: int, progress: Progress) -> Trained:
    config, recipe = loaded.config, recipe_of(loaded.config)
    with watch.part("reading and features"):
        data = load_training_data(config, workers=workers, progress=progress)
    with watch.part("fitting"):
        fits = _fit(config, data, workers=workers, progress=progress)
    with watch.part("evaluation"):
        scans = scan_fits(fits, data, config, progress=progress)
        search = mass_search(data, config)
        masses = search_masses(fits, search, progress=progress)
        rules = _rules(config, fits, scans, search, masses)
        evaluations, distributions = _evaluate(config, recipe, data, fits, rules, workers=workers, progress=progress)
    punzi_fb = {name: found.punzi_fb for name, found in masses.items()}
    champion = champion_of(evaluations, by=config.training.champion, punzi_fb=punzi_fb)
    best = fits[champion], evaluations[champion]
    comparison = compare(*best, data, config, search, watch=watch, workers=workers, progress=progress)
    with watch.part("evaluation"):
        faked = fake_signals(*best, comparison, data, config)
        cuts = compared_with_cuts(best[0], search, config)
    return Trained(loaded, recipe, data, fits, evaluations, champion, distributions, scans, comparison, faked, masses, cuts)


def _fit(config: Config, data: TrainingData, *, workers: int, progress: Progress) -> tuple[CrossFit, ...]:
    contenders = [
        Contender(wanted.label, BACKENDS[wanted.backend], BACKENDS[wanted.backend].params(**wanted.parameters))
        for wanted in config.training.classifiers
    ]
    advance = progress.step("train classifiers", total=len(contenders) * len(data.splits), unit="fits")
    return cross_fit(
        contenders,
        data.sample,
        data.weight,
        data.splits,
        seed=config.seed,
        workers=workers,
        on_fit=lambda: advance(1),
    )


def _rules(
    config: Config,
    fits: Sequence[CrossFit],
    scans: Mapping[str, CutScan],
    search: MassSearch | None,
    masses: Mapping[str, OverMasses],
) -> list[Rule]:
    """How the working point of each is chosen: by a rule that is the same for all, or as it was found for each."""
    same = rule_of(config)
    if same is not None:
        return [same] * len(fits)
    name, labels = name_of(config), [fit.contender.label for fit in fits]
    if search is not None:
        return [search.rule(masses[label], name=name) for label in labels]
    return [Found(name, float(scans[label].threshold[scans[label].best])) for label in labels]


def _evaluate(
    config: Config,
    recipe: Recipe,
    data: TrainingData,
    fits: Sequence[CrossFit],
    rules: Sequence[Rule],
    *,
    workers: int,
    progress: Progress,
) -> tuple[tuple[Evaluation, ...], tuple[Distribution, ...]]:
    advance = progress.step("evaluate out of fold", total=len(fits), unit="classifiers")

    def run(fit: CrossFit, rule: Rule) -> Evaluation:
        evaluation = evaluate_fit(fit, data, config, rule=rule)
        advance(1)
        return evaluation

    with one_thread_each(), ThreadPoolExecutor(workers) as pool:
        evaluations = pool.map(run, fits, rules)
        distributions = pool.submit(distributions_of, data, units=units_of(recipe))
        return tuple(evaluations), distributions.result()


def _backend_json(fit: CrossFit, evaluation: Evaluation, punzi_fb: Mapping[str, float]) -> dict[str, Any]:
    """``punzi``: fb, where masses are searched."""
    ranking = evaluation.ranking
    return {
        "auc": ranking.auc.value,
        "auc_error": ranking.auc.error,
        "background_rejection": ranking.background_rejection.value,
        "background_rejection_error": ranking.background_rejection.error,
        "signal_efficiency": ranking.signal_efficiency,
        "log_loss": ranking.log_loss,
        **({"punzi": to_plain(punzi_fb[evaluation.name])} if evaluation.name in punzi_fb else {}),
        "trees": sum(fitted.n_trees for fitted in fit.fitted) / len(fit.fitted),
        "fit_seconds": fit.fit_seconds,
        "predict_seconds": fit.predict_seconds,
    }


def _categories_json(evaluation: Evaluation) -> dict[str, Any]:
    return {
        category.name: {
            "background_efficiency": category.background_efficiency.value,
            "background_efficiency_error": category.background_efficiency.error,
            "candidates": category.candidates,
            "expected": category.expected_yield,
            "expected_after": category.expected_yield * category.background_efficiency.value,
        }
        for category in evaluation.ranking.categories
    }


def _comparison_json(comparison: Comparison, punzi_fb: Mapping[str, float]) -> dict[str, Any]:
    evaluation = comparison.evaluation
    return {
        "name": evaluation.name,
        **_backend_json(comparison.fit, evaluation, punzi_fb),
        "features": [line.name for line in evaluation.importance],
        "categories": _categories_json(evaluation),
        "sculpting": [_sculpting_json(found) for found in evaluation.sculpting],
    }


def _sculpting_json(found: Sculpting) -> dict[str, Any]:
    return {
        "spectator": found.spectator,
        "ks_distance": found.test.distance if found.test else None,
        "p_value": found.test.p_value if found.test else None,
        "jensen_shannon": found.jensen_shannon,
        "mutual_information": found.mutual_information,
    }


def _scan_json(scan: CutScan) -> dict[str, Any]:
    """The cut that is best, and those of other rules."""
    cuts = {"best": scan.best, **scan.marks}
    keys = ("threshold", "signal_efficiency", "background", "expected_limit", "statistical_limit")
    return {name: {key: float(getattr(scan, key)[index]) for key in keys} for name, index in cuts.items()}


def _faked_json(found: FakeSignal) -> dict[str, Any]:
    return {**to_plain(found), "expected_sigma": found.expected_sigma}
