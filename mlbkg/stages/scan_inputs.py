"""What a scan is made of: the selected candidates of every sample, and how much signal was simulated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlbkg.config.load import LoadedConfig
from mlbkg.config.scan import Scan
from mlbkg.config.schema import Config, SampleConfig
from mlbkg.errors import ConfigError, EmptySampleError, WeightError
from mlbkg.ntuples.files import metadata
from mlbkg.ntuples.read import describe
from mlbkg.physics.beams import BEAMS
from mlbkg.samples.folds import event_index
from mlbkg.samples.hypotheses import group_masses
from mlbkg.samples.normalisation import generated_per_hypothesis, summed_over_samples
from mlbkg.stages.fit_inputs import require_samples
from mlbkg.stages.run_folder import RunFolder
from mlbkg.stages.select import CUTFLOW
from mlbkg.stages.skims import read_selected, skims_of
from mlbkg.stages.sources import sources_of

Array = NDArray[np.float64]
Dataset = Literal["data", "pseudo-data", "none"]
WEIGHT = "physics_weight"
SAME_MASS = 1e-6
"""GeV: masses this close are the same."""


@dataclass(frozen=True)
class Selected:
    """Candidates of a role. values: ``(n, n_axes)`` of the scanned variables. weight: ``(n,)`` physics weights.

    sample: ``(n,)`` index into ``names``. event: ``(n,)`` index of the event, for uncertainties.
    """

    values: Array
    weight: Array
    sample: NDArray[np.int16]
    event: NDArray[np.int64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.weight)


@dataclass(frozen=True)
class ScanInputs:
    """masses: ``(n_signal, n_axes)`` true masses of the signal's candidates, whose weights are those at 1 fb of each mass:
    in a window they add up to efficiency times luminosity. simulated: ``(n_masses, n_axes)`` masses that were simulated.
    generated: ``(n_masses,)`` events generated of each.

    data: where ``dataset`` is pseudo-data, drawn from the background; None without data. Their weights are 1.
    sqrt_s: GeV; NaN where the config names no beams.
    """

    signal: Selected
    masses: Array
    background: Selected
    data: Selected | None
    simulated: Array
    generated: Array
    luminosity_per_fb: float
    sqrt_s: float
    dataset: Dataset = "none"


def scan_section(loaded: LoadedConfig) -> Scan:
    """Raises :class:`ConfigError` where the config has none."""
    if loaded.config.scan is None:
        raise ConfigError(
            f"{loaded.path} has no section 'scan'",
            where=str(loaded.path),
            hint="Add one: `mlbkg init` writes a config with every key explained."
            if loaded.config.fit is None
            else f"It has a section 'fit': mlbkg fit {loaded.path}",
        )
    return loaded.config.scan


def read_scan_inputs(loaded: LoadedConfig, run: RunFolder, *, unblind: bool) -> ScanInputs:
    """Candidates of the run's selection with all scanned variables; pseudo-data are not drawn here. ``unblind``: whether the
    data of a blind scan are read.

    Raises :class:`MlbkgError` for a selection that lacks a sample, :class:`EmptySampleError` without signal or background,
    and :class:`WeightError` where it is not known how much signal was generated.
    """
    config, scan = loaded.config, scan_section(loaded)
    assert config.luminosity_per_fb is not None  # needed by a scan, as the config's check has told
    folder = run.stage("select")
    reader = _Reader(loaded, scan, folder, json.loads((folder / CUTFLOW).read_text(encoding="utf-8")))
    require_samples(loaded, reader.cutflow, folder)
    signal, masses, simulated, generated = _signal(reader, config.luminosity_per_fb)
    background = reader.selected("background")
    if not len(background):
        raise EmptySampleError("no candidate of the background is selected, so nothing can be predicted", where=str(folder))
    has_data = any(sample.role == "data" for sample in config.samples) and (unblind or not scan.blind)
    return ScanInputs(
        signal=signal,
        masses=masses,
        background=background,
        data=reader.selected("data") if has_data else None,
        simulated=simulated,
        generated=generated,
        luminosity_per_fb=config.luminosity_per_fb,
        sqrt_s=float(BEAMS[config.candidates.beams].sqrt_s) if config.candidates else float("nan"),
        dataset="data" if has_data else "none",
    )


@dataclass(frozen=True)
class _Reader:
    loaded: LoadedConfig
    scan: Scan
    folder: Path
    cutflow: Mapping[str, Any]

    @property
    def config(self) -> Config:
        return self.loaded.config

    @property
    def truths(self) -> tuple[str, ...]:
        return tuple(axis.truth for axis in self.scan.axes)

    def samples(self, role: str) -> tuple[SampleConfig, ...]:
        return tuple(sample for sample in self.config.samples if sample.role == role)

    def selected(self, role: str) -> Selected:
        return self.table(role)[0]

    def table(self, role: str, *, more: Sequence[str] = ()) -> tuple[Selected, Array]:
        """The candidates of a role, and the columns ``more`` ``(n, n_more)``."""
        samples = self.samples(role)
        variables = [axis.variable for axis in self.scan.axes]
        tables = [self._columns(sample.name, (*variables, *more)) for sample in samples]
        index = np.repeat(np.arange(len(samples), dtype=np.int16), [len(table[WEIGHT]) for table in tables])
        together = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
        identity = np.column_stack([together[name] for name in self.config.ntuples.event_id]).astype(np.int64)
        chosen = Selected(
            values=_stacked(together, variables),
            weight=together[WEIGHT].astype(np.float64),
            sample=index,
            event=event_index(identity, index),
            names=tuple(sample.name for sample in samples),
        )
        seen = np.asarray(np.isfinite(chosen.values).all(axis=1))
        return _rows(chosen, seen), _stacked(together, more)[seen]

    def _columns(self, sample: str, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        skims = [describe(skim) for skim in skims_of({sample}, self.cutflow, self.folder)]
        wanted = {*names, WEIGHT, *self.config.ntuples.event_id}
        return read_selected(skims, wanted, threshold=self.cutflow["threshold"])


def _signal(reader: _Reader, luminosity_per_fb: float) -> tuple[Selected, Array, Array, Array]:
    """The signal at 1 fb of each mass, its true masses, the masses that were simulated, and the events generated of each."""
    found, masses = reader.table("signal", more=reader.truths)
    if not len(found):
        raise EmptySampleError("no candidate of the signal is selected", where=str(reader.folder))
    sources = sources_of(reader.config, roles=("signal",))
    generated = summed_over_samples(
        [
            generated_per_hypothesis(
                sample.name,
                stated=sample.generated_events,
                metadata=[(file, metadata(file)) for file in source.files],
                hypotheses=group_masses(masses[found.sample == number])[0],
            )
            for number, (sample, source) in enumerate(zip(reader.samples("signal"), sources, strict=True))
        ]
    )
    simulated, events = np.array(list(generated)), np.array(list(generated.values()))
    which = _nearest(simulated, masses)
    of_generator = found.weight / np.array([source.scale for source in sources])[found.sample]
    at_one_fb = of_generator * luminosity_per_fb / events[which]
    return replace(found, weight=at_one_fb), simulated[which], simulated, events


def _nearest(simulated: Array, masses: Array) -> NDArray[np.intp]:
    """``(n,)``: which of the ``simulated`` masses each of ``masses`` is. Raises :class:`WeightError` for another."""
    distance = np.abs(masses[:, None, :] - simulated[None, :, :]).max(axis=2)
    which = np.asarray(distance.argmin(axis=1), dtype=np.intp)
    far = ~(distance[np.arange(len(masses)), which] < SAME_MASS)
    if far.any():
        seen = ", ".join(f"{mass:g}" for mass in masses[far.argmax()])
        raise WeightError(
            f"{int(far.sum())} signal candidates have a true mass that was not generated, such as {seen} GeV",
            where="signal",
            hint="Set scan.axes[].truth to the branch with the generated mass.",
        )
    return which


def _rows(selected: Selected, rows: NDArray[np.bool_]) -> Selected:
    return Selected(
        selected.values[rows], selected.weight[rows], selected.sample[rows], selected.event[rows], selected.names
    )


def _stacked(columns: Mapping[str, NDArray[Any]], names: Sequence[str]) -> Array:
    length = len(columns[WEIGHT])
    return np.column_stack([np.empty((length, 0)), *(columns[name].astype(np.float64) for name in names)])
