"""Trees as XGBoost and LightGBM write them: whether they are trees, where rows end in them, and the common form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.forest import Forest, Op, Output, Precision, checked, refused, without_orphans
from mlbkg.export.lookup import Lookup

MAX_TREES, MAX_NODES, MAX_DEPTH, MAX_LOOKUPS = 50_000, 2**21, 1000, 5000
_PICKLE = b"\x80"
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip", b"\x04\x22\x4d\x18": "lz4"}
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"ZF")


@dataclass(frozen=True, eq=False)
class Links:
    """The nodes of one tree, root first; all arrays ``(n_nodes,)``. left, right, feature mean nothing at a leaf."""

    is_leaf: NDArray[np.bool_]
    feature: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]

    def problem(self, n_features: int) -> str:
        """Why this is no tree that a row could go through; empty where it is one. Nodes may be left over."""
        n_nodes, splits = len(self.is_leaf), np.flatnonzero(~self.is_leaf)
        children = np.concatenate([self.left[splits], self.right[splits]])
        if len(children) and (children.min() < 1 or children.max() >= n_nodes):
            return "has children that do not exist"
        if len(children) and np.bincount(children).max() > 1:
            return "has a node with two parents"
        used = self.feature[splits]
        if len(used) and (used.min() < 0 or used.max() >= n_features):
            return f"cuts on a feature beyond the {n_features} that there are"
        level = np.zeros(1, dtype=np.int64)
        for _ in range(MAX_DEPTH + 1):
            level = level[~self.is_leaf[level]]
            if not len(level):
                return ""
            level = np.concatenate([self.left[level], self.right[level]])
        return f"is deeper than {MAX_DEPTH}"

    def reached(
        self, X: NDArray[Any], goes_left: Callable[[NDArray[np.int64], NDArray[Any]], NDArray[np.bool_]]
    ) -> NDArray[np.int64]:
        """``(n,)``: the leaf of each row. ``goes_left(nodes, values)``: the decisions of rows at these nodes."""
        leaf = np.zeros(len(X), dtype=np.int64)
        rows, node = np.arange(len(X)), np.zeros(len(X), dtype=np.int64)
        while True:
            arrived = self.is_leaf[node]
            if arrived.any():
                leaf[rows[arrived]] = node[arrived]
                rows, node = rows[~arrived], node[~arrived]
            if not len(rows):
                return leaf
            left = goes_left(node, X[rows, self.feature[node]])
            node = np.where(left, self.left[node], self.right[node])


@dataclass
class Lookups:
    """The step functions of a forest as they are found; equal ones are one."""

    n_features: int
    where: str
    found: dict[tuple[int, bytes, bytes, bytes], Lookup] = field(default_factory=dict)
    _numbers: dict[tuple[int, bytes, bytes, bytes], int] = field(default_factory=dict)
    _n_edges: int = 0

    def number(self, feature: int, edges: NDArray[np.float32], values: NDArray[np.float32], missing: float) -> int:
        """What ``Forest.feature`` calls it."""
        key = feature, edges.tobytes(), values.tobytes(), np.float32(missing).tobytes()
        if key not in self._numbers:
            self._n_edges += len(edges)
            if len(self.found) == MAX_LOOKUPS or self._n_edges > MAX_NODES:
                raise refused(self.where, f"it splits by more than {MAX_LOOKUPS:,} different sets, or by larger ones")
            self._numbers[key] = self.n_features + len(self.found)
            self.found[key] = Lookup(feature, edges, values, missing)
        return self._numbers[key]


def runs(members: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last of each run of successive numbers in ``members``, which is sorted and has no number twice."""
    starts = np.concatenate([[True], np.diff(members) != 1])
    return members[starts], members[np.concatenate([starts[1:], [True]])]


def to_forest(
    trees: Sequence[Links],
    cuts: Iterable[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]],
    lookups: Lookups,
    *,
    op: Op,
    precision: Precision,
    base_margin: float,
    output: Output,
) -> Forest:
    """``cuts``: of each tree the feature or lookup, the threshold, and whether NaN goes left, all ``(n_nodes,)``."""
    features, thresholds, missing = zip(*cuts, strict=True)
    is_leaf = np.concatenate([tree.is_leaf for tree in trees])
    forest = Forest(
        n_features=lookups.n_features,
        op=op,
        base_margin=base_margin,
        precision=precision,
        tree_offset=np.cumsum([0, *(len(tree.is_leaf) for tree in trees)], dtype=np.int64),
        feature=np.where(is_leaf, -1, np.concatenate(features)).astype(np.int32),
        threshold=np.where(is_leaf, 0, np.concatenate(thresholds)).astype(np.float32),
        left=np.where(is_leaf, -1, np.concatenate([tree.left for tree in trees])).astype(np.int32),
        right=np.where(is_leaf, -1, np.concatenate([tree.right for tree in trees])).astype(np.int32),
        missing_left=~is_leaf & np.concatenate(missing),
        value=np.where(is_leaf, np.concatenate([tree.value for tree in trees]), 0),
        lookups=tuple(lookups.found.values()),
        output=output,
    )
    return checked(without_orphans(forest), lookups.where)


def check_counts(trees: int, nodes: int, where: str) -> None:
    if trees > MAX_TREES or nodes > MAX_NODES:
        raise refused(where, f"it has more than {MAX_TREES:,} trees or {MAX_NODES:,} nodes")


def names_of(names: Iterable[str]) -> tuple[str, ...] | None:
    """``names`` where they tell the features apart and can be written to a file."""
    found = tuple(names)
    usable = all(name and name.isprintable() for name in found)
    return found if found and usable and len(set(found)) == len(found) else None


def refuse_packed(content: bytes, where: str, *, program: str, save: str) -> None:
    """Pickles, and what joblib makes of them, run whatever code is in them when they are loaded."""
    packed = [name for magic, name in _PACKED.items() if content.startswith(magic)]
    packed += ["zlib"] * content.startswith(_ZLIB)
    if content.startswith(_PICKLE):
        reason = f"{where} is a pickle, which can run code when it is loaded, and is not read"
    elif packed:
        reason = f"{where} is compressed with {packed[0]}; a pickle inside (joblib writes such files) is not read"
    elif not content.strip(b"\0 \t\r\n"):
        reason = f"{where} is empty"
    else:
        return
    raise MlbkgError(reason, where=where, hint=f"Where the model was trained, save it as {program} itself does: {save}")
