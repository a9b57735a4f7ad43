"""Export: native files, the two ONNX files, the card and the manifest, once the parity gate has let them through."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlbkg.atomic import atomic_write
from mlbkg.classifiers.base import FittedClassifier
from mlbkg.export.forest import Forest
from mlbkg.export.manifest import MANIFEST
from mlbkg.export.metadata import ModelMetadata
from mlbkg.export.model_card import CardText, model_card
from mlbkg.export.native import load_forest
from mlbkg.export.onnx import build_models
from mlbkg.export.parity import ParityReport, check_parity

MODEL, FOLDS, CARD = "model.onnx", "folds.onnx", "card.md"
MANIFEST_FORMAT = 1


@dataclass(frozen=True)
class ExportResult:
    """model, folds_model: the ONNX files. native: per fold, the library's own file. sha256: file name -> hash, of every file
    but the manifest. bytes: of ``model``. n_nodes: splits and leaves of all folds."""

    model: Path
    folds_model: Path
    card: Path
    manifest: Path
    native: tuple[Path, ...]
    sha256: Mapping[str, str]
    parity: ParityReport
    n_trees: int
    n_nodes: int
    depth: int
    bytes: int


def export(
    fitted: Sequence[FittedClassifier],
    X: NDArray[np.float32],
    folder: Path,
    *,
    metadata: ModelMetadata,
    card: CardText,
) -> ExportResult:
    """Check and write one classifier's folds; ``fitted[k]`` did not see fold ``k``. ``X (n, n_features)``: all they saw.

    Each file is written whole or not at all, the manifest last. Raises :class:`mlbkg.errors.ParityError` before anything is
    written, and :class:`mlbkg.errors.MlbkgError` where a forest has no exact ONNX form.
    """
    native, forests = _read_back(fitted)
    models = build_models(forests, metadata)
    parity = check_parity(fitted, forests, models, X)
    trees, depth = sum(forest.n_trees for forest in forests), max(forest.depth for forest in forests)
    text = model_card(metadata, card, parity=parity, trees=trees, depth=depth)
    files = {**native, FOLDS: models.folds, MODEL: models.model, CARD: text.encode()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    for name, content in files.items():
        _write(folder / name, content)
    manifest = {
        "format": MANIFEST_FORMAT,
        "analysis": metadata.analysis,
        "backend": metadata.backend,
        "files": {name: {"bytes": len(content), "sha256": hashes[name]} for name, content in files.items()},
        "parity": asdict(parity),
        "versions": dict(metadata.versions),
    }
    _write(folder / MANIFEST, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    return ExportResult(
        model=folder / MODEL,
        folds_model=folder / FOLDS,
        card=folder / CARD,
        manifest=folder / MANIFEST,
        native=tuple(folder / name for name in native),
        sha256=hashes,
        parity=parity,
        n_trees=trees,
        n_nodes=sum(forest.n_nodes for forest in forests),
        depth=depth,
        bytes=len(models.model),
    )


def _read_back(fitted: Sequence[FittedClassifier]) -> tuple[dict[str, bytes], list[Forest]]:
    """What the forests are is read from the files that are kept, so that these are checked too."""
    native, forests = {}, []
    with tempfile.TemporaryDirectory(prefix="mlbkg-") as scratch:
        for fold, classifier in enumerate(fitted):
            folder = Path(scratch) / f"native/fold_{fold}"
            ((format, path),) = classifier.to_native_files(folder).items()
            forests.append(load_forest(format, path))
            native[path.relative_to(scratch).as_posix()] = path.read_bytes()
    return native, forests


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path, "wb") as file:
        file.write(content)
