"""What a search makes better: figures of merit of the events and settings of a config."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.base import FittedClassifier
from mlbkg.config.schema import Config, ExpectedLimit
from mlbkg.evaluation.metrics import auc
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.training_evaluation import probability, punzi_of
from mlbkg.stages.training_fit import simulated_quantity
from mlbkg.stages.training_scan import MassSearch, mass_search
from mlbkg.stages.tuning_cost import forest_of, measured_ns, predicted_ns
from mlbkg.stages.tuning_counting import Counting
from mlbkg.stages.tuning_fit_limit import FitLimit
from mlbkg.stages.tuning_masses import punzi_over_masses
from mlbkg.tuning import figures
from mlbkg.tuning.figures import Ground
from mlbkg.tuning.measured import Measured

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
REPLICAS = 50
"""Behind every error of a trial: known to 10 %, and small enough to be kept with each trial."""
COUNTED_ROWS, TIMED_ROWS = 300, 2000
DIGITS = 8
"""So many that the difference of two figures near one still tells trials apart."""


@dataclass(frozen=True)
class Scored:
    """What a trial's models say of events that they did not see. margin: ``(n,)`` log-odds. fitted: the folds' models."""

    margin: Array
    fitted: tuple[FittedClassifier, ...]


Measure = Callable[[Scored], Measured]
OfFold = Callable[[Rows, Array], float]


@dataclass(frozen=True)
class Objective:
    """A figure of merit on one set of events.

    label, unit: for tables and figures. of_fold: of the candidates of one fold, for a quick answer while a trial runs: the
    figure itself, or a stand-in that goes the same way. beside: more that is worth keeping with a trial.
    """

    name: str
    label: str
    unit: str
    larger_is_better: bool
    measure: Measure
    of_fold: OfFold
    beside: Callable[[Scored], Mapping[str, float]] = lambda _: {}


Build = Callable[[Config, TrainingData], Objective]


def objectives_of(config: Config, data: TrainingData, *, names: Sequence[str]) -> tuple[Objective, ...]:
    """``data``: the candidates that all are measured on, with weights that stand for the full luminosity."""
    return tuple(BUILD[name](config, data) for name in names)


def constraints_of(config: Config, data: TrainingData) -> tuple[Callable[[Scored], float], ...]:
    """Each says by how much, relative to what is allowed, its constraint is missed; zero or less where it holds."""
    limits = {"sculpting": config.tuning.constraints.sculpting, "cost": config.tuning.constraints.cost_ns}
    return tuple(_missed(BUILD[name](config, data), largest) for name, largest in limits.items() if largest is not None)


def record_of(objectives: Sequence[Objective], scored: Scored) -> dict[str, Any]:
    """Objective -> value, error, value by fold and replicas, as plain JSON; then what they have beside, by its name."""
    record: dict[str, Any] = {}
    for objective in objectives:
        found = objective.measure(scored)
        record[objective.name] = {
            "value": found.value,
            "error": _plain(found.estimate.error),
            "by_fold": [_plain(value) for value in found.by_fold],
            "replicas": [_plain(value) for value in found.replicas],
        }
        record |= {name: {"value": _plain(value)} for name, value in objective.beside(scored).items()}
    return record


def measured_from(record: Mapping[str, Any], name: str) -> Measured:
    """What :func:`record_of` kept of an objective."""
    told = record[name]
    by_fold = [math.nan if value is None else value for value in told["by_fold"]]
    replicas = [math.nan if value is None else value for value in told["replicas"]]
    return Measured(told["value"], np.array(replicas, dtype=np.float64), tuple(by_fold))


def _auc(config: Config, data: TrainingData) -> Objective:
    ground, sample = _ground(config, data), data.sample

    def of_fold(rows: Rows, margin: Array) -> float:
        return auc(margin, sample.label[rows], sample.weight[rows])

    def measure(scored: Scored) -> Measured:
        return figures.measure_auc(ground, scored.margin)

    return Objective("auc", "AUC", "", True, _with_folds(measure, of_fold, data), of_fold)


def _background_rejection(config: Config, data: TrainingData) -> Objective:
    efficiency = config.evaluation.signal_efficiency

    def measure(on: Ground, margin: Array, _: Rows) -> Measured:
        return figures.measure_background_rejection(on, margin, signal_efficiency=efficiency)

    label = f"background rejection at {100 * efficiency:.3g} % signal efficiency"
    return Objective("background_rejection", label, "", True, *_in_all_and_in_folds(measure, config, data))


def _log_loss(config: Config, data: TrainingData) -> Objective:
    def measure(on: Ground, margin: Array, _: Rows) -> Measured:
        return figures.measure_log_loss(on, margin)

    return Objective("log_loss", "log-loss", "", False, *_in_all_and_in_folds(measure, config, data))


def _sculpting(config: Config, data: TrainingData) -> Objective:
    spectators = list(data.sample.spectators.values())

    def measure(on: Ground, margin: Array, rows: Rows) -> Measured:
        return figures.measure_sculpting(
            on,
            margin,
            signal_efficiency=config.evaluation.signal_efficiency,
            spectators=[values[rows] for values in spectators],
        )

    label = "largest KS distance of a spectator"
    return Objective("sculpting", label, "", False, *_in_all_and_in_folds(measure, config, data))


def _punzi(config: Config, data: TrainingData) -> Objective:
    search = mass_search(data, config)
    if search is not None:
        return _punzi_over_masses(search, config, data)
    rule = punzi_of(config)

    def measure(on: Ground, margin: Array, _: Rows) -> Measured:
        return figures.measure_punzi(on, margin, rule=rule)

    label = "signal that a discovery needs (Punzi)"
    return Objective("punzi", label, "events", False, *_in_all_and_in_folds(measure, config, data))


def _punzi_over_masses(search: MassSearch, config: Config, data: TrainingData) -> Objective:
    """While a trial runs, the log-loss stands in: a fold may lack what a mass needs."""

    def measure(scored: Scored) -> Measured:
        return punzi_over_masses(search, probability(scored.margin), seed=config.seed)

    label = "mean cross section that a discovery needs (Punzi)"
    return Objective("punzi", label, "fb", False, measure, _log_loss(config, data).of_fold)


def _expected_limit(config: Config, data: TrainingData) -> Objective:
    """Through the fit; while a trial runs, the counting formula stands in."""
    quantity, _ = simulated_quantity(config)
    counting = _counting(config, data)
    fit = FitLimit.of(config, data, _ground(config, data), wanted=_wanted(config))

    def measure(scored: Scored) -> Measured:
        return fit.measure(probability(scored.margin))

    label = f"expected limit on {quantity.symbol}"
    return Objective("expected_limit", label, quantity.unit, False, measure, counting.of_fold)


def _counting_limit(config: Config, data: TrainingData) -> Objective:
    counting = _counting(config, data)
    quantity, _ = simulated_quantity(config)

    def measure(scored: Scored) -> Measured:
        return counting.measure(scored.margin)

    label = f"expected limit on {quantity.symbol}, by counting"
    of_fold = counting.of_fold
    return Objective("counting_limit", label, quantity.unit, False, _with_folds(measure, of_fold, data), of_fold)


def _cost(config: Config, data: TrainingData) -> Objective:
    """Exact: a forest has the same size for other events. For a fold, whose model is not told, the log-loss stands in."""
    as_they_come = _typical(data.sample.weight, COUNTED_ROWS)
    counted, timed = data.sample.features[as_they_come], data.sample.features[_typical(data.sample.weight, TIMED_ROWS)]

    def measure(scored: Scored) -> Measured:
        by_fold = [predicted_ns(forest_of(fitted), counted) for fitted in scored.fitted]
        value = float(np.mean(by_fold))
        return Measured(value, np.full(REPLICAS, value), tuple(by_fold))

    def by_the_clock(scored: Scored) -> dict[str, float]:
        return {"cost_measured": measured_ns([forest_of(fitted) for fitted in scored.fitted], timed)}

    of_fold = _log_loss(config, data).of_fold
    return Objective("cost", "cost of a prediction", "ns", False, measure, of_fold, by_the_clock)


BUILD: Mapping[str, Build] = {
    "auc": _auc,
    "background_rejection": _background_rejection,
    "log_loss": _log_loss,
    "punzi": _punzi,
    "expected_limit": _expected_limit,
    "counting_limit": _counting_limit,
    "cost": _cost,
    "sculpting": _sculpting,
}


def _in_all_and_in_folds(
    measure: Callable[[Ground, Array, Rows], Measured], config: Config, data: TrainingData
) -> tuple[Measure, OfFold]:
    """Of a figure that a fold has, too. ``measure``: on these rows."""
    ground = _ground(config, data)

    def in_all(scored: Scored) -> Measured:
        return measure(ground, scored.margin, np.arange(len(data.sample)))

    def of_fold(rows: Rows, margin: Array) -> float:
        return measure(replace(ground.part(rows), replicas=2), margin, rows).value

    return _with_folds(in_all, of_fold, data), of_fold


def _with_folds(measure: Measure, of_fold: OfFold, data: TrainingData) -> Measure:
    def measured(scored: Scored) -> Measured:
        by_fold = [of_fold(split.scored, scored.margin[split.scored]) for split in data.splits]
        return replace(measure(scored), by_fold=tuple(by_fold))

    return measured


def _ground(config: Config, data: TrainingData) -> Ground:
    sample = data.sample
    return Ground(sample.label, sample.weight, data.event_index, replicas=REPLICAS, seed=config.seed)


def _counting(config: Config, data: TrainingData) -> Counting:
    return Counting.of(config, data, _ground(config, data), systematics=_wanted(config).systematics)


def _typical(weight: Array, n: int) -> Rows:
    """Rows of each sample as often as its weight says, so that they stand for candidates as they come."""
    reached = np.cumsum(np.maximum(weight, 0.0))
    return np.asarray(np.searchsorted(reached, reached[-1] * (np.arange(n) + 0.5) / n), dtype=np.intp)


def _wanted(config: Config) -> ExpectedLimit:
    return config.selection.working_point.expected_limit or ExpectedLimit()


def _missed(objective: Objective, largest: float) -> Callable[[Scored], float]:
    return lambda scored: objective.measure(scored).value / largest - 1


def _plain(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
