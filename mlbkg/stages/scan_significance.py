"""Local significances of a scan over one mass, and toy experiments that tell what of them is chance."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from mlbkg.config.schema import Config
from mlbkg.evaluation.peaks import Peaks
from mlbkg.limits.excesses import Excesses, excesses
from mlbkg.limits.hypotheses import Experiments
from mlbkg.limits.local_fits import local_fits
from mlbkg.limits.many import local_p_values, significances
from mlbkg.limits.spectrum import Spectrum
from mlbkg.limits.spectrum_toys import Expected, counts_in_windows, expected_in_bins
from mlbkg.stages.scan_inputs import ScanInputs
from mlbkg.stages.scan_spectrum import effects_of
from mlbkg.stages.scan_windows import WindowExperiments, with_counts

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

BINS_PER_RESOLUTION = 2

SPURIOUS = 0.5
"""Errors of signal in background alone above which a local fit is not to be trusted."""


@dataclass(frozen=True)
class Estimates:
    """``(..., n)`` local significances, and signal candidates (all that are selected) with their errors."""

    z: Array
    signal: Array
    error: Array


class Counting:
    """Counts in the windows against the background predicted there."""

    def __init__(self, found: WindowExperiments) -> None:
        self._found = found
        experiments, sides = found.experiments, found.sides
        ends = [experiments.low, experiments.high]
        if sides is not None:
            ends += [end for part in (sides.lower, sides.upper) for end in (part.low, part.high)]
        self.edges = np.unique(np.concatenate(ends))
        self._share = np.maximum(found.experiments.signal_per_fb / found.selected_per_fb, 1e-12)

    def estimate(self, counts: Array) -> Estimates:
        """From ``counts`` ``(..., n_bins)``."""
        experiments = self._found.experiments
        inside = self._in(counts, experiments.low, experiments.high)
        background, error = self._background(counts)
        if self._found.sides is None:
            z = significances(local_p_values(experiments, np.rint(inside).astype(np.int64)))
        else:
            z = _each_with_its_background(experiments, inside, background, error)
        errors = np.hypot(np.sqrt(np.maximum(inside, 1)), error)
        return Estimates(z, (inside - background) / self._share, errors / self._share)

    def signal_of(self, z: float, hypothesis: int, expected: Array) -> float:
        """Selected signal candidates that are expected to be as significant over ``expected`` ``(n_bins,)`` background."""
        background, error = (float(part[hypothesis]) for part in self._background(expected))
        most = 10 * (z**2 + (z + 1) * np.hypot(np.sqrt(background), error) + 1) + background
        counts = np.arange(1, int(most) + 2, dtype=np.float64)
        rows = np.full(len(counts), hypothesis)
        chosen = with_counts(self._found.experiments, rows, counts)
        known = np.full(len(counts), background), np.full(len(counts), error)
        found = significances(local_p_values(replace(chosen, background=known[0], background_error=known[1])))
        return float(np.interp(z, found, counts) - background) / float(self._share[hypothesis])

    def _background(self, counts: Array) -> tuple[Array, Array]:
        """Predicted in the windows, and its error, ``(n,)`` or ``(..., n)``."""
        experiments, sides = self._found.experiments, self._found.sides
        if sides is None:
            return experiments.background, experiments.background_error
        lower, upper = (self._in(counts, part.low, part.high) for part in (sides.lower, sides.upper))
        return sides.background(lower + upper)

    def _in(self, counts: Array, low: Array, high: Array) -> Array:
        return counts_in_windows(counts, self.edges, low[:, 0], high[:, 0])


class Fitting:
    """Fits of a peak over a smooth background around each hypothesis."""

    def __init__(
        self, found: WindowExperiments, inputs: ScanInputs, peaks: Peaks, spectrum: Spectrum, config: Config
    ) -> None:
        assert config.scan is not None
        self._order = config.scan.local_fits.order
        masses = found.experiments.masses
        position, width = peaks.position_at(masses)[:, 0], peaks.width_at(masses)[:, 0]
        reach = config.scan.local_fits.half_range * width
        lowest, highest = float(spectrum.values.min()), float(spectrum.values.max())
        self.edges = bins_by_resolution(
            position, width, low=max(lowest, (position - reach).min()), high=min(highest, (position + reach).max())
        )
        first = np.searchsorted(self.edges, np.maximum(position - reach, self.edges[0]), side="right") - 1
        last = np.searchsorted(self.edges, np.minimum(position + reach, self.edges[-1]), side="left")
        self._ranges = np.stack([first, last], axis=1).astype(np.int64)
        self._shapes = signal_shapes(self.edges, inputs, peaks, masses)

    def estimate(self, counts: Array) -> Estimates:
        """From ``counts`` ``(..., n_bins)``."""
        found = local_fits(counts, self._shapes, self._ranges, order=self._order)
        return Estimates(found.z, found.signal, found.error)

    def signal_of(self, z: float, hypothesis: int, expected: Array) -> float:
        """Selected signal candidates that are expected to be as significant over ``expected`` ``(n_bins,)`` background."""
        shape, ranges = self._shapes[[hypothesis]], self._ranges[[hypothesis]]
        error = float(local_fits(expected, shape, ranges, order=self._order).error[0])

        def missing(signal: float) -> float:
            return float(local_fits(expected + signal * shape[0], shape, ranges, order=self._order).z[0]) - z

        return float(brentq(missing, 0, 10 * (z + 1) ** 2 * (error + 1), xtol=1e-3))


Method = Counting | Fitting


def method_of(found: WindowExperiments, inputs: ScanInputs, peaks: Peaks, spectrum: Spectrum, config: Config) -> Method:
    assert config.scan is not None
    return Fitting(found, inputs, peaks, spectrum, config) if config.scan.method == "local_fits" else Counting(found)


def expected_for(method: Method, inputs: ScanInputs, spectrum: Spectrum, config: Config) -> Expected:
    """The background in the method's bins, with the effects on it."""
    expected = expected_in_bins(spectrum, method.edges)
    effects = effects_of(config.systematics, expected.content, inputs.background.names)
    acting = [effect.background for effect in effects if effect.background.any()]
    return replace(expected, effects=np.array(acting).reshape(len(acting), len(expected.total)))


def spurious_signals(method: Method, expected: Expected) -> Array | None:
    """``(n,)`` signal, in its errors, that local fits find in the expected background itself, where there is none.

    A background that the polynomial cannot follow passes for signal, whatever the global p value says. None for counting,
    which compares with the same expectation.
    """
    if not isinstance(method, Fitting):
        return None
    found = method.estimate(expected.total)
    spurious = found.signal / found.error
    wrong = np.flatnonzero(np.abs(spurious) > SPURIOUS)
    if len(wrong):
        log.warning(
            "at %d of %d hypotheses local fits find more than %g errors of signal in the simulated background itself, at "
            "most %+.1f; narrow scan.local_fits.half_range, raise its order, or look only where the background is smooth",
            len(wrong),
            len(spurious),
            SPURIOUS,
            spurious[np.argmax(np.abs(spurious))],
        )
    return spurious


def observed_in(edges: Array, inputs: ScanInputs) -> Array:
    """``(n_bins,)`` counts of the data. They must be there."""
    assert inputs.data is not None
    return np.histogram(inputs.data.values[:, 0], edges)[0].astype(np.float64)


def search(method: Method, observed: Array, of_toys: Array, *, above: float) -> tuple[Excesses, Estimates]:
    """What is found in ``observed`` ``(n_bins,)``, beside experiments without signal that gave ``of_toys`` ``(toys, n)``."""
    found = method.estimate(observed)
    return excesses(found.z, of_toys, above=above, in_line=True), found


def _each_with_its_background(experiments: Experiments, counts: Array, background: Array, error: Array) -> Array:
    """``(..., n)`` significances; each combination of count and background that occurs is worked out once."""
    hypothesis = np.broadcast_to(np.arange(len(experiments)), counts.shape).ravel()
    asked = np.stack([hypothesis.astype(np.float64), counts.ravel(), background.ravel(), error.ravel()], axis=1)
    once, place = np.unique(asked, axis=0, return_inverse=True)
    chosen = with_counts(experiments, once[:, 0].astype(np.intp), once[:, 1])
    z = significances(local_p_values(replace(chosen, background=once[:, 2], background_error=once[:, 3])))
    return np.asarray(z[place.reshape(-1)].reshape(counts.shape))


def bins_by_resolution(position: Array, width: Array, *, low: float, high: float) -> Array:
    """Edges from ``low`` to ``high`` of bins half a resolution wide, that is ``width`` ``(n,)`` at ``position`` ``(n,)``."""
    fine = np.linspace(low, high, 4000)
    per_unit = BINS_PER_RESOLUTION / np.interp(fine, position, width)
    passed = np.concatenate([[0.0], np.cumsum(np.diff(fine) * (per_unit[1:] + per_unit[:-1]) / 2)])
    return np.asarray(np.interp(np.linspace(0, passed[-1], max(2, round(passed[-1])) + 1), passed, fine))


def signal_shapes(edges: Array, inputs: ScanInputs, peaks: Peaks, masses: Array) -> Array:
    """``(n, n_bins)`` share of the signal of each of ``masses`` ``(n, 1)`` in each bin.

    The spectra of the neighbouring simulated masses in their own resolutions, mixed by their distance in mass.
    """
    position, width = peaks.position_at(masses), peaks.width_at(masses)
    away = (edges - position) / width
    shapes = np.zeros((len(masses), len(edges) - 1))
    known = peaks.masses[:, 0]
    for number, mass in enumerate(peaks.masses):
        rows = (inputs.masses == mass).all(axis=1)
        own = (inputs.signal.values[rows, 0] - peaks.position[number, 0]) / peaks.width[number, 0]
        order = np.argsort(own)
        reached = np.concatenate([[0.0], np.cumsum(inputs.signal.weight[rows][order])])
        below = reached[np.searchsorted(own[order], away)] / reached[-1]
        mixed = np.interp(masses[:, 0], known, np.arange(len(known)) == number)
        shapes += mixed[:, None] * np.diff(below, axis=1)
    return shapes
