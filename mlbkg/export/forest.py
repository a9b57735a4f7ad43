"""The common form of a forest that an ONNX file is written from.

A model that cannot be represented so that each float32 input takes exactly the branches that it takes in its own library is
refused, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.lookup import Lookup

Op = Literal["<", "<="]
Precision = Literal["float32", "float64"]
MAX_FEATURES = 10_000
MAX_DEPTH = 1_000
"""ONNX Runtime takes trees apart by recursion: ten times deeper, and small stacks end."""
Output = Literal["logistic", "symmetric", "identity"]
"""What a model answers with, of the margin m: 1 / (1 + exp(-m)), 2 / (1 + exp(-m)) - 1, or m itself."""


@dataclass(frozen=True, eq=False)
class Forest:
    """Binary trees whose leaf values add up to a margin, nodes of all trees one after the other.

    op: a row goes left where ``x op threshold``. base_margin: added before the first tree. precision: in which the trained
    library adds the leaf values. tree_offset: ``(n_trees + 1,)`` int64; tree ``t`` has nodes ``tree_offset[t]`` to
    ``tree_offset[t + 1] - 1``, root first. Per node: feature int32, -1 at a leaf; threshold float32; left, right int32, the
    child's index within its tree; missing_left bool, whether NaN goes left; value float64, of a leaf.

    lookups: ``feature`` may also be ``n_features + i`` and then means ``lookups[i]`` of the row.
    """

    n_features: int
    op: Op
    base_margin: float
    precision: Precision
    tree_offset: NDArray[np.int64]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    lookups: tuple[Lookup, ...] = ()
    output: Output = "logistic"

    @property
    def n_trees(self) -> int:
        return len(self.tree_offset) - 1

    @property
    def n_nodes(self) -> int:
        return len(self.feature)

    @property
    def depth(self) -> int:
        """Comparisons on the longest path."""
        return sum(1 for _ in self.levels())

    @property
    def tree(self) -> NDArray[np.int64]:
        """``(n_nodes,)``: the tree of each node."""
        return np.repeat(np.arange(self.n_trees), np.diff(self.tree_offset))

    def take(self, trees: NDArray[np.intp]) -> Forest:
        """The chosen trees, in that order."""
        size = np.diff(self.tree_offset)[trees]
        offset = np.concatenate([[0], np.cumsum(size)])
        nodes = np.arange(offset[-1]) + np.repeat(self.tree_offset[:-1][trees] - offset[:-1], size)
        return self._with_nodes(offset, nodes)

    def _with_nodes(self, tree_offset: NDArray[np.int64], nodes: NDArray[Any]) -> Forest:
        return replace(
            self,
            tree_offset=tree_offset,
            feature=self.feature[nodes],
            threshold=self.threshold[nodes],
            left=self.left[nodes],
            right=self.right[nodes],
            missing_left=self.missing_left[nodes],
            value=self.value[nodes],
        )

    def levels(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]]:
        """From the roots down, the splitting nodes of each level and their left and right children, over all trees."""
        start = np.repeat(self.tree_offset[:-1], np.diff(self.tree_offset))
        level = self.tree_offset[:-1]
        while len(level := level[self.feature[level] >= 0]):
            left, right = start[level] + self.left[level], start[level] + self.right[level]
            yield level.astype(np.intp), left.astype(np.intp), right.astype(np.intp)
            level = np.concatenate([left, right])


def round_threshold(threshold: NDArray[Any], op: Op) -> NDArray[np.float32]:
    """The float32 thresholds that send every float32 the way of the float64 ones.

    ``x <= t`` needs the largest float32 that is not above ``t``; ``x < t`` the smallest that is not below.
    """
    with np.errstate(over="ignore", under="ignore"):
        rounded = threshold.astype(np.float32)
        wrong = rounded > threshold if op == "<=" else rounded < threshold
        return np.where(wrong, np.nextafter(rounded, np.float32(-np.inf if op == "<=" else np.inf)), rounded)


def without_orphans(forest: Forest) -> Forest:
    """Pruned trees keep nodes that no path reaches; ONNX Runtime would take them for roots."""
    reached = np.zeros(forest.n_nodes, dtype=bool)
    reached[forest.tree_offset[:-1]] = True
    for _, left, right in forest.levels():
        reached[left] = reached[right] = True
    if reached.all():
        return forest
    before = np.concatenate([[0], np.cumsum(reached)])
    start = np.repeat(forest.tree_offset[:-1], np.diff(forest.tree_offset))
    is_split = forest.feature >= 0

    def child(index: NDArray[np.int32]) -> NDArray[np.int32]:
        moved = before[np.where(is_split, start + index, 0)] - before[start]
        return np.where(is_split, moved, -1)[reached].astype(np.int32)

    kept = forest._with_nodes(before[forest.tree_offset], reached)
    return replace(kept, left=child(forest.left), right=child(forest.right))


def checked(forest: Forest, where: str) -> Forest:
    """``forest``, or :class:`MlbkgError` for numbers that no answer can come from."""
    if not 0 < forest.n_features <= MAX_FEATURES:
        raise refused(where, f"it takes {forest.n_features} features; at most {MAX_FEATURES:,} are supported")
    if not np.isfinite(forest.value).all() or not np.isfinite(forest.base_margin):
        raise refused(where, "it has leaves that are not finite numbers")
    if np.isnan(forest.threshold).any():
        raise refused(where, "it has thresholds that are not numbers")
    if any(depth > MAX_DEPTH for depth, _ in enumerate(forest.levels(), 1)):
        raise refused(where, f"its trees are deeper than {MAX_DEPTH:,} cuts")
    if (forest.feature >= forest.n_features + len(forest.lookups)).any():
        raise refused(where, "it cuts on a feature that does not exist")
    return forest


def refused(where: str, reason: str) -> MlbkgError:
    return MlbkgError(f"{where} has no exact ONNX form: {reason}", where=where)
