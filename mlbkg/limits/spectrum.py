"""The spectrum that simulated candidates stand for, smooth where there are few of them.

Simulation may be thinner than data: a candidate of weight 5 stands for five in data, which are not at one place. So each is
spread evenly over the distance to its neighbours (a k-nearest-neighbour kernel estimate, reflected at the ends of the
simulated range). Where there are many, the distance is much smaller than a resolution, and a window holds what counting
gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float64]

NEIGHBOURS = 25
"""Candidates within the reach of one: a window of no more than that is known to 20 %."""

LONGEST_REACH = 40.0
"""Resolutions, whatever the neighbours: simulation says nothing of what is farther away."""

SMALLEST_REACH = 1e-12
CELLS_AT_ONCE = 4_000_000
"""Candidates times windows in memory at a time."""


@dataclass(frozen=True)
class Spectrum:
    """values, reach: ``(n, n_axes)`` middles and half widths of the boxes that candidates are spread over. weight: ``(n,)``.

    sample: ``(n,)`` index, below ``n_samples``. event: ``(n,)``, equal for candidates of one event, which are kept together.
    """

    values: Array
    reach: Array
    weight: Array
    sample: NDArray[np.int16]
    event: NDArray[np.int64]
    n_samples: int

    @property
    def ends(self) -> tuple[Array, Array]:
        """``(n_axes,)`` lowest and highest simulated value: what would be spread beyond them is reflected."""
        return self.values.min(axis=0), self.values.max(axis=0)

    def content(self, low: Array, high: Array) -> Array:
        """``(n_samples, m)`` candidates in the windows from ``low`` to ``high``, ``(m, n_axes)`` each."""
        parts = []
        for shares in self._shares(low, high):
            found = np.zeros((self.n_samples, shares.shape[1]))
            np.add.at(found, self.sample, shares * self.weight[:, None])
            parts.append(found)
        return np.concatenate(parts, axis=1)

    def variance(self, low: Array, high: Array) -> Array:
        """``(m,)`` statistical, of all samples together: squares of what each event adds to the window."""
        return np.concatenate([(self._of_events(shares) ** 2).sum(axis=0) for shares in self._shares(low, high)])

    def covariance(self, low: Array, high: Array) -> Array:
        """``(m, m)``: candidates whose reach ends in two windows count in both."""
        of_events = np.concatenate([self._of_events(shares) for shares in self._shares(low, high)], axis=1)
        return np.asarray(of_events.T @ of_events)

    def draw(self, rng: Generator) -> tuple[Array, NDArray[np.int16]]:
        """Candidates of one experiment: ``(k, n_axes)`` values and ``(k,)`` samples, ``k`` of a Poisson distribution."""
        first, number = np.unique(self.event, return_index=True, return_inverse=True)[1:]
        copies = rng.poisson(np.clip(self.weight[first], 0, None))[number]
        rows = np.repeat(np.arange(len(self.weight)), copies)
        spread = rng.uniform(-1, 1, (len(rows), self.values.shape[1]))
        drawn, (low, high) = self.values[rows] + spread * self.reach[rows], self.ends
        drawn = np.where(drawn < low, 2 * low - drawn, np.where(drawn > high, 2 * high - drawn, drawn))
        return drawn, self.sample[rows]

    def _shares(self, low: Array, high: Array) -> Iterator[Array]:
        """``(n, at most m)`` shares of each candidate in each window, some windows at a time."""
        step = max(1, CELLS_AT_ONCE // max(len(self.weight), 1))
        for first in range(0, len(low), step):
            share = np.ones((len(self.weight), len(low[first : first + step])))
            for axis in range(self.values.shape[1]):
                share *= self._along(axis, low[first : first + step, axis], high[first : first + step, axis])
            yield share

    def _along(self, axis: int, low: Array, high: Array) -> Array:
        """``(n, m)`` shares along one axis, with the window's images behind both ends of the range."""
        lowest, highest = (end[axis] for end in self.ends)
        inside = np.clip(low, lowest, highest), np.clip(high, lowest, highest)
        images = (inside, *((2 * mirror - inside[1], 2 * mirror - inside[0]) for mirror in (lowest, highest)))
        x, reach = self.values[:, axis, None], np.maximum(self.reach[:, axis, None], SMALLEST_REACH)
        share = np.zeros((len(x), len(low)))
        for start, end in images:
            share += np.clip((end - x) / (2 * reach) + 0.5, 0, 1) - np.clip((start - x) / (2 * reach) + 0.5, 0, 1)
        return share

    def _of_events(self, shares: Array) -> Array:
        """``(n_events, m)`` weight that each event adds."""
        number = np.unique(self.event, return_inverse=True)[1]
        order = np.argsort(number, kind="stable")
        starts = np.searchsorted(number[order], np.arange(int(number.max(initial=-1)) + 1))
        return np.asarray(np.add.reduceat((shares * self.weight[:, None])[order], starts, axis=0))


def smooth_spectrum(
    values: Array,
    weight: Array,
    sample: NDArray[np.int16],
    event: NDArray[np.int64],
    *,
    resolution: Array,
    n_samples: int,
    neighbours: int = NEIGHBOURS,
) -> Spectrum:
    """``resolution``: ``(n, n_axes)`` of a signal at each candidate; distances are counted in it, the largest over the axes.

    Each sample is spread by itself: a rare one with large weights is not hidden by one that is well simulated.
    """
    reach = np.zeros(len(values))
    for number in range(n_samples):
        rows = np.flatnonzero(sample == number)
        reach[rows] = _distance(values[rows] / resolution[rows], neighbours)
    return Spectrum(values, reach[:, None] * resolution, weight, sample, event, n_samples)


def _distance(points: Array, neighbours: int) -> Array:
    """``(n,)`` to the ``neighbours``-th nearest; stretched where there are fewer, and never beyond the longest reach."""
    from scipy.spatial import cKDTree

    k = min(neighbours, len(points) - 1)
    if k < 1:
        return np.full(len(points), LONGEST_REACH)
    found = cKDTree(points).query(points, k=[k + 1], p=np.inf)[0][:, 0]
    axes = points.shape[1]
    return np.asarray(np.minimum(found * (neighbours / k) ** (1 / axes), LONGEST_REACH))
