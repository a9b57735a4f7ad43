"""Every figure of one training, in one call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlbkg.evaluation.distributions import Distribution
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.report.classifier_figures import (
    draw_background_efficiency,
    draw_calibration,
    draw_category_roc,
    draw_overtraining,
    draw_roc,
    draw_scores,
)
from mlbkg.report.diagnosis_figures import draw_correlations, draw_importance, draw_punzi, draw_sculpting
from mlbkg.report.sample_figures import PER_PAGE, draw_feature_page, draw_learning_curves
from mlbkg.report.style import Caption
from mlbkg.report.tables import Reference


@dataclass(frozen=True)
class TrainingFigures:
    """What the figures show. ``learning_curves``: classifier -> per fold, the validation loss after each round.

    ``units``: of features and spectators; names may be left out. ``reference``: another's result, marked in the ROC.
    """

    caption: Caption
    evaluations: Mapping[str, Evaluation]
    distributions: tuple[Distribution, ...]
    learning_curves: Mapping[str, Sequence[Sequence[float]]]
    units: Mapping[str, str]
    reference: Reference | None = None


def draw_all(inputs: TrainingFigures, folder: Path) -> dict[str, Path]:
    """Write PNG files into ``folder``: name -> file, the comparisons first, then each classifier, then the sample."""
    caption = inputs.caption
    figures = {
        "roc": draw_roc(inputs.evaluations, folder / "roc.png", caption=caption, reference=inputs.reference),
        "background_efficiency": draw_background_efficiency(
            inputs.evaluations, folder / "background_efficiency.png", caption=caption
        ),
        "calibration": draw_calibration(inputs.evaluations, folder / "calibration.png", caption=caption),
    }
    if any(len(fold) for folds in inputs.learning_curves.values() for fold in folds):
        path = folder / "learning_curves.png"
        figures["learning_curves"] = draw_learning_curves(inputs.learning_curves, path, caption=caption)
    for name, evaluation in inputs.evaluations.items():
        figures.update(draw_classifier(evaluation, folder, caption=caption, units=inputs.units, name=_file_name(name)))
    for start in range(0, len(inputs.distributions), PER_PAGE):
        page = f"features_{start // PER_PAGE + 1}"
        figures[page] = draw_feature_page(
            inputs.distributions[start : start + PER_PAGE], folder / f"{page}.png", caption=caption
        )
    return figures


def draw_classifier(
    evaluation: Evaluation, folder: Path, *, caption: Caption, units: Mapping[str, str], name: str
) -> dict[str, Path]:
    """The figures of one classifier; ``name`` ends their file names."""

    def at(kind: str) -> Path:
        return folder / f"{kind}_{name}.png"

    drawn = [
        draw_category_roc(evaluation, at("roc_categories"), caption=caption),
        draw_scores(evaluation, at("scores"), caption=caption),
        draw_overtraining(evaluation, at("overtraining"), caption=caption),
        draw_importance(evaluation, at("importance"), caption=caption, units=units),
        draw_correlations(evaluation, at("correlations"), caption=caption),
        draw_punzi(evaluation, at("punzi"), caption=caption),
    ]
    if evaluation.sculpting:
        drawn.append(draw_sculpting(evaluation, at("sculpting"), caption=caption, units=units))
    return {path.stem: path for path in drawn}


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
