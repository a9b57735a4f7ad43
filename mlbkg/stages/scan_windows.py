"""A scan over one mass: a counting experiment in a window around each hypothesis, and what its significances come from."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlbkg.config.scan import Scan
from mlbkg.config.schema import Config
from mlbkg.evaluation.peaks import Peaks, evenly_spaced, interpolate
from mlbkg.evaluation.windows import Windows, windows_around
from mlbkg.limits.hypotheses import Experiments
from mlbkg.limits.spectrum import Spectrum
from mlbkg.stages.scan_inputs import ScanInputs
from mlbkg.stages.scan_spectrum import effects_of

Array = NDArray[np.float64]

log = logging.getLogger(__name__)

SMALL_GAPS = 0.01
"""Share of the scanned range that may lie between windows without a word."""

GAP = 1.0
"""Resolutions between a window and its side windows: a signal does not get beyond."""


@dataclass(frozen=True)
class SimulatedEfficiency:
    """Where the efficiency was measured. mass, efficiency, error: ``(n_masses,)``, the window's share included."""

    mass: Array
    efficiency: Array
    error: Array


@dataclass(frozen=True)
class WindowExperiments:
    """One experiment for each hypothesis. content: ``(n_samples, n)`` simulated background candidates in the window.

    sides: side windows that backgrounds are predicted from; None where simulation predicts them.
    selected_per_fb: ``(n,)`` signal candidates that 1 fb leaves in the window or beside it.
    """

    experiments: Experiments
    content: Array
    sides: Sides | None
    simulated: SimulatedEfficiency
    selected_per_fb: Array


@dataclass(frozen=True)
class Sides:
    """Two windows beside each of ``n``. ratio: ``(n,)`` length of the window over that of its sides, as far as both are
    within the range of the spectrum."""

    lower: Windows
    upper: Windows
    ratio: Array

    def background(self, counts: Array) -> tuple[Array, Array]:
        """Background and its error ``(..., n)`` from ``counts`` ``(..., n)`` in both sides together.

        Never less than what one candidate would tell: that none was seen is no certainty.
        """
        return self.ratio * np.maximum(counts, 1.0), self.ratio * np.sqrt(counts + 1)


def window_experiments(
    inputs: ScanInputs, peaks: Peaks, spectrum: Spectrum, config: Config, *, masses: Array | None = None
) -> WindowExperiments:
    """``spectrum``: of the simulated background of ``inputs``. Pseudo-data are drawn before.

    masses: ``(n, 1)`` of another scan's hypotheses, instead of this one's.
    """
    assert config.scan is not None
    scan = config.scan
    if masses is None:
        masses = evenly_spaced(peaks, low=scan.axes[0].range[0], high=scan.axes[0].range[1], number=scan.hypotheses)
    windows = windows_around(peaks, masses, resolutions=scan.window)
    _tell_of_gaps(windows, scan)
    simulated, selected = _simulated(inputs, peaks, scan)
    content = spectrum.content(windows.low, windows.high)
    sides = sides_of(windows, peaks.width_at(masses), spectrum) if scan.background == "neighbours" else None
    background, error = content.sum(axis=0), np.sqrt(spectrum.variance(windows.low, windows.high))
    if sides is not None:
        beside = _beside(inputs, sides, spectrum)
        background, error = sides.background(beside)
    efficiency = interpolate(simulated.mass[:, None], simulated.efficiency, masses)
    experiments = Experiments(
        masses=masses,
        low=windows.low,
        high=windows.high,
        observed=None if inputs.data is None else counted(inputs.data.values, windows),
        background=background,
        background_error=error,
        signal_per_fb=efficiency * inputs.luminosity_per_fb,
        efficiency=efficiency,
        efficiency_error=interpolate(simulated.mass[:, None], simulated.error, masses),
        effects=effects_of(config.systematics, content, inputs.background.names),
    )
    per_fb = interpolate(simulated.mass[:, None], selected, masses)
    return WindowExperiments(experiments, content, sides, simulated, per_fb)


def sides_of(windows: Windows, width: Array, spectrum: Spectrum) -> Sides:
    """Each as wide as its window, ``GAP`` resolutions away, ``width`` ``(n, 1)`` each."""
    low, high = spectrum.values.min(axis=0), spectrum.values.max(axis=0)
    length = windows.high - windows.low
    lower = Windows(windows.low - GAP * width - length, windows.low - GAP * width)
    upper = Windows(windows.high + GAP * width, windows.high + GAP * width + length)

    def inside(part: Windows) -> Array:
        return np.asarray(np.clip(np.minimum(part.high, high) - np.maximum(part.low, low), 0, None)[:, 0])

    beside = np.maximum(inside(lower) + inside(upper), 1e-12)
    return Sides(lower, upper, inside(windows) / beside)


def counted(values: Array, windows: Windows) -> NDArray[np.int64]:
    """``(n,)`` of ``values`` ``(m, 1)`` in each window, both edges inside."""
    x = np.sort(values[:, 0])
    return np.searchsorted(x, windows.high[:, 0], side="right") - np.searchsorted(x, windows.low[:, 0], side="left")


def with_counts(experiments: Experiments, rows: NDArray[np.intp], counts: Array) -> Experiments:
    """The hypotheses ``rows`` ``(m,)``, which may come again, each with its count ``(m,)``."""
    effects = tuple(replace(e, signal=e.signal[rows], background=e.background[rows]) for e in experiments.effects)
    return Experiments(
        masses=experiments.masses[rows],
        low=experiments.low[rows],
        high=experiments.high[rows],
        observed=np.rint(counts).astype(np.int64),
        background=experiments.background[rows],
        background_error=experiments.background_error[rows],
        signal_per_fb=experiments.signal_per_fb[rows],
        efficiency=experiments.efficiency[rows],
        efficiency_error=experiments.efficiency_error[rows],
        effects=effects,
    )


def _tell_of_gaps(windows: Windows, scan: Scan) -> None:
    low, high = windows.low[:, 0], windows.high[:, 0]
    between = np.clip(low[1:] - high[:-1], 0, None)
    missed = float(between.sum() / (high[-1] - low[0]))
    if missed > SMALL_GAPS:
        enough = int(np.ceil(1 + (len(low) - 1) * np.max((between + (high - low)[:-1]) / (high - low)[:-1])))
        log.warning(
            "%.0f %% of the range of %s lies in no hypothesis' window, so a signal there would be missed; "
            "with scan.hypotheses: %d windows would touch",
            100 * missed, scan.axes[0].variable, enough,
        )  # fmt: skip


def _beside(inputs: ScanInputs, sides: Sides, spectrum: Spectrum) -> Array:
    """Counts in both sides: of data, else those that are expected."""
    if inputs.data is None:
        return np.asarray(sum(spectrum.content(part.low, part.high).sum(axis=0) for part in (sides.lower, sides.upper)))
    values = inputs.data.values
    return np.asarray(counted(values, sides.lower) + counted(values, sides.upper), dtype=np.float64)


def _simulated(inputs: ScanInputs, peaks: Peaks, scan: Scan) -> tuple[SimulatedEfficiency, Array]:
    """The efficiency at every simulated mass, and how many candidates 1 fb of it leaves anywhere, ``(n_masses,)``."""
    windows = windows_around(peaks, inputs.simulated, resolutions=scan.window)
    signal, luminosity = inputs.signal, inputs.luminosity_per_fb
    found, error, selected = (np.zeros(len(windows)) for _ in range(3))
    for number, mass in enumerate(inputs.simulated):
        own = (inputs.masses == mass).all(axis=1)
        inside = (
            own & (signal.values >= windows.low[number]).all(axis=1) & (signal.values <= windows.high[number]).all(axis=1)
        )
        per_event = np.bincount(signal.event[inside], weights=signal.weight[inside])
        found[number], error[number] = per_event.sum(), np.sqrt((per_event**2).sum())
        selected[number] = signal.weight[own].sum()
    return SimulatedEfficiency(inputs.simulated[:, 0], found / luminosity, error / luminosity), selected
