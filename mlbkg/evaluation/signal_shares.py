"""Cuts on a score told by the share of the signal that they keep, at every value of the variable that is scanned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Array


@dataclass(frozen=True)
class SignalShares:
    """at: ``(k,)`` rising positions of the simulated signals. share: ``(n_levels,)`` falling from 1.

    threshold: ``(k, n_levels)`` rising along each row: the cut that keeps ``share`` of that signal. Between positions
    thresholds of one share are straight lines, as a :class:`~mlbkg.evaluation.threshold_curve.ThresholdCurve` is.
    """

    at: Array
    share: Array
    threshold: Array

    def levels_passed(self, score: Array, values: Array) -> NDArray[np.intp]:
        """``(n,)``: how many of the levels, from loose to tight, candidates with ``score`` at ``values`` ``(n,)`` pass."""
        left, right, fraction = self._between(values)
        passed = np.zeros(len(score), dtype=np.intp)
        failed = np.full(len(score), len(self.share), dtype=np.intp)
        for _ in range(len(self.share).bit_length()):
            level = np.minimum((passed + failed) // 2, len(self.share) - 1)
            open_ = passed < failed
            line = (1 - fraction) * self.threshold[left, level] + fraction * self.threshold[right, level]
            above = score >= line
            passed = np.where(open_ & above, level + 1, passed)
            failed = np.where(open_ & ~above, level, failed)
        return passed

    def threshold_at(self, values: Array, share: Array) -> Array:
        """``(m,)`` cuts at ``values`` ``(m,)`` that keep ``share`` ``(m,)`` of a signal that peaks there."""
        left, right, fraction = self._between(values)
        level = np.interp(-share, -self.share, np.arange(len(self.share)))
        below = level.astype(np.intp)
        above = np.minimum(below + 1, len(self.share) - 1)
        lines = [
            (1 - (level - below)) * self.threshold[row, below] + (level - below) * self.threshold[row, above]
            for row in (left, right)
        ]
        return np.asarray((1 - fraction) * lines[0] + fraction * lines[1], dtype=np.float64)

    def _between(self, values: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
        """The positions to the left and to the right of ``values``, and how far along the way to the right they are."""
        place = np.interp(values, self.at, np.arange(len(self.at)))
        left = place.astype(np.intp)
        return left, np.minimum(left + 1, len(self.at) - 1), place - left


def signal_shares(score: Array, weight: Array, number: NDArray[np.intp], *, at: Array, n_levels: int) -> SignalShares:
    """Of signal candidates in their windows, each of the signal ``number`` ``(n,)`` that peaks ``at[number]``."""
    share = np.linspace(1, 0, n_levels, endpoint=False)
    threshold = np.empty((len(at), n_levels))
    order = np.lexsort((-score, number))
    ends = np.cumsum(np.bincount(number, minlength=len(at)))[:-1]
    for row, candidates in enumerate(np.split(order, ends)):
        reached = np.maximum.accumulate(np.cumsum(weight[candidates]))
        last = np.searchsorted(reached, share * reached[-1] * (1 - 1e-12))
        threshold[row] = score[candidates[np.minimum(last, len(candidates) - 1)]]
    rising = np.argsort(at, kind="stable")
    return SignalShares(at[rising], share, threshold[rising])
