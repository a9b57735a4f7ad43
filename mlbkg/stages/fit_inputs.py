"""What a fit starts from: the selected candidates of every sample, inside the fit window."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.config.load import LoadedConfig
from mlbkg.config.statistics import Fit
from mlbkg.errors import BlindError, ConfigError, MlbkgError
from mlbkg.fitting.base import Array, Sampled, Window
from mlbkg.fitting.data import within
from mlbkg.ntuples.read import describe
from mlbkg.stages.freshness import key_of
from mlbkg.stages.run_folder import RunFolder, latest_run
from mlbkg.stages.select import CUTFLOW, hidden_range
from mlbkg.stages.skims import read_selected, skims_of
from mlbkg.stages.sources import recipe_of


@dataclass(frozen=True)
class Selected:
    """Candidates of one sample in the fit window: fit variable, physics weight and fold, ``(n,)`` each."""

    x: Array
    weight: Array
    fold: NDArray[np.int32]

    @property
    def total(self) -> float:
        return float(self.weight.sum())

    @property
    def error(self) -> float:
        return float(np.sqrt(self.weight @ self.weight))


@dataclass(frozen=True)
class FitInputs:
    """``simulated``: by sample. ``data``: ``(n,)`` values of the fit variable, None without data samples.

    blind: the range that ``data`` leave out; None where nothing is hidden. control: candidates of the control samples, None
    unless the signal's shape is theirs.
    """

    window: Window
    simulated: Mapping[str, Selected]
    data: Array | None
    blind: tuple[float, float] | None
    control: Sampled | None = None

    def sampled(self, names: Sequence[str]) -> Sampled:
        """Values and weights of several samples together."""
        chosen = [self.simulated[name] for name in names]
        none = np.empty(0)
        return np.concatenate([none, *(s.x for s in chosen)]), np.concatenate([none, *(s.weight for s in chosen)])


def fit_section(loaded: LoadedConfig) -> Fit:
    """Raises :class:`ConfigError` where the config has none."""
    if loaded.config.fit is None:
        raise ConfigError(
            f"{loaded.path} has no section 'fit'",
            where=str(loaded.path),
            hint="Add one: `mlbkg init` writes a config with every key explained."
            if loaded.config.scan is None
            else f"It has a section 'scan': mlbkg scan {loaded.path}",
        )
    return loaded.config.fit


def selected_run(loaded: LoadedConfig, run: Path | None = None, *, unblind: bool = False) -> RunFolder:
    """The given run, or the latest with a finished selection.

    Raises :class:`MlbkgError` with the command that makes one where there is none, or where it is not what the config would
    select now, and :class:`BlindError` where data are to be opened that the selection left out.
    """
    if run is None:
        found = latest_run(loaded.config.analysis, with_stage="select", config=str(loaded.path))
    else:
        found = RunFolder(run)
    manifest = found.manifest("select")
    if manifest is None:
        raise MlbkgError(f"{run} holds no finished selection", where=str(run), hint=f"Make one: mlbkg select {loaded.path}")
    _require_open(loaded, found, manifest, unblind=unblind)
    _require_current(loaded, found, manifest)
    return found


def read_inputs(loaded: LoadedConfig, run: RunFolder, *, unblind: bool) -> FitInputs:
    """Raises :class:`MlbkgError` for a selection that lacks a sample, :class:`EmptySampleError` where the signal or the data
    have no candidate in the window, and :class:`WeightError` where all weights are zero."""
    fit, config = fit_section(loaded), loaded.config
    window = Window(*fit.window, unit=unit_of(loaded, fit.variable))
    folder = run.stage("select")
    cutflow = json.loads((folder / CUTFLOW).read_text(encoding="utf-8"))
    require_samples(loaded, cutflow, folder)
    simulated, data, blind = {}, [], fit.blind if not unblind else None
    for sample in config.samples:
        found = _read(skims_of({sample.name}, cutflow, folder), fit.variable, threshold=cutflow["threshold"])
        if sample.role == "data":
            data.append(found.x if blind is None else found.x[~Window(*hidden_range(blind)).holds(found.x)])
        else:
            simulated[sample.name] = _in_window(found, window)
    signals = [sample.name for sample in config.samples if sample.role == "signal"]
    inputs = FitInputs(window, simulated, _data(data, window), None if not data else blind)
    within(*inputs.sampled(signals), window, name="signal")
    return inputs


def _require_open(loaded: LoadedConfig, run: RunFolder, manifest: Mapping[str, Any], *, unblind: bool) -> None:
    has_data = any(sample.role == "data" for sample in loaded.config.samples)
    blind = _what_is_blind(loaded)
    if unblind and has_data and blind is not None and manifest.get("unblind") is False:
        raise BlindError(
            f"the selection in {run.stage('select')} left out {blind}",
            where=str(run.stage("select")),
            hint=f"Open the data in the selection, too: mlbkg select {loaded.path} --unblind",
        )


def _what_is_blind(loaded: LoadedConfig) -> str | None:
    if loaded.config.scan is not None:
        return "all data, as scan.blind asks" if loaded.config.scan.blind else None
    return "the data inside fit.blind, so they cannot be fitted" if fit_section(loaded).blind is not None else None


def _require_current(loaded: LoadedConfig, run: RunFolder, manifest: Mapping[str, Any]) -> None:
    """A selection by a model of the user's choice has no key, and is taken as it is."""
    key, unblind = manifest.get("key"), bool(manifest.get("unblind"))
    if key is not None and key != key_of("select", loaded, run, unblind=unblind):
        raise MlbkgError(
            f"the selection in {run.stage('select')} was made with another config, other files or another version",
            where=str(run.stage("select")),
            hint=f"Select again: mlbkg select {loaded.path}" + (" --unblind" if unblind else ""),
        )


def unit_of(loaded: LoadedConfig, variable: str) -> str:
    return recipe_of(loaded.config).library[variable].unit


def require_samples(loaded: LoadedConfig, cutflow: Mapping[str, Any], folder: Path) -> None:
    there = {file["sample"] for file in cutflow["files"]}
    missing = [sample.name for sample in loaded.config.samples if sample.name not in there]
    failed = [f"{file['path']}: {file['error']}" for file in cutflow["failed"]]
    if missing or failed:
        raise MlbkgError(
            f"the selection in {folder} is not complete"
            + (f": it lacks {', '.join(map(repr, missing))}" if missing else ""),
            details=failed,
            where=str(folder),
            hint=f"Select again: mlbkg select {loaded.path}",
        )


def _read(skims: Sequence[Path], variable: str, *, threshold: float) -> Selected:
    columns = read_selected([describe(skim) for skim in skims], (variable, "physics_weight", "fold"), threshold=threshold)
    x, weight = (columns[name].astype(np.float64) for name in (variable, "physics_weight"))
    return Selected(x, weight, columns["fold"].astype(np.int32))


def _in_window(found: Selected, window: Window) -> Selected:
    rows = window.holds(found.x)
    return Selected(found.x[rows], found.weight[rows], found.fold[rows])


def _data(parts: Sequence[Array], window: Window) -> Array | None:
    return within(np.concatenate(parts), None, window, name="data").x if parts else None
