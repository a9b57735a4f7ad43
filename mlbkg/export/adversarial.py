"""Rows on which an exported forest would show a difference: at its thresholds, and where float32 is peculiar.

:func:`probe_rows` reaches every split of every tree by construction, whatever the training sample holds, and decides it
three ways: the last value that goes left, the first that goes right, and NaN. :func:`hard_rows` adds what that cannot see.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlbkg.export.forest import Forest

SEED = 20190313
MAX_PROBED_SPLITS = 10_000
"""Splits of a forest that are probed. Larger forests are covered evenly, by whole trees."""
MAX_THRESHOLD_ROWS = 1_500
MIXED_ROWS = 500
_INF = np.float32(np.inf)


def probe_rows(forest: Forest, X: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """``(3 · n_probed, n_features)`` rows, and the number of splits probed.

    A row is one of ``X`` with the features on the path to the split moved into the range that leads there, and the feature
    of the split set to either side of its threshold or to NaN.
    """
    forest = _part(forest)
    below, above, needs_nan = _ranges(forest)
    probed = np.flatnonzero(forest.feature >= 0)
    base = X[np.arange(len(probed)) % len(X)]
    low, high = below[probed], above[probed]
    on_path = (low > -_INF) | (high < _INF)
    inside = np.clip(np.where(np.isnan(base), low, base), low, high)
    rows = np.where(needs_nan[probed], np.float32(np.nan), np.where(on_path, inside, base))
    left, right = sides(forest.threshold[probed], forest.op)
    probes = np.repeat(rows[None], 3, axis=0)
    for probe, value in zip(probes, (left, right, np.full(len(probed), np.nan, dtype=np.float32)), strict=True):
        probe[np.arange(len(probed)), forest.feature[probed]] = value
    return probes.reshape(-1, forest.n_features), len(probed)


def hard_rows(forests: Sequence[Forest], X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Special values in each feature and in all, every threshold with both neighbours, and random mixtures of all these."""
    rng = np.random.default_rng(SEED)
    thresholds = [_with_neighbours(forests, feature) for feature in range(X.shape[1])]
    special = _special()
    one_feature = X[rng.integers(len(X), size=len(special) * X.shape[1])]
    one_feature[np.arange(len(one_feature)), np.repeat(np.arange(X.shape[1]), len(special))] = np.tile(special, X.shape[1])
    everywhere = np.repeat(special[:, None], X.shape[1], axis=1)
    at_thresholds = _at_thresholds(thresholds)
    mixed = X[rng.integers(len(X), size=MIXED_ROWS)]
    replaced = rng.integers(4, size=mixed.shape)
    mixed = np.where(replaced == 1, rng.choice(special, size=mixed.shape), mixed)
    picked = np.column_stack([rng.choice(values, size=MIXED_ROWS) for values in thresholds])
    mixed = np.where(replaced == 2, picked, mixed)
    return np.concatenate([everywhere, one_feature, at_thresholds, mixed]).astype(np.float32)


def sides(threshold: NDArray[np.float32], op: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The largest float32 that goes left and the smallest that goes right."""
    if op == "<":
        return _next(threshold, -_INF), threshold
    return threshold, _next(threshold, _INF)


def _ranges(forest: Forest) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """``(n_nodes, n_features)``: the smallest and largest value that lead to the node, and whether only NaN does."""
    shape = forest.n_nodes, forest.n_features
    low, high = np.full(shape, -_INF), np.full(shape, _INF)
    needs_nan = np.zeros(shape, dtype=bool)
    for split, left, right in forest.levels():
        feature, threshold = forest.feature[split], forest.threshold[split]
        last_left, first_right = sides(threshold, forest.op)
        for child in (left, right):
            low[child], high[child], needs_nan[child] = low[split], high[split], needs_nan[split]
        high[left, feature] = np.minimum(high[left, feature], last_left)
        low[right, feature] = np.maximum(low[right, feature], first_right)
        # x <= inf holds for all but NaN, x < -inf for none
        needs_nan[right, feature] |= (threshold == _INF) & (forest.op == "<=")
        needs_nan[left, feature] |= (threshold == -_INF) & (forest.op == "<")
    return low, np.maximum(low, high), needs_nan


def _part(forest: Forest) -> Forest:
    """As many whole trees, drawn at random, as have ``MAX_PROBED_SPLITS`` splits."""
    splits = np.bincount(forest.tree[forest.feature >= 0], minlength=forest.n_trees)
    if splits.sum() <= MAX_PROBED_SPLITS:
        return forest
    order = np.random.default_rng(SEED).permutation(forest.n_trees)
    return forest.take(np.sort(order[np.cumsum(splits[order]) <= MAX_PROBED_SPLITS]))


def _with_neighbours(forests: Sequence[Forest], feature: int) -> NDArray[np.float32]:
    found = [forest.threshold[forest.feature == feature] for forest in forests]
    found += [lookup.edges for forest in forests for lookup in forest.lookups if lookup.feature == feature]
    thresholds = np.unique(np.concatenate(found)) if any(map(len, found)) else np.zeros(1, dtype=np.float32)
    return np.unique(np.concatenate([_next(thresholds, -_INF), thresholds, _next(thresholds, _INF)]))


def _at_thresholds(thresholds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Row ``i`` holds the ``i``-th value of every feature; evenly thinned out beyond ``MAX_THRESHOLD_ROWS``."""
    rows = min(MAX_THRESHOLD_ROWS, max(map(len, thresholds)))
    index = np.arange(rows)
    return np.column_stack(
        [values[index % len(values) if len(values) <= rows else index * len(values) // rows] for values in thresholds]
    )


def _special() -> NDArray[np.float32]:
    limits = np.finfo(np.float32)
    tiny = np.float32(1e-35)  # LightGBM's zero threshold
    positive = [0, limits.smallest_subnormal, 1e-40, limits.tiny, tiny, 1, 1e30, limits.max, _INF]
    around = [_next(np.array([tiny]), direction)[0] for direction in (-_INF, _INF)]
    values = np.array([*positive, *around], dtype=np.float32)
    return np.concatenate([[np.float32(np.nan)], values, -values]).astype(np.float32)


def _next(values: NDArray[np.float32], direction: np.float32) -> NDArray[np.float32]:
    with np.errstate(over="ignore", under="ignore"):
        return np.nextafter(values, direction, dtype=np.float32)
