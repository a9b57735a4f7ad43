"""Cells of a plane of two scanned variables: how large they are follows the resolution, which changes over the plane.

Resolutions are counted along an axis by the integral of 1 / width. A column holds ``size[0]`` resolutions of the first
variable, a cell in it ``size[1]`` resolutions of the second, or a little less, so that whole cells fill what is searched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import ConfigError
from mlbkg.evaluation.peaks import Peaks

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Range = tuple[float, float]

STEPS = 256
"""Of the integrals along an axis: widths are linear between simulated masses, far coarser than this."""

ACROSS = 9
"""Second masses over which a column's resolution of the first variable is averaged."""


@dataclass(frozen=True)
class Plane:
    """What is searched. ranges: lowest and highest mass of both axes, GeV. size: of a cell, in resolutions.

    ordered: the second mass is below the first. total: energy that both masses share, GeV.
    """

    ranges: tuple[Range, Range]
    size: tuple[float, float]
    ordered: bool
    total: float

    def highest_second(self, first: Array) -> Array:
        """``(n,)`` end of the second mass's range at masses ``first`` ``(n,)``, GeV."""
        ends = np.minimum(self.ranges[1][1], self.total - first)
        return np.asarray(np.minimum(ends, first) if self.ordered else ends, dtype=np.float64)


@dataclass(frozen=True)
class Cells:
    """``n`` cells, column by column, each for the hypothesis in its middle.

    masses: ``(n, 2)`` GeV, the first the same all over a column. low, high: ``(n, 2)`` edges in the scanned variables.
    """

    masses: Array
    low: Array
    high: Array

    def __len__(self) -> int:
        return len(self.masses)

    @property
    def column(self) -> Indices:
        """``(n,)``, from 0."""
        return np.unique(self.masses[:, 0], return_inverse=True)[1].astype(np.intp)

    @property
    def area(self) -> Array:
        """``(n,)`` in the units of the scanned variables."""
        return np.asarray(np.prod(self.high - self.low, axis=1), dtype=np.float64)

    @property
    def centre(self) -> Array:
        """``(n, 2)`` in the scanned variables."""
        return np.asarray((self.low + self.high) / 2, dtype=np.float64)

    def find(self, values: Array) -> Indices:
        """``(m,)`` index of the cell of each of ``values`` ``(m, 2)``; -1 where there is none. Lower edges belong to it."""
        start, count = np.unique(self.column, return_index=True, return_counts=True)[1:]
        edges = np.append(self.low[start, 0], self.high[start[-1], 0])
        column = np.searchsorted(edges, values[:, 0], side="right") - 1
        found = np.full(len(values), -1, dtype=np.intp)
        for number, (first, length) in enumerate(zip(start, count, strict=True)):
            candidates = np.flatnonzero(column == number)
            rows = np.append(self.low[first : first + length, 1], self.high[first + length - 1, 1])
            place = np.searchsorted(rows, values[candidates, 1], side="right") - 1
            inside = (place >= 0) & (place < length)
            found[candidates[inside]] = first + place[inside]
        return found

    def sums(self, values: Array, weight: Array) -> Array:
        """``(n,)`` sum of ``weight`` ``(m,)`` of the candidates ``values`` ``(m, 2)`` in each cell."""
        found = self.find(values)
        inside = found >= 0
        return np.bincount(found[inside], weight[inside], minlength=len(self)).astype(np.float64)


def cells_of(plane: Plane, peaks: Peaks) -> Cells:
    """The lowest mass of an axis is in the middle of its first cells: a peak at mass 0 would else be cut in two.

    Raises :class:`ConfigError` where no hypothesis is possible.
    """
    columns = _columns(plane, peaks)
    first = _mass((columns[1:, 0] + columns[:-1, 0]) / 2, peaks.power[0])
    parts = []
    for number, (mass, top) in enumerate(zip(first, plane.highest_second(first), strict=True)):
        if top > plane.ranges[1][0]:
            sides = (float(columns[number, 1]), float(columns[number + 1, 1]))
            parts.append(_column(plane, peaks, mass=float(mass), top=float(top), sides=sides))
    if not parts:
        low, high = plane.ranges[0]
        raise ConfigError(
            f"no second mass above {plane.ranges[1][0]:g} GeV is possible for a first mass from {low:g} to {high:g} GeV",
            where="scan.axes",
            hint="Look at scan.axes[].range and scan.ordered, and at the energy of the collisions",
        )
    return Cells(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _columns(plane: Plane, peaks: Peaks) -> Array:
    """``(n_columns + 1, 2)`` edges: as powers of the first mass, and where they are in the first variable."""
    power, (low, high) = peaks.power[0], plane.ranges[0]
    fine = np.linspace(low**power, high**power, STEPS + 1)
    edges = _edges(fine, _over_column(plane, peaks.width_at, _mass(fine, power)), size=plane.size[0])
    offset = _over_column(plane, lambda masses: _offset(peaks, masses), _mass(edges, power))
    return np.stack([edges, edges + offset], axis=1)


def _over_column(plane: Plane, of: Callable[[Array], Array], first: Array) -> Array:
    """``(n,)`` what ``of`` tells of the first variable at masses ``first`` ``(n,)``, its mean over the second mass."""
    low = plane.ranges[1][0]
    seconds = np.linspace(low, np.maximum(plane.highest_second(first), low), ACROSS)
    masses = np.stack([np.broadcast_to(first, seconds.shape).ravel(), seconds.ravel()], axis=1)
    return np.asarray(of(masses)[:, 0].reshape(seconds.shape).mean(axis=0), dtype=np.float64)


def _column(plane: Plane, peaks: Peaks, *, mass: float, top: float, sides: Range) -> tuple[Array, Array, Array]:
    """masses, low, high ``(n, 2)`` of one column between its ``sides``."""
    power, low = peaks.power[1], plane.ranges[1][0]
    fine = np.linspace(low**power, top**power, STEPS + 1)
    edges = _edges(fine, peaks.width_at(_pairs(mass, _mass(fine, power)))[:, 1], size=plane.size[1])
    second = _mass((edges[1:] + edges[:-1]) / 2, power)
    rows = edges + _offset(peaks, _pairs(mass, _mass(edges, power)))[:, 1]
    count = len(second)
    return (
        _pairs(mass, second),
        np.stack([np.full(count, sides[0]), rows[:-1]], axis=1),
        np.stack([np.full(count, sides[1]), rows[1:]], axis=1),
    )


def _edges(fine: Array, width: Array, *, size: float) -> Array:
    """Edges of the fewest cells of at most ``size`` resolutions with the first centred on ``fine[0]``, up to ``fine[-1]``.

    width: ``(n,)`` of one resolution at ``fine`` ``(n,)``.
    """
    passed = np.concatenate([[0.0], np.cumsum(np.diff(fine) * (1 / width[1:] + 1 / width[:-1]) / 2)])
    cells = max(1, int(np.ceil(passed[-1] / size + 0.5 - 1e-9)))
    step = passed[-1] / (cells - 0.5)
    inner = np.interp(step * (np.arange(cells) + 0.5), passed, fine)
    return np.concatenate([[2 * fine[0] - inner[0]], inner[:-1], [fine[-1]]])


def _offset(peaks: Peaks, masses: Array) -> Array:
    """``(n, 2)`` how far a peak is from where its masses ``(n, 2)`` say."""
    return np.asarray(peaks.position_at(masses) - masses ** np.array(peaks.power), dtype=np.float64)


def _mass(values: Array, power: int) -> Array:
    return np.asarray(np.maximum(values, 0.0) ** (1 / power), dtype=np.float64)


def _pairs(first: float, second: Array) -> Array:
    return np.stack([np.full(len(second), first), second], axis=1)
