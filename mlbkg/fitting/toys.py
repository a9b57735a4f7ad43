"""Toy experiments: data, and measurements of the constrained parameters, as a model expects them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mlbkg.errors import FitError
from mlbkg.fitting.base import Array
from mlbkg.fitting.data import Binned, Data, Unbinned
from mlbkg.fitting.model import Model

SAMPLING_POINTS = 4001
"""Of the inverse of a cumulative distribution, linear in between; 1/4000 of the window is far below any resolution."""


@dataclass(frozen=True)
class Experiment:
    """``model``: with its constraints where this experiment measured them."""

    model: Model
    data: Data


CHUNK = 25
"""Experiments that a worker process is given at a time."""


def seeds(seed: int | np.random.SeedSequence, experiments: int) -> list[np.random.SeedSequence]:
    """One per experiment, so that each is the same whoever makes it and in whichever order."""
    sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    return sequence.spawn(experiments)


def chunks(sequences: Sequence[np.random.SeedSequence], size: int = CHUNK) -> Iterator[Sequence[np.random.SeedSequence]]:
    for first in range(0, len(sequences), size):
        yield sequences[first : first + size]


def asimov(model: Model, theta: Sequence[float], edges: Array) -> Binned:
    """The data that are just what is expected (arXiv:1007.1727, Sec. 3.2)."""
    return Binned(np.asarray(edges, dtype=np.float64), model.expected(edges, theta).sum(axis=0))


class Experiments:
    """Draws experiments of ``model`` at ``theta``: counts in ``edges``, or single candidates where there are none.

    Raises :class:`FitError` where the model expects less than nothing.
    """

    def __init__(self, model: Model, theta: Sequence[float], *, edges: Array | None = None) -> None:
        self.model = model
        self.theta = np.array(theta, dtype=np.float64)
        self.edges = edges
        self._at = model.window.edges(SAMPLING_POINTS - 1) if edges is None else np.asarray(edges, dtype=np.float64)
        self._expected = model.expected(self._at, theta).sum(axis=0)
        self._check_positive()

    def draw(self, rng: np.random.Generator) -> Experiment:
        """Data and constraints fluctuate, each constraint's centre about the true value."""
        return Experiment(self._measured(rng), self._data(rng))

    def _data(self, rng: np.random.Generator) -> Data:
        if self.edges is not None:
            return Binned(self._at, rng.poisson(self._expected).astype(np.float64))
        reached = np.concatenate([[0.0], np.cumsum(self._expected)])
        return Unbinned(np.interp(rng.uniform(0, reached[-1], rng.poisson(reached[-1])), reached, self._at))

    def _measured(self, rng: np.random.Generator) -> Model:
        centres = {
            parameter.name: float(rng.normal(value, parameter.constraint.sigma))
            for parameter, value in zip(self.model.parameters, self.theta, strict=True)
            if parameter.constraint is not None and not parameter.fixed
        }
        return self.model.with_centres(centres)

    def _check_positive(self) -> None:
        lowest = int(np.argmin(self._expected))
        if self._expected[lowest] < 0:
            name = _most_negative(self.model, self._at[lowest : lowest + 2], self.theta.tolist())
            raise FitError(
                f"no toy experiment can be drawn: {self._expected[lowest]:.3g} candidates are expected between x = "
                f"{self._at[lowest]:g} and {self._at[lowest + 1]:g}, because of component '{name}'",
                where=name,
                hint=f"Draw toys at a larger yield of '{name}', or give it a shape that is positive everywhere.",
            )


def _most_negative(model: Model, edges: Array, theta: Sequence[float]) -> str:
    return model.components[int(np.argmin(model.expected(edges, theta)[:, 0]))].name
