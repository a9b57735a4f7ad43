"""The nodes of trees in another order, for formats in which a child's place follows from its parent's or its sibling's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlbkg.export.forest import Forest


def preorder(forest: Forest) -> Forest:
    """The left child of node ``i`` is ``i + 1``."""
    levels = list(forest.levels())
    size = np.ones(forest.n_nodes, dtype=np.int64)
    for split, left, right in reversed(levels):
        size[split] += size[left] + size[right]
    place = np.zeros(forest.n_nodes, dtype=np.int64)
    place[forest.tree_offset[:-1]] = forest.tree_offset[:-1]
    for split, left, right in levels:
        place[left] = place[split] + 1
        place[right] = place[split] + 1 + size[left]
    return _moved(forest, place)


def level_order(forest: Forest) -> Forest:
    """The right child of a node is the one after the left."""
    place = np.zeros(forest.n_nodes, dtype=np.int64)
    place[forest.tree_offset[:-1]] = forest.tree_offset[:-1]
    free = forest.tree_offset[:-1] + 1
    for split, left, right in forest.levels():
        tree = forest.tree[split]
        order = np.argsort(tree, kind="stable")
        count = np.bincount(tree, minlength=forest.n_trees)
        before = np.repeat(np.cumsum(count) - count, count)
        place[left[order]] = free[tree[order]] + 2 * (np.arange(len(order)) - before)
        place[right] = place[left] + 1
        free += 2 * count
    return _moved(forest, place)


def _moved(forest: Forest, place: NDArray[np.int64]) -> Forest:
    """``place``: where each node goes, within its tree."""
    start = np.repeat(forest.tree_offset[:-1], np.diff(forest.tree_offset))
    is_split, node = forest.feature >= 0, np.argsort(place)

    def child(index: NDArray[np.int32]) -> NDArray[np.int32]:
        moved = place[np.where(is_split, start + index, 0)] - start
        return np.where(is_split, moved, -1)[node].astype(np.int32)

    return replace(
        forest,
        feature=forest.feature[node],
        threshold=forest.threshold[node],
        left=child(forest.left),
        right=child(forest.right),
        missing_left=forest.missing_left[node],
        value=forest.value[node],
    )
