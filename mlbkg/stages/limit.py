"""``mlbkg limit``: upper limits, what is expected of them, and what each uncertainty costs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbkg.atomic import atomic_write
from mlbkg.config.load import LoadedConfig, load
from mlbkg.config.schema import Config
from mlbkg.evaluation.estimates import to_plain
from mlbkg.limits.asymptotic import cls_asymptotic, expected_median
from mlbkg.limits.bayesian import bayesian_limit
from mlbkg.limits.histfactory import pyhf_limit
from mlbkg.limits.impacts import expected_without, impacts, statistical
from mlbkg.limits.profile import Discovery, discovery, profile_limit
from mlbkg.limits.result import Impact, Limit, Problem
from mlbkg.limits.toys import cls_toys
from mlbkg.limits.workspace import workspace
from mlbkg.report.hepdata import limits_hepdata
from mlbkg.report.limit_tables import Ingredients, LimitLine, Published
from mlbkg.report.quantity import Quantity
from mlbkg.stages.fit_figures import draw_limit_stage
from mlbkg.stages.fit_inputs import selected_run
from mlbkg.stages.fit_model import BuiltModel
from mlbkg.stages.fit_prepared import Prepared, predicted_peaking, prepare
from mlbkg.stages.fit_settings import quantity_of
from mlbkg.stages.freshness import key_of
from mlbkg.stages.hepdata import measured_of, write_hepdata
from mlbkg.stages.limit_scan import ScanLimitResult, limit_scan
from mlbkg.stages.progress import NoProgress, Progress
from mlbkg.stages.run_folder import RunFolder, unblinding, write_manifest

LIMIT, WORKSPACE = "limit.json", "workspace.json"
ALL, STATISTICAL = "with systematics", "statistical only"


@dataclass(frozen=True)
class Limits:
    """What ``limit.json`` holds. ``lines``: every method with all uncertainties, then the statistical ones.

    expected, without: median CLs limit, and nuisance -> the same were it known exactly. ``discovery``: None without data.
    """

    dataset: str
    quantity: Quantity
    confidence_level: float
    lines: tuple[LimitLine, ...]
    published: tuple[Published, ...]
    impacts: tuple[Impact, ...]
    expected: float
    without: Mapping[str, float]
    ingredients: Ingredients | None
    discovery: Discovery | None
    unblind: bool

    def by_method(self, uncertainties: str) -> dict[str, Limit]:
        return {line.limit.method: line.limit for line in self.lines if line.uncertainties == uncertainties}


@dataclass(frozen=True)
class LimitResult:
    limits: Limits
    luminosity_per_fb: float | None
    run: RunFolder
    workspace: Path
    hepdata: tuple[Path, ...]
    figures: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        found = self.limits
        return {
            "run_dir": str(self.run.path),
            "dataset": found.dataset,
            "quantity": found.quantity.symbol,
            "unit": found.quantity.unit,
            "luminosity_per_fb": self.luminosity_per_fb,
            "confidence_level": found.confidence_level,
            "methods": {name: _limit_json(limit) for name, limit in found.by_method(ALL).items()},
            "statistical_only": {name: _limit_json(limit) for name, limit in found.by_method(STATISTICAL).items()},
            "impacts": [to_plain(impact) for impact in found.impacts],
            "expected_if_known": dict(found.without),
            "efficiency": to_plain(found.ingredients.efficiency) if found.ingredients else None,
            "events_per_unit": found.ingredients.candidates_per_unit if found.ingredients else 1.0,
            "ingredients": to_plain(found.ingredients),
            "discovery": to_plain(found.discovery),
            "unblind": found.unblind,
            "workspace": str(self.workspace),
            "hepdata": [str(path) for path in self.hepdata],
            "figures": [str(path) for path in self.figures],
        }


def limit(
    config_path: Path,
    *,
    scale: float = 1.0,
    run: Path | None = None,
    unblind: bool = False,
    toys: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> LimitResult | ScanLimitResult:
    """Limits by every method of ``limit.methods``; observed ones only of data whose blind range is open.

    ``toys``: per hypothesis, by default ``limit.toys``. A scan has its own limits: :mod:`mlbkg.stages.limit_scan`.
    Raises :class:`LimitError` where a limit cannot be found, and what ``mlbkg fit`` or ``mlbkg scan`` raises.
    """
    progress, workers = progress or NoProgress(), workers or os.cpu_count() or 1
    loaded = load(config_path, scale=scale)
    if loaded.config.scan is not None:
        return limit_scan(loaded, run=run, unblind=unblind, progress=progress)
    found = selected_run(loaded, run, unblind=unblind)
    key = key_of("limit", loaded, found, unblind=unblind)
    peaking = predicted_peaking(loaded, found, workers=workers, progress=progress)
    prepared = prepare(loaded, found, peaking, quantity=loaded.config.limit.quantity, unblind=unblind)
    limits, document = _limits(loaded, prepared, toys=toys, unblind=unblind, workers=workers, progress=progress)
    with found.writing("limit") as folder:
        figures = draw_limit_stage(loaded.config, limits.lines, limits, folder / "figures")
        table = limits_hepdata(limits.lines, limits.quantity, measured_of(loaded.config))
        hepdata = write_hepdata(loaded.config, [table], folder / "hepdata")
        for name, content in ((LIMIT, to_plain(limits)), (WORKSPACE, document)):
            with atomic_write(folder / name) as file:
                file.write(json.dumps(content, indent=1) + "\n")
        write_manifest(
            folder,
            {
                "stage": "limit",
                "analysis": loaded.config.analysis,
                "key": key if toys is None else None,
                **unblinding(unblind),
                "inputs": {"config_sha256": loaded.sha256, "scale": loaded.scale},
            },
        )
    final = found.stage("limit")
    moved = [tuple(final / path.relative_to(folder) for path in paths) for paths in (hepdata, figures)]
    return LimitResult(limits, loaded.config.luminosity_per_fb, found, final / WORKSPACE, *moved)


def _limits(
    loaded: LoadedConfig, prepared: Prepared, *, toys: int | None, unblind: bool, workers: int, progress: Progress
) -> tuple[Limits, dict[str, Any]]:
    config, problem = loaded.config, prepared.problem
    level = config.limit.confidence_level
    kinds = {ALL: problem, STATISTICAL: statistical(problem)}
    advance = progress.step("limits", total=len(kinds) * len(config.limit.methods) + 1, unit="limits")
    references = {uncertainties: expected_median(asked, confidence_level=level) for uncertainties, asked in kinds.items()}
    expected, lines = references[ALL], []
    for uncertainties, asked in kinds.items():
        reference = references[uncertainties]
        for method in config.limit.methods:
            if method == "cls_toys" and uncertainties == STATISTICAL:
                advance(1)
                continue
            found = _by(method, asked, config, reference=reference, toys=toys, workers=workers, progress=progress)
            lines.append(LimitLine(found, uncertainties))
            advance(1)
    limits = Limits(
        dataset=prepared.dataset,
        quantity=quantity_of(config),
        confidence_level=level,
        lines=tuple(lines),
        published=tuple(
            Published(other.name, other.value, other.kind) for other in config.limit.beside if other.value is not None
        ),
        impacts=impacts(problem, signal=expected),
        expected=expected,
        without=expected_without(problem, confidence_level=level),
        ingredients=_ingredients(prepared.built, config),
        discovery=discovery(problem) if problem.data is not None else None,
        unblind=unblind,
    )
    advance(1)
    return limits, workspace(problem, reference=expected)


def _by(
    method: str,
    problem: Problem,
    config: Config,
    *,
    reference: float,
    toys: int | None,
    workers: int,
    progress: Progress,
) -> Limit:
    level = config.limit.confidence_level
    match method:
        case "cls":
            return cls_asymptotic(problem, confidence_level=level, scan_range=config.limit.scan_range)
        case "bayesian":
            return bayesian_limit(problem, confidence_level=level, seed=config.seed)
        case "profile":
            return profile_limit(problem, confidence_level=level)
        case "pyhf":
            document = workspace(problem, reference=reference)
            return pyhf_limit(document, confidence_level=level, reference=reference, blind=problem.data is None)
    number = toys or config.limit.toys
    advance = progress.step("toy experiments", total=2 * number, unit="toys")
    return cls_toys(problem, confidence_level=level, toys=number, seed=config.seed, workers=workers, on_toy=advance)


def _ingredients(built: BuiltModel, config: Config) -> Ingredients | None:
    """None for a yield, which is counted as it is."""
    found, parents = built.ingredients, config.limit.parents
    if found.efficiency is None or config.luminosity_per_fb is None:
        return None
    return Ingredients(
        luminosity_per_fb=config.luminosity_per_fb,
        parents=found.parents,
        branching_fractions=parents.branching_fractions if parents else {},
        efficiency=found.efficiency.total,
        candidates_per_unit=found.candidates_per_unit,
        fold_chi2=found.efficiency.chi2,
        fold_ndf=found.efficiency.ndf,
        fold_p_value=found.efficiency.p_value,
    )


def _limit_json(found: Limit) -> dict[str, Any]:
    band = found.expected
    return {
        "observed": found.observed,
        "expected": band.median if band else None,
        "minus_2sigma": band.minus_2sigma if band else None,
        "minus_1sigma": band.minus_1sigma if band else None,
        "plus_1sigma": band.plus_1sigma if band else None,
        "plus_2sigma": band.plus_2sigma if band else None,
        "toys": found.toys,
    }
