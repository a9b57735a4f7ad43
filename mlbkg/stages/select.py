"""``mlbkg select``: the ONNX model on every sample and on data, to ROOT skims and a cutflow."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlbkg.atomic import atomic_write
from mlbkg.config.load import LoadedConfig, load
from mlbkg.config.schema import Config
from mlbkg.errors import ConfigError, MlbkgError
from mlbkg.evaluation.threshold_curve import ThresholdCurve
from mlbkg.evaluation.working_point import ByScore
from mlbkg.export.load import LoadedModel, open_model
from mlbkg.samples.cuts import CutCount
from mlbkg.samples.source import SampleSource
from mlbkg.selection.apply import FailedFile, ModelUse, SelectedFile, apply_model, total_entries
from mlbkg.selection.cutflow import Cutflow, merge_counts
from mlbkg.selection.score import require_features
from mlbkg.stages.freshness import key_of
from mlbkg.stages.progress import NoProgress, Progress
from mlbkg.stages.run_folder import latest_run, unblinding, write_manifest
from mlbkg.stages.sources import LABELS, recipe_of, sources_of
from mlbkg.stages.training_evaluation import name_of, rule_of

log = logging.getLogger(__name__)

ROLES = ("signal", "background", "data")
CUTFLOW = "cutflow.json"
DATA = LABELS["data"]
EVERY_CANDIDATE = "1 == 1"


@dataclass(frozen=True)
class SelectResult:
    """``cutflow``: every cut of every sample; ``categories``: the same, summed over the samples of a category."""

    files: tuple[SelectedFile, ...]
    failed: tuple[FailedFile, ...]
    cutflow: tuple[CutCount, ...]
    categories: tuple[CutCount, ...]
    model: Path
    threshold: float | ThresholdCurve
    folder: Path
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {
            "files": [{k: v for k, v in asdict(file).items() if k != "counts"} for file in self.files],
            "failed": [asdict(file) for file in self.failed],
            "candidates_read": sum(file.read for file in self.files),
            "candidates_selected": sum(file.selected for file in self.files),
            "cutflow": [asdict(count) for count in self.cutflow],
            "categories": [asdict(count) for count in self.categories],
            "model": str(self.model),
            "threshold": asdict(self.threshold) if isinstance(self.threshold, ThresholdCurve) else self.threshold,
            "folder": str(self.folder),
            "seconds": self.seconds,
        }


def select(
    config_path: Path,
    *,
    scale: float = 1.0,
    model: Path | None = None,
    output: Path | None = None,
    unblind: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> SelectResult:
    """Score every candidate of every sample and write those above the working point.

    ``scale``: of the simulated samples. ``model``: the latest training's ``folds.onnx`` by default, which scores no event
    by a forest that saw it. ``output``: the run's ``select`` folder by default. ``unblind``: whether data inside
    ``fit.blind`` are read; else they are dropped before anything counts them.
    Raises :class:`FeatureMismatchError` where model and config do not have the same features, and :class:`ConfigError` where
    the model has no such working point or saw the samples' events.
    """
    begin = time.perf_counter()
    loaded = load(config_path, scale=scale)
    model = model or _latest_model(loaded)
    opened = open_model(model)
    _check_model(opened, loaded)
    use = _use_of(opened, loaded)
    sources = sources_of(loaded.config, roles=ROLES) if unblind else blinded(loaded.config)
    key = _key(loaded, model, output, unblind=unblind)
    with _writing(loaded, output) as (folder, final):
        files, failed = _apply(loaded, sources, use, folder, workers=workers, progress=progress or NoProgress())
        cutflow = Cutflow(_counts(sources, files), {source.name: source.category for source in sources})
        result = SelectResult(
            files=tuple(replace(file, skim=str(final / Path(file.skim).name)) for file in files),
            failed=failed,
            cutflow=cutflow.counts,
            categories=cutflow.by_category(),
            model=model,
            threshold=use.threshold,
            folder=final,
            seconds=time.perf_counter() - begin,
        )
        with atomic_write(folder / CUTFLOW) as file:
            file.write(json.dumps(result.to_json(), indent=1) + "\n")
        write_manifest(
            folder,
            {
                "stage": "select",
                "analysis": loaded.config.analysis,
                "key": key,
                **unblinding(unblind),
                "inputs": {"config_sha256": loaded.sha256, "model_sha256": opened.sha256, "scale": loaded.scale},
            },
        )
    return result


def blinded(config: Config) -> tuple[SampleSource, ...]:
    """The samples of ``config``, the data among them without the blind range; of a blind scan, without any."""
    sources = sources_of(config, roles=ROLES)
    if config.scan is not None and config.scan.blind:
        hidden = EVERY_CANDIDATE
    elif config.fit is not None and config.fit.blind is not None:
        low, high = hidden_range(config.fit.blind)
        hidden = f"`{config.fit.variable}` >= {low!r} and `{config.fit.variable}` <= {high!r}"
    else:
        return sources
    return tuple(replace(source, hidden=hidden) if source.label == DATA else source for source in sources)


def hidden_range(blind: tuple[float, float]) -> tuple[float, float]:
    """As far as float32 may round its ends: features are float32, and rounding must not let a candidate out."""
    low, high = (float(np.float32(end)) for end in blind)
    return min(low, blind[0]), max(high, blind[1])


def _key(loaded: LoadedConfig, model: Path, output: Path | None, *, unblind: bool) -> str | None:
    """None for a selection by another model, which is never taken for the run's own."""
    if output is not None or model != _latest_model(loaded):
        return None
    run = latest_run(loaded.config.analysis, with_stage="train", config=str(loaded.path))
    return key_of("select", loaded, run, unblind=unblind)


def _latest_model(loaded: LoadedConfig) -> Path:
    run = latest_run(loaded.config.analysis, with_stage="train", config=str(loaded.path))
    return run.stage("train") / "folds.onnx"


@contextmanager
def _writing(loaded: LoadedConfig, output: Path | None) -> Iterator[tuple[Path, Path]]:
    """The folder to fill now, and what it will be called then."""
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        yield output, output
        return
    run = latest_run(loaded.config.analysis, with_stage="train", config=str(loaded.path))
    with run.writing("select") as folder:
        yield folder, run.stage("select")


def _check_model(opened: LoadedModel, loaded: LoadedConfig) -> None:
    config, metadata = loaded.config, opened.metadata
    names = recipe_of(config).feature_names
    if metadata is None:
        if opened.n_features != len(names):
            raise ConfigError(
                f"{opened.path} takes {opened.n_features} features, the config has {len(names)}", where=str(opened.path)
            )
        return
    require_features(metadata.feature_names, names, where=str(opened.path))
    if metadata.origin:
        log.warning(
            "%s was imported: what events it was trained on is not known, and they must not be selected", opened.path
        )
        return
    if metadata.event_id != config.ntuples.event_id:
        raise ConfigError(
            f"{opened.path} tells events apart by {', '.join(metadata.event_id)}, the config by "
            f"{', '.join(config.ntuples.event_id)}",
            where=f"{loaded.path}:{loaded.line_of(('ntuples', 'event_id'))}",
            hint="Set ntuples.event_id as it was in the training: folds depend on it.",
        )
    simulated = [sample.name for sample in config.samples if sample.role != "data"]
    if simulated and not opened.takes_fold:
        raise ConfigError(
            f"{opened.path} is the mean of {metadata.n_folds} forests, of which all but one saw each event that was trained "
            f"on; it would flatter {', '.join(simulated)}",
            where=str(opened.path),
            hint=f"Use the model that knows folds: --model {opened.path.with_name('folds.onnx')}",
        )


def _use_of(opened: LoadedModel, loaded: LoadedConfig) -> ModelUse:
    config, metadata = loaded.config, opened.metadata
    settings, searched = config.selection, [axis.variable for axis in config.scan.axes] if config.scan else []
    return ModelUse(
        model=opened.path,
        threshold=_threshold(opened, loaded),
        n_folds=metadata.n_folds if metadata else config.training.folds,
        salt=metadata.salt if metadata else config.training.salt,
        keep=None if settings.branches == "all" else settings.branches,
        keep_all_candidates=settings.keep == "all",
        variables=(*searched, *([config.fit.variable] if config.fit else [])),
        sha256=opened.sha256,
    )


def _threshold(opened: LoadedModel, loaded: LoadedConfig) -> float | ThresholdCurve:
    rule, wanted = rule_of(loaded.config), name_of(loaded.config)
    if isinstance(rule, ByScore):
        return rule.threshold
    points = opened.metadata.working_points if opened.metadata else ()
    known = {found.name: found.curve or found.threshold for found in points}
    if wanted in known:
        return known[wanted]
    raise ConfigError(
        f"{opened.path} has no working point '{wanted}'" + (f"; it has {', '.join(map(repr, known))}" if known else ""),
        where=f"{loaded.path}:{loaded.line_of(('selection', 'working_point'))}",
        hint=f"Train with it: mlbkg train {loaded.path}, or give a score: selection.working_point: {{score: 0.5}}",
    )


def _apply(
    loaded: LoadedConfig,
    sources: Sequence[SampleSource],
    use: ModelUse,
    folder: Path,
    *,
    workers: int | None,
    progress: Progress,
) -> tuple[tuple[SelectedFile, ...], tuple[FailedFile, ...]]:
    advance = progress.step("select", total=total_entries(sources), unit="entries")
    done = list(
        apply_model(
            sources,
            recipe_of(loaded.config),
            use,
            folder,
            workers=workers or os.cpu_count() or 1,
            on_candidates=advance,
        )
    )
    files = tuple(found for found in done if isinstance(found, SelectedFile))
    failed = tuple(found for found in done if isinstance(found, FailedFile))
    if not files:
        raise MlbkgError(
            "no file could be selected", details=[f"{file.path}: {file.error}" for file in failed], where=failed[0].path
        )
    return files, failed


def _counts(sources: Sequence[SampleSource], files: Iterable[SelectedFile]) -> tuple[CutCount, ...]:
    files = list(files)
    return tuple(
        count for source in sources for count in merge_counts(file.counts for file in files if file.sample == source.name)
    )
