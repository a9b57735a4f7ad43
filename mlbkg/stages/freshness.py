"""Whether what a stage wrote is what it would write again: the key of everything that its output depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlbkg.config.load import LoadedConfig
from mlbkg.config.schema import Config
from mlbkg.export.manifest import is_inside
from mlbkg.ntuples.files import find, is_url
from mlbkg.stages.run_folder import RunFolder, sha256_of

EVENTS = ("analysis", "seed", "luminosity_per_fb", "ntuples", "candidates", "preselection", "features", "spectators")
STATISTICS = ("fit", "systematics", "limit")
FAKED = ("fit.variable", "fit.window", "fit.bins", "fit.background", "fit.peaking.samples")
"""Of the fit, what the signal faked by the background depends on."""
SCANNED = ("scan.axes", "scan.ordered", "scan.hypotheses", "scan.window", "scan.bins")
"""Of the scan, what the working point of each mass depends on."""
SECTIONS = {
    "train": (*EVENTS, "title", "origin", "training", "evaluation", "selection.working_point", *FAKED, *SCANNED),
    "select": (*EVENTS, "selection", "fit.variable", "fit.blind", "scan.axes"),
    "fit": (*EVENTS, "title", "origin", *STATISTICS),
    "scan": (*EVENTS, "title", "origin", "scan", "systematics"),
    "limit": (*EVENTS, "title", "origin", "scan", *STATISTICS),
}
"""What of a config a stage reads, beside the samples. ``tracking`` changes no result."""
ROLES = {"train": ("signal", "background")}
UPSTREAM = {"select": ("train",), "fit": ("select",), "scan": ("select",), "limit": ("select", "scan")}


def key_of(stage: str, loaded: LoadedConfig, run: RunFolder | None = None, **options: Any) -> str:
    """sha256 over the config's sections, the samples' files (name, size, time of change), the outputs of the stages before
    this one in ``run``, the ``options`` of the command line, and the program's version.

    A file behind a URL counts by its address only.
    """
    config = loaded.config
    sections = list(SECTIONS[stage])
    if stage == "train" and config.selection.working_point.expected_limit is not None:
        sections += STATISTICS
    samples = [sample for sample in config.samples if sample.role in ROLES.get(stage, (sample.role,))]
    content = {
        "stage": stage,
        "version": version("mlbkg"),
        "sections": {name: section_of(config, name) for name in sections},
        "samples": [sample.model_dump(mode="json") for sample in samples],
        "files": {sample.name: [_identity(path) for path in find(sample.files)] for sample in samples},
        "upstream": {name: _outputs(run, name) for name in UPSTREAM.get(stage, ())},
        "options": options,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def is_fresh(stage: str, key: str, run: RunFolder) -> bool:
    """Whether ``run`` holds the finished stage with this key, every file of it whole."""
    manifest = run.manifest(stage)
    return manifest is not None and manifest.get("key") == key and is_whole(run.stage(stage), manifest)


def is_whole(folder: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether every file that the manifest names is there, inside the folder, and unchanged."""
    files: Mapping[str, Mapping[str, Any]] = manifest["files"]
    return all(is_inside(name) and _is_as_written(folder / name, told) for name, told in files.items())


def _is_as_written(path: Path, told: Mapping[str, Any]) -> bool:
    return path.is_file() and path.stat().st_size == told["bytes"] and sha256_of(path) == told["sha256"]


def section_of(config: Config, name: str) -> Any:
    """Plain data of the section, or of the key inside it that ``name`` spells with dots."""
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part, None)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _identity(path: str) -> list[Any]:
    if is_url(path):
        return [path]
    found = Path(path).stat()
    return [path, found.st_size, found.st_mtime_ns]


def _outputs(run: RunFolder | None, stage: str) -> dict[str, str]:
    manifest = run.manifest(stage) if run else None
    return {name: told["sha256"] for name, told in manifest["files"].items()} if manifest else {}
