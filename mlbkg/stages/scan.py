"""``mlbkg scan``: a particle of unknown mass, hypothesis by hypothesis, and how likely what is seen is without it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbkg.atomic import atomic_write
from mlbkg.config.load import LoadedConfig, load
from mlbkg.config.schema import Config
from mlbkg.evaluation.estimates import to_plain
from mlbkg.evaluation.peaks import measure_peaks
from mlbkg.stages.fit_inputs import selected_run
from mlbkg.stages.freshness import key_of
from mlbkg.stages.progress import NoProgress, Progress
from mlbkg.stages.run_folder import RunFolder, unblinding, write_manifest
from mlbkg.stages.scan_figures import draw_plane_stage, draw_windows_stage
from mlbkg.stages.scan_inputs import read_scan_inputs, scan_section
from mlbkg.stages.scan_search import ScanInHand, search_plane, search_windows
from mlbkg.stages.scan_searched import Searched
from mlbkg.stages.scan_spectrum import background_spectrum, with_pseudo_data

SCAN, EXPERIMENTS = "scan.json", "experiments.json"


@dataclass(frozen=True)
class ScanResult:
    searched: Searched
    config: Config
    run: RunFolder
    figures: tuple[Path, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {
            "run_dir": str(self.run.path),
            **self.searched.to_json(),
            "figures": [str(path) for path in self.figures],
            "seconds": self.seconds,
        }


def scan(
    config_path: Path,
    *,
    scale: float = 1.0,
    run: Path | None = None,
    unblind: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ScanResult:
    """Count in the windows or cells of all hypotheses, in data, in pseudo-data, or only what is expected.

    ``unblind``: whether the data of a scan with ``blind`` are read. ``workers`` change nothing: a scan is fast. Raises
    :class:`ConfigError` for a config without a section ``scan``, :class:`BlindError` for data that the selection left out,
    :class:`EmptySampleError` where there is no signal or background, and what reading the selection raises.
    """
    begin, progress = time.perf_counter(), progress or NoProgress()
    loaded = load(config_path, scale=scale)
    scan_section(loaded)
    found = selected_run(loaded, run, unblind=unblind)
    key = key_of("scan", loaded, found, unblind=unblind)
    advance = progress.step("scan", total=3, unit="steps")
    hand = in_hand(loaded, found, unblind=unblind)
    advance(1)
    search, draw = _kind(hand)
    searched, more = search(hand)
    advance(1)
    with found.writing("scan") as folder:
        figures = draw(hand, searched, more, folder / "figures")
        advance(1)
        result = ScanResult(
            searched,
            loaded.config,
            found,
            tuple(found.stage("scan") / path.relative_to(folder) for path in figures),
            time.perf_counter() - begin,
        )
        for name, content in ((EXPERIMENTS, to_plain(searched)), (SCAN, result.to_json())):
            with atomic_write(folder / name) as file:
                file.write(json.dumps(content, indent=1) + "\n")
        write_manifest(
            folder,
            {
                "stage": "scan",
                "analysis": loaded.config.analysis,
                "dataset": searched.dataset,
                "key": key,
                **unblinding(unblind),
                "inputs": {"config_sha256": loaded.sha256, "scale": loaded.scale},
            },
        )
    return result


def in_hand(loaded: LoadedConfig, run: RunFolder, *, unblind: bool) -> ScanInHand:
    """What the run's selection holds for the scan; with pseudo-data where the config wants them."""
    section = scan_section(loaded)
    inputs = read_scan_inputs(loaded, run, unblind=unblind)
    power = tuple(axis.power for axis in section.axes)
    peaks = measure_peaks(inputs.masses, inputs.signal.values, inputs.signal.weight, power=power)
    spectrum = background_spectrum(inputs, peaks)
    return ScanInHand(loaded.config, with_pseudo_data(inputs, spectrum, peaks, section.pseudo_data), peaks, spectrum)


def _kind(hand: ScanInHand) -> Any:
    """How to search and how to draw it: along one axis, or on a plane."""
    assert hand.config.scan is not None
    if len(hand.config.scan.axes) == 1:
        return search_windows, draw_windows_stage
    return search_plane, draw_plane_stage
