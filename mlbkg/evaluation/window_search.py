"""A search in windows around hypotheses: what cuts keep of signal and background there, and what it can reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import EmptySampleError
from mlbkg.evaluation.estimates import Array, Events, Flags, check_weights
from mlbkg.evaluation.peaks import Peaks, interpolate
from mlbkg.evaluation.windows import WindowBackground, Windows, background_in_windows, windows_around
from mlbkg.evaluation.working_point import punzi_s_min
from mlbkg.samples.hypotheses import group_masses


@dataclass(frozen=True)
class SearchPoints:
    """What a search keeps and reaches at ``m`` hypotheses; each ``(m,)``.

    efficiency: share of the signal in the window that passes. absolute_efficiency, absolute_efficiency_error: of what was
    generated, the share in the window included. background: events in the window, with the error that simulation leaves;
    learned from the windows around where simulation is thin. simulated: sum of weights in the very window. s_min: signal
    events that a discovery needs. sensitivity: the cross section that brings as many, fb.
    """

    threshold: Array
    efficiency: Array
    absolute_efficiency: Array
    absolute_efficiency_error: Array
    background: Array
    background_error: Array
    simulated: Array
    s_min: Array
    sensitivity: Array

    @property
    def mean_sensitivity(self) -> float:
        """fb; the mean over the hypotheses, which Punzi-net minimises (arXiv:2110.00810)."""
        return float(self.sensitivity.mean())


@dataclass(frozen=True)
class Candidates:
    """Of one class: score, weight, event ``(n,)``, values ``(n, n_axes)``. row: ``(n,)``, place in the whole sample. number:
    ``(n,)`` of the simulated mass; 0 for background."""

    score: Array
    weight: Array
    event: Events
    values: Array
    row: NDArray[np.intp]
    number: NDArray[np.intp]

    @property
    def variance(self) -> Array:
        """``(n,)``: what each adds to the variance of a sum of weights; it brings its whole event, which is exact for one
        candidate an event and an upper bound for more."""
        per_event = np.bincount(self.event, weights=np.abs(self.weight))
        return np.asarray(np.abs(self.weight) * per_event[self.event], dtype=np.float64)

    def where(self, rows: Flags) -> Candidates:
        return Candidates(*(column[rows] for column in vars(self).values()))

    def inside(self, windows: Windows, which: int | NDArray[np.intp]) -> Flags:
        """``(n,)``: whether each is in window ``which``, one for all or ``(n,)``."""
        within = (self.values >= windows.low[which]) & (self.values <= windows.high[which])
        return np.asarray(within.all(axis=1))


@dataclass(frozen=True)
class SignalKept:
    """At hypotheses, above cuts from loose to tight, each ``(n_levels, m)``: see :class:`SearchPoints`."""

    efficiency: Array
    absolute: Array
    absolute_error: Array


@dataclass(frozen=True)
class WindowSearch:
    """All that does not depend on the cut. Signal candidates are those in the windows of their own masses.

    windows: of the hypotheses. window: half their width, in resolutions. generated: ``(k,)`` events of each of the masses in
    ``peaks``. a, b: of Punzi's figure.
    """

    peaks: Peaks
    hypotheses: Array
    windows: Windows
    signal: Candidates
    background: Candidates
    generated: Array
    luminosity_per_fb: float
    a: float
    b: float
    window: float

    @property
    def classes(self) -> tuple[Candidates, Candidates]:
        """Signal and background."""
        return self.signal, self.background

    def signal_kept(self, level: NDArray[np.intp], *, n_levels: int) -> SignalKept:
        """``level``: how many cuts each signal candidate passes. Measured at the simulated masses, interpolated between."""
        of, n_masses = self.signal, len(self.peaks.masses)
        cell = of.number * (n_levels + 1) + level

        def kept(weight: Array) -> Array:
            sums = np.bincount(cell, weights=weight, minlength=n_masses * (n_levels + 1)).reshape(n_masses, -1)
            return np.asarray(np.cumsum(sums[:, ::-1], axis=1)[:, ::-1], dtype=np.float64)

        events = kept(of.weight)
        absolute = events / self.luminosity_per_fb
        variance = kept(of.variance) / self.luminosity_per_fb**2 - absolute**2 / self.generated[:, None]
        parts = (events / events[:, :1], absolute, np.sqrt(np.maximum(variance, 0)))
        return SignalKept(*(interpolate(self.peaks.masses, part[:, 1:], self.hypotheses).T for part in parts))

    def background_kept(self, level: NDArray[np.intp], *, n_levels: int) -> WindowBackground:
        """``level``: how many cuts each background candidate passes."""
        of = self.background
        return background_in_windows(of.values, level, of.weight, of.variance, self.windows, n_levels=n_levels)

    def sensitivity(self, signal: Array, background: Array) -> tuple[Array, Array]:
        """S_min, and the cross section in fb that brings so many events; inf where no signal is kept."""
        s_min = np.asarray(punzi_s_min(background, a=self.a, b=self.b), dtype=np.float64)
        with np.errstate(divide="ignore"):
            return s_min, s_min / (signal * self.luminosity_per_fb)

    def points(
        self, threshold: Array, signal: SignalKept, background: WindowBackground, level: NDArray[np.intp]
    ) -> SearchPoints:
        """Of cut number ``level`` ``(m,)`` at each hypothesis."""

        def chosen(part: Array) -> Array:
            return np.asarray(np.take_along_axis(part, level[None], axis=0)[0], dtype=np.float64)

        s_min, sensitivity = self.sensitivity(chosen(signal.absolute), chosen(background.events))
        return SearchPoints(
            threshold=threshold,
            efficiency=chosen(signal.efficiency),
            absolute_efficiency=chosen(signal.absolute),
            absolute_efficiency_error=chosen(signal.absolute_error),
            background=chosen(background.events),
            background_error=chosen(background.error),
            simulated=chosen(background.simulated),
            s_min=s_min,
            sensitivity=sensitivity,
        )


def window_search(
    score: Array,
    label: NDArray[np.int8],
    weight: Array,
    event_index: Events,
    *,
    masses: Array,
    values: Array,
    peaks: Peaks,
    hypotheses: Array,
    generated: Array,
    luminosity_per_fb: float,
    a: float,
    b: float,
    window: float,
) -> WindowSearch:
    """What every way to cut starts from.

    score, label, weight, event_index: ``(n,)``, of all candidates. masses: ``(n, n_axes)`` true ones of the signal, NaN for
    background. values: ``(n, n_axes)`` of the scanned variables. weight: of a signal, events at 1 fb for its mass.
    hypotheses: ``(m, n_axes)``. generated: ``(k,)`` events of each mass in ``peaks``. Windows reach ``window`` resolutions
    to each side in every variable.

    Candidates without a value are left out. Raises :class:`WeightError` for a class without weight, and
    :class:`EmptySampleError` for a mass that has no signal in its window.
    """
    check_weights(weight, label)
    there = np.isfinite(values).all(axis=1)
    number = np.zeros(len(score), dtype=np.intp)
    number[there & (label == 1)] = nearest_mass(masses[there & (label == 1)], peaks)
    everything = Candidates(score, weight, event_index, values, np.arange(len(score)), number)
    signal, background = (everything.where(there & (label == kind)) for kind in (1, 0))
    own = windows_around(peaks, peaks.masses, resolutions=window)
    signal = signal.where(signal.inside(own, signal.number))
    _check_all_seen(peaks, signal)
    windows = windows_around(peaks, hypotheses, resolutions=window)
    return WindowSearch(peaks, hypotheses, windows, signal, background, generated, luminosity_per_fb, a, b, window)


def nearest_mass(masses: Array, peaks: Peaks) -> NDArray[np.intp]:
    """``(n,)``: which of the masses in ``peaks`` that of a candidate is, float noise aside."""
    different, group = group_masses(masses)
    distance = np.linalg.norm(different[:, None] - peaks.masses[None], axis=2)
    return np.asarray(distance.argmin(axis=1)[group], dtype=np.intp)


def _check_all_seen(peaks: Peaks, signal: Candidates) -> None:
    seen = np.bincount(signal.number, weights=signal.weight, minlength=len(peaks.masses)) > 0
    if not seen.all():
        mass = ", ".join(f"{value:g}" for value in peaks.masses[seen.argmin()])
        raise EmptySampleError(
            f"no signal of mass {mass} GeV is left in its window",
            hint="Simulate more events of it, or take it out of the sample's masses",
        )
