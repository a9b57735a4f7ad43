"""Tell the tracking server what a training did. By then everything is on disk."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Logged:
    run_id: str | None
    failure: str | None


def log_training(trained: Trained, run: RunFolder, files: TrainingFiles, *, seconds: Mapping[str, float]) -> Logged:
    config = trained.loaded.config
    best = trained.evaluations[trained.champion]
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
                "git_commit": _git_commit(),
            }
        )
        log.parameters(_parameters(config))
        for name, value in trained.data.fingerprints.items():
            rows = trained.data.rows[name]
            source = next(sample.files[0] for sample in config.samples if sample.name == name)
            log.dataset(name, fingerprint=value, source=source, rows=rows)
        for fit, evaluation in zip(trained.fits, trained.evaluations, strict=True):
            log.metrics(_metrics(evaluation))
            for fold, merit in enumerate(files.fold_auc[evaluation.name]):
                log.metrics({f"{evaluation.name}/auc_by_fold": merit}, step=fold)
            log.metrics({f"{evaluation.name}/fit_seconds": fit.fit_seconds})
        log.metrics({"auc": best.ranking.auc.value, "background_rejection": best.ranking.background_rejection.value})
        log.metrics({f"seconds/{name}": value for name, value in seconds.items()})
        for path in files.artifacts:
            log.artifact(path, folder="figures" if path.suffix == ".png" else "")
        log.onnx_model(files.model, name=config.analysis, alias=CHAMPION, description=_description(trained))
    return Logged(log.run_id, log.failure)


def _description(trained: Trained) -> str:
    best = trained.evaluations[trained.champion]
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


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    ranking, name = evaluation.ranking, evaluation.name
    metrics = {
        f"{name}/auc": ranking.auc.value,
        f"{name}/auc_error": ranking.auc.error,
        f"{name}/background_rejection": ranking.background_rejection.value,
        f"{name}/background_rejection_error": ranking.background_rejection.error,
        f"{name}/log_loss": ranking.log_loss,
    }
    for category in ranking.categories:
        metrics[f"{name}/background_efficiency/{category.name}"] = category.background_efficiency.value
    return {key: value for key, value in metrics.items() if value == value}


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
