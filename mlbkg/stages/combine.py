"""``mlbkg combine``: one limit on a coupling from several finished scans, by their joint likelihood."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlbkg.atomic import atomic_write
from mlbkg.config.load import LoadedConfig, load
from mlbkg.config.schema import Config
from mlbkg.errors import ConfigError
from mlbkg.evaluation.estimates import to_plain
from mlbkg.limits.combination import combine as joint_limits
from mlbkg.limits.hypotheses import Array, Experiments, UpperLimits
from mlbkg.limits.many import bayesian_limits
from mlbkg.physics.coupling import COUPLINGS, Coupling
from mlbkg.stages.combine_figures import draw_combination_stage
from mlbkg.stages.combine_inputs import Scanned, read_scanned
from mlbkg.stages.progress import NoProgress, Progress
from mlbkg.stages.run_folder import RunFolder, new_run, write_manifest

COMBINED = "combined.json"
BAND = ("minus_2sigma", "minus_1sigma", "expected", "plus_1sigma", "plus_2sigma")


@dataclass(frozen=True)
class Alone:
    """One data set by itself. limits: on the coupling. per_unit: ``(n,)`` candidates where the parameter is 1."""

    name: str
    dataset: str
    sqrt_s: float
    luminosity_per_fb: float
    per_unit: Array
    limits: UpperLimits


@dataclass(frozen=True)
class Combined:
    """What ``combined.json`` holds. axes: names of the masses, masses: ``(n, n_axes)`` GeV.

    low, high: ``(n, n_axes)`` windows of the first data set. combined: limits on the coupling, infinite where no data set
    has any signal.
    """

    coupling: str
    symbol: str
    assumption: str
    confidence_level: float
    axes: tuple[str, ...]
    experiments: Experiments
    alone: tuple[Alone, ...]
    combined: UpperLimits

    def hypotheses(self) -> list[dict[str, Any]]:
        masses = self.experiments.masses
        return [
            {
                **dict(zip(self.axes, masses[i].tolist(), strict=True)),
                "alone": {found.name: _band(found.limits, i) for found in self.alone},
                "combined": _band(self.combined, i),
            }
            for i in range(len(masses))
        ]


@dataclass(frozen=True)
class CombineResult:
    combined: Combined
    config: Config
    run: RunFolder
    figures: tuple[Path, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        found = self.combined
        return {
            "run_dir": str(self.run.path),
            "coupling": found.coupling,
            "symbol": found.symbol,
            "assumption": found.assumption,
            "confidence_level": found.confidence_level,
            "data_sets": [
                {
                    "name": alone.name,
                    "dataset": alone.dataset,
                    "sqrt_s": alone.sqrt_s,
                    "luminosity_per_fb": alone.luminosity_per_fb,
                }
                for alone in found.alone
            ],
            "scan": found.hypotheses(),
            "figures": [str(path) for path in self.figures],
            "seconds": self.seconds,
        }


def combine(
    config_paths: Sequence[Path],
    *,
    coupling: str | None = None,
    scale: float = 1.0,
    progress: Progress | None = None,
) -> CombineResult:
    """Limits on ``coupling`` (the first of limit.couplings that all configs have, where left out), hypothesis by hypothesis.

    Each data set counts with its own luminosity, efficiency and cross section at its energy; systematics of one name are one
    nuisance of all. The hypotheses are those of the first config: where a scan has others, its candidates are counted again.
    Raises :class:`ConfigError` where the configs search for different things, and what reading the scans raises.
    """
    begin, progress = time.perf_counter(), progress or NoProgress()
    if len(config_paths) < 2:
        raise ConfigError(f"a combination needs two configs or more; got {len(config_paths)}", where="command line")
    loaded = [load(path, scale=scale) for path in config_paths]
    chosen = _coupling(loaded, coupling)
    advance = progress.step("combination", total=len(loaded) + 2, unit="steps")
    scans = []
    for number, scan in enumerate(read_scanned(loaded)):
        scans.append(scan)
        advance(1 if number else 2)
    combined = combination(scans, chosen, confidence_level=loaded[0].config.limit.confidence_level)
    run = new_run("+".join(scan.name for scan in scans))
    with run.writing("combine") as folder:
        figures = draw_combination_stage(loaded[0].config, combined, folder / "figures")
        moved = tuple(run.stage("combine") / path.relative_to(folder) for path in figures)
        result = CombineResult(combined, loaded[0].config, run, moved, time.perf_counter() - begin)
        with atomic_write(folder / COMBINED) as file:
            file.write(json.dumps(to_plain(result.to_json()), indent=1) + "\n")
        inputs = [
            {"config": str(own.path), "config_sha256": own.sha256, "run": str(scan.run.path)}
            for own, scan in zip(loaded, scans, strict=True)
        ]
        write_manifest(folder, {"stage": "combine", "scale": scale, "inputs": inputs})
    advance(1)
    return result


def combination(scans: Sequence[Scanned], coupling: Coupling, *, confidence_level: float) -> Combined:
    """``scans``: experiments of the same hypotheses."""
    masses = scans[0].experiments.masses
    per_fb = [coupling.cross_section_fb(masses, scan.sqrt_s) for scan in scans]
    per_unit = [scan.experiments.signal_per_fb * own for scan, own in zip(scans, per_fb, strict=True)]
    together = joint_limits([scan.experiments for scan in scans], per_unit, confidence_level=confidence_level)
    alone = tuple(
        Alone(scan.name, scan.dataset, scan.sqrt_s, scan.luminosity_per_fb, own, _alone(scan, coupling, confidence_level))
        for scan, own in zip(scans, per_unit, strict=True)
    )
    root = 1 / coupling.power
    return Combined(
        coupling=coupling.name,
        symbol=coupling.symbol,
        assumption=coupling.assumption,
        confidence_level=confidence_level,
        axes=scans[0].axes,
        experiments=scans[0].experiments,
        alone=alone,
        combined=_converted(together, lambda limit: limit**root),
    )


def _alone(scan: Scanned, coupling: Coupling, confidence_level: float) -> UpperLimits:
    found = bayesian_limits(scan.experiments, confidence_level=confidence_level)
    return _converted(found, lambda limit: coupling.parameter(limit, scan.experiments.masses, scan.sqrt_s))


def _converted(found: UpperLimits, convert: Any) -> UpperLimits:
    observed = None if found.observed is None else convert(found.observed)
    return UpperLimits(found.method, found.confidence_level, observed, convert(found.expected))


def _coupling(loaded: Sequence[LoadedConfig], name: str | None) -> Coupling:
    """Raises :class:`ConfigError` where the configs have none in common."""
    if name is None:
        others = [set(own.config.limit.couplings) for own in loaded[1:]]
        shared = [own for own in loaded[0].config.limit.couplings if all(own in other for other in others)]
        if not shared:
            raise ConfigError(
                "the configs have no coupling in common",
                details=[f"{own.path}: {', '.join(own.config.limit.couplings) or 'none'}" for own in loaded],
                where="limit.couplings",
                hint="Data sets of different energies can be combined as limits on a coupling only: --coupling NAME.",
            )
        name = shared[0]
    found = COUPLINGS[name]
    axes = {own.path: len(own.config.scan.axes) for own in loaded if own.config.scan is not None}
    wrong = next((path for path, number in axes.items() if number != found.axes), None)
    if wrong is not None:
        text = f"coupling '{name}' depends on {found.axes} masses; the scan of {wrong} has {axes[wrong]}"
        raise ConfigError(text, where="--coupling")
    return found


def _band(found: UpperLimits, i: int) -> dict[str, Any]:
    observed = None if found.observed is None else found.observed[i]
    plain: dict[str, Any] = to_plain(
        {"observed": observed, **dict(zip(BAND, np.asarray(found.expected[:, i]), strict=True))}
    )
    return plain
