"""``mlbkg study`` of a scan: whether global p values are uniform without signal, and signals are found as they are."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kstest

from mlbkg.atomic import atomic_write
from mlbkg.config.load import LoadedConfig
from mlbkg.errors import ConfigError
from mlbkg.evaluation.estimates import Array, to_plain
from mlbkg.limits.spectrum_toys import Expected
from mlbkg.report.scan_study_figure import draw_scan_study
from mlbkg.stages.fit_figures import caption_of
from mlbkg.stages.fit_inputs import selected_run
from mlbkg.stages.progress import Progress
from mlbkg.stages.run_folder import RunFolder
from mlbkg.stages.scan import in_hand
from mlbkg.stages.scan_figures import mass_quantity
from mlbkg.stages.scan_search import ScanInHand
from mlbkg.stages.scan_significance import Method, expected_for, method_of, signal_shapes
from mlbkg.stages.scan_windows import WindowExperiments, window_experiments

FOLDER, STUDY = "study", "scan_study.json"
STREAM = 2
ONE_SIGMA = 0.6827
PLACES = (0.2, 0.5, 0.8)
"""Of the hypotheses that signals are injected at, as shares of their number."""


@dataclass(frozen=True)
class Recovered:
    """A signal that is expected to be ``injected`` standard deviations, in ``toys`` experiments.

    significance, significance_error: mean of the local one at its mass, 0 where nothing is counted. found: share with the
    largest excess there. cross_section_fb: injected; estimated, estimated_error: mean of its estimates. pull, pull_width:
    median, and half of the central 68.27 %, for few counts have errors that now and then are far too small.
    """

    mass: float
    injected: float
    toys: int
    significance: float
    significance_error: float
    found: float
    cross_section_fb: float
    estimated: float
    estimated_error: float
    pull: float
    pull_width: float


@dataclass(frozen=True)
class ScanStudy:
    """global_p: ``(toys,)`` of experiments without signal, against others. uniformity: p value of Kolmogorov and Smirnov;
    where counts are few, global p values come in steps, and are not quite uniform."""

    global_p: Array
    uniformity: float
    recovered: tuple[Recovered, ...]


@dataclass(frozen=True)
class ScanStudyResult:
    study: ScanStudy
    run: RunFolder
    figure: Path
    symbol: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {
            "run_dir": str(self.run.path),
            "global_p_value": {
                "toys": len(self.study.global_p),
                "mean": float(self.study.global_p.mean()),
                "uniformity_p_value": self.study.uniformity,
            },
            "recovered": [to_plain(found) for found in self.study.recovered],
            "figure": str(self.figure),
            "seconds": self.seconds,
        }


def scan_study(
    loaded: LoadedConfig, *, run: Path | None, toys: int, signals: Sequence[float], progress: Progress
) -> ScanStudyResult:
    """``toys`` experiments without signal, and with each of ``signals``, in expected standard deviations, at three masses.

    Writes ``study/`` into the run's folder. Raises :class:`ConfigError` for a scan with two axes.
    """
    begin = time.perf_counter()
    found = selected_run(loaded, run)
    hand = in_hand(loaded, found, unblind=False)
    assert hand.config.scan is not None
    if len(hand.config.scan.axes) > 1:
        where = f"{loaded.path}:{loaded.line_of(('scan', 'axes'))}"
        raise ConfigError("a study of a scan needs one axis; this one has two", where=where)
    strengths = [signal for signal in signals if signal > 0]
    advance = progress.step("toy experiments", total=1 + len(strengths) * len(PLACES), unit="sets")
    told = study_of(hand, toys=toys, signals=strengths, on_set=advance)
    folder = found.path / FOLDER
    mass = mass_quantity(hand.config.scan.axes[0])
    figure = draw_scan_study(
        told.global_p, told.uniformity, told.recovered, mass, folder / "scan_study.png", caption=caption_of(hand.config)
    )
    with atomic_write(folder / STUDY) as file:
        file.write(json.dumps(to_plain(told), indent=1) + "\n")
    return ScanStudyResult(told, found, figure, mass.symbol, time.perf_counter() - begin)


def study_of(hand: ScanInHand, *, toys: int, signals: Sequence[float], on_set: Any = lambda done: None) -> ScanStudy:
    """The same without files."""
    assert hand.config.scan is not None
    windows = window_experiments(hand.inputs, hand.peaks, hand.spectrum, hand.config)
    method = method_of(windows, hand.inputs, hand.peaks, hand.spectrum, hand.config)
    expected = expected_for(method, hand.inputs, hand.spectrum, hand.config)
    rng = np.random.default_rng([hand.config.seed, STREAM])
    without = method.estimate(expected.draw(hand.config.scan.toys, rng)).z.max(axis=1)
    asked = method.estimate(expected.draw(toys, rng)).z.max(axis=1)
    as_large = (without[None, :] >= asked[:, None] - 1e-9).sum(axis=1)
    global_p = (as_large + 1) / (len(without) + 1)
    on_set(1)
    shapes = signal_shapes(method.edges, hand.inputs, hand.peaks, windows.experiments.masses)
    recovered = []
    for hypothesis in (int(place * (len(shapes) - 1)) for place in PLACES):
        for strength in signals:
            recovered.append(
                _recovered(method, windows, expected, shapes[hypothesis], hypothesis, strength, toys=toys, rng=rng)
            )
            on_set(1)
    return ScanStudy(global_p, float(kstest(global_p, "uniform").pvalue), tuple(recovered))


def _recovered(
    method: Method,
    windows: WindowExperiments,
    expected: Expected,
    shape: Array,
    hypothesis: int,
    strength: float,
    *,
    toys: int,
    rng: np.random.Generator,
) -> Recovered:
    candidates = method.signal_of(strength, hypothesis, expected.total)
    found = method.estimate(expected.draw(toys, rng) + rng.poisson(candidates * shape, (toys, len(shape))))
    per_fb = float(windows.selected_per_fb[hypothesis])
    z = np.where(np.isfinite(found.z[:, hypothesis]), found.z[:, hypothesis], 0.0)
    estimates = found.signal[:, hypothesis] / per_fb
    pulls = (found.signal[:, hypothesis] - candidates) / found.error[:, hypothesis]
    low, middle, high = np.quantile(pulls, [(1 - ONE_SIGMA) / 2, 0.5, (1 + ONE_SIGMA) / 2])
    return Recovered(
        mass=float(windows.experiments.masses[hypothesis, 0]),
        injected=strength,
        toys=toys,
        significance=float(z.mean()),
        significance_error=float(z.std() / np.sqrt(toys)),
        found=float((np.abs(found.z.argmax(axis=1) - hypothesis) <= 1).mean()),
        cross_section_fb=candidates / per_fb,
        estimated=float(estimates.mean()),
        estimated_error=float(estimates.std() / np.sqrt(toys)),
        pull=float(middle),
        pull_width=float((high - low) / 2),
    )
