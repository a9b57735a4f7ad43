"""``mlbkg limit`` of a scan: upper limits of every hypothesis, as cross sections and as couplings."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlbkg.atomic import atomic_write
from mlbkg.config.load import LoadedConfig
from mlbkg.config.schema import Config
from mlbkg.errors import BlindError, MlbkgError
from mlbkg.evaluation.estimates import from_plain, to_plain
from mlbkg.limits.hypotheses import UpperLimits
from mlbkg.limits.many import LIMITS
from mlbkg.physics.coupling import COUPLINGS
from mlbkg.report.hepdata import scan_hepdata
from mlbkg.report.quantity import Quantity
from mlbkg.stages.fit_inputs import selected_run
from mlbkg.stages.fit_settings import quantity_of
from mlbkg.stages.freshness import key_of
from mlbkg.stages.hepdata import measured_of, write_hepdata
from mlbkg.stages.limit_scan_figures import draw_limit_scan_stage
from mlbkg.stages.progress import Progress
from mlbkg.stages.run_folder import RunFolder, unblinding, write_manifest
from mlbkg.stages.scan import EXPERIMENTS
from mlbkg.stages.scan_figures import mass_quantity
from mlbkg.stages.scan_inputs import scan_section
from mlbkg.stages.scan_searched import Searched

Array = NDArray[np.float64]

LIMIT = "limit.json"
BAND = ("minus_2sigma", "minus_1sigma", "expected", "plus_1sigma", "plus_2sigma")


@dataclass(frozen=True)
class CouplingLimit:
    """One method's limits as a coupling, ``(n,)`` and ``(5, n)``; infinite where no coupling gives the cross section."""

    name: str
    symbol: str
    assumption: str
    method: str
    observed: Array | None
    expected: Array


@dataclass(frozen=True)
class PublishedCurve:
    """Another's limits on ``coupling``. mass, limit: ``(k,)`` as published. at: ``(n,)`` between them, in the logarithm, at
    the scan's hypotheses; NaN beyond."""

    name: str
    coupling: str
    kind: Literal["observed", "expected"]
    mass: Array
    limit: Array
    at: Array


@dataclass(frozen=True)
class ScanLimits:
    """What ``limit.json`` holds of a scan. ``limits``: on the cross section in fb, by method in the order of the config."""

    searched: Searched
    quantity: Quantity
    confidence_level: float
    limits: tuple[UpperLimits, ...]
    couplings: tuple[CouplingLimit, ...]
    published: tuple[PublishedCurve, ...]

    def coupling(self, name: str, method: str) -> CouplingLimit:
        return next(found for found in self.couplings if (found.name, found.method) == (name, method))


@dataclass(frozen=True)
class ScanLimitResult:
    limits: ScanLimits
    config: Config
    run: RunFolder
    hepdata: tuple[Path, ...]
    figures: tuple[Path, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        found = self.limits
        return {
            "run_dir": str(self.run.path),
            "dataset": found.searched.dataset,
            "quantity": found.quantity.symbol,
            "unit": found.quantity.unit,
            "luminosity_per_fb": found.searched.luminosity_per_fb,
            "confidence_level": found.confidence_level,
            "scan": [_hypothesis_json(found, i, told) for i, told in enumerate(found.searched.hypotheses())],
            "beside": [_beside_json(found, other) for other in found.published],
            "hepdata": [str(path) for path in self.hepdata],
            "figures": [str(path) for path in self.figures],
            "seconds": self.seconds,
        }


def limit_scan(loaded: LoadedConfig, *, run: Path | None, unblind: bool, progress: Progress) -> ScanLimitResult:
    """Limits of the run's scan by every method of ``limit.methods``, exact or hybrid, see :mod:`mlbkg.limits.many`.

    Raises :class:`MlbkgError` where the run holds no scan by this config, and :class:`LimitError` for experiments that can
    have no limit.
    """
    begin = time.perf_counter()
    found = selected_run(loaded, run)
    searched = read_searched(loaded, found, unblind=unblind)
    key = key_of("limit", loaded, found, unblind=unblind)
    advance = progress.step("limits", total=len(loaded.config.limit.methods), unit="methods")
    limits = limits_of(loaded.config, searched, on_method=advance)
    with found.writing("limit") as folder:
        figures = draw_limit_scan_stage(loaded.config, limits, folder / "figures")
        axes = [mass_quantity(axis) for axis in scan_section(loaded).axes]
        masses = searched.experiments.masses
        table = scan_hepdata(masses, axes, limits.limits, limits.quantity, measured_of(loaded.config))
        hepdata = write_hepdata(loaded.config, [table], folder / "hepdata")
        final = found.stage("limit")
        hepdata, figures = (tuple(final / path.relative_to(folder) for path in paths) for paths in (hepdata, figures))
        result = ScanLimitResult(limits, loaded.config, found, hepdata, figures, time.perf_counter() - begin)
        with atomic_write(folder / LIMIT) as file:
            file.write(json.dumps(to_plain(limits), indent=1) + "\n")
        write_manifest(
            folder,
            {
                "stage": "limit",
                "analysis": loaded.config.analysis,
                "dataset": searched.dataset,
                "key": key,
                **unblinding(unblind),
                "inputs": {"config_sha256": loaded.sha256, "scale": loaded.scale},
            },
        )
    return result


def read_searched(loaded: LoadedConfig, run: RunFolder, *, unblind: bool = False) -> Searched:
    """What the run's scan found. Raises :class:`MlbkgError` where there is none, or where another config made it."""
    manifest, folder = run.manifest("scan"), run.stage("scan")
    again = f"Make one: mlbkg scan {loaded.path}"
    if manifest is None:
        raise MlbkgError(f"{run.path} holds no finished scan", where=str(run.path), hint=again)
    if manifest.get("key") != key_of("scan", loaded, run, unblind=bool(manifest.get("unblind"))):
        text = f"the scan in {folder} was made with another config, other files or another version"
        raise MlbkgError(text, where=str(folder), hint=f"Scan again: mlbkg scan {loaded.path}")
    if unblind and loaded.config.scan is not None and loaded.config.scan.blind and not manifest.get("unblind"):
        text = f"the scan in {folder} did not read the data, which are blind"
        raise BlindError(text, where=str(folder), hint=f"Open them: mlbkg scan {loaded.path} --unblind")
    found: Searched = from_plain(Searched, json.loads((folder / EXPERIMENTS).read_text(encoding="utf-8")))
    return found


def limits_of(config: Config, searched: Searched, *, on_method: Any = None) -> ScanLimits:
    """By every method, as every coupling, beside every published curve."""
    level, masses = config.limit.confidence_level, searched.experiments.masses
    limits = []
    for method in config.limit.methods:
        limits.append(LIMITS[method](searched.experiments, confidence_level=level))
        if on_method is not None:
            on_method(1)
    couplings = tuple(
        _as_coupling(name, found, masses, searched.sqrt_s) for name in config.limit.couplings for found in limits
    )
    published = tuple(
        _curve(other.name, str(other.coupling), other.kind, np.array(other.points), masses[:, 0])
        for other in config.limit.beside
        if other.points
    )
    return ScanLimits(searched, quantity_of(config), level, tuple(limits), couplings, published)


def _as_coupling(name: str, found: UpperLimits, masses: Array, sqrt_s: float) -> CouplingLimit:
    coupling = COUPLINGS[name]
    observed = None if found.observed is None else coupling.parameter(found.observed, masses, sqrt_s)
    expected = coupling.parameter(found.expected, masses, sqrt_s)
    return CouplingLimit(name, coupling.symbol, coupling.assumption, found.method, observed, expected)


def _curve(name: str, coupling: str, kind: Any, points: Array, masses: Array) -> PublishedCurve:
    x, y = points[np.argsort(points[:, 0])].T
    at = np.exp(np.interp(masses, x, np.log(y), left=np.nan, right=np.nan))
    return PublishedCurve(name, coupling, kind, x, y, at)


def _hypothesis_json(found: ScanLimits, i: int, told: Mapping[str, Any]) -> dict[str, Any]:
    couplings: dict[str, dict[str, Any]] = {}
    for limit in found.couplings:
        couplings.setdefault(limit.name, {})[limit.method] = _band_json(limit.observed, limit.expected, i)
    return {
        **told,
        "methods": {limit.method: _band_json(limit.observed, limit.expected, i) for limit in found.limits},
        "couplings": couplings,
    }


def _band_json(observed: Array | None, expected: Array, i: int) -> dict[str, Any]:
    band = dict(zip(BAND, expected[:, i], strict=True))
    plain: dict[str, Any] = to_plain({"observed": None if observed is None else observed[i], **band})
    return plain


def _beside_json(found: ScanLimits, other: PublishedCurve) -> dict[str, Any]:
    """The expected limits over the published ones, hypothesis by hypothesis."""
    known = np.flatnonzero(np.isfinite(other.at))
    ratios = {limit.method: found.coupling(other.coupling, limit.method).expected[2] / other.at for limit in found.limits}
    plain: dict[str, Any] = to_plain(
        {
            "name": other.name,
            "coupling": other.coupling,
            "kind": other.kind,
            "mass": found.searched.experiments.masses[known, 0],
            "published": other.at[known],
            "expected_over_published": {method: ratio[known] for method, ratio in ratios.items()},
        }
    )
    return plain
