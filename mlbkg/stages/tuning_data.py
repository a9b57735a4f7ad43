"""Which events a search for hyper-parameters sees, and which judge what it found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.config.schema import Config
from mlbkg.samples.folds import assign_folds
from mlbkg.stages.freshness import section_of
from mlbkg.stages.training_data import Events, TrainingData

OUTER, INNER = "outer", "search"
"""Salts, so that outer parts, the folds of a trial and the folds of a training do not know of each other."""

DEPENDS_ON = (
    "features",
    "training.folds",
    "training.salt",
    "training.validation_fraction",
    "training.negative_weights",
    "training.balance_classes",
    "training.flatten",
    "tuning.objective",
    "tuning.folds",
    "tuning.outer_folds",
    "tuning.constraints",
    "evaluation.signal_efficiency",
    "selection.working_point",
    "fit",
    "scan",
    "systematics",
    "limit",
    "seed",
)
"""What of a config the values of a study's trials depend on, beside the candidates."""


@dataclass(frozen=True)
class SearchEvents:
    """Of one search. held_out: number of the outer part that it never sees; ``judging`` is that part, its ``fold`` the model
    of a trial that scores it, and ``rows`` are its rows among all. The weights of each stand for the full luminosity.
    """

    held_out: int
    searched: TrainingData
    judging: TrainingData
    rows: NDArray[np.intp]


def search_events(data: TrainingData, config: Config) -> Iterator[SearchEvents]:
    """One for each search. Raises :class:`EmptySampleError` where a part has too few candidates."""
    every = range(config.tuning.outer_folds)
    for held_out in range(config.tuning.searches):
        others, own = _rows(data, [part for part in every if part != held_out], config), _rows(data, [held_out], config)
        yield SearchEvents(held_out, _part(data, others, config), _part(data, own, config), own.rows)


def judged_by_all(data: TrainingData, config: Config) -> TrainingData:
    """The outer parts of all searches together."""
    return _part(data, _rows(data, range(config.tuning.searches), config), config)


def key_of_study(data: TrainingData, config: Config) -> str:
    """sha256 of what the values of trials depend on: those of studies with one key compare."""
    content = {
        "data": data.fingerprints,
        "sections": {name: section_of(config, name) for name in DEPENDS_ON},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _rows(data: TrainingData, parts: Sequence[int], config: Config) -> Events:
    n_parts = config.tuning.outer_folds
    part = assign_folds(data.sample.event_id, n_folds=n_parts, salt=f"{config.training.salt}/{OUTER}")
    return Events(np.flatnonzero(np.isin(part, parts)), share=len(parts) / n_parts)


def _part(data: TrainingData, events: Events, config: Config) -> TrainingData:
    settings = config.training
    return data.part(
        events,
        folds=config.tuning.folds,
        salt=f"{settings.salt}/{INNER}",
        validation_fraction=settings.validation_fraction,
    )
