"""``mlbkg import-…``: another program's model as an ONNX file."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlbkg.atomic import atomic_write
from mlbkg.errors import ConfigError, MlbkgError
from mlbkg.export.importers.base import IMPORTERS, MAX_BYTES, Imported
from mlbkg.export.importers.compare import compare, reordered
from mlbkg.export.manifest import MANIFEST
from mlbkg.export.metadata import FeatureInfo, ModelMetadata, installed_versions
from mlbkg.export.onnx import build_model
from mlbkg.ntuples.belle2_names import unescape

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImportResult:
    """features: in the order of the input. rows: compared with the original, differing by ``max_difference`` at most."""

    model: Path
    program: str
    features: tuple[str, ...]
    output: str
    trees: int
    nodes: int
    rows: int
    max_difference: float
    sha256: str
    bytes: int

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "model": str(self.model), "features": list(self.features)}


def import_model(kind: str, source: Path, output: Path, *, features: Path | None = None) -> ImportResult:
    """Read ``source``, a model of the program ``kind`` (see :data:`IMPORTERS`), and write it as ONNX to ``output``.

    ``features``: a text file with one name a line, in the order of the model's input. Where the model names its features
    itself, it may give them in another order, or other names; where there is neither, they are f0, f1, …. The ONNX
    file's ``output`` is what the original program's ``predict`` returns.

    Raises :class:`MlbkgError` for a file that is none of the program's, for a model that has no exact ONNX form, and where
    the two do not answer alike.
    """
    _check_target(output)
    content = _read(source)
    imported = _named(IMPORTERS[kind].read(content, str(source)), _read_names(features) if features else None, source)
    model = build_model([imported.forest], _metadata(imported, kind, source, hashlib.sha256(content).hexdigest()))
    rows, difference = compare(imported, model)
    with atomic_write(output, "wb") as file:
        file.write(model)
    return ImportResult(
        model=output,
        program=imported.program,
        features=imported.feature_names or (),
        output=imported.forest.output,
        trees=imported.forest.n_trees,
        nodes=imported.forest.n_nodes,
        rows=rows,
        max_difference=difference,
        sha256=hashlib.sha256(model).hexdigest(),
        bytes=len(model),
    )


def _read(source: Path) -> bytes:
    try:
        with source.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise MlbkgError(f"{source} cannot be read: {error.strerror}", where=str(source)) from error
    if len(content) > MAX_BYTES:
        raise MlbkgError(f"{source} has more than {MAX_BYTES // 2**20} MiB", where=str(source))
    return content


def _check_target(output: Path) -> None:
    """A model that a training wrote is named in the manifest beside it, and would not be what that says any more."""
    if output.suffix != ".onnx":
        raise ConfigError(f"the model is written as ONNX; got the file name '{output.name}'", where=str(output))
    manifest = output.with_name(MANIFEST)
    try:
        is_trained = manifest.is_file() and output.name in json.loads(manifest.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, LookupError, TypeError):
        is_trained = False
    if is_trained:
        raise ConfigError(
            f"{output} belongs to the training that {manifest} describes", where=str(output), hint="Choose another place."
        )


def _read_names(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}", where=str(path)) from error
    first: dict[str, int] = {}
    twice = []
    for number, name in enumerate(map(str.strip, lines), 1):
        if not name or name.startswith("#"):
            continue
        if name in first:
            twice.append(f":{number} '{name}' stands on line {first[name]}, too")
        first.setdefault(name, number)
    if twice or not first:
        raise ConfigError(f"{path} must name each feature once, one a line", details=twice, where=str(path))
    return tuple(first)


def _named(imported: Imported, names: tuple[str, ...] | None, source: Path) -> Imported:
    own, n_features = imported.feature_names, imported.forest.n_features
    if names is None and own is None:
        log.warning(
            "%s does not name its features: they are f0 to f%d; name them: --features names.txt", source, n_features - 1
        )
        return replace(imported, feature_names=tuple(f"f{i}" for i in range(n_features)))
    if names is None or names == own:
        return imported
    if not imported.has_width and len(names) > n_features:
        return replace(imported, feature_names=names, forest=replace(imported.forest, n_features=len(names)))
    if len(names) != n_features:
        listed = [f"the model calls them {', '.join(own)}"] if own else []
        raise ConfigError(f"{source} has {n_features} features, {len(names)} are named", details=listed, where=str(source))
    if own is not None and set(names) == set(own):
        return reordered(imported, names)
    return replace(imported, feature_names=names)


def _metadata(imported: Imported, kind: str, source: Path, sha256: str) -> ModelMetadata:
    return ModelMetadata(
        analysis=source.name.split(".")[0] or kind,
        title=f"{source.name}, imported",
        backend=kind,
        features=tuple(_feature(name, kind) for name in imported.feature_names or ()),
        n_folds=1,
        salt="",
        event_id=(),
        working_points=(),
        class_prior=None,
        config={},
        data_fingerprints={source.name: sha256},
        versions=installed_versions(("mlbkg",)),
        output=imported.forest.output,
        origin=imported.program,
    )


def _feature(name: str, kind: str) -> FeatureInfo:
    """FastBDT models come out of basf2, and what they call their features are its variables."""
    return FeatureInfo(name, basf2=unescape(name) if kind == "fastbdt" else "")
