"""Tell the tracking server what a training did. By then everything is on disk."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from mlbkg.config.schema import Config
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.stages.run_folder import RunFolder
from mlbkg.stages.trained import Trained
from mlbkg.stages.training_files import TrainingFiles
from mlbkg.tracking.mlflow_log import open_log

CHAMPION = "champion"
"""Alias of the registered model that the latest training chose."""
COMPARISON = "comparison"
"""Metrics of the champion on other features; MLflow allows no brackets in their names."""


@dataclass(frozen=True)
class Logged:
    run_id: str | None
    failure: str | None


def log_training(trained: Trained, run: RunFolder, files: TrainingFiles, *, seconds: Mapping[str, float]) -> Logged:
    config = trained.loaded.config
    best = trained.best
    log = open_log(
        enabled=config.tracking.enabled,
        uri=config.tracking.uri,
        experiment=config.tracking.experiment or config.analysis,
        run_name=run.name,
        description=_description(trained),
    )
    with log:
        log.tags(
            {
                "analysis": config.analysis,
                "stage": "train",
                "champion": best.name,
                "run_folder": str(run.path),
                "config_sha256": trained.loaded.sha256,
                "scale": f"{trained.loaded.scale:g}",
                "git_commit": _git_commit(),
            }
        )
        log.parameters(_parameters(config))
        for name, value in trained.data.fingerprints.items():
            rows = trained.data.rows[name]
            source = next(sample.files[0] for sample in config.samples if sample.name == name)
            log.dataset(name, fingerprint=value, source=source, rows=rows)
        for fit, evaluation in zip(trained.fits, trained.evaluations, strict=True):
            log.metrics(_metrics(evaluation, under=evaluation.name))
            for fold, merit in enumerate(files.fold_auc[evaluation.name]):
                log.metrics({f"{evaluation.name}/auc_by_fold": merit}, step=fold)
            log.metrics({f"{evaluation.name}/fit_seconds": fit.fit_seconds})
        log.metrics(_statistics(trained))
        log.metrics({"auc": best.ranking.auc.value, "background_rejection": best.ranking.background_rejection.value})
        log.metrics({f"seconds/{name}": value for name, value in seconds.items()})
        for path in files.artifacts:
            log.artifact(path, folder="figures" if path.suffix == ".png" else "")
        log.onnx_model(files.model, name=config.analysis, alias=CHAMPION, description=_description(trained))
    return Logged(log.run_id, log.failure)


def _description(trained: Trained) -> str:
    best = trained.best
    rejection = best.ranking.background_rejection
    return (
        f"{trained.loaded.config.title or trained.loaded.config.analysis}: {best.name}, out-of-fold AUC "
        f"{best.ranking.auc.value:.4f} ± {best.ranking.auc.error:.4f}, background rejection {100 * rejection.value:.2f} ± "
        f"{100 * rejection.error:.2f} % at {100 * best.ranking.signal_efficiency:.1f} % signal efficiency"
    )


def _parameters(config: Config) -> dict[str, object]:
    values: dict[str, object] = {
        "seed": config.seed,
        "folds": config.training.folds,
        "n_features": len(config.features),
        "features": ", ".join(feature.name for feature in config.features),
        "preselection": " && ".join(config.preselection),
        "luminosity_per_fb": config.luminosity_per_fb,
        "negative_weights": config.training.negative_weights,
        "validation_fraction": config.training.validation_fraction,
    }
    for classifier in config.training.classifiers:
        values |= {f"{classifier.label}.{name}": value for name, value in classifier.parameters.items()}
    return values


def _metrics(evaluation: Evaluation, *, under: str) -> dict[str, float]:
    ranking = evaluation.ranking
    metrics = {
        "auc": ranking.auc.value,
        "auc_error": ranking.auc.error,
        "background_rejection": ranking.background_rejection.value,
        "background_rejection_error": ranking.background_rejection.error,
        "log_loss": ranking.log_loss,
        **{f"background_efficiency/{line.name}": line.background_efficiency.value for line in ranking.categories},
        **{f"sculpting/{line.spectator}": line.test.distance for line in evaluation.sculpting if line.test is not None},
    }
    return {f"{under}/{key}": value for key, value in metrics.items() if value == value}


def _statistics(trained: Trained) -> dict[str, float]:
    """Of the comparison, the cut scan, the signal that is faked and the search over masses, where they were made."""
    metrics: dict[str, float] = {}
    if trained.comparison is not None:
        metrics |= _metrics(trained.comparison.evaluation, under=COMPARISON)
    for name, found in trained.faked.items():
        under = trained.best.name if name == trained.best.name else COMPARISON
        metrics |= {f"{under}/fake_signal": found.events, f"{under}/fake_signal_error": found.error}
        metrics[f"{under}/fake_signal_expected_sigma"] = found.expected_sigma
    for name, punzi_fb in trained.punzi_fb.items():
        under = COMPARISON if trained.comparison and name == trained.comparison.evaluation.name else name
        metrics[f"{under}/punzi_fb"] = punzi_fb
    if trained.over_masses is not None:
        metrics["punzi_fb"] = trained.over_masses.punzi_fb
    if trained.scan is not None:
        best = trained.scan.best
        metrics["expected_limit"] = float(trained.scan.expected_limit[best])
        metrics["statistical_limit"] = float(trained.scan.statistical_limit[best])
    return {key: value for key, value in metrics.items() if math.isfinite(value)}


def _git_commit() -> str:
    """Of the folder that is worked in; empty outside a repository."""
    git = shutil.which("git")
    if git is None:
        return ""
    try:
        found = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
