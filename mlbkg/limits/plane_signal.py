"""How much of a signal in the middle of a cell is found in the cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.peaks import Peaks, interpolate
from mlbkg.limits.plane import Cells

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SimulatedSignal:
    """values, masses: ``(m, 2)`` of candidates, the masses among ``simulated`` ``(k, 2)``, of which some may have none.

    weight: ``(m,)``, normalised alike at every mass.
    """

    values: Array
    masses: Array
    weight: Array
    simulated: Array


def found_in_cells(cells: Cells, peaks: Peaks, signal: SimulatedSignal) -> tuple[Array, Array]:
    """``(n,)`` sum of weights of a signal of each cell's masses that are in the cell, and its statistical error.

    Around a simulated mass candidates are told by their distance from its peak in its resolutions, both axes together; there
    a cell is as large as it is where it stands, in its own resolutions. Between simulated masses what is found so is linear.
    """
    low, high = (_in_resolutions(edges, cells.masses, peaks) for edges in (cells.low, cells.high))
    away = _in_resolutions(signal.values, signal.masses, peaks)
    found, variance = np.zeros(len(cells)), np.zeros(len(cells))
    for number, mass in enumerate(signal.simulated):
        share = interpolate(signal.simulated, np.eye(len(signal.simulated))[number], cells.masses)
        near = np.flatnonzero(share > 0)
        own = np.flatnonzero((signal.masses == mass).all(axis=1))
        inside = ((away[own] >= low[near, None, :]) & (away[own] < high[near, None, :])).all(axis=2)
        found[near] += share[near] * (inside @ signal.weight[own])
        variance[near] += share[near] ** 2 * (inside @ signal.weight[own] ** 2)
    return found, np.sqrt(variance)


def _in_resolutions(values: Array, masses: Array, peaks: Peaks) -> Array:
    """``(n, 2)`` how far ``values`` are from the peak of ``masses``."""
    return np.asarray((values - peaks.position_at(masses)) / peaks.width_at(masses), dtype=np.float64)
