"""What a search for hyper-parameters has found, as its tables and figures show it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from mlbkg.evaluation.estimates import Estimate, from_plain, to_plain
from mlbkg.evaluation.resampling import spread
from mlbkg.report.quantity import Quantity
from mlbkg.tuning.importance import Importance
from mlbkg.tuning.trial import State, Trial

Origin = Literal["winner", "config", "compared"]
DISTINGUISHED = 2.0
"""Standard deviations from which on two are told to differ."""


@dataclass(frozen=True)
class FigureOfMerit:
    """What a search improves. ``label``: as within a sentence; ``unit``: empty where there is none."""

    name: str
    label: str
    unit: str
    larger_is_better: bool

    @property
    def title(self) -> str:
        """The label as a sentence begins with it."""
        return self.label[:1].upper() + self.label[1:]

    @property
    def quantity(self) -> Quantity:
        """As axes and tables write it."""
        return Quantity(self.title, self.unit)

    @property
    def with_unit(self) -> str:
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    def gain(self, difference: float) -> float:
        """``difference`` of two values with the sign that is positive for the better."""
        return difference if self.larger_is_better else 0.0 - difference

    def optimism(self, search: Estimate, honest: Estimate) -> Estimate:
        """By how much ``honest`` is worse than ``search``. Measured on different events, so errors add in quadrature."""
        return Estimate(self.gain(search.value - honest.value), math.hypot(search.error, honest.error))


@dataclass(frozen=True)
class Judged:
    """One contestant by one figure of merit.

    ``search``: out of fold, on the events that were searched on. ``honest``: on events that the search never saw. ``gap``:
    the optimism of the search value, :meth:`FigureOfMerit.optimism`. ``to_winner``: honest value minus the winner's, paired
    on the same events; None for the winner itself.
    """

    search: Estimate | None
    honest: Estimate
    gap: Estimate | None
    to_winner: Estimate | None


@dataclass(frozen=True)
class Contestant:
    """``figures``: figure of merit -> what it reaches. Among several, the winner stands first, then the config's first."""

    name: str
    backend: str
    parameters: Mapping[str, Any]
    origin: Origin
    figures: Mapping[str, Judged]


@dataclass(frozen=True)
class SearchTold:
    """One search. ``held_out``: the part of the events that it never saw. ``winner``, ``front``: numbers of trials.

    ``improvement``: figure of merit -> search value of the winner minus that of the first start, paired; empty where there
    was no start. ``importance``: by the first figure of merit.
    """

    name: str
    held_out: int
    trials: tuple[Trial, ...]
    winner: int
    front: tuple[int, ...]
    contestants: tuple[Contestant, ...]
    improvement: Mapping[str, Estimate]
    importance: Importance

    def ended(self, state: State) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if trial.state == state)

    def trial(self, number: int) -> Trial:
        return next(trial for trial in self.trials if trial.number == number)

    def of_backend(self, backend: str) -> Self:
        """With the trials of one backend only."""
        return replace(self, trials=tuple(trial for trial in self.trials if trial.backend == backend))

    def best(self, goal: FigureOfMerit, number: int) -> tuple[Trial, ...]:
        """Complete trials that keep the constraints, the best by the first goal first."""
        candidates = [trial for trial in self.ended("complete") if trial.feasible and trial.values is not None]
        return tuple(sorted(candidates, key=lambda trial: -goal.gain(trial.values[0]) if trial.values else 0.0)[:number])

    def seconds_saved(self) -> float:
        """What pruned trials would have taken more, had each lasted as long as the mean complete one of its backend."""
        saved = 0.0
        for backend in {trial.backend for trial in self.trials}:
            own = [trial for trial in self.ended("complete") if trial.backend == backend]
            if own:
                mean = sum(trial.seconds for trial in own) / len(own)
                saved += sum(mean - trial.seconds for trial in self.ended("pruned") if trial.backend == backend)
        return saved


@dataclass(frozen=True)
class TuningTold:
    """``goals``: what was searched for. ``judged_by``: what contestants are judged by, the goals first, in their order.

    ``pooled``: contestants judged on the parts of all searches together, where several were held out; the winner is then
    each search's own, in its part.
    """

    goals: tuple[FigureOfMerit, ...]
    judged_by: tuple[FigureOfMerit, ...]
    searches: tuple[SearchTold, ...]
    pooled: tuple[Contestant, ...] | None

    @property
    def contestants(self) -> tuple[Contestant, ...]:
        """On all events that were held out."""
        return self.searches[0].contestants if self.pooled is None else self.pooled

    def to_json(self) -> dict[str, Any]:
        """Without losses and replicas of trials, which the study keeps."""
        searches = tuple(
            replace(search, trials=tuple(_lean(trial, self.goals) for trial in search.trials)) for search in self.searches
        )
        plain: dict[str, Any] = to_plain(replace(self, searches=searches))
        return plain

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """What :meth:`to_json` made; more keys are ignored. Raises :class:`KeyError` or :class:`TypeError` for others."""
        told: Self = from_plain(cls, content)
        return told


def significance(difference: Estimate) -> float:
    """In standard deviations: infinite for an exact difference, and NaN where there is none or its error is not known."""
    if difference.error == 0 and difference.value != 0:
        return math.copysign(math.inf, difference.value)
    return difference.value / difference.error if difference.error > 0 else math.nan


def measured(trial: Trial, goals: Sequence[FigureOfMerit], number: int = 0) -> Estimate:
    """What a complete trial reached by the goal of this ``number``, its error as recorded, or as its replicas spread."""
    assert trial.values is not None
    record = trial.record.get(goals[number].name, {})
    replicas = np.array(record.get("replicas", ()), dtype=np.float64)
    error = record["error"] if "error" in record else spread(replicas)
    return Estimate(trial.values[number], math.nan if error is None else error)


def varied(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Parameters that have different values, or none, in different trials."""
    names = dict.fromkeys(name for trial in trials for name in trial.parameters)
    return tuple(name for name in names if len({trial.parameters.get(name) for trial in trials}) > 1)


def _lean(trial: Trial, goals: Sequence[FigureOfMerit]) -> Trial:
    """With errors in the place of replicas, and without losses."""
    if trial.values is None:
        return replace(trial, record={}, losses={}, fold_costs={})
    record = {goal.name: {"error": measured(trial, goals, number).error} for number, goal in enumerate(goals)}
    return replace(trial, record=record, losses={}, fold_costs={})
