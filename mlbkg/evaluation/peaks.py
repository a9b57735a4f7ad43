"""Where a signal peaks and how wide it is, measured at the masses that were simulated and known in between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import EmptySampleError
from mlbkg.samples.hypotheses import group_masses

Array = NDArray[np.float64]

MINIMUM_CANDIDATES = 20
"""Of one mass: with fewer, the width would be known to worse than some 20 %."""
CENTRAL = 0.6827
FINE_STEPS = 4000


@dataclass(frozen=True)
class Peaks:
    """masses: ``(n, n_axes)`` simulated, GeV. position, width: ``(n, n_axes)`` median, and half of the central 68.27 %, in
    the scanned variables. offset between ``position`` and ``mass ** power`` is interpolated, not the position itself."""

    masses: Array
    power: tuple[int, ...]
    position: Array
    width: Array

    def position_at(self, masses: Array) -> Array:
        """``(m, n_axes)`` for ``masses`` ``(m, n_axes)``."""
        powers = np.array(self.power)
        offset = interpolate(self.masses, self.position - self.masses**powers, masses)
        return np.asarray(masses**powers + offset, dtype=np.float64)

    def width_at(self, masses: Array) -> Array:
        """``(m, n_axes)`` for ``masses`` ``(m, n_axes)``; positive, for it stays within what was measured."""
        return interpolate(self.masses, self.width, masses)


def measure_peaks(masses: Array, values: Array, weight: Array, *, power: tuple[int, ...]) -> Peaks:
    """masses: ``(n, n_axes)`` true ones of signal candidates with ``values`` ``(n, n_axes)``.

    Candidates without a value do not count. Raises :class:`EmptySampleError` for a candidate without a true mass, and where
    fewer than 20 candidates of a mass are left, or all have one value.
    """
    _check_known(masses)
    simulated, number = group_masses(masses)
    there = np.isfinite(values).all(axis=1)
    order = np.argsort(number[there], kind="stable")
    ends = np.cumsum(np.bincount(number[there], minlength=len(simulated)))[:-1]
    position, width = np.empty_like(simulated), np.empty_like(simulated)
    for row, candidates in enumerate(np.split(np.flatnonzero(there)[order], ends)):
        _check_number(simulated[row], len(candidates))
        for axis in range(values.shape[1]):
            low, median, high = _quantiles(values[candidates, axis], weight[candidates])
            position[row, axis], width[row, axis] = median, (high - low) / 2
        _check_width(simulated[row], width[row])
    return Peaks(simulated, power, position, width)


def evenly_spaced(peaks: Peaks, *, low: float, high: float, number: int) -> Array:
    """``(number, 1)`` masses between ``low`` and ``high`` with equal steps in resolutions (one axis)."""
    fine = np.linspace(low, high, FINE_STEPS + 1)[:, None]
    position, width = peaks.position_at(fine)[:, 0], peaks.width_at(fine)[:, 0]
    steps = np.maximum(np.diff(position), 0) / ((width[1:] + width[:-1]) / 2)
    passed = np.concatenate([[0.0], np.cumsum(steps)])
    rising = np.concatenate([[True], np.diff(passed) > 0])
    masses = np.interp(np.linspace(0, passed[-1], number), passed[rising], fine[rising, 0])
    masses[0], masses[-1] = low, high
    return np.asarray(masses[:, None], dtype=np.float64)


def interpolate(known: Array, values: Array, wanted: Array) -> Array:
    """``(m,)`` smooth in mass: ``values`` ``(n,)`` at ``known`` ``(n, n_axes)`` to ``wanted`` ``(m, n_axes)``; never beyond
    the range of ``values``. Many at once: ``(n, k)`` to ``(m, k)``.

    One axis: monotone cubic pieces (Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5 (1984) 300), constant beyond the ends.
    Two axes: linear on Delaunay's triangles; outside, as at the nearest point of their hull.
    """
    if len(known) == 1:
        return np.repeat(values, len(wanted), axis=0)
    on_a_line = known.shape[1] == 1
    found = _on_a_line(known[:, 0], values, wanted[:, 0]) if on_a_line else _on_a_plane(known, values, wanted)
    # rounding would make a negative efficiency of none
    return np.clip(found, np.fmin.reduce(values), np.fmax.reduce(values))


def _on_a_line(known: Array, values: Array, wanted: Array) -> Array:
    from scipy.interpolate import PchipInterpolator

    order = np.argsort(known)
    curve = PchipInterpolator(known[order], values[order])
    return np.asarray(curve(np.clip(wanted, known.min(), known.max())), dtype=np.float64)


def _on_a_plane(known: Array, values: Array, wanted: Array) -> Array:
    """Axes are scaled to their ranges, so that triangles do not depend on units. Points on one line have no triangles: the
    line between the outermost is their hull, and values are interpolated along it."""
    from scipy.interpolate import LinearNDInterpolator
    from scipy.spatial import Delaunay, QhullError

    low = known.min(axis=0)
    extent = np.ptp(known, axis=0)
    scale = np.where(extent > 0, extent, 1.0)
    points, asked = (known - low) / scale, (wanted - low) / scale
    try:
        triangles = Delaunay(points)
    except QhullError:
        far = points[np.argmax(np.linalg.norm(points - points[0], axis=1))]
        along = far - points[0]
        return _on_a_line(points @ along, values, asked @ along)
    found = np.asarray(LinearNDInterpolator(triangles, values)(asked), dtype=np.float64)
    outside = np.isnan(found).reshape(len(asked), -1).any(axis=1)
    if outside.any():
        found[outside] = _on_the_hull(points, triangles.convex_hull, values, asked[outside])
    return found


def _on_the_hull(points: Array, edges: NDArray[np.int32], values: Array, asked: Array) -> Array:
    """``values`` at the point of the hull's ``edges`` ``(k, 2)`` that is nearest to each of ``asked`` ``(m, 2)``."""
    start, end = points[edges[:, 0]], points[edges[:, 1]]
    along = end - start
    share = ((asked[:, None] - start) * along).sum(axis=2) / (along**2).sum(axis=1)
    share = np.clip(share, 0, 1)
    distance = np.linalg.norm(asked[:, None] - start - share[:, :, None] * along, axis=2)
    nearest = distance.argmin(axis=1)
    share = share[np.arange(len(asked)), nearest].reshape(-1, *(1,) * (values.ndim - 1))
    return np.asarray((1 - share) * values[edges[nearest, 0]] + share * values[edges[nearest, 1]], dtype=np.float64)


def _check_known(masses: Array) -> None:
    if not len(masses):
        raise EmptySampleError("no signal candidate is left to measure the signal's peak with")
    unknown = ~np.isfinite(masses).all(axis=1)
    if unknown.any():
        raise EmptySampleError(
            f"{int(unknown.sum())} of {len(masses)} signal candidates have no true mass",
            hint="Name the branch with the true mass in scan.axes[].truth; it must have a value for every signal candidate",
        )


def _quantiles(values: Array, weight: Array) -> Array:
    """The two ends of the central 68.27 % and the median between them, by weight: ``(3,)``."""
    order = np.argsort(values)
    reached = np.maximum.accumulate(np.cumsum(weight[order]) - weight[order] / 2)
    total = weight.sum()
    levels = np.array([(1 - CENTRAL) / 2, 0.5, (1 + CENTRAL) / 2])
    return np.asarray(np.interp(levels * total, reached, values[order]), dtype=np.float64)


def _check_number(mass: Array, candidates: int) -> None:
    if candidates < MINIMUM_CANDIDATES:
        raise EmptySampleError(
            f"signal of mass {_told(mass)} has {candidates} candidates; at least {MINIMUM_CANDIDATES} are needed to measure "
            "its peak",
            hint="Simulate more events of it, take it out of the sample's masses, or loosen the preselection",
        )


def _check_width(mass: Array, width: Array) -> None:
    if not (width > 0).all():
        raise EmptySampleError(
            f"signal of mass {_told(mass)} has the same value in every candidate: its peak has no width",
            hint="A scanned variable must be measured, not taken from the simulation's truth",
        )


def _told(mass: Array) -> str:
    return f"{', '.join(f'{value:g}' for value in mass)} GeV"
