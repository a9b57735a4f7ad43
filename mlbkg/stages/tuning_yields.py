"""What cuts keep of signal and background where the signal is looked for, in all events and in any draw of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.config.schema import Config
from mlbkg.fitting.base import Window
from mlbkg.stages.training_data import TrainingData
from mlbkg.tuning.figures import Draw, Ground

Array = NDArray[np.float64]
CENTRAL = 0.84
"""Share of a Gaussian within 1.4 standard deviations, where signal over the root of a flat background is largest."""


@dataclass(frozen=True)
class Kept:
    """Of ``d`` draws, above cuts from loose to tight, each ``(d, n_levels)``. efficiency: of the signal of the draw.

    smooth_variance, variance: of the smooth and of all background, by the size of the simulation.
    """

    efficiency: Array
    smooth: Array
    peaking: Array
    smooth_variance: Array
    variance: Array


@dataclass(frozen=True)
class Yields:
    """signal, smooth, peaking: ``(n,)`` weights of the candidates that are counted, zero for others."""

    ground: Ground
    signal: Array
    smooth: Array
    peaking: Array

    def part(self, rows: NDArray[np.intp]) -> Yields:
        """Some rows, which stand for all."""
        scale = len(self.signal) / len(rows)
        return Yields(self.ground.part(rows), *(scale * weight[rows] for weight in (self.signal, self.smooth, self.peaking)))

    def kept(self, draws: Iterable[Draw], margin: Array, levels: Array) -> Kept:
        """``levels``: sorted; the first keeps all signal."""
        ground = self.ground
        columns = (np.where(ground.signal, ground.weight, 0.0), self.signal, self.smooth, self.peaking)
        variances = (ground.variance(self.smooth), ground.variance(self.smooth + self.peaking))
        produced, signal, *background = ground.kept(draws, margin, levels, *columns, *variances)
        return Kept(np.maximum(signal, 0.0) / produced[:, :1], *(np.maximum(part, 0.0) for part in background))


def in_fit_window(config: Config, data: TrainingData, ground: Ground) -> Yields:
    """Without a section ``fit``, every candidate counts, and no background peaks."""
    if config.fit is None:
        return _yields(config, data, ground, np.ones(len(data.sample), dtype=bool))
    return _yields(config, data, ground, Window(*config.fit.window).holds(data.values_of(config.fit.variable)))


def below_peak(config: Config, data: TrainingData, ground: Ground) -> Yields:
    """As :func:`in_fit_window`, but only where the central 84 % of its signal are."""
    everything = in_fit_window(config, data, ground)
    if config.fit is None:
        return everything
    x = data.values_of(config.fit.variable)
    low, high = _central(x, everything.signal)
    return _yields(config, data, ground, (x >= low) & (x <= high))


def fold_draws(data: TrainingData) -> Iterator[Draw]:
    """For each fold: how often each event counts for its events to stand for all."""
    fold = np.empty(int(data.event_index.max()) + 1, dtype=np.int64)
    fold[data.event_index] = data.sample.fold
    for split in data.splits:
        yield np.where(fold == split.fold, np.uint8(len(data.splits)), np.uint8(0))


def _yields(config: Config, data: TrainingData, ground: Ground, inside: NDArray[np.bool_]) -> Yields:
    peaking = data.of_samples(config.fit.peaking.samples if config.fit and config.fit.peaking else ())
    kinds = (ground.signal, ~ground.signal & ~peaking, peaking)
    return Yields(ground, *(np.where(rows & inside, ground.weight, 0.0) for rows in kinds))


def _central(x: Array, weight: Array) -> tuple[float, float]:
    order = np.argsort(x, kind="stable")
    share = np.maximum.accumulate(np.cumsum(weight[order])) / weight.sum()
    low, high = np.searchsorted(share, [(1 - CENTRAL) / 2, (1 + CENTRAL) / 2])
    return float(x[order[low]]), float(x[order[min(high, len(x) - 1)]])
