"""Every figure of one training, in one call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlbkg.evaluation.distributions import Distribution
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.parallel import parallel_map
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
class Compared:
    """One classifier of the training, by its name, with other features."""

    classifier: str
    evaluation: Evaluation


@dataclass(frozen=True)
class TrainingFigures:
    """What the figures show. ``learning_curves``: classifier -> per fold, the validation loss after each round.

    ``units``: of features and spectators; names may be left out. ``reference``: another's result, marked in the ROC.
    ``comparison``: drawn beside the classifiers, and in its own classifier's sculpting figure.
    """

    caption: Caption
    evaluations: Mapping[str, Evaluation]
    distributions: tuple[Distribution, ...]
    learning_curves: Mapping[str, Sequence[Sequence[float]]]
    units: Mapping[str, str]
    reference: Reference | None = None
    comparison: Compared | None = None

    @property
    def side_by_side(self) -> Mapping[str, Evaluation]:
        """All evaluations, and the comparison behind them."""
        more = {self.comparison.evaluation.name: self.comparison.evaluation} if self.comparison else {}
        return {**self.evaluations, **more}


def draw_all(inputs: TrainingFigures, folder: Path, *, workers: int = 1) -> dict[str, Path]:
    """Write PNG files into ``folder``: name -> file, the comparisons first, then each classifier, then the sample."""
    pages = [inputs.distributions[start : start + PER_PAGE] for start in range(0, len(inputs.distributions), PER_PAGE)]
    tasks: list[_Task] = [
        _Comparison(inputs, folder),
        *(_Classifier(found, folder, inputs, _file_name(name)) for name, found in inputs.evaluations.items()),
        *(_Page(page, folder / f"features_{number}.png", inputs.caption) for number, page in enumerate(pages, 1)),
    ]
    drawn = [path for paths in parallel_map(_draw, tasks, workers=workers) for path in paths]
    return {path.stem: path for path in drawn}


class _Task(Protocol):
    """Some of the figures: what a worker process is sent."""

    def draw(self) -> list[Path]: ...


@dataclass(frozen=True)
class _Comparison:
    inputs: TrainingFigures
    folder: Path

    def draw(self) -> list[Path]:
        of, folder, caption = self.inputs, self.folder, self.inputs.caption
        drawn = [
            draw_roc(of.side_by_side, folder / "roc.png", caption=caption, reference=of.reference),
            draw_background_efficiency(of.side_by_side, folder / "background_efficiency.png", caption=caption),
            draw_calibration(of.evaluations, folder / "calibration.png", caption=caption),
        ]
        if any(len(fold) for folds in of.learning_curves.values() for fold in folds):
            drawn.append(draw_learning_curves(of.learning_curves, folder / "learning_curves.png", caption=caption))
        return drawn


@dataclass(frozen=True)
class _Classifier:
    evaluation: Evaluation
    folder: Path
    inputs: TrainingFigures
    name: str

    def draw(self) -> list[Path]:
        other = self.inputs.comparison
        drawn = draw_classifier(
            self.evaluation,
            self.folder,
            caption=self.inputs.caption,
            units=self.inputs.units,
            name=self.name,
            comparison=other.evaluation if other and other.classifier == self.evaluation.name else None,
        )
        return list(drawn.values())


@dataclass(frozen=True)
class _Page:
    distributions: tuple[Distribution, ...]
    path: Path
    caption: Caption

    def draw(self) -> list[Path]:
        return [draw_feature_page(self.distributions, self.path, caption=self.caption)]


def _draw(task: _Task) -> list[Path]:
    return task.draw()


def draw_classifier(
    evaluation: Evaluation,
    folder: Path,
    *,
    caption: Caption,
    units: Mapping[str, str],
    name: str,
    comparison: Evaluation | None = None,
) -> dict[str, Path]:
    """The figures of one classifier; ``name`` ends their file names. ``comparison``: joins the sculpting figure."""

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
        drawn.append(draw_sculpting(evaluation, at("sculpting"), caption=caption, units=units, comparison=comparison))
    return {path.stem: path for path in drawn}


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
