"""Open a model file that someone else may have made: what it may hold is limited, and its checksum is compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.ensemble import ML_DOMAIN, attributes_of, is_forest
from mlbkg.export.metadata import PREFIX, ModelMetadata

MANIFEST = "manifest.json"
MAX_BYTES = 512 * 2**20
DOMAINS = ("", "ai.onnx", ML_DOMAIN)
CONTROL_FLOW = ("If", "Loop", "Scan", "SequenceMap")


@dataclass(frozen=True)
class ForestSize:
    """depth: comparisons on the longest path."""

    trees: int
    nodes: int
    depth: int


@dataclass(frozen=True)
class LoadedModel:
    """A model file that passed the checks. ``content``: its bytes, for ONNX Runtime.

    metadata: None where the file was not written by mlbkg. takes_fold: whether it has the input ``fold``. forests: one per
    ensemble node, in the order of the folds. is_verified: its sha256 is that of the manifest beside it; False where
    there is none. opsets: domain -> version.
    """

    path: Path
    content: bytes
    sha256: str
    is_verified: bool
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
            "n_features": self.n_features,
            "takes_fold": self.takes_fold,
            "trees": sum(forest.trees for forest in self.forests),
            "nodes": sum(forest.nodes for forest in self.forests),
            "depth": max((forest.depth for forest in self.forests), default=0),
            "forests": [asdict(forest) for forest in self.forests],
            "opsets": self.opsets,
            "metadata": metadata,
        }


def open_model(path: Path) -> LoadedModel:
    """Read and check an ONNX file without running it.

    Raises :class:`MlbkgError` for a file that is missing, too large, no valid ONNX, or not what the manifest beside it says;
    and for one with external data, functions, control flow, foreign operators, or without the input ``input``
    ``[None, n]`` and the output ``output``.
    """
    content = _read(path)
    sha256 = hashlib.sha256(content).hexdigest()
    is_verified = _is_in_manifest(path, sha256)
    model = _parsed(content, path)
    inputs = {value.name: _shape(value) for value in model.graph.input}
    outputs = {value.name for value in model.graph.output}
    if len(inputs.get("input", ())) != 2 or not set(inputs) <= {"input", "fold"} or "output" not in outputs:
        raise _refused(path, f"it has inputs {sorted(inputs)} and outputs {sorted(outputs)}, not 'input' and 'output'")
    props = {entry.key: entry.value for entry in model.metadata_props}
    is_ours = any(name.startswith(PREFIX) for name in props)
    metadata = ModelMetadata.from_props(props, where=str(path)) if is_ours else None
    width = inputs["input"][1]
    if metadata is not None and len(metadata.features) != width:
        raise _refused(path, f"it names {len(metadata.features)} features and takes {width}")
    return LoadedModel(
        path=path,
        content=content,
        sha256=sha256,
        is_verified=is_verified,
        metadata=metadata,
        n_features=width,
        takes_fold="fold" in inputs,
        forests=tuple(_size(node, path) for node in model.graph.node if is_forest(node)),
        opsets={entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
    )


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise _refused(path, f"it has {size / 2**20:.0f} MiB, more than {MAX_BYTES / 2**20:.0f}")
        return path.read_bytes()
    except OSError as error:
        raise MlbkgError(f"{path} cannot be read: {error.strerror}", where=str(path)) from error


def _is_in_manifest(path: Path, sha256: str) -> bool:
    manifest = path.with_name(MANIFEST)
    if not manifest.is_file():
        return False
    try:
        files = json.loads(manifest.read_text(encoding="utf-8")).get("files", {})
        expected = files[path.name]["sha256"] if path.name in files else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MlbkgError(f"{manifest} is not a manifest of mlbkg's: {error}", where=str(manifest)) from error
    if expected is None:
        return False
    if expected != sha256:
        raise MlbkgError(
            f"{path} is not the file that {MANIFEST} beside it was written for",
            details=[f"sha256 expected {expected}", f"sha256 found    {sha256}"],
            where=str(path),
            hint="Copy the whole folder again, or export the model anew.",
        )
    return True


def _parsed(content: bytes, path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_model_from_string(content)
        if not model.graph.node:
            raise _refused(path, "it has no nodes")
        _check_contents(model, path)
        onnx.checker.check_model(content)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise MlbkgError(f"{path} is not a valid ONNX file: {str(error).splitlines()[0]}", where=str(path)) from error
    return model


def _check_contents(model: Any, path: Path) -> None:
    from onnx import TensorProto

    if model.functions:
        raise _refused(path, "it defines functions of its own")
    if model.graph.sparse_initializer:
        raise _refused(path, "it has sparse tensors")
    foreign = {entry.domain for entry in model.opset_import} | {node.domain for node in model.graph.node}
    if foreign := foreign.difference(DOMAINS):
        raise _refused(path, f"it uses operators of {', '.join(sorted(foreign))}")
    if flow := {node.op_type for node in model.graph.node}.intersection(CONTROL_FLOW):
        raise _refused(path, f"it has control flow: {', '.join(sorted(flow))}")
    if any(tensor.data_location == TensorProto.EXTERNAL or tensor.external_data for tensor in _tensors(model.graph)):
        raise _refused(path, "it keeps data in other files")


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)


def _size(ensemble: Any, path: Path) -> ForestSize:
    """Refuses nodes that do not form trees: a path that comes back to itself would never end."""
    attributes = attributes_of(ensemble)
    tree, node, is_leaf = (
        np.asarray(attributes["nodes_treeids"], dtype=np.int64),
        np.asarray(attributes["nodes_nodeids"], dtype=np.int64),
        np.asarray(attributes["nodes_modes"]) == b"LEAF",
    )
    left, right = (
        _positions(tree, node, np.asarray(attributes[name], dtype=np.int64), ~is_leaf, path)
        for name in ("nodes_truenodeids", "nodes_falsenodeids")
    )
    level = np.setdiff1d(np.arange(len(tree)), np.concatenate([left[~is_leaf], right[~is_leaf]]))
    trees, depth, seen = len(level), 0, len(level)
    while len(level := level[~is_leaf[level]]) and seen <= len(tree):
        level = np.concatenate([left[level], right[level]])
        depth, seen = depth + 1, seen + len(level)
    if seen != len(tree) or trees != len(np.unique(tree)):
        raise _refused(path, "its nodes do not form trees")
    return ForestSize(trees=trees, nodes=len(tree), depth=depth)


def _positions(
    tree: NDArray[np.int64], node: NDArray[np.int64], child: NDArray[np.int64], is_split: NDArray[np.bool_], path: Path
) -> NDArray[np.intp]:
    """``(n_nodes,)``: where in the file the node's child is; 0 at leaves."""
    width = int(max(node.max(initial=0), child.max(initial=0))) + 1
    order = np.argsort(tree * width + node)
    keys = (tree * width + node)[order]
    wanted = np.where(is_split, tree * width + child, keys[:1])
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    if (keys[found] != wanted).any() or (np.diff(keys) == 0).any():
        raise _refused(path, "a split leads to a node that is not there, or two nodes have one number")
    return np.where(is_split, order[found], 0)


def _refused(path: Path, reason: str) -> MlbkgError:
    return MlbkgError(f"{path} is not a model that mlbkg opens: {reason}", where=str(path))
