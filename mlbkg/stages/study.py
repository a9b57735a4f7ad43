"""``mlbkg study``: bias and coverage of the fit, from toy experiments with signals of known size."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbkg.atomic import atomic_write
from mlbkg.config.load import load
from mlbkg.evaluation.estimates import to_plain
from mlbkg.fitting.study import StudyPoint
from mlbkg.fitting.study import study as study_model
from mlbkg.limits.asymptotic import expected_median
from mlbkg.report.limit_figures import draw_study
from mlbkg.report.quantity import Quantity
from mlbkg.stages.fit_figures import caption_of
from mlbkg.stages.fit_inputs import fit_section, selected_run
from mlbkg.stages.fit_prepared import predicted_peaking, prepare
from mlbkg.stages.fit_settings import quantity_of
from mlbkg.stages.progress import NoProgress, Progress
from mlbkg.stages.run_folder import RunFolder
from mlbkg.stages.scan_study import ScanStudyResult, scan_study

STUDY = "study.json"
FOLDER = "study"
OF_FIT, OF_SCAN = (0.0, 1.0, 3.0), (1.0, 3.0, 5.0)
"""Signals, in expected limits or in standard deviations."""


@dataclass(frozen=True)
class StudyResult:
    """``expected``: the limit that signals are counted in. ``points``: one per signal."""

    quantity: Quantity
    expected: float
    points: tuple[StudyPoint, ...]
    folder: Path
    figure: Path
    run: RunFolder

    def to_json(self) -> dict[str, Any]:
        return {
            "run_dir": str(self.run.path),
            "quantity": self.quantity.symbol,
            "unit": self.quantity.unit,
            "expected_limit": self.expected,
            "points": [
                {key: value for key, value in to_plain(point).items() if key not in ("pulls", "fitted")}
                for point in self.points
            ],
            "figure": str(self.figure),
        }


def study(
    config_path: Path,
    *,
    scale: float = 1.0,
    run: Path | None = None,
    toys: int = 500,
    signals: Sequence[float] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> StudyResult | ScanStudyResult:
    """Fit ``toys`` experiments of the config's model at each of ``signals``, in units of the expected limit.

    Of a scan, ``signals`` are standard deviations: :func:`mlbkg.stages.scan_study.scan_study`. Data are never looked at.
    Writes ``study/`` into the run's folder. Raises what ``mlbkg fit`` raises.
    """
    progress, workers = progress or NoProgress(), workers or os.cpu_count() or 1
    loaded = load(config_path, scale=scale)
    if loaded.config.scan is not None:
        return scan_study(loaded, run=run, toys=toys, signals=signals or OF_SCAN, progress=progress)
    signals = signals or OF_FIT
    found = selected_run(loaded, run)
    config, settings = loaded.config, fit_section(loaded)
    peaking = predicted_peaking(loaded, found, workers=workers, progress=progress)
    prepared = prepare(loaded, found, peaking, quantity=config.limit.quantity, unblind=False)
    expected = expected_median(prepared.problem, confidence_level=config.limit.confidence_level)
    unbinned = settings.method == "unbinned" or (
        settings.method == "auto"
        and prepared.built.model.rates(prepared.built.theta(0.0).tolist()).sum() <= settings.unbinned_up_to
    )
    advance = progress.step("toy experiments", total=toys * len(signals), unit="toys")
    points = study_model(
        prepared.built.model,
        poi=prepared.built.poi,
        values=[signal * expected for signal in signals],
        toys=toys,
        seed=config.seed,
        edges=None if unbinned else prepared.edges,
        workers=workers,
        on_toy=advance,
    )
    folder = found.path / FOLDER
    folder.mkdir(exist_ok=True)
    quantity = quantity_of(config)
    figure = draw_study(points, quantity, folder / "study.png", caption=caption_of(config))
    with atomic_write(folder / STUDY) as file:
        file.write(
            json.dumps({"expected_limit": expected, "points": [to_plain(point) for point in points]}, indent=1) + "\n"
        )
    return StudyResult(quantity, expected, points, folder, figure, found)
