"""Limits along one mass of a plane where the other is fixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WEIGHTS = (0.25, 0.5, 0.25)


@dataclass(frozen=True)
class Projection:
    """along: the axis that ``mass`` ``(m,)`` GeV is of. fixed: the other mass. limit: ``(m,)``."""

    along: int
    fixed: float
    mass: Array
    limit: Array


def projections(masses: Array, limit: Array, *, along: int, fixed: Array) -> tuple[Projection, ...]:
    """Limits ``(n,)`` of cells at ``masses`` ``(n, 2)``, column by column, where the other mass is one of ``fixed``.

    Along the first mass: in every column the cell whose second mass is nearest to the fixed one. Along the second: the cells
    of the nearest column. Neighbours are averaged, see :func:`smoothed`. Masses without a cell are left out, and projections
    of less than two.
    """
    columns, place = np.unique(masses[:, 0], return_inverse=True)
    found = []
    for value in fixed:
        rows = _nearest_rows(masses, place, float(value)) if along == 0 else _column(columns, place, float(value))
        if len(rows) > 1:
            found.append(Projection(along, float(value), masses[rows, along], smoothed(limit[rows])))
    return tuple(found)


def evenly_fixed(masses: Array, *, along: int, number: int) -> Array:
    """At most ``number`` values of the other mass for projections of cells at ``masses`` ``(n, 2)``, of two digits."""
    other = masses[:, 1 - along]
    spaced = np.linspace(other.min(), other.max(), number + 2)[1:-1]
    return np.unique([float(f"{value:.2g}") for value in spaced])


def smoothed(limit: Array) -> Array:
    """Geometric mean of each value and its two neighbours, 1 : 2 : 1; ends, and those beside infinities, as they are.

    Limits in neighbouring cells fluctuate independently by tens of per cent, which hides how they change with the mass.
    """
    result = limit.copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(limit)
        mixed = WEIGHTS[0] * logs[:-2] + WEIGHTS[1] * logs[1:-1] + WEIGHTS[2] * logs[2:]
    known = np.isfinite(mixed)
    result[1:-1][known] = np.exp(mixed[known])
    return result


def _nearest_rows(masses: Array, place: NDArray[np.intp], second: float) -> NDArray[np.intp]:
    """Of each column the cell nearest to ``second``, where that is within its cells."""
    rows = []
    for column in range(int(place.max()) + 1):
        own = np.flatnonzero(place == column)
        if _within(masses[own, 1], second):
            rows.append(own[np.abs(masses[own, 1] - second).argmin()])
    return np.array(rows, dtype=np.intp)


def _column(columns: Array, place: NDArray[np.intp], first: float) -> NDArray[np.intp]:
    inside = _within(columns, first)
    return np.flatnonzero(place == np.abs(columns - first).argmin()) if inside else np.array([], dtype=np.intp)


def _within(middles: Array, value: float) -> bool:
    """Whether ``value`` is in a cell; the outermost reach beyond their ``middles`` as far as to half-way to the next."""
    if len(middles) == 1:
        return bool(value == middles[0])
    below, above = (middles[1] - middles[0]) / 2, (middles[-1] - middles[-2]) / 2
    return bool(middles[0] - below <= value <= middles[-1] + above)
