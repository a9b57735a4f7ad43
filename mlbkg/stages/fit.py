"""``mlbkg fit``: the yields of signal and backgrounds, from data or from what is expected."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbkg.atomic import atomic_write
from mlbkg.config.load import LoadedConfig, load
from mlbkg.config.schema import Config
from mlbkg.evaluation.estimates import to_plain
from mlbkg.fitting.data import Binned
from mlbkg.fitting.fit import fit as fit_model
from mlbkg.fitting.goodness import goodness
from mlbkg.fitting.result import FitResult
from mlbkg.limits.profile import likelihood_scan
from mlbkg.limits.result import Problem
from mlbkg.report.hepdata import yields_hepdata
from mlbkg.stages.fit_figures import DATA_NAMES, draw_fit_stage
from mlbkg.stages.fit_inputs import fit_section, selected_run
from mlbkg.stages.fit_prepared import Extracted, Prepared, predicted_peaking, prepare
from mlbkg.stages.freshness import key_of
from mlbkg.stages.hepdata import measured_of, write_hepdata
from mlbkg.stages.progress import NoProgress, Progress
from mlbkg.stages.run_folder import RunFolder, unblinding, write_manifest

FIT = "fit.json"


@dataclass(frozen=True)
class FitStageResult:
    extracted: Extracted
    config: Config
    run: RunFolder
    hepdata: tuple[Path, ...]
    figures: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        found = self.extracted
        return {
            "run_dir": str(self.run.path),
            "dataset": found.dataset,
            "method": found.method,
            "variable": found.variable,
            "injected": found.injected,
            "converged": found.result.converged,
            "yields": {y.name: to_plain(_without_name(y)) for y in found.result.yields},
            "parameters": {p.name: to_plain(_without_name(p)) for p in found.result.parameters},
            "correlation": _correlation(found.result),
            "chi2": found.goodness.chi2,
            "ndf": found.goodness.ndf,
            "chi2_per_ndf": found.goodness.chi2_per_ndf,
            "p_value": found.goodness.p_value,
            "peaking": found.peaking.to_json() if found.peaking else None,
            "unblind": found.unblind,
            "hepdata": [str(path) for path in self.hepdata],
            "figures": [str(path) for path in self.figures],
        }


def fit(
    config_path: Path,
    *,
    scale: float = 1.0,
    run: Path | None = None,
    unblind: bool = False,
    inject: float = 0.0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> FitStageResult:
    """Fit the data in the window; without data, or with the blind range shut, what is expected.

    inject: signal candidates in an expected data set. Raises :class:`FitError` where a fit does not converge,
    :class:`EmptySampleError` where there is nothing in the window, and what reading the selection raises.
    """
    progress, workers = progress or NoProgress(), workers or os.cpu_count() or 1
    loaded = load(config_path, scale=scale)
    found = selected_run(loaded, run, unblind=unblind)
    key = key_of("fit", loaded, found, unblind=unblind)
    peaking = predicted_peaking(loaded, found, workers=workers, progress=progress)
    advance = progress.step("fit", total=1, unit="fit")
    prepared = prepare(loaded, found, peaking, quantity="yield", unblind=unblind, inject=inject)
    extracted = _extract(loaded, prepared, inject=inject, unblind=unblind)
    advance(1)
    with found.writing("fit") as folder:
        figures = draw_fit_stage(loaded.config, prepared, extracted, folder / "figures")
        name = DATA_NAMES[extracted.dataset]
        table = yields_hepdata(extracted.result, measured_of(loaded.config), data_name=name)
        hepdata = write_hepdata(loaded.config, [table], folder / "hepdata")
        with atomic_write(folder / FIT) as file:
            file.write(json.dumps(to_plain(extracted), indent=1) + "\n")
        write_manifest(
            folder,
            {
                "stage": "fit",
                "analysis": loaded.config.analysis,
                "key": key if not inject else None,
                **unblinding(unblind),
                "inputs": {"config_sha256": loaded.sha256, "scale": loaded.scale},
            },
        )
    final = found.stage("fit")
    moved = [tuple(final / path.relative_to(folder) for path in paths) for paths in (hepdata, figures)]
    return FitStageResult(extracted, loaded.config, found, *moved)


def _extract(loaded: LoadedConfig, prepared: Prepared, *, inject: float, unblind: bool) -> Extracted:
    settings, built = fit_section(loaded), prepared.built
    model = built.model.starting_at(built.theta(inject).tolist())
    result = fit_model(model, prepared.data, minos=(built.poi,), seed=loaded.config.seed)
    return Extracted(
        variable=settings.variable,
        dataset=prepared.dataset,
        method="binned" if isinstance(prepared.data, Binned) else "unbinned",
        injected=inject,
        result=result,
        goodness=goodness(built.model, result, prepared.data, bins=settings.bins),
        scan=likelihood_scan(Problem(model, built.poi, prepared.edges, prepared.data)),
        signal_shape=built.signal.result,
        signal_goodness=built.signal.goodness,
        background_goodness=built.background.goodness,
        peaking=built.peaking,
        unblind=unblind,
    )


def _without_name(found: Any) -> Mapping[str, Any]:
    """Its fields without the name, which becomes the key."""
    return {key: value for key, value in vars(found).items() if key != "name"}


def _correlation(result: FitResult) -> dict[str, dict[str, float]]:
    """Of the parameters that were free."""
    errors = {p.name: (i, math.sqrt(result.covariance[i, i])) for i, p in enumerate(result.parameters)}
    free = {name: told for name, told in errors.items() if told[1] > 0}
    return {
        a: {b: float(result.covariance[i, j] / (of_a * of_b)) for b, (j, of_b) in free.items()}
        for a, (i, of_a) in free.items()
    }
