"""What the winner of a search is worth on events that the search never saw, beside others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.cross_fit import CrossFit, cross_fit
from mlbkg.config.classifier import ClassifierConfig
from mlbkg.config.schema import Config
from mlbkg.report.tuning_result import Contestant, FigureOfMerit, Judged, Origin
from mlbkg.stages.progress import Progress
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.tuning_data import SearchEvents
from mlbkg.stages.tuning_objectives import Objective, Scored, objectives_of
from mlbkg.stages.tuning_search import contender_of
from mlbkg.tuning.measured import Measured

WINNER = "tuned"


@dataclass(frozen=True)
class Entrant:
    """Who is judged: the winner, a classifier of the config, or one that is only compared."""

    name: str
    origin: Origin
    backend: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Judgement:
    """Of one search. held_out: what each entrant's models say of the events that were held out."""

    entrants: tuple[Entrant, ...]
    held_out: tuple[Scored, ...]
    contestants: tuple[Contestant, ...]


def entrants_of(config: Config, *, backend: str, parameters: Mapping[str, Any]) -> tuple[Entrant, ...]:
    """The winner, whose backend and parameters are given, and those that it has to beat."""
    named: dict[Origin, tuple[ClassifierConfig, ...]] = {
        "config": config.training.classifiers,
        "compared": config.tuning.compare,
    }
    others = [Entrant(of.label, origin, of.backend, of.parameters) for origin, group in named.items() for of in group]
    return (Entrant(winner_name(config), "winner", backend, dict(parameters)), *others)


def winner_name(config: Config) -> str:
    """One that no classifier has, be the config the result of an earlier tuning."""
    taken = {classifier.label for classifier in (*config.training.classifiers, *config.tuning.compare)}
    return next(name for name in chain([WINNER], (f"{WINNER}{n}" for n in count(2))) if name not in taken)


def judged_figures(config: Config) -> tuple[str, ...]:
    """The goals of the search, then what every analysis asks for."""
    more = ["auc", "background_rejection", *(["expected_limit"] if config.fit else []), *(["punzi"] if config.scan else [])]
    return tuple(dict.fromkeys((*config.tuning.objective, *more, "cost")))


def figure_of(objective: Objective) -> FigureOfMerit:
    return FigureOfMerit(objective.name, objective.label, objective.unit, objective.larger_is_better)


def judge(
    entrants: Sequence[Entrant], events: SearchEvents, config: Config, *, workers: int, progress: Progress
) -> Judgement:
    """Train all entrants on the events that were searched on, as trials are, and measure them on these and on the others."""
    data = events.searched
    advance = progress.step("judge on unseen events", total=len(entrants) * len(data.splits), unit="fits")
    fits = cross_fit(
        [contender_of(entrant.backend, entrant.parameters) for entrant in entrants],
        data.sample,
        data.weight,
        data.splits,
        seed=config.seed,
        workers=workers,
        on_fit=lambda: advance(1),
    )
    seen = [Scored(fit.margin, fit.fitted) for fit in fits]
    held_out = [_held_out(fit, events.judging) for fit in fits]
    contestants = _contestants(entrants, seen, data, held_out, events.judging, config)
    return Judgement(tuple(entrants), tuple(held_out), contestants)


def pool(
    judgements: Sequence[Judgement], rows: Sequence[NDArray[np.intp]], judging: TrainingData, config: Config
) -> tuple[Contestant, ...]:
    """All searches together: each event of ``judging`` scored by models of the search that did not see it.

    rows: the judged events of each search, numbered alike; ``judging`` holds all of them in rising order.
    """
    order = np.argsort(np.concatenate(rows))
    together = []
    for parts in zip(*(judgement.held_out for judgement in judgements), strict=True):
        margin = np.concatenate([part.margin for part in parts])[order]
        together.append(Scored(margin, tuple(fitted for part in parts for fitted in part.fitted)))
    return _contestants(judgements[0].entrants, None, None, together, judging, config)


def _held_out(fit: CrossFit, judging: TrainingData) -> Scored:
    """Each event by one model, as in a trial: that of the fold which it would have been in."""
    margin = np.empty(len(judging.sample))
    for split, fitted in zip(judging.splits, fit.fitted, strict=True):
        margin[split.scored] = fitted.predict_margin(judging.sample.features[split.scored])
    return Scored(margin, fit.fitted)


def _contestants(
    entrants: Sequence[Entrant],
    seen: Sequence[Scored] | None,
    searched: TrainingData | None,
    held_out: Sequence[Scored],
    judging: TrainingData,
    config: Config,
) -> tuple[Contestant, ...]:
    names = judged_figures(config)
    by_honest = objectives_of(config, judging, names=names)
    by_search = objectives_of(config, searched, names=names) if searched else by_honest
    honest = [[objective.measure(scored) for objective in by_honest] for scored in held_out]
    search = [[objective.measure(scored) for objective in by_search] for scored in seen] if seen else None
    return tuple(
        Contestant(
            entrant.name,
            entrant.backend,
            entrant.parameters,
            entrant.origin,
            {
                objective.name: _judged(
                    figure_of(objective),
                    search[number][i] if search else None,
                    honest[number][i],
                    winner=honest[0][i] if number else None,
                )
                for i, objective in enumerate(by_honest)
            },
        )
        for number, entrant in enumerate(entrants)
    )


def _judged(figure: FigureOfMerit, search: Measured | None, honest: Measured, *, winner: Measured | None) -> Judged:
    return Judged(
        search=search.estimate if search else None,
        honest=honest.estimate,
        gap=figure.optimism(search.estimate, honest.estimate) if search else None,
        to_winner=honest.minus(winner) if winner else None,
    )
