"""Finished scans that are to be combined, counted in the same hypotheses."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlbkg.config.load import LoadedConfig
from mlbkg.errors import ConfigError
from mlbkg.limits.hypotheses import Experiments
from mlbkg.limits.plane import Cells
from mlbkg.stages.fit_inputs import selected_run
from mlbkg.stages.limit_scan import read_searched
from mlbkg.stages.run_folder import RunFolder
from mlbkg.stages.scan import in_hand
from mlbkg.stages.scan_inputs import scan_section
from mlbkg.stages.scan_plane import plane_experiments
from mlbkg.stages.scan_windows import window_experiments

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scanned:
    """One data set. axes: names of the masses. sqrt_s: GeV."""

    name: str
    run: RunFolder
    dataset: str
    axes: tuple[str, ...]
    sqrt_s: float
    luminosity_per_fb: float
    experiments: Experiments


def read_scanned(loaded: Sequence[LoadedConfig]) -> Iterator[Scanned]:
    """One by one, the later ones in the hypotheses of the first.

    Raises :class:`ConfigError` where the configs search for different things, and :class:`MlbkgError` where a config has no
    finished scan.
    """
    _require_alike(loaded)
    hypotheses: Experiments | None = None
    for own, name in zip(loaded, _names(loaded), strict=True):
        run = selected_run(own)
        found = read_searched(own, run)
        experiments = found.experiments
        if hypotheses is None:
            hypotheses = experiments
        elif not _same(hypotheses, experiments):
            log.info("%s: counted again, in the hypotheses of %s", own.path, loaded[0].path)
            experiments = _counted_again(own, run, hypotheses)
        yield Scanned(name, run, found.dataset, found.axes, found.sqrt_s, found.luminosity_per_fb, experiments)


def _counted_again(loaded: LoadedConfig, run: RunFolder, hypotheses: Experiments) -> Experiments:
    """Cells are taken as they are; windows only by their masses, for they overlap, and follow each data set's resolution."""
    manifest = run.manifest("scan") or {}
    hand = in_hand(loaded, run, unblind=bool(manifest.get("unblind")))
    if hypotheses.masses.shape[1] == 1:
        windows = window_experiments(hand.inputs, hand.peaks, hand.spectrum, hand.config, masses=hypotheses.masses)
        return windows.experiments
    cells = Cells(hypotheses.masses, hypotheses.low, hypotheses.high)
    return plane_experiments(hand.inputs, hand.peaks, hand.spectrum, hand.config, cells=cells).experiments


def _same(first: Experiments, other: Experiments) -> bool:
    """In their masses: each data set may have windows of its own."""
    return len(first) == len(other) and np.allclose(first.masses, other.masses, rtol=1e-9, atol=1e-9)


def _require_alike(loaded: Sequence[LoadedConfig]) -> None:
    """What two scans must agree in, or their hypotheses are not the same particles."""
    first = _searched_for(loaded[0])
    for own in loaded[1:]:
        other = _searched_for(own)
        wrong = [key for key in first if first[key] != other.get(key)] + [key for key in other if key not in first]
        if wrong:
            raise ConfigError(
                f"{loaded[0].path} and {own.path} do not search for the same",
                details=[f"{key}: {first.get(key, 'none')} and {other.get(key, 'none')}" for key in wrong],
                where=str(own.path),
                hint="Give them the same values; samples, luminosity and beams may differ.",
            )


def _searched_for(loaded: LoadedConfig) -> dict[str, Any]:
    scan = scan_section(loaded)
    axes = {
        f"scan.axes[{i}].{key}": getattr(axis, key)
        for i, axis in enumerate(scan.axes)
        for key in ("name", "variable", "power", "range")
    }
    return {**axes, "scan.ordered": scan.ordered, "limit.confidence_level": loaded.config.limit.confidence_level}


def _names(loaded: Sequence[LoadedConfig]) -> list[str]:
    """The analyses', or where two are called the same, those of the files."""
    names = [own.config.analysis for own in loaded]
    if len(set(names)) == len(names):
        return names
    stems = [own.path.stem for own in loaded]
    return stems if len(set(stems)) == len(stems) else [f"{name}_{i}" for i, name in enumerate(names, 1)]
