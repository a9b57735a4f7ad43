"""What a search makes better: figures of merit of the events and settings of a config."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.base import FittedClassifier
from mlbkg.config.schema import Config, ExpectedLimit, WorkingPoint
from mlbkg.evaluation.metrics import auc
from mlbkg.evaluation.resampling import poisson_counts
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.training_evaluation import probability, punzi_of
from mlbkg.stages.training_fit import scan_cuts, simulated_quantity
from mlbkg.stages.training_scan import mass_search
from mlbkg.stages.tuning_cost import cost_ns
from mlbkg.stages.tuning_counting import Counting
from mlbkg.tuning import figures
from mlbkg.tuning.figures import Ground
from mlbkg.tuning.measured import Measured

Array = NDArray[np.float64]
REPLICAS = 50
"""Behind every error of a trial: known to 10 %, and small enough to be kept with each trial."""
CUTS = 15
"""At which a trial's expected limit is scanned; it changes little between them."""
MASS_REPLICAS = 16
"""Of a search over masses, each of which is the whole search again."""
COST_ROWS = 2000
DIGITS = 8


@dataclass(frozen=True)
class Scored:
    """What a trial's models say of events that they did not see. margin: ``(n,)`` log-odds. fitted: the folds' models."""

    margin: Array
    fitted: tuple[FittedClassifier, ...]


@dataclass(frozen=True)
class Objective:
    """A figure of merit on one set of events.

    label, unit: for tables and figures. of_fold: the figure on the candidates of a fold alone, or a cheaper one that goes
    the same way.
    """

    name: str
    label: str
    unit: str
    larger_is_better: bool
    measure: Callable[[Scored], Measured]
    of_fold: Callable[[NDArray[np.intp], Array], float]


Build = Callable[[Config, TrainingData], Objective]


def objectives_of(config: Config, data: TrainingData, *, names: Sequence[str]) -> tuple[Objective, ...]:
    """``data``: the candidates that all are measured on, with weights that stand for the full luminosity."""
    return tuple(BUILD[name](config, data) for name in names)


def constraints_of(config: Config, data: TrainingData) -> tuple[Callable[[Scored], float], ...]:
    """Each says by how much, relative to what is allowed, its constraint is missed; zero or less where it holds."""
    limits = {"sculpting": config.tuning.constraints.sculpting, "cost": config.tuning.constraints.cost_ns}
    return tuple(_missed(BUILD[name](config, data), largest) for name, largest in limits.items() if largest is not None)


def record_of(objectives: Sequence[Objective], scored: Scored, data: TrainingData) -> dict[str, Any]:
    """Objective -> value, error, value by fold and replicas, as plain JSON."""
    record = {}
    for objective in objectives:
        found = objective.measure(scored)
        record[objective.name] = {
            "value": found.value,
            "error": _plain(found.estimate.error),
            "by_fold": [_plain(objective.of_fold(split.scored, scored.margin[split.scored])) for split in data.splits],
            "replicas": [_plain(value) for value in found.replicas],
        }
    return record


def measured_from(record: Mapping[str, Any], name: str) -> Measured:
    """What :func:`record_of` kept of an objective."""
    replicas = [math.nan if value is None else value for value in record[name]["replicas"]]
    return Measured(record[name]["value"], np.array(replicas, dtype=np.float64))


def _auc(config: Config, data: TrainingData) -> Objective:
    ground, sample = _ground(config, data), data.sample

    def of_fold(rows: NDArray[np.intp], margin: Array) -> float:
        return auc(margin, sample.label[rows], sample.weight[rows])

    return Objective("auc", "AUC", "", True, lambda scored: figures.measure_auc(ground, scored.margin), of_fold)


def _background_rejection(config: Config, data: TrainingData) -> Objective:
    ground, efficiency = _ground(config, data), config.evaluation.signal_efficiency

    def measure(on: Ground, margin: Array) -> Measured:
        return figures.measure_background_rejection(on, margin, signal_efficiency=efficiency)

    label = f"background rejection at {100 * efficiency:.3g} % signal efficiency"
    return _by(ground, "background_rejection", label, "", True, measure)


def _log_loss(config: Config, data: TrainingData) -> Objective:
    return _by(_ground(config, data), "log_loss", "log-loss", "", False, figures.measure_log_loss)


def _sculpting(config: Config, data: TrainingData) -> Objective:
    spectators = list(data.sample.spectators.values())

    def measure(on: Ground, margin: Array, rows: NDArray[np.intp] | slice = slice(None)) -> Measured:
        return figures.measure_sculpting(
            on,
            margin,
            signal_efficiency=config.evaluation.signal_efficiency,
            spectators=[values[rows] for values in spectators],
        )

    ground = _ground(config, data)
    return Objective(
        "sculpting",
        "largest KS distance of a spectator",
        "",
        False,
        lambda scored: measure(ground, scored.margin),
        lambda rows, margin: measure(_some(ground, rows), margin, rows).value,
    )


def _punzi(config: Config, data: TrainingData) -> Objective:
    rule = punzi_of(config)
    ground = _ground(config, data)
    if config.scan is None:

        def measure(on: Ground, margin: Array) -> Measured:
            return figures.measure_punzi(on, margin, rule=rule)

        return _by(ground, "punzi", "signal that a discovery needs (Punzi)", "events", False, measure)
    search = mass_search(data, config)
    assert search is not None

    def over_masses(scored: Scored) -> Measured:
        score, reached = probability(scored.margin), []
        for count in poisson_counts(int(data.event_index.max()) + 1, replicas=MASS_REPLICAS, seed=config.seed):
            signal = replace(search.signal, weight=search.signal.weight * count[data.event_index])
            reached.append(replace(search, signal=signal).reached_by(score).punzi_fb)
        return Measured(search.reached_by(score).punzi_fb, np.array(reached))

    log_loss = _log_loss(config, data)
    return Objective(
        "punzi", "mean cross section that a discovery needs (Punzi)", "fb", False, over_masses, log_loss.of_fold
    )


def _expected_limit(config: Config, data: TrainingData) -> Objective:
    """Through the fit; for pruning, and for the replicas' yields, by the counting formula."""
    counting = Counting.of(config, data, _ground(config, data))
    point = WorkingPoint(expected_limit=_wanted(config).model_copy(update={"points": CUTS}))
    at_cuts = config.model_copy(update={"selection": config.selection.model_copy(update={"working_point": point})})

    def measure(scored: Scored) -> Measured:
        score = probability(scored.margin)
        scan = scan_cuts(score, data, at_cuts, marked=())
        limit, statistical = float(scan.optimised[scan.best]), float(scan.statistical_limit[scan.best])
        systematic = math.sqrt(max(limit**2 - statistical**2, 0.0))

        def scaled(signal: Array, smooth: Array, peaking: Array) -> Array:
            """The statistical part goes with the root of the background below the peak, the rest with what peaks."""
            return np.hypot(statistical * np.sqrt(smooth), systematic * peaking) / signal

        return Measured(limit, counting.relative(score >= scan.threshold[scan.best], scaled))

    quantity, _ = simulated_quantity(config)
    return Objective(
        "expected_limit", f"expected limit on {quantity.symbol}", quantity.unit, False, measure, counting.of_fold
    )


def _counting_limit(config: Config, data: TrainingData) -> Objective:
    counting = Counting.of(config, data, _ground(config, data))
    quantity, _ = simulated_quantity(config)

    def measure(scored: Scored) -> Measured:
        return counting.measure(scored.margin)

    label = f"expected limit on {quantity.symbol}, counting"
    return Objective("counting_limit", label, quantity.unit, False, measure, counting.of_fold)


def _cost(config: Config, data: TrainingData) -> Objective:
    """Exact: a forest takes as long on other events."""
    features = data.sample.features[:COST_ROWS]

    def measure(scored: Scored) -> Measured:
        value = cost_ns(scored.fitted, features)
        return Measured(value, np.full(REPLICAS, value))

    return Objective("cost", "cost of a prediction", "ns", False, measure, _log_loss(config, data).of_fold)


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


def _by(
    ground: Ground, name: str, label: str, unit: str, larger_is_better: bool, measure: Callable[[Ground, Array], Measured]
) -> Objective:
    """A figure that a fold has, too."""
    return Objective(
        name,
        label,
        unit,
        larger_is_better,
        lambda scored: measure(ground, scored.margin),
        lambda rows, margin: measure(_some(ground, rows), margin).value,
    )


def _ground(config: Config, data: TrainingData) -> Ground:
    sample = data.sample
    return Ground(sample.label, sample.weight, data.event_index, replicas=REPLICAS, seed=config.seed)


def _some(ground: Ground, rows: NDArray[np.intp]) -> Ground:
    """Some rows, whose own replicas nobody asks for."""
    event_index = np.unique(ground.event_index[rows], return_inverse=True)[1]
    return replace(ground, label=ground.label[rows], weight=ground.weight[rows], event_index=event_index, replicas=2)


def _wanted(config: Config) -> ExpectedLimit:
    return config.selection.working_point.expected_limit or ExpectedLimit()


def _missed(objective: Objective, largest: float) -> Callable[[Scored], float]:
    return lambda scored: objective.measure(scored).value / largest - 1


def _plain(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
