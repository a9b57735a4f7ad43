"""Open a model file that someone else may have made: what it may hold is limited, and its checksum is compared.

The file is read once. What is checked, and what ONNX Runtime gets (:attr:`LoadedModel.content`), are the same bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlbkg.errors import MlbkgError
from mlbkg.export.layout import forests_in
from mlbkg.export.manifest import MANIFEST, read_file, sha256_of_files
from mlbkg.export.metadata import PREFIX, ModelMetadata
from mlbkg.export.safety.contents import Contents, check_contents
from mlbkg.export.safety.refusal import refused
from mlbkg.export.safety.shapes import ROWS
from mlbkg.export.safety.tensors import FLOAT, INT64
from mlbkg.export.safety.trees import ForestSize
from mlbkg.export.safety.wire import MAX_BYTES
from mlbkg.export.seal import is_sealed


@dataclass(frozen=True)
class LoadedModel:
    """A model file that passed the checks. ``content``: its bytes, for ONNX Runtime.

    metadata: None where the file was not written by mlbkg. takes_fold: whether it has the input ``fold``. forests: one per
    ensemble node, in the order of the folds. is_verified: its sha256 is that of the manifest beside it; False where
    there is none. is_sealed: it has the sha256 that it says itself; False where it says none. opsets: domain -> version.
    """

    path: Path
    content: bytes
    sha256: str
    is_verified: bool
    is_sealed: bool
    metadata: ModelMetadata | None
    n_features: int
    takes_fold: bool
    forests: tuple[ForestSize, ...]
    opsets: dict[str, int]

    def describe(self) -> dict[str, Any]:
        """Everything but the bytes, as plain JSON values."""
        metadata = None if self.metadata is None else {**asdict(self.metadata), "config_sha256": self.metadata.config_sha256}
        return {
            "model": str(self.path),
            "bytes": len(self.content),
            "sha256": self.sha256,
            "verified": self.is_verified,
            "sealed": self.is_sealed,
            "n_features": self.n_features,
            "takes_fold": self.takes_fold,
            "trees": sum(forest.trees for forest in self.forests),
            "nodes": sum(forest.nodes for forest in self.forests),
            "depth": max((forest.depth for forest in self.forests), default=0),
            "forests": [asdict(forest) for forest in self.forests],
            "opsets": self.opsets,
            "metadata": metadata,
        }


def open_model(path: Path, *, sha256: str | None = None) -> LoadedModel:
    """Read and check an ONNX file without running it. ``sha256``: what the file must have, where the caller knows.

    Raises :class:`MlbkgError` for a file that is missing, too large, no valid ONNX, or not what the manifest beside it says;
    for whatever :func:`mlbkg.export.safety.contents.check_contents` does not let through; and for one without the input
    ``input`` float32 ``[None, n]`` and the output ``output`` float32 ``[None, 1]``.
    """
    verified = _verified(path, sha256)
    contents = check_contents(verified[0], str(path))
    _check_contract(contents, str(path))
    return _loaded(path, verified, contents, contents.inputs["input"].shape[1])


def look_into(path: Path) -> tuple[LoadedModel, Contents]:
    """As :func:`open_model`, for people to look at: it may have other inputs, whose number is then ``n_features``."""
    verified = _verified(path, None)
    contents = check_contents(verified[0], str(path))
    if "input" in contents.inputs:
        _check_contract(contents, str(path))
        return _loaded(path, verified, contents, contents.inputs["input"].shape[1]), contents
    return _loaded(path, verified, contents, len(contents.inputs)), contents


def _loaded(path: Path, verified: tuple[bytes, str, bool], contents: Contents, width: int) -> LoadedModel:
    content, found, is_verified = verified
    is_ours = any(name.startswith(PREFIX) for name in contents.props)
    metadata = ModelMetadata.from_props(contents.props, where=str(path)) if is_ours else None
    if metadata is not None:
        if "input" in contents.inputs and len(metadata.features) != width:
            raise refused(str(path), f"it names {len(metadata.features)} features and takes {width}")
        _require_layout(contents, metadata, len(metadata.features), str(path))
    return LoadedModel(
        path=path,
        content=content,
        sha256=found,
        is_verified=is_verified,
        is_sealed=is_sealed(content, contents.props, str(path)),
        metadata=metadata,
        n_features=width,
        takes_fold="fold" in contents.inputs,
        forests=contents.forests,
        opsets=contents.opsets,
    )


def _require_layout(contents: Contents, metadata: ModelMetadata, n_features: int, where: str) -> None:
    """What says that mlbkg wrote it answers as mlbkg's models do."""
    takes_fold = "fold" in contents.inputs
    forests = forests_in(contents.model.graph, n_features=n_features, takes_fold=takes_fold, where=where)
    if len(forests) != metadata.n_folds or forests[0].output != metadata.output:
        raise refused(
            where,
            f"it says that it has {metadata.n_folds} folds and the output '{metadata.output}', "
            f"and has {len(forests)} and '{forests[0].output}'",
        )


def read_again(path: Path, sha256: str) -> bytes:
    """The bytes of a model that :func:`open_model` has checked, maybe in another process; ``sha256``: what it had then.

    Raises :class:`MlbkgError` where they are others now.
    """
    content, _, _ = _verified(path, sha256)
    return content


def read_safely(path: Path) -> bytes:
    """The bytes of an ONNX file that may be run, whatever its inputs and outputs are. Raises as :func:`open_model`."""
    content, _, _ = _verified(path, None)
    check_contents(content, str(path))
    return content


def _verified(path: Path, sha256: str | None) -> tuple[bytes, str, bool]:
    """Content, its sha256, and whether a manifest says the same."""
    content = read_file(path, MAX_BYTES)
    found = hashlib.sha256(content).hexdigest()
    told = sha256_of_files(path.with_name(MANIFEST)).get(path.name)
    for expected, what in ((told, f"the file that {MANIFEST} beside it was written for"), (sha256, "what it was before")):
        if expected is not None and expected != found:
            raise MlbkgError(
                f"{path} is not {what}",
                details=[f"sha256 expected {expected}", f"sha256 found    {found}"],
                where=str(path),
                hint="Copy the whole folder again, or export the model anew.",
            )
    return content, found, told is not None


def _check_contract(contents: Contents, where: str) -> None:
    inputs, outputs = contents.inputs, contents.outputs
    if "input" not in inputs or not set(inputs) <= {"input", "fold"} or "output" not in outputs:
        raise refused(where, f"it has inputs {sorted(inputs)} and outputs {sorted(outputs)}, not 'input' and 'output'")
    rows, output = inputs["input"], outputs["output"]
    if rows.type != FLOAT or len(rows.shape) != 2 or rows.shape[0] != ROWS or rows.shape[1] < 1:
        raise refused(where, "its 'input' is not float32 [None, n]")
    if output.type != FLOAT or output.shape != (ROWS, 1):
        raise refused(where, "its 'output' is not float32 [None, 1]")
    if "fold" in inputs and (inputs["fold"].type != INT64 or inputs["fold"].shape != (ROWS,)):
        raise refused(where, "its 'fold' is not int64 [None]")
