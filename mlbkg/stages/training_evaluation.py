"""Evaluate every classifier of a training, and choose the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.cross_fit import CrossFit
from mlbkg.config.schema import Config, Punzi
from mlbkg.evaluation.distributions import Distribution, feature_distributions
from mlbkg.evaluation.evaluate import Evaluation, EvaluationInputs, evaluate
from mlbkg.evaluation.importance import HeldOut
from mlbkg.evaluation.working_point import ByPunzi, ByScore, BySignalEfficiency, Rule, spelled
from mlbkg.stages.training_data import TrainingData

PERMUTATION_REPEATS = 2
_OVER_MASSES = {"window": "per window", "selection": "mean over windows"}


def evaluate_fit(fit: CrossFit, data: TrainingData, config: Config, *, rule: Rule) -> Evaluation:
    sample, settings = data.sample, config.evaluation
    return evaluate(
        EvaluationInputs(
            name=fit.contender.label,
            score=probability(fit.margin),
            margin=fit.margin,
            train_score=probability(fit.seen_margin),
            label=sample.label,
            weight=sample.weight,
            event_index=data.event_index,
            category=sample.category,
            category_names=sample.category_names,
            features=sample.features,
            feature_names=sample.feature_names,
            spectators=sample.spectators,
            gain=np.mean([fitted.gain_importance() for fitted in fit.fitted], axis=0),
            held_out=_held_out(fit, data, rows=settings.permutation_rows, seed=config.seed),
            permutation_repeats=PERMUTATION_REPEATS,
            working_point=rule,
            punzi=punzi_of(config),
            signal_efficiency=settings.signal_efficiency,
            replicas=settings.bootstrap,
            seed=config.seed,
        )
    )


def distributions_of(data: TrainingData, *, units: Mapping[str, str]) -> tuple[Distribution, ...]:
    """Of every feature, then of every spectator that is none."""
    sample = data.sample
    columns = {name: sample.features[:, i] for i, name in enumerate(sample.feature_names)}
    return feature_distributions(
        {**columns, **{name: values for name, values in sample.spectators.items() if name not in columns}},
        sample.label,
        sample.weight,
        sample.category,
        category_names=sample.category_names,
        event_index=data.event_index,
        units=units,
    )


def probability(margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logistic function, rounded to the float32 that an ONNX model answers with."""
    with np.errstate(over="ignore"):
        return (1 / (1 + np.exp(-margin))).astype(np.float32).astype(np.float64)


def rule_of(config: Config) -> Rule | None:
    """None for a cut by expected limit, which takes a fit to find, and for Punzi's figure over the masses of a scan."""
    point = config.selection.working_point
    if point.score is not None:
        return ByScore(point.score)
    if point.signal_efficiency is not None:
        return BySignalEfficiency(point.signal_efficiency)
    return punzi_of(config) if point.punzi is not None and config.scan is None else None


def name_of(config: Config) -> str:
    """What a model calls the working point of ``config``."""
    rule, point = rule_of(config), config.selection.working_point
    if rule is not None:
        return spelled(rule)
    if point.punzi is not None:
        assert config.scan is not None
        variables = " and ".join(axis.variable for axis in config.scan.axes)
        return f"{spelled(punzi_of(config))}, {_OVER_MASSES[point.punzi.per]} in {variables}"
    assert point.expected_limit is not None
    kind = "with systematics" if point.expected_limit.systematics else "statistical"
    return f"expected limit {kind}, {point.expected_limit.points} cuts"


def punzi_of(config: Config) -> ByPunzi:
    punzi = config.selection.working_point.punzi or Punzi()
    return ByPunzi(punzi.a, punzi.b)


def champion_of(evaluations: Sequence[Evaluation], *, by: str, punzi_fb: Mapping[str, float]) -> int:
    """Index of the best by the named figure of merit; the first of equals. ``punzi_fb``: by name, of a scan."""
    if by == "punzi":
        return int(np.argmin([punzi_fb[evaluation.name] for evaluation in evaluations]))
    if by == "log_loss":
        return int(np.argmin([evaluation.ranking.log_loss for evaluation in evaluations]))
    merits = [getattr(evaluation.ranking, by).value for evaluation in evaluations]
    return int(np.argmax(merits))


def _held_out(fit: CrossFit, data: TrainingData, *, rows: int, seed: int) -> HeldOut:
    """Rows of fold 0 and the model that never saw them, both classes alike."""
    scored = data.splits[0].scored
    label = data.sample.label[scored]
    generator = np.random.default_rng(seed)
    chosen = np.concatenate([_some(scored[label == value], rows // 2, generator) for value in (0, 1)])
    return HeldOut(
        predict=fit.fitted[0].predict_margin,
        features=data.sample.features[chosen],
        label=data.sample.label[chosen],
        weight=data.sample.weight[chosen],
        event_index=np.unique(data.event_index[chosen], return_inverse=True)[1],
    )


def _some(rows: NDArray[np.intp], at_most: int, generator: np.random.Generator) -> NDArray[np.intp]:
    return rows if len(rows) <= at_most else np.sort(generator.choice(rows, at_most, replace=False))
