"""Windows around hypotheses in one or more variables, and what ever tighter cuts leave in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Array, Flags
from mlbkg.evaluation.peaks import Peaks
from mlbkg.evaluation.working_point import MINIMUM_EFFECTIVE_BACKGROUND, is_measured

WIDER = (1, 2, 4, 8, 16, 32)
"""How much wider than a window the ranges around it are that it may learn from."""
APART = 2.0
ENOUGH_MEASURED = 0.5
ROUNDING = 1e-9


@dataclass(frozen=True)
class Windows:
    """low, high: ``(m, n_axes)`` edges, both inside."""

    low: Array
    high: Array

    def __len__(self) -> int:
        return len(self.low)

    def widened(self, factor: float) -> Windows:
        """Around the same centres, but not beyond the outermost edges of all."""
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        return Windows(
            np.maximum(middle - factor * half, self.low.min(axis=0)),
            np.minimum(middle + factor * half, self.high.max(axis=0)),
        )

    @property
    def volume(self) -> Array:
        """``(m,)``"""
        return np.asarray((self.high - self.low).prod(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class WindowBackground:
    """Expected events ``(n_levels, m)`` above cuts from loose to tight, their error, and whether there is enough simulation
    to know. simulated: ``(n_levels, m)`` sum of weights in the very window, 0 where simulation ran out."""

    events: Array
    error: Array
    measured: Flags
    simulated: Array


def windows_around(peaks: Peaks, masses: Array, *, resolutions: float) -> Windows:
    """``resolutions`` to each side of where signals of ``masses`` ``(m, n_axes)`` peak."""
    position, half = peaks.position_at(masses), resolutions * peaks.width_at(masses)
    return Windows(position - half, position + half)


def sums_in_windows(
    values: Array, level: NDArray[np.intp], weights: tuple[Array, ...], windows: Windows, *, n_levels: int
) -> tuple[Array, ...]:
    """For each of ``weights`` ``(n,)`` its sum ``(n_levels, m)`` over the rows in a window that pass a cut.

    values: ``(n, n_axes)``. level: ``(n,)`` how many of the ``n_levels`` cuts, from loose to tight, a row passes. Rows are
    sorted along the first axis, so a window costs what lies in its stripe.
    """
    order = np.argsort(values[:, 0], kind="stable")
    values, level = values[order], level[order]
    weights = tuple(weight[order] for weight in weights)
    begin = np.searchsorted(values[:, 0], windows.low[:, 0], side="left")
    end = np.searchsorted(values[:, 0], windows.high[:, 0], side="right")
    found = np.zeros((len(weights), n_levels + 1, len(windows)))
    for number in range(len(windows)):
        rows: slice | NDArray[np.intp] = slice(int(begin[number]), int(end[number]))
        if values.shape[1] > 1:
            stripe = values[rows, 1:]
            inside = (stripe >= windows.low[number, 1:]) & (stripe <= windows.high[number, 1:])
            rows = begin[number] + np.flatnonzero(inside.all(axis=1))
        for column, weight in zip(found, weights, strict=True):
            column[:, number] = np.bincount(level[rows], weights=weight[rows], minlength=n_levels + 1)
    passed = np.cumsum(found[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return tuple(np.maximum(column, 0.0) for column in passed)


def background_in_windows(
    values: Array, level: NDArray[np.intp], weight: Array, variance: Array, windows: Windows, *, n_levels: int
) -> WindowBackground:
    """Background of each window above each cut; arguments as of :func:`sums_in_windows`. variance: ``(n,)``, what a
    candidate adds to that of a sum of weights.

    Where simulation is thin, windows learn from wider ones around them, up to 32 times as wide, so that no figure of merit
    can reward that simulation ran out. Twice: the events before the cuts are those of the narrowest range in which half of
    the background has 10 effective events or more around it, the same for all windows, scaled to the window. And what a cut
    then does is taken from the narrowest range around the window in which the cut leaves as many. Candidates of very
    different weights, which are from different samples, do so separately: a few that stand for many events each are spread
    wide while many light ones keep their windows.

    A cut is measured where the ranges that were used hold 10 effective events together. A tighter one leaves as much
    background as the last that is measured: no more is known.
    """
    group = weight_groups(weight)
    parts = [
        _learned(values[rows], level[rows], weight[rows], variance[rows], windows, n_levels=n_levels)
        for rows in (group == number for number in range(int(group.max(initial=0)) + 1))
    ]
    events, squared, around, simulated = (np.sum(part, axis=0) for part in zip(*parts, strict=True))
    measured = is_measured(events, around, at_least=MINIMUM_EFFECTIVE_BACKGROUND * (1 - ROUNDING))
    last = np.minimum(np.arange(n_levels)[:, None], np.maximum(measured.sum(axis=0) - 1, 0))
    events, squared = (np.take_along_axis(part, last, axis=0) for part in (events, squared))
    return WindowBackground(events, np.sqrt(squared), measured, simulated)


def weight_groups(weight: Array) -> NDArray[np.intp]:
    """``(n,)``: numbers from 0; the sizes of two groups' weights are at least a factor of 2 apart."""
    size, place = np.unique(np.maximum(np.abs(weight), np.finfo(np.float64).tiny), return_inverse=True)
    new = np.concatenate([np.zeros(min(len(size), 1), dtype=bool), size[1:] > APART * size[:-1]])
    return np.asarray(np.cumsum(new)[place.reshape(-1)], dtype=np.intp)


def _learned(
    values: Array, level: NDArray[np.intp], weight: Array, variance: Array, windows: Windows, *, n_levels: int
) -> tuple[Array, Array, Array, Array]:
    """Of one group, each ``(n_levels, m)``: events, their variance, the variance that they would have by the statistics of
    the ranges alone in which the cut is measured, and the sum of weights in the very window."""
    wider = [windows.widened(factor) for factor in WIDER]
    sums = [sums_in_windows(values, level, (weight, variance), wide, n_levels=n_levels) for wide in wider]
    events, squared = (np.stack(part) for part in zip(*sums, strict=True))
    relative = np.divide(squared, events**2, out=np.zeros_like(events), where=events > 0)
    measured = np.stack([is_measured(*part) for part in sums])
    chosen = np.where(measured.any(axis=0), measured.argmax(axis=0), len(WIDER) - 1)
    base = _base(events[:, 0], measured[:, 0])
    here, looser = _chosen(events[:, 1:], chosen[1:]), _chosen(events[:, :-1], chosen[1:])
    share = np.divide(here, looser, out=np.zeros_like(here), where=looser > 0)
    steps = _chosen(relative[:, 1:], chosen[1:]) - _chosen(relative[:, :-1], chosen[1:])
    before = events[base, :1] * windows.volume / wider[base].volume
    expected = np.concatenate([before, before * np.cumprod(share, axis=0)])
    spread = np.cumsum(np.concatenate([relative[base, :1], steps]), axis=0)
    around = _chosen(relative, chosen)
    return expected, expected**2 * np.maximum(spread, 0), expected**2 * around, events[0]


def _base(events: Array, measured: Flags) -> int:
    """The number of the narrowest of the ranges ``(n_wider, m)`` in which half of ``events`` is measured."""
    share = (events * measured).sum(axis=1) >= ENOUGH_MEASURED * events.sum(axis=1)
    return int(share.argmax()) if share.any() else len(WIDER) - 1


def _chosen(sums: Array, chosen: NDArray[np.intp]) -> Array:
    """``(n_levels, m)`` of ``sums`` ``(n_wider, n_levels, m)`` in the ranges ``chosen`` ``(n_levels, m)``."""
    return np.asarray(np.take_along_axis(sums, chosen[None], axis=0)[0], dtype=np.float64)
