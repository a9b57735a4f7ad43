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
class Yields:
    """signal, smooth, peaking: ``(n,)`` weights of the candidates that are counted, zero for others."""

    ground: Ground
    signal: Array
    smooth: Array
    peaking: Array

    def relative(self, passed: NDArray[np.bool_], draws: Iterable[Draw]) -> tuple[Array, Array, Array]:
        """``(d,)`` each: efficiency, smooth and peaking background that pass, relative to those of all events.

        One for a kind of which nothing passes.
        """
        produced = np.where(self.ground.signal, self.ground.weight, 0.0)
        columns = [np.where(passed, weight, 0.0) for weight in (self.signal, self.smooth, self.peaking)]
        nominal = np.array([column.sum() for column in (*columns, produced)])
        sums = self.ground.sums(draws, *columns, produced)
        signal, smooth, peaking, all_signal = np.divide(sums, nominal, out=np.ones_like(sums), where=nominal > 0).T
        return signal / all_signal, smooth, peaking


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
