"""The peaking background, predicted from the control samples that a config names."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.config.schema import Config
from mlbkg.config.statistics import Control, ControlMode, Fit
from mlbkg.errors import ConfigError, NtupleError
from mlbkg.features.base import FEATURES
from mlbkg.features.resolve import FeatureSpec
from mlbkg.fitting.base import Sampled, Window
from mlbkg.fitting.peaking import Counted, Mode, PeakingPrediction, RatioUncertainty, predict_peaking
from mlbkg.ntuples.expression_functions import truth
from mlbkg.ntuples.expressions import Expression
from mlbkg.ntuples.read import describe
from mlbkg.samples.passing import Passed, pass_selections
from mlbkg.samples.source import Recipe, SampleSource
from mlbkg.selection.apply import total_entries
from mlbkg.stages.progress import NoProgress, Progress
from mlbkg.stages.select import CUTFLOW
from mlbkg.stages.skims import read_selected, skims_of
from mlbkg.stages.sources import recipe_of, sources_of

log = logging.getLogger(__name__)

MODES = "fit.peaking.control.modes"


def predict_from_control(
    config: Config, selected: Path, *, workers: int | None = None, progress: Progress | None = None
) -> PeakingPrediction:
    """The yield in the fit window at the working point, as ``fit.peaking.control`` of ``config`` says.

    ``selected``: folder of the finished selection. The control samples are read from the samples' own files and never
    scored: the classifier rejects just what they are made of.
    Raises :class:`ConfigError` without such a section, where the modes do not split the selected candidates, or where a
    control sample overlaps the search, :class:`NtupleError` where files of the peaking samples were not selected, and
    :class:`EmptySampleError` where a control sample is empty.
    """
    fit, control, samples = _sections(config)
    workers, progress = workers or os.cpu_count() or 1, progress or NoProgress()
    simulated = [source for source in sources_of(config, roles=("background",)) if source.name in samples]
    data = [source for source in sources_of(config, roles=("data",)) if source.name in control.data]
    lost = lost_candidates(config, fit, control, simulated, selected)
    recipe, selections = control_recipe(config, control), {mode.name: mode.seen for mode in control.modes if mode.seen}
    advance = progress.step("control samples", total=total_entries([*simulated, *data]), unit="entries")
    seen = pass_selections(simulated, recipe, selections, workers=workers, on_rows=advance)
    counted = pass_selections(data, recipe, selections, workers=workers, on_rows=advance) if data else {}
    _require_disjoint(lost, seen)
    scale = max(source.scale for source in simulated)
    modes = [_mode(mode, lost, seen, counted, scale=scale) for mode in control.modes]
    return predict_peaking(
        modes, [RatioUncertainty(u.name, u.effect, u.of, control.touched(u)) for u in control.uncertainties]
    )


def control_candidates(config: Config, *, workers: int | None = None) -> Sampled:
    """Fit variable and weight of every candidate of the control samples: of data where there are any, else simulated.

    Raises what :func:`predict_from_control` raises of its control samples.
    """
    fit, control, samples = _sections(config)
    role, names = ("data", control.data) if control.data else ("background", samples)
    sources = [source for source in sources_of(config, roles=(role,)) if source.name in names]
    selections = {mode.name: mode.seen for mode in control.modes if mode.seen}
    recipe = control_recipe(config, control)
    passed = pass_selections(sources, recipe, selections, variable=fit.variable, workers=workers or os.cpu_count() or 1)
    chosen = list(passed.values())
    return np.concatenate([found.value for found in chosen]), np.concatenate([found.weight for found in chosen])


def control_recipe(config: Config, control: Control) -> Recipe:
    """The recipe of the search with the control samples' preselection; their cuts may name any registered feature."""
    search = recipe_of(config)
    preselection = search.preselection if control.preselection is None else control.preselection
    cuts = (*preselection, *(cut for mode in control.modes for cut in mode.seen))
    named = dict.fromkeys(name for cut in cuts for name in Expression.parse(cut).names)
    more = tuple(FeatureSpec(name) for name in named if name not in search.library and name in FEATURES)
    return replace(
        search, preselection=preselection, spectators=(*search.spectators, *(more if search.pair is not None else ()))
    )


def lost_candidates(
    config: Config, fit: Fit, control: Control, simulated: Sequence[SampleSource], selected: Path
) -> dict[str, Passed]:
    """Mode -> the selected candidates of the skims in ``selected`` that are in the fit window and belong to it."""
    cutflow = json.loads((selected / CUTFLOW).read_text(encoding="utf-8"))
    samples = {source.name for source in simulated}
    _require_all_selected(cutflow, samples)
    skims = skims_of(samples, cutflow, selected)
    picks = {mode.name: Expression.parse(mode.lost) for mode in control.modes}
    needed = {fit.variable, "physics_weight", *(name for pick in picks.values() for name in pick.names)}
    columns = _read(skims, needed, event_id=config.ntuples.event_id, threshold=cutflow["threshold"])
    x = columns[fit.variable]
    rows = Window(*fit.window).holds(x)
    columns = {name: values[rows] for name, values in columns.items()}
    masks = {name: np.broadcast_to(truth(pick.evaluate(columns)), rows.sum()) for name, pick in picks.items()}
    _require_split(masks)
    numbers = [columns[name].astype(np.int64) for name in config.ntuples.event_id if name in columns]
    event_id = np.column_stack([np.empty((rows.sum(), 0), dtype=np.int64), *numbers])
    weight, value = columns["physics_weight"], columns[fit.variable].astype(np.float64)
    return {name: Passed(weight[mask], event_id[mask], value[mask]) for name, mask in masks.items()}


def _require_all_selected(cutflow: Mapping[str, Any], samples: Collection[str]) -> None:
    failed = [file["path"] for file in cutflow["failed"] if file["sample"] in samples]
    if failed:
        files = "file" if len(failed) == 1 else "files"
        raise NtupleError(
            f"{len(failed)} {files} of the peaking samples could not be selected, so their lost candidates are missing",
            details=failed,
            where=failed[0],
            hint="Make the files readable and select again: mlbkg select",
        )


def _read(
    skims: Sequence[Path], needed: Collection[str], *, event_id: Collection[str], threshold: float
) -> dict[str, NDArray[Any]]:
    """What is selected of all skims together, and of their event ids what they kept."""
    found = [describe(skim) for skim in skims]
    kept = (name for name in event_id if all(name in skim.branches for skim in found))
    return read_selected(found, {*needed, *kept}, threshold=threshold)


def _require_split(masks: Mapping[str, NDArray[np.bool_]]) -> None:
    times = np.sum(list(masks.values()), axis=0)
    for number, text in ((np.sum(times == 0), "no mode"), (np.sum(times > 1), "more than one mode")):
        if number:
            raise ConfigError(
                f"{number} of {len(times)} selected candidates of the peaking samples belong to {text}",
                details=[f"{name}: {mask.sum()}" for name, mask in masks.items()],
                where=MODES,
                hint=f"Change `lost` in {MODES}, so that each candidate belongs to exactly one.",
            )


def _require_disjoint(lost: Mapping[str, Passed], seen: Mapping[str, Passed]) -> None:
    """A control sample that overlaps the search would be looked at before the search is unblinded."""
    searched = np.concatenate([passed.event_id for passed in lost.values()])
    for name, passed in seen.items():
        if searched.shape[1] != passed.event_id.shape[1]:
            log.warning("the skims hold no event ids, so the control sample of %s may overlap the search", name)
            continue
        both = len({*map(tuple, searched.tolist())} & {*map(tuple, passed.event_id.tolist())})
        if both:
            raise ConfigError(
                f"{both} events of the simulated control sample of '{name}' are selected by the search, too",
                where=MODES,
                hint=f"Tighten `seen` of '{name}' in {MODES}, for example by the number of tracks beside the pair.",
            )


def _mode(
    mode: ControlMode,
    lost: Mapping[str, Passed],
    seen: Mapping[str, Passed],
    counted: Mapping[str, Passed],
    *,
    scale: float,
) -> Mode:
    error = mode.branching_fraction_error / mode.branching_fraction if mode.branching_fraction else 0.0
    return Mode(
        name=mode.name,
        lost=_counted(lost[mode.name], scale=scale),
        seen=_counted(seen[mode.name], scale=scale) if mode.name in seen else None,
        control=len(counted[mode.name]) if mode.name in counted else None,
        branching_fraction_error=error,
    )


def _counted(passed: Passed, *, scale: float) -> Counted:
    """``scale``: weight of one candidate, where there is none."""
    error = float(np.sqrt(np.square(passed.weight).sum())) if len(passed) else scale
    return Counted(len(passed), float(passed.weight.sum()), error)


def _sections(config: Config) -> tuple[Fit, Control, tuple[str, ...]]:
    if config.fit is None or config.fit.peaking is None or config.fit.peaking.control is None:
        raise ConfigError("the config has no section fit.peaking.control", where="fit.peaking.control")
    return config.fit, config.fit.peaking.control, config.fit.peaking.samples
