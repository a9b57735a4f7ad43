"""A scan over two masses: the plane of both variables in cells, each cell a counting experiment of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlbkg.config.scan import Scan
from mlbkg.config.schema import Config
from mlbkg.evaluation.peaks import Peaks
from mlbkg.limits.hypotheses import Array, Experiments
from mlbkg.limits.plane import Cells, Plane, cells_of
from mlbkg.limits.plane_neighbours import from_neighbours
from mlbkg.limits.plane_signal import SimulatedSignal, found_in_cells
from mlbkg.limits.spectrum import LONGEST_REACH, Spectrum
from mlbkg.stages.scan_inputs import ScanInputs
from mlbkg.stages.scan_spectrum import effects_of


@dataclass(frozen=True)
class PlaneExperiments:
    """One experiment for each cell. content: ``(n_samples, n)`` simulated background candidates in it, by sample."""

    cells: Cells
    experiments: Experiments
    content: Array


def plane_experiments(
    inputs: ScanInputs, peaks: Peaks, spectrum: Spectrum, config: Config, *, cells: Cells | None = None
) -> PlaneExperiments:
    """``spectrum``: of the simulated background of ``inputs``. Pseudo-data are drawn before. ``cells``: of another scan.

    Raises :class:`ConfigError` where no cell is possible, and :class:`LimitError` where a cell has no neighbours that its
    background could be taken from.
    """
    assert config.scan is not None
    cells = cells_of(plane_of(config.scan, inputs.sqrt_s), peaks) if cells is None else cells
    signal = SimulatedSignal(inputs.signal.values, inputs.masses, inputs.signal.weight, inputs.simulated)
    found, error = found_in_cells(cells, peaks, signal)
    counts = None if inputs.data is None else cells.sums(inputs.data.values, inputs.data.weight)
    content = spectrum.content(cells.low, cells.high)
    if config.scan.background == "neighbours" and counts is not None:
        background = from_neighbours(cells, counts)
    else:
        background = _simulated(cells, peaks, spectrum, content)
    experiments = Experiments(
        masses=cells.masses,
        low=cells.low,
        high=cells.high,
        observed=None if counts is None else np.rint(counts).astype(np.int64),
        background=background[0],
        background_error=background[1],
        signal_per_fb=found,
        efficiency=found / inputs.luminosity_per_fb,
        efficiency_error=error / inputs.luminosity_per_fb,
        effects=effects_of(config.systematics, content, inputs.background.names),
    )
    return PlaneExperiments(cells, experiments, content)


def plane_of(scan: Scan, sqrt_s: float) -> Plane:
    """``sqrt_s``: NaN where it is not known, and bounds no mass."""
    first, second = scan.axes
    total = sqrt_s if np.isfinite(sqrt_s) else np.inf
    return Plane((first.range, second.range), scan.bins.width, scan.ordered, total)


def _simulated(cells: Cells, peaks: Peaks, spectrum: Spectrum, content: Array) -> tuple[Array, Array]:
    """``(n,)`` background and its statistical error.

    Less than a candidate of mean weight adds where it is spread as far as the spectrum spreads any is as good as nothing:
    then the background is 0, and its error what that candidate adds.
    """
    background, error = content.sum(axis=0), np.sqrt(spectrum.variance(cells.low, cells.high))
    size = (cells.high - cells.low) / peaks.width_at(cells.masses)
    of_one = spectrum.weight.mean() * np.prod(size / (2 * LONGEST_REACH), axis=1)
    something = background >= of_one
    return np.where(something, background, 0.0), np.where(something, error, of_one)
