"""The champion once more, on other features, and what a fit would find in the background that each of the two keeps."""

from __future__ import annotations

from dataclasses import replace

from mlbkg.classifiers.cross_fit import CrossFit, cross_fit
from mlbkg.config.schema import Config
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.evaluation.working_point import BySignalEfficiency
from mlbkg.fitting.fake_signal import FakeSignal
from mlbkg.stages.progress import Progress
from mlbkg.stages.stopwatch import Stopwatch
from mlbkg.stages.trained import Comparison
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.training_evaluation import evaluate_fit, name_of, probability, rule_of
from mlbkg.stages.training_fit import faked
from mlbkg.stages.training_scan import MassSearch


def compare(
    fit: CrossFit,
    evaluation: Evaluation,
    data: TrainingData,
    config: Config,
    search: MassSearch | None,
    *,
    watch: Stopwatch,
    workers: int,
    progress: Progress,
) -> Comparison | None:
    """Train and evaluate on ``data.compared`` as the champion was on its own features: same parameters, seeds and folds.

    The working point is by the same rule; for a cut by expected limit, it keeps as much signal as the champion's.
    ``search``: over the masses of a scan.
    """
    if data.compared is None:
        return None
    other = replace(data, sample=data.compared)
    advance = progress.step("train the comparison", total=len(data.splits), unit="fits")
    with watch.part("fitting"):
        (again,) = cross_fit(
            [fit.contender], other.sample, other.weight, other.splits, seed=config.seed, workers=workers,
            on_fit=lambda: advance(1),
        )  # fmt: skip
    with watch.part("evaluation"):
        masses = search.reached_by(probability(again.margin)) if search else None
        rule = rule_of(config) or (search.rule(masses, name=name_of(config)) if search and masses else None)
        kept = evaluation.working_point.signal_efficiency.value
        found = evaluate_fit(again, other, config, rule=rule or BySignalEfficiency(kept))
    return Comparison(again, replace(found, name=f"{evaluation.name} (comparison)"), masses)


def fake_signals(
    fit: CrossFit, evaluation: Evaluation, comparison: Comparison | None, data: TrainingData, config: Config
) -> dict[str, FakeSignal]:
    """By the names of the evaluations; empty without a section ``fit``."""
    both = [(fit, evaluation), *([(comparison.fit, comparison.evaluation)] if comparison else [])]
    found = {
        of.name: faked(probability(scored.margin), of.working_point.threshold, data, config, name=of.name)
        for scored, of in both
    }
    return {name: fake for name, fake in found.items() if fake is not None}
