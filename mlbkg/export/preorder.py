"""Trees with each node before its left subtree, and that before the right one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlbkg.export.forest import Forest


def preorder(forest: Forest) -> Forest:
    """The same forest; the left child of node ``i`` is ``i + 1``."""
    levels = list(forest.levels())
    size = np.ones(forest.n_nodes, dtype=np.int64)
    for split, left, right in reversed(levels):
        size[split] += size[left] + size[right]
    place = np.zeros(forest.n_nodes, dtype=np.int64)
    place[forest.tree_offset[:-1]] = forest.tree_offset[:-1]
    for split, left, right in levels:
        place[left] = place[split] + 1
        place[right] = place[split] + 1 + size[left]
    start = np.repeat(forest.tree_offset[:-1], np.diff(forest.tree_offset))
    is_split = forest.feature >= 0
    moved = {
        name: np.where(is_split, place[np.where(is_split, start + getattr(forest, name), 0)] - start, -1).astype(np.int32)
        for name in ("left", "right")
    }
    node = np.argsort(place)
    return replace(
        forest,
        feature=forest.feature[node],
        threshold=forest.threshold[node],
        left=moved["left"][node],
        right=moved["right"][node],
        missing_left=forest.missing_left[node],
        value=forest.value[node],
    )
