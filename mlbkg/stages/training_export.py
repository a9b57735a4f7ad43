"""Every classifier of a training as a checked ONNX model; the champion's stands at the top of the folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from mlbkg.classifiers.cross_fit import CrossFit
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.export.metadata import FeatureInfo, ModelMetadata, WorkingPointInfo, installed_versions
from mlbkg.export.model_card import CardText
from mlbkg.export.write import CARD, FOLDS, MODEL, export
from mlbkg.report.tables import format_efficiency, format_estimate, format_p_value
from mlbkg.stages.progress import Progress
from mlbkg.stages.trained import Trained

PACKAGES = ("lightgbm", "mlbkg", "numpy", "onnx", "onnxruntime", "scikit-learn", "treelite", "xgboost", "xgboost-cpu")

SHAPES_NO_MODEL = {"tracking", "tuning"}
"""Sections that a model does not depend on, and does not name: servers may stand in them."""


def export_all(trained: Trained, folder: Path, *, progress: Progress) -> None:
    """Fill ``folder/models/<classifier>``. Raises :class:`ParityError` where a model does not answer as trained."""
    advance = progress.step("export and check ONNX", total=len(trained.fits), unit="models")
    for fit, evaluation in zip(trained.fits, trained.evaluations, strict=True):
        target = folder / "models" / evaluation.name
        export(
            fit.fitted,
            trained.data.sample.features,
            target,
            metadata=_metadata(trained, fit, evaluation),
            card=_card(trained, evaluation),
        )
        advance(1)
    best = folder / "models" / trained.best.name
    for name in (MODEL, FOLDS, CARD):
        shutil.copyfile(best / name, folder / name)


def _metadata(trained: Trained, fit: CrossFit, evaluation: Evaluation) -> ModelMetadata:
    config, data = trained.loaded.config, trained.data
    points = (evaluation.working_point, *evaluation.alternatives)
    signal = data.sample.label == 1
    return ModelMetadata(
        analysis=config.analysis,
        title=config.title,
        backend=fit.contender.backend.name,
        features=_features(trained),
        n_folds=config.training.folds,
        salt=config.training.salt,
        event_id=config.ntuples.event_id,
        working_points=tuple(
            WorkingPointInfo(
                name=point.rule,
                threshold=point.threshold,
                signal_efficiency=point.signal_efficiency.value,
                background_efficiency=point.background_efficiency.value,
                curve=point.curve,
            )
            for point in points
        ),
        class_prior=float(data.weight[signal].sum() / data.weight.sum()),
        config=json.loads(config.model_dump_json(exclude=SHAPES_NO_MODEL)),
        data_fingerprints=data.fingerprints,
        versions=installed_versions(PACKAGES),
    )


def _features(trained: Trained) -> tuple[FeatureInfo, ...]:
    library = trained.recipe.library
    return tuple(
        FeatureInfo(
            name=spec.name,
            unit=library[spec.name].unit,
            needs=library[spec.name].needs,
            description=library[spec.name].description,
            basf2=library[spec.name].basf2,
            column=spec.column,
            expression=spec.expression,
        )
        for spec in trained.recipe.features
    )


def _card(trained: Trained, evaluation: Evaluation) -> CardText:
    data, ranking = trained.data, evaluation.ranking
    performance = {
        "AUC": format_estimate(ranking.auc),
        f"background rejection at {100 * ranking.signal_efficiency:.1f} % signal efficiency": format_estimate(
            ranking.background_rejection
        ),
        **{f"background kept, {line.name}": format_efficiency(line.background_efficiency) for line in ranking.categories},
    }
    return CardText(
        training={"candidates": _rows(data.rows), "weights": _weights(trained)},
        performance=performance,
        limits=_limits(evaluation),
    )


def _rows(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in rows.items())


def _weights(trained: Trained) -> str:
    settings = trained.loaded.config.training
    scaled = "scaled so that both classes have equal sums" if settings.balance_classes else "as they are"
    flat = f"signal the same for all of {', '.join(settings.flatten)}, " if settings.flatten else ""
    return f"physics weights, {flat}{scaled}; negative ones: {settings.negative_weights}"


def _limits(evaluation: Evaluation) -> list[str]:
    """Where the model shapes a spectator's background, say so: a fit in that spectator would find what the model made."""
    return [
        f"The working point changes the background's shape in {found.spectator} (KS distance {found.test.distance:.3f}, "
        f"p {format_p_value(found.test.p_value)}): do not fit {found.spectator} after this selection without that shape."
        for found in evaluation.sculpting
        if found.test is not None and found.test.p_value < 0.01
    ]
