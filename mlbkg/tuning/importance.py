"""Which hyper-parameters matter: functional analysis of variance of complete trials.

F. Hutter, H. Hoos, K. Leyton-Brown, Proc. ICML 2014, PMLR 32:754: a random forest learns the value from the parameters; the
importance of a parameter is the share of the forest's variance over the search space that it explains alone. The space is
even as it is searched: a parameter that is searched in its logarithm counts in its logarithm.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlbkg.classifiers.base import BACKENDS
from mlbkg.evaluation.estimates import Estimate
from mlbkg.evaluation.resampling import spread
from mlbkg.tuning.space import Choice, Range, SearchSpace, holds, parents_first
from mlbkg.tuning.trial import Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FEWEST_TRIALS = 10
"""Complete trials from which a forest learns anything."""
MOST_TRIALS = 200
"""Of more, this many are taken, evenly: the time grows with the square, 6 s for 200 trials of seven parameters."""
FORESTS = 5


@dataclass(frozen=True)
class Importance:
    """``shares``: backend -> parameter -> share of the variance, largest first, and its spread over forests that were grown
    from different random numbers. ``missing``: backend -> why nothing can be said of its parameters.

    The shares of the parameters that all trials of a backend have sum to one; the share of a conditional parameter is among
    the trials that have it.
    """

    shares: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def importances(trials: Sequence[Trial], spaces: Mapping[str, SearchSpace], *, goal: int = 0, seed: int = 0) -> Importance:
    """By the goal of this number. Backends are analysed one by one: they do not share what their parameters mean."""
    shares: dict[str, Mapping[str, Estimate]] = {}
    missing: dict[str, str] = {}
    for backend, space in spaces.items():
        own = _evenly([trial for trial in trials if trial.backend == backend and _has_value(trial, goal)])
        values = [trial.values[goal] for trial in own if trial.values is not None]
        if len(own) < FEWEST_TRIALS:
            missing[backend] = f"{len(own)} complete trials, and {FEWEST_TRIALS} are needed"
        elif min(values) == max(values):
            missing[backend] = "all trials have one value"
        else:
            found = _shares([_point(trial, space) for trial in own], values, space, seed=seed)
            shares[backend] = dict(sorted(found.items(), key=lambda item: -item[1].value))
    return Importance(shares, missing)


def _evenly(trials: Sequence[Trial]) -> Sequence[Trial]:
    chosen = np.linspace(0, len(trials) - 1, min(len(trials), MOST_TRIALS)).round().astype(int)
    return [trials[place] for place in chosen]


def _has_value(trial: Trial, goal: int) -> bool:
    return trial.state == "complete" and trial.values is not None and math.isfinite(trial.values[goal])


def _point(trial: Trial, space: SearchSpace) -> dict[str, Any]:
    """The parameters that were varied there; what a start does not give has the backend's default."""
    given = {**BACKENDS[trial.backend].params.model_validate(dict(trial.parameters)).model_dump(), **trial.parameters}
    point: dict[str, Any] = {}
    for name in parents_first(space):
        if holds(space.vary[name].when, {**space.fixed, **point}):
            point[name] = given[name]
    return point


def _shares(
    points: Sequence[Mapping[str, Any]], values: Sequence[float], space: SearchSpace, *, seed: int
) -> dict[str, Estimate]:
    """Of all that is varied: what all trials have together, then each conditional parameter beside that."""
    common = [name for name in space.vary if all(name in point for point in points)]
    found = _analysed(points, values, space, common, seed=seed)
    for name in space.vary:
        having = [number for number, point in enumerate(points) if name in point]
        if name not in common and len(having) >= FEWEST_TRIALS:
            some = [points[number] for number in having], [values[number] for number in having]
            found[name] = _analysed(*some, space, [*common, name], seed=seed)[name]
    return found


def _analysed(
    points: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    space: SearchSpace,
    names: Collection[str],
    *,
    seed: int,
) -> dict[str, Estimate]:
    """Shares of the parameters ``names``, which every point has."""
    import optuna

    axes = {name: _Axis.of(space.vary[name], [point[name] for point in points]) for name in names}
    with _quiet():
        study = optuna.create_study()
        for point, value in zip(points, values, strict=True):
            trial = optuna.trial.create_trial(
                params={name: axis.place(point[name]) for name, axis in axes.items()},
                distributions={name: axis.distribution for name, axis in axes.items()},
                value=value,
            )
            study.add_trial(trial)
        forests = [
            optuna.importance.get_param_importances(
                study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=seed + number), params=list(names)
            )
            for number in range(FORESTS)
        ]
    drawn = {name: np.array([forest[name] for forest in forests]) for name in names}
    return {name: Estimate(float(shares.mean()), spread(shares)) for name, shares in drawn.items()}


@dataclass(frozen=True)
class _Axis:
    """Where values of a parameter lie in its range, even as they are searched; starts may lie beyond the range."""

    distribution: BaseDistribution
    log: bool = False

    @classmethod
    def of(cls, entry: Range | Choice, seen: Sequence[Any]) -> _Axis:
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        if isinstance(entry, Choice):
            return cls(CategoricalDistribution(list(dict.fromkeys([*entry.choices, *seen]))))
        low, high = min(entry.low, *seen), max(entry.high, *seen)
        if entry.log and low > 0:
            return cls(FloatDistribution(math.log(low), math.log(high)), log=True)
        return cls(FloatDistribution(low, high))

    def place(self, value: Any) -> Any:
        return math.log(value) if self.log else value


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna's word on studies that are made only to be analysed interests nobody."""
    logger = logging.getLogger("optuna")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
