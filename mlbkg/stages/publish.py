"""``mlbkg publish``: what is worth shipping of a finished training, small, checked, and without a trace of the machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbkg.classifiers.base import BACKENDS
from mlbkg.config.load import LoadedConfig, load
from mlbkg.config.schema import Config
from mlbkg.errors import ConfigError, MlbkgError
from mlbkg.export.load import LoadedModel, open_model
from mlbkg.export.metadata import ModelMetadata
from mlbkg.export.write import CARD, FOLDS, MODEL
from mlbkg.stages.freshness import is_whole
from mlbkg.stages.provenance import features_sha256
from mlbkg.stages.publish_traces import traces_of_a_machine
from mlbkg.stages.run_folder import MANIFEST, RUNS, RunFolder, replacing, write_manifest
from mlbkg.stages.training_files import EVALUATION

MODELS = Path("models")
FILES = (MODEL, FOLDS, CARD)
MAX_BYTES = 5_000_000
"""Of a file: models are kept with the program's source, where every version of them stays for ever."""
STAGE = "publish"


@dataclass(frozen=True)
class PublishResult:
    """``manifest``: as it is written, and read by whoever checks or loads the model."""

    folder: Path
    run: RunFolder
    manifest: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"folder": str(self.folder), "run": str(self.run.path), **self.manifest}


def publish(
    config_path: Path, *, to: Path | None = None, run: Path | None = None, made_by: Sequence[str] = ()
) -> PublishResult:
    """Copy the champion of the latest training of this very config, or of the one in ``run``, to ``models/<analysis>``.

    made_by: command lines that came before the training. Raises :class:`ConfigError` where the training is of another
    config or the folder holds something else, and :class:`MlbkgError` where a file is not as it was written, too large, or
    names a place on this machine. What was published there before is replaced, whole or not at all.
    """
    loaded = load(config_path)
    found = RunFolder(run) if run is not None else _latest_of(loaded)
    trained = _training_of(found, loaded)
    source, folder = found.stage("train"), to or MODELS / loaded.config.analysis
    _refuse_changed(source, trained, hint=f"Train again: mlbkg train {config_path}")
    _refuse_large(source)
    model = open_model(source / MODEL)
    assert model.metadata is not None
    _refuse_traces(source, [model, open_model(source / FOLDS)])
    _refuse_foreign(folder)
    with replacing(folder) as draft:
        for name in FILES:
            shutil.copyfile(source / name, draft / name)
        write_manifest(draft, _manifest(loaded, trained, source, model.metadata, made_by))
        copied = _manifest_in(draft)
        if any(copied["files"][name] != trained["files"][name] for name in FILES):
            raise MlbkgError(f"a file of {source} changed while it was copied", where=str(source))
    return PublishResult(folder, found, copied)


def _latest_of(loaded: LoadedConfig) -> RunFolder:
    folder = RUNS / loaded.config.analysis
    trainings = [
        run for path in sorted(folder.glob("*-*"), reverse=True) if (run := RunFolder(path)).manifest("train") is not None
    ]
    for run in trainings:
        if _is_of(run, loaded):
            return run
    what = f"{len(trainings)} finished trainings of analysis '{loaded.config.analysis}' under {folder}, none is of"
    raise MlbkgError(
        f"{what if trainings else f'no finished training under {folder} of'} {loaded.path} as it is now",
        where=str(folder),
        hint=f"Make one: mlbkg train {loaded.path}",
    )


def _is_of(run: RunFolder, loaded: LoadedConfig) -> bool:
    manifest = run.manifest("train") or {}
    return bool(manifest.get("inputs", {}).get("config_sha256") == loaded.sha256)


def _training_of(run: RunFolder, loaded: LoadedConfig) -> dict[str, Any]:
    manifest = run.manifest("train")
    if manifest is None:
        raise ConfigError(
            f"{run.path} holds no finished training",
            where=str(run.path),
            hint="Give a folder like runs/ANALYSIS/20260101T000000Z-abcdef, or leave --run out for the latest.",
        )
    if not _is_of(run, loaded):
        raise ConfigError(
            f"{run.path} was not trained with {loaded.path} as it is now",
            where=str(run.path),
            hint=f"Give the config that it was trained with; it is kept as {run.stage('train') / 'config.yaml'}",
        )
    return manifest


def _refuse_changed(folder: Path, manifest: Mapping[str, Any], *, hint: str) -> None:
    wanted = (*FILES, EVALUATION)
    if not is_whole(folder, {"files": {name: told for name, told in manifest["files"].items() if name in wanted}}):
        raise MlbkgError(f"{folder} is not as the training wrote it", where=str(folder), hint=hint)


def _refuse_large(folder: Path) -> None:
    sizes = {name: (folder / name).stat().st_size for name in FILES}
    if large := {name: size for name, size in sizes.items() if size > MAX_BYTES}:
        raise MlbkgError(
            f"too large to publish, more than {MAX_BYTES / 1e6:g} MB",
            details=[f"{folder / name}: {size / 1e6:.1f} MB" for name, size in large.items()],
            where=str(folder / next(iter(large))),
            hint="Train fewer or smaller trees: fewer n_estimators with a larger learning_rate, less depth, fewer leaves or "
            "folds; `mlbkg tune` with the objectives auc and cost shows what that takes from the score.",
        )


def _refuse_traces(folder: Path, models: Sequence[LoadedModel]) -> None:
    """The card, and all that the models say of themselves."""
    texts = {CARD: (folder / CARD).read_text(encoding="utf-8")}
    texts |= {model.path.name: json.dumps(model.describe()["metadata"], ensure_ascii=False) for model in models}
    found = [f"{name}: {trace}" for name, text in texts.items() for trace in traces_of_a_machine(text)]
    if found:
        raise MlbkgError(
            "the model names places on this machine or its network",
            details=found,
            where=str(folder),
            hint="Name the samples' files relative to the project in the config, and train again.",
        )


def _refuse_foreign(folder: Path) -> None:
    """What is replaced must have been published, or be nothing."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    if MANIFEST not in there or there - {MANIFEST, *FILES} or _manifest_in(folder).get("stage") != STAGE:
        raise ConfigError(
            f"{folder} holds something other than a published model; nothing was replaced",
            where=str(folder),
            hint=f"Give a folder of its own: --to {MODELS}/NAME",
        )


def _manifest_in(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest


def _manifest(
    loaded: LoadedConfig, trained: Mapping[str, Any], source: Path, metadata: ModelMetadata, made_by: Sequence[str]
) -> dict[str, Any]:
    evaluation = json.loads((source / EVALUATION).read_text(encoding="utf-8"))
    champion = next(one for one in evaluation["classifiers"] if one["name"] == trained["champion"])
    inputs, ranking = trained["inputs"], champion["ranking"]
    point = metadata.working_points[0]
    path, scale = _relative(loaded.path), float(inputs["scale"])
    return {
        "stage": STAGE,
        "analysis": metadata.analysis,
        "title": metadata.title,
        "champion": {
            "name": trained["champion"],
            "backend": metadata.backend,
            "parameters": _parameters(loaded.config, trained),
        },
        "features": list(metadata.feature_names),
        "features_sha256": features_sha256(metadata.feature_names),
        "folds": metadata.n_folds,
        "score": {
            "auc": ranking["auc"],
            "background_rejection": ranking["background_rejection"],
            "signal_efficiency": ranking["signal_efficiency"],
            "log_loss": ranking["log_loss"],
        },
        "working_point": point.to_plain(),
        "data": {
            name: {"fingerprint": fingerprint, "candidates": inputs["rows"][name]}
            for name, fingerprint in inputs["data"].items()
        },
        "config": path,
        "config_sha256": inputs["config_sha256"],
        "scale": scale,
        "made_by": [
            *made_by,
            f"mlbkg train {path}{'' if scale == 1 else f' --scale {scale:g}'}",
            f"mlbkg publish {path}",
        ],
        **trained.get("made_with", {}),
        "versions": dict(metadata.versions),
    }


def _parameters(config: Config, trained: Mapping[str, Any]) -> dict[str, Any]:
    """All of them, defaults too."""
    chosen = next(one for one in config.training.classifiers if one.label == trained["champion"])
    params: dict[str, Any] = BACKENDS[chosen.backend].params(**chosen.parameters).model_dump(mode="json")
    return params


def _relative(path: Path) -> str:
    """To the folder that is worked in; the name alone of a file elsewhere."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name
