"""Unified intervals with an uncertain background and efficiency, both integrated over.

Conrad, Botner, Hallgren, Perez de los Heros, Phys. Rev. D 67 (2003) 012002, hep-ex/0202013, with the likelihood ratio of the
averaged probabilities. Not lengthened for larger backgrounds, as the limits of a known background are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlbkg.errors import LimitError
from mlbkg.fitting.base import Array
from mlbkg.limits.counting import Count, CountingInterval
from mlbkg.limits.counting_marginal import count_quantile, nodes
from mlbkg.limits.counting_methods.cls import cls
from mlbkg.limits.poisson import log_pmf

STEP = 0.15
"""Of the grids of means and of signals, in ``2 sqrt(mean)``, in which every Poisson distribution has width 1."""

REACH = 6.0
"""Standard deviations of the nuisances that are integrated over."""

TAIL = 1e-5
"""Probability of counts beyond the table."""

LEVELS_BEYOND = 20.0
"""The scan ends at the CLs limit of this many times less than 1 - confidence level."""

MOST_COUNTS = 4000
SAME_RANK = 1e-9
FINER = 100
BISECTIONS = 40


@dataclass(frozen=True)
class AveragedCounts:
    """P(n | signal), averaged over the nuisances, for ``n`` below ``size``.

    Probabilities are those at an even grid of ``2 sqrt(mean)``, interpolated to the fourth order in the means that the
    nuisances give.
    """

    count: Count
    size: int

    def of(self, signals: Array) -> Array:
        """``(size, n_signals)``."""
        weights = np.stack([self._weights_of_means(float(signal)) for signal in signals], axis=1)
        return np.asarray(self._table @ weights)

    @cached_property
    def best(self) -> Array:
        """``(size,)``: the largest P(n | signal) of any signal, between the points of a grid by a parabola of ln P."""
        signals = _signals_up_to(2.0 * self.size, self.count.background)
        values = np.log(np.maximum(self.of(signals), np.finfo(float).tiny))
        at = np.clip(values.argmax(axis=1), 1, values.shape[1] - 2)
        left, middle, right = (np.take_along_axis(values, (at + shift)[:, None], axis=1)[:, 0] for shift in (-1, 0, 1))
        bend = np.minimum(left + right - 2 * middle, -np.finfo(float).tiny)
        inside = (middle >= left) & (middle >= right)
        vertex = middle - (right - left) ** 2 / (8 * bend)
        return np.asarray(np.exp(np.where(inside, vertex, values.max(axis=1))))

    def better(self, signals: Array) -> Array:
        """``(n_signals,)``: probability of the counts of better rank than the observed one."""
        probability = self.of(signals)
        ratio = probability / np.maximum(self.best, np.finfo(float).tiny)[:, None]
        is_better = ratio > ratio[self.count.observed] * (1 + SAME_RANK)
        return np.asarray(np.where(is_better, probability, 0.0).sum(axis=0))

    @cached_property
    def _grid(self) -> Array:
        """``2 sqrt(mean)``, with one point beyond zero for the interpolation."""
        return np.asarray(STEP * np.arange(-1, int(2 * np.sqrt(4.0 * self.size) / STEP) + 4))

    @cached_property
    def _table(self) -> Array:
        """``(size, n_grid)``: probabilities at the grid."""
        return np.exp(log_pmf(np.arange(self.size)[:, None], self._grid[None, :] ** 2 / 4))

    def _weights_of_means(self, signal: float) -> Array:
        """``(n_grid,)``: how much of the nuisances' distribution lies at each mean of the grid."""
        background, efficiency = nodes(self.count, signal, counts=self.size, reach=REACH)
        mean = np.add.outer(self.count.background * background.factor, signal * efficiency.factor).ravel()
        weight = np.exp(np.add.outer(background.log_weight, efficiency.log_weight)).ravel()
        position = np.minimum(2 * np.sqrt(mean) / STEP, len(self._grid) - 4) + 1
        cell = np.floor(position).astype(np.int64)
        t = position - cell
        lagrange = {
            -1: -t * (t - 1) * (t - 2) / 6,
            0: (t + 1) * (t - 1) * (t - 2) / 2,
            1: -(t + 1) * t * (t - 2) / 2,
            2: (t + 1) * t * (t - 1) / 6,
        }
        return np.asarray(
            sum(
                np.bincount(cell + shift, weights=weight * share, minlength=len(self._grid))
                for shift, share in lagrange.items()
            )
        )


def hybrid_interval(count: Count, *, confidence_level: float) -> CountingInterval:
    """The smallest and the largest signal whose acceptance region holds the observed count, to some 1e-4 of themselves.

    Raises :class:`LimitError` for so many counts that the table of their probabilities is too large.
    """
    _check_size(max(count.observed, int(count.background)))
    highest = cls(count, 1 - (1 - confidence_level) / LEVELS_BEYOND).upper
    size = max(count.observed, count_quantile(count, 1 - TAIL, signal=highest)) + 2
    _check_size(size)
    averaged = AveragedCounts(count, size)
    signals = _signals_up_to(highest, count.background)
    accepted = np.flatnonzero(averaged.better(signals) < confidence_level)
    first, last = int(accepted[0]), int(accepted[-1])

    def edge(inside: int, outside: int) -> float:
        return _edge(averaged, float(signals[inside]), float(signals[outside]), confidence_level)

    return CountingInterval(
        lower=0.0 if first == 0 else edge(first, max(0, first - 2)), upper=edge(last, min(len(signals) - 1, last + 2))
    )


def _check_size(size: int) -> None:
    if size > MOST_COUNTS:
        raise LimitError(
            f"unified intervals with uncertainties are for up to {MOST_COUNTS} counts; these reach {size}",
            hint="With so many, take method minos: its intervals agree with the unified ones.",
        )


def _signals_up_to(highest: float, background: float) -> Array:
    """Even in ``2 sqrt(signal + background)``, from 0."""
    low, high = 2 * math.sqrt(background), 2 * math.sqrt(background + highest)
    means = np.linspace(low, high, int((high - low) / STEP) + 3) ** 2 / 4
    return np.asarray(np.maximum(means - background, 0.0))


def _edge(averaged: AveragedCounts, inside: float, outside: float, confidence_level: float) -> float:
    """The accepted signal that is nearest to ``outside``: acceptance may come and go in small steps on the way."""
    steps = np.linspace(inside, outside, FINER + 1)
    row = int(np.flatnonzero(averaged.better(steps) < confidence_level)[-1])
    inside, outside = float(steps[row]), float(steps[min(row + 1, FINER)])
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2
        if averaged.better(np.array([middle]))[0] < confidence_level:
            inside = middle
        else:
            outside = middle
    return inside
