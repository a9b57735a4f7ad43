"""One trial of a search: cross-fit a backend with the parameters that are tried, and measure what it reaches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlbkg.classifiers.base import BACKENDS
from mlbkg.classifiers.cross_fit import Contender, fit_fold
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.tuning_objectives import Objective, Scored, record_of
from mlbkg.tuning.trial import Attempt, Outcome

Constraint = Callable[[Scored], float]


@dataclass(frozen=True)
class Search:
    """What trials are measured on, and by what."""

    data: TrainingData
    objectives: Sequence[Objective]
    constraints: Sequence[Constraint]
    seed: int

    def evaluate(self, attempt: Attempt) -> Outcome:
        """Folds one after the other, each told to ``attempt``, which may end the trial."""
        scored = self._cross_fit(attempt)
        record = record_of(self.objectives, scored)
        return Outcome(
            values=tuple(record[objective.name]["value"] for objective in self.objectives),
            violation=tuple(constraint(scored) for constraint in self.constraints),
            record={**record, "trees": [fitted.n_trees for fitted in scored.fitted]},
        )

    def _cross_fit(self, attempt: Attempt) -> Scored:
        contender = contender_of(attempt.backend, attempt.parameters)
        rate = contender.params.learning_rate
        data, goal, fitted = self.data, self.objectives[0], []
        margin = np.empty(len(data.sample))
        for split in data.splits:

            def on_round(number: int, loss: float, fold: int = split.fold) -> None:
                attempt.round(fold, rate * (number + 1), loss)

            fitted.append(fit_fold(contender, split, data.sample, data.weight, seed=self.seed, on_round=on_round))
            margin[split.scored] = fitted[-1].predict_margin(data.sample.features[split.scored])
            value = goal.of_fold(split.scored, margin[split.scored])
            attempt.fold(split.fold, -value if goal.larger_is_better else value)
        return Scored(margin, tuple(fitted))


def contender_of(backend: str, parameters: Mapping[str, Any]) -> Contender:
    """Labelled by its backend alone, so that every fit of a fold begins with the same random numbers."""
    found = BACKENDS[backend]
    return Contender(backend, found, found.params.model_validate(parameters))
