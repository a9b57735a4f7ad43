"""Tell the tracking server what a training did. By then everything is on disk."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from mlbkg.config.load import LoadedConfig
from mlbkg.config.schema import Config
from mlbkg.evaluation.estimates import Estimate
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.report.markdown import as_markdown
from mlbkg.report.tables import classifier_table, format_efficiency, format_estimate, format_rejection, format_value_error
from mlbkg.stages.provenance import clean, data_sha256, events_sha256, features_sha256, git_commit
from mlbkg.stages.run_folder import RunFolder
from mlbkg.stages.trained import Trained
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.training_files import TrainingFiles
from mlbkg.stages.training_metrics import champion_metrics, curves_of, details, group_of, of_classifier
from mlbkg.stages.upload import spool_of
from mlbkg.tracking.base import RunLog
from mlbkg.tracking.mlflow_log import open_log

CHAMPION = "champion"
"""Alias of the registered model that the latest training chose."""
FOLDERS = {".png": "figures", ".json": "tables", ".onnx": "models", ".yaml": "config", ".txt": "config"}
"""Of artefacts, by kind; what has no place here, the model card, lies on top."""


@dataclass(frozen=True)
class Logged:
    run_id: str | None
    failure: str | None


def log_training(trained: Trained, run: RunFolder, files: TrainingFiles, *, seconds: Mapping[str, float]) -> Logged:
    config = trained.loaded.config
    log = open_log(
        enabled=config.tracking.enabled,
        uri=config.tracking.uri,
        experiment=config.tracking.experiment or config.analysis,
        run_name=f"{short_id(run)} {trained.best.name}",
        description=_note(trained, run, files),
        spool=spool_of(config.analysis, run.name),
        began=time.time() - seconds["total"],
    )
    with log:
        log.tags(_tags(trained, run))
        log.parameters(_parameters(trained))
        log_datasets(trained.data, config, log)
        # MLflow lists metrics as they came
        log.metrics(champion_metrics(trained, seconds=seconds["total"]))
        log.metrics(details(trained.best, seconds))
        _log_classifiers(trained, log)
        for path in (*files.artifacts, files.model, files.folds_model):
            log.artifact(path, folder=FOLDERS.get(path.suffix, ""))
        log.onnx_model(
            files.model,
            name=config.analysis,
            alias=CHAMPION,
            description=_summary(trained.best),
            tags=_model_tags(trained, run),
            card=files.folder / "card.md",
        )
    return Logged(log.run_id, log.failure)


def short_id(run: RunFolder) -> str:
    """What tells runs apart and yet fits a column."""
    return run.name.rpartition("-")[2]


def provenance_tags(loaded: LoadedConfig) -> dict[str, str]:
    """What every run of a config has, whatever its stage."""
    config, commit = loaded.config, git_commit()
    tags = {
        "analysis": config.analysis,
        "config": loaded.path.name,
        "config_sha256": loaded.sha256,
        "features_sha256": features_sha256([feature.name for feature in config.features]),
        "scale": f"{loaded.scale:g}",
        "mlbkg_version": version("mlbkg"),
        "git_commit": commit,
        # MLflow's own names for its columns "Source" and "Version"
        "mlflow.source.name": loaded.path.name,
        "mlflow.source.git.commit": clean(commit),
    }
    return {name: value for name, value in tags.items() if value}


def log_datasets(data: TrainingData, config: Config, log: RunLog) -> None:
    sources = {sample.name: sample.files[0] for sample in config.samples}
    for name, fingerprint in data.fingerprints.items():
        log.dataset(name, fingerprint=fingerprint, source=sources[name], rows=data.rows[name])


def _tags(trained: Trained, run: RunFolder) -> dict[str, str]:
    return {
        "stage": "train",
        "champion": trained.best.name,
        "run_folder": str(run.path),
        **provenance_tags(trained.loaded),
        "data_sha256": data_sha256(trained.data.fingerprints),
        "events_sha256": events_sha256(trained.data),
    }


def _model_tags(trained: Trained, run: RunFolder) -> dict[str, str]:
    """What a user of the registered model asks before loading it."""
    point, wanted = trained.best.working_point, ("analysis", "features_sha256", "git_commit", "mlbkg_version")
    tags = provenance_tags(trained.loaded)
    return {
        "classifier": trained.best.name,
        "working_point": f"{point.rule}: {point.cut}",
        **{name: tags[name] for name in wanted if name in tags},
        "run_folder": str(run.path),
    }


def _parameters(trained: Trained) -> dict[str, object]:
    """Every parameter of every classifier, defaults too: the compare page shows those that differ."""
    config = trained.loaded.config
    values: dict[str, object] = {
        "seed": config.seed,
        "folds": config.training.folds,
        "working_point": trained.best.working_point.rule,
        "champion_by": config.training.champion,
        "n_features": len(config.features),
        "features": ", ".join(feature.name for feature in config.features),
        "preselection": " && ".join(config.preselection),
        "luminosity_per_fb": config.luminosity_per_fb,
        "negative_weights": config.training.negative_weights,
        "validation_fraction": config.training.validation_fraction,
    }
    for fit in trained.fits:
        values |= {f"{fit.contender.label}.{name}": value for name, value in fit.contender.params.model_dump().items()}
    return values


def _log_classifiers(trained: Trained, log: RunLog) -> None:
    """Curves of the champion twice: without group, where other trainings have theirs, and among its own figures."""
    efficiency = trained.loaded.config.evaluation.signal_efficiency
    fits = [*trained.fits, *([trained.comparison.fit] if trained.comparison else [])]
    evaluations = [*trained.evaluations, *([trained.comparison.evaluation] if trained.comparison else [])]
    for fit, evaluation in zip(fits, evaluations, strict=True):
        group = group_of(trained, evaluation.name)
        log.metrics({f"{group}/{name}": value for name, value in of_classifier(trained, evaluation.name).items()})
        for name, curve in curves_of(fit, trained.data, signal_efficiency=efficiency).items():
            names = [f"{group}/{name}", *([name] if evaluation is trained.best else [])]
            for step, value in zip(curve.steps, curve.values, strict=True):
                log.metrics(dict.fromkeys(names, value), step=step)


def _summary(best: Evaluation) -> str:
    """One line."""
    rejection = best.ranking.background_rejection
    return (
        f"{best.name}: AUC {format_estimate(best.ranking.auc)}, background rejection "
        f"{format_value_error(100 * rejection.value, 100 * rejection.error)} % at "
        f"{100 * best.ranking.signal_efficiency:.1f} % signal efficiency, out of fold"
    )


def _note(trained: Trained, run: RunFolder, files: TrainingFiles) -> str:
    """What the run's page shows: the table first, for the page folds away what is below its first lines."""
    config, best = trained.loaded.config, trained.best
    evaluations = {best.name: best, **{evaluation.name: evaluation for evaluation in trained.evaluations}}
    if trained.comparison is not None:
        evaluations[trained.comparison.evaluation.name] = trained.comparison.evaluation
    table = classifier_table(evaluations, reference=trained.reference, punzi_fb=trained.punzi_fb)
    return "\n\n".join(
        [
            as_markdown(table, strong=best.name),
            *_working_point(trained),
            f"{config.title or config.analysis}: champion {best.name} by {config.training.champion}, all out of fold",
            f"Run folder `{run.path}`, model `{files.model.relative_to(run.path)}`, config `{trained.loaded.path.name}`",
        ]
    )


def _working_point(trained: Trained) -> list[str]:
    point, scan = trained.best.working_point, trained.scan
    lines = [
        f"Working point, {point.rule}: `{point.cut}` keeps {format_efficiency(point.signal_efficiency)} of the signal and "
        f"rejects {_rejected(trained)} of the background"
    ]
    if scan is not None:
        limit = trained.quantity.text(float(scan.expected_limit[scan.best]))
        lines.append(f"Expected {100 * scan.confidence_level:g} % limit there: {trained.quantity.symbol} < {limit}")
    if trained.over_masses is not None:
        lines.append(f"Punzi cross section, mean over the masses: {trained.over_masses.punzi_fb:.3g} fb")
    return lines


def _rejected(trained: Trained) -> str:
    kept = trained.best.working_point.background_efficiency
    return format_rejection(Estimate(1 - kept.value, kept.error), kept)
