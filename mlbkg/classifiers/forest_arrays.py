"""A forest as plain arrays: the native format of backends whose library can save itself only as a pickle.

The file (``forest-npz``, written with ``numpy.savez`` and read with ``allow_pickle=False``) holds one array per field of
:class:`ForestArrays`, under its name.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError

FORMAT = "forest-npz"
_ROWS_PER_BLOCK = 16384  # the working arrays of one tree level stay in the CPU's cache
_DTYPES = {
    "n_features": np.int64,
    "base_margin": np.float64,
    "tree_offset": np.int64,
    "feature": np.int32,
    "threshold": np.float64,
    "left": np.int32,
    "right": np.int32,
    "missing_left": np.bool_,
    "value": np.float64,
    "gain": np.float64,
}


@dataclass(frozen=True, eq=False)
class ForestArrays:
    """Binary trees whose leaf values add up to a margin, nodes of all trees one after the other.

    n_features: columns of the input.
    base_margin: the margin before any tree.
    tree_offset: ``(n_trees + 1,)`` int64; tree ``t`` has nodes ``tree_offset[t]`` to ``tree_offset[t + 1] - 1``, root first.
    feature: ``(n_nodes,)`` int32, the column that the node cuts on, -1 at a leaf.
    threshold: float64; a row goes left where ``x <= threshold``.
    left, right: int32, index of the child within its tree, always larger than the node's own; unused at a leaf.
    missing_left: bool; whether NaN goes left.
    value: float64, what a leaf adds to the margin; zero at inner nodes.
    gain: float64, by how much the split lowered the training loss; zero at leaves.
    """

    n_features: int
    base_margin: float
    tree_offset: NDArray[np.int64]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    gain: NDArray[np.float64]

    @property
    def n_trees(self) -> int:
        return len(self.tree_offset) - 1

    def trees(self) -> Iterator[slice]:
        """The nodes of each tree, as a slice of the node arrays."""
        for start, stop in zip(self.tree_offset[:-1], self.tree_offset[1:], strict=True):
            yield slice(int(start), int(stop))

    def predict_margin(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """``(n,)``: base margin plus the leaf values, added in float64 in the order of the trees."""
        margin = np.full(len(X), self.base_margin)
        for rows in _blocks(len(X)):
            for nodes in self.trees():
                margin[rows] += self.value[nodes][self._leaf(X[rows], nodes)]
        return margin

    def leaves(self, X: NDArray[np.float32]) -> NDArray[np.int32]:
        """``(n, n_trees)``: index, within its tree, of the leaf that each row reaches."""
        found = np.empty((len(X), self.n_trees), dtype=np.int32)
        for rows in _blocks(len(X)):
            for tree, nodes in enumerate(self.trees()):
                found[rows, tree] = self._leaf(X[rows], nodes)
        return found

    def gain_importance(self) -> NDArray[np.float64]:
        """``(n_features,)``: share of the total gain, all zero where nothing was split."""
        split = self.feature >= 0
        gain = np.zeros(self.n_features)
        np.add.at(gain, self.feature[split], self.gain[split])
        return gain / gain.sum() if gain.sum() > 0 else gain

    def save(self, path: Path) -> None:
        """Write the file; equal forests give equal bytes."""
        with path.open("wb") as file:
            np.savez(
                file, allow_pickle=False, **{name: np.asarray(getattr(self, name), kind) for name, kind in _DTYPES.items()}
            )

    @classmethod
    def load(cls, path: Path) -> ForestArrays:
        """Read and check a file. Raises :class:`MlbkgError` where it is not a well-formed forest."""
        if not zipfile.is_zipfile(path):
            raise MlbkgError(f"{path} is not a {FORMAT} file", where=str(path))
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in _DTYPES}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise MlbkgError(f"{path} is not a {FORMAT} file: {error}", where=str(path)) from error
        problem = _problem(arrays)
        if problem:
            raise MlbkgError(f"{path} is not a well-formed forest: {problem}", where=str(path))
        columns = {name: array for name, array in arrays.items() if array.ndim}
        return cls(n_features=int(arrays["n_features"]), base_margin=float(arrays["base_margin"]), **columns)

    def _leaf(self, X: NDArray[np.float32], nodes: slice) -> NDArray[np.intp]:
        feature, threshold = self.feature[nodes], self.threshold[nodes]
        left, right, missing_left = self.left[nodes], self.right[nodes], self.missing_left[nodes]
        at = np.zeros(len(X), dtype=np.intp)
        moving = np.flatnonzero(feature[at] >= 0)
        while len(moving):
            node = at[moving]
            x = X[moving, feature[node]]
            goes_left = np.where(np.isnan(x), missing_left[node], x <= threshold[node])
            at[moving] = np.where(goes_left, left[node], right[node])
            moving = moving[feature[at[moving]] >= 0]
        return at


def _blocks(rows: int) -> Iterator[slice]:
    for start in range(0, rows, _ROWS_PER_BLOCK):
        yield slice(start, min(start + _ROWS_PER_BLOCK, rows))


def _problem(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Why these arrays are no forest, or an empty string. A child before its parent could make a walk endless."""
    for name, kind in _DTYPES.items():
        expected = 0 if name in ("n_features", "base_margin") else 1
        if arrays[name].dtype != kind or arrays[name].ndim != expected:
            return (
                f"'{name}' is {arrays[name].dtype} with {arrays[name].ndim} dimensions, not {np.dtype(kind)} with {expected}"
            )
    offset, feature = arrays["tree_offset"], arrays["feature"]
    if len(offset) == 0 or offset[0] != 0 or offset[-1] != len(feature) or (np.diff(offset) < 1).any():
        return "tree_offset does not divide the nodes into trees"
    if any(len(arrays[name]) != len(feature) for name in _DTYPES if arrays[name].ndim and name != "tree_offset"):
        return "the node arrays have different lengths"
    if (feature < -1).any() or (feature >= arrays["n_features"]).any():
        return "a node cuts on a feature that does not exist"
    size = np.repeat(np.diff(offset), np.diff(offset))
    own = np.arange(len(feature)) - np.repeat(offset[:-1], np.diff(offset))
    for name in ("left", "right"):
        child = arrays[name]
        if ((feature >= 0) & ((child <= own) | (child >= size))).any():
            return f"'{name}' points outside its tree or back towards the root"
    return ""
