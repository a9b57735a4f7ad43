"""What a ``TreeEnsembleRegressor`` of unknown origin must be: ONNX Runtime follows its numbers without a look at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.export.ensemble import is_forest
from mlbkg.export.forest import MAX_DEPTH, MAX_FEATURES
from mlbkg.export.safety.refusal import refused, shown
from mlbkg.export.safety.tensors import check_tensor

MODES = (b"LEAF", b"BRANCH_LT", b"BRANCH_LEQ", b"BRANCH_GT", b"BRANCH_GTE", b"BRANCH_EQ", b"BRANCH_NEQ")
_MANY = 2**31
_INT, _STRING, _TENSOR, _FLOATS, _INTS, _STRINGS = 2, 3, 4, 6, 7, 8
_NODE_NUMBERS = ("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids")
_TARGET_NUMBERS = ("target_treeids", "target_nodeids", "target_ids")
_REALS = ("nodes_values", "target_weights", "base_values", "nodes_hitrates")
_TYPES = {
    "n_targets": _INT,
    "aggregate_function": _STRING,
    "post_transform": _STRING,
    "nodes_modes": _STRINGS,
    "nodes_missing_value_tracks_true": _INTS,
    **dict.fromkeys((*_NODE_NUMBERS, *_TARGET_NUMBERS), _INTS),
    **dict.fromkeys(_REALS, _FLOATS),
    **{f"{name}_as_tensor": _TENSOR for name in _REALS},
}


@dataclass(frozen=True)
class ForestSize:
    """depth: comparisons on the longest path."""

    trees: int
    nodes: int
    depth: int


def check_ensemble(node: Any, n_columns: int, where: str) -> tuple[int, ForestSize]:
    """The number of targets, and the size. ``n_columns``: of the input. Raises :class:`MlbkgError` with what is wrong."""
    entries = {entry.name: entry for entry in node.attribute}
    if len(entries) < len(node.attribute) or any(_TYPES.get(entry.name) != entry.type for entry in node.attribute):
        wrong = [shown(entry.name) for entry in node.attribute if _TYPES.get(entry.name) != entry.type]
        raise refused(where, f"its trees have attributes that are unknown or there twice: {', '.join(wrong[:5])}")
    for entry in entries.values():
        if entry.type == _TENSOR:
            check_tensor(entry.t, where)
    n_targets = entries["n_targets"].i if "n_targets" in entries else 1
    if not 1 <= n_targets <= MAX_FEATURES:
        raise refused(where, f"its trees have {n_targets} targets")
    for name, known in (("aggregate_function", (b"SUM", b"AVERAGE")), ("post_transform", (b"NONE", b"LOGISTIC"))):
        if name in entries and entries[name].s not in known:
            raise refused(where, f"its trees have an unknown {name}")
    numbers = {name: _integers(entries, name, where) for name in (*_NODE_NUMBERS, *_TARGET_NUMBERS)}
    modes = np.array([MODES.index(mode) if mode in MODES else -1 for mode in entries["nodes_modes"].strings], dtype=np.int8)
    _check_nodes(entries, numbers, modes, n_columns, where)
    is_leaf = modes == 0
    tree, number = numbers["nodes_treeids"], numbers["nodes_nodeids"]
    size = _size(tree, number, numbers["nodes_truenodeids"], numbers["nodes_falsenodeids"], is_leaf, where)
    _check_targets(entries, numbers, is_leaf, n_targets, where, is_lookup=not is_forest(node))
    return n_targets, size


def _integers(entries: dict[str, Any], name: str, where: str) -> NDArray[np.int64]:
    if name not in entries or "nodes_modes" not in entries:
        raise refused(where, f"its trees have no {name if name not in entries else 'nodes_modes'}")
    found = entries[name].ints
    values = np.fromiter(found, dtype=np.int64, count=len(found))
    if ((values < 0) | (values >= _MANY)).any():
        raise refused(where, f"its trees have numbers out of range in {name}")
    return values


def _reals(entries: dict[str, Any], name: str, where: str) -> NDArray[np.float64]:
    """Empty where the attribute is missing."""
    from onnx import numpy_helper

    numbers, tensor = entries.get(name), entries.get(f"{name}_as_tensor")
    if numbers is not None and tensor is not None:
        raise refused(where, f"its trees have {name} twice")
    if numbers is not None:
        return np.fromiter(numbers.floats, dtype=np.float64, count=len(numbers.floats))
    return np.empty(0) if tensor is None else np.asarray(numpy_helper.to_array(tensor.t), dtype=np.float64).reshape(-1)


def _check_nodes(
    entries: dict[str, Any], numbers: dict[str, NDArray[np.int64]], modes: NDArray[np.int8], n_columns: int, where: str
) -> None:
    thresholds = _reals(entries, "nodes_values", where)
    lengths = {len(thresholds), *(len(numbers[name]) for name in _NODE_NUMBERS)}
    for name in ("nodes_missing_value_tracks_true", "nodes_hitrates", "nodes_hitrates_as_tensor"):
        if name in entries:
            lengths.add(len(entries[name].ints) or len(_reals(entries, "nodes_hitrates", where)))
    if lengths != {len(modes)} or not len(modes):
        raise refused(where, f"its trees' lists have different lengths: {sorted(lengths | {len(modes)})}")
    if (modes < 0).any():
        raise refused(where, "its trees have nodes of an unknown mode")
    if "nodes_missing_value_tracks_true" in entries and not set(entries["nodes_missing_value_tracks_true"].ints) <= {0, 1}:
        raise refused(where, "its trees do not say where missing values go")
    if (numbers["nodes_featureids"] >= n_columns).any():
        raise refused(where, f"its trees cut on feature {numbers['nodes_featureids'].max()} of {n_columns}")
    if np.isnan(thresholds).any():
        raise refused(where, "its trees have thresholds that are not numbers")


def _check_targets(
    entries: dict[str, Any],
    numbers: dict[str, NDArray[np.int64]],
    is_leaf: NDArray[np.bool_],
    n_targets: int,
    where: str,
    *,
    is_lookup: bool,
) -> None:
    """What is looked up may be missing, and then is NaN."""
    weights, base = _reals(entries, "target_weights", where), _reals(entries, "base_values", where)
    if is_lookup:
        weights = np.where(np.isnan(weights), 0, weights)
    tree, node, target = (numbers[name] for name in _TARGET_NUMBERS)
    if not len(weights) == len(tree) == len(node) == len(target) or len(base) not in (0, n_targets):
        raise refused(where, "its leaves' lists have different lengths")
    if (target >= n_targets).any():
        raise refused(where, f"its leaves add to target {target.max()} of {n_targets}")
    leaves = numbers["nodes_treeids"][is_leaf] * _MANY + numbers["nodes_nodeids"][is_leaf]
    found = tree * _MANY + node
    order = np.lexsort((target, found))
    is_twice = (np.diff(found[order]) == 0) & (np.diff(target[order]) == 0)
    if not np.isin(found, leaves).all() or is_twice.any():
        raise refused(where, "it has values of leaves that are not there, or two of one leaf")
    trees = len(np.unique(tree))
    if not np.abs(np.concatenate([weights, base])).max(initial=0) * (trees + 1) < np.finfo(np.float32).max:
        raise refused(where, "it has leaves that are not finite numbers, or too large to be added")


def _size(
    tree: NDArray[np.int64],
    number: NDArray[np.int64],
    if_true: NDArray[np.int64],
    if_false: NDArray[np.int64],
    is_leaf: NDArray[np.bool_],
    where: str,
) -> ForestSize:
    """Refuses nodes that do not form trees, each from its first node on: a path back to itself would never end."""
    is_split = ~is_leaf
    left, right = _children(tree, number, (if_true, if_false), is_split, where)
    below = np.concatenate([left[is_split], right[is_split]])
    parents = np.bincount(below, minlength=len(tree))
    roots = np.flatnonzero(parents == 0)
    first = np.sort(np.unique(tree, return_index=True)[1])
    if (parents > 1).any() or not np.array_equal(roots, first):
        raise refused(where, "its nodes do not form trees")
    level, depth, seen = roots, 0, len(roots)
    while len(level := level[is_split[level]]):
        if depth == MAX_DEPTH:
            raise refused(where, f"its trees are deeper than {MAX_DEPTH:,} comparisons")
        level = np.concatenate([left[level], right[level]])
        depth, seen = depth + 1, seen + len(level)
    if seen != len(tree):
        raise refused(where, "its nodes do not form trees")
    return ForestSize(trees=len(roots), nodes=len(tree), depth=depth)


def _children(
    tree: NDArray[np.int64],
    number: NDArray[np.int64],
    children: tuple[NDArray[np.int64], NDArray[np.int64]],
    is_split: NDArray[np.bool_],
    where: str,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """``(n_nodes,)`` each: where in the lists the node's children are; 0 at leaves."""
    keys = tree * _MANY + number
    order = np.argsort(keys, kind="stable")
    if (np.diff(keys[order]) == 0).any():
        raise refused(where, "two nodes of a tree have one number")
    places = []
    for child in children:
        wanted = (tree * _MANY + child)[is_split]
        found = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        if (keys[order][found] != wanted).any():
            raise refused(where, "a split leads to a node that is not there")
        place = np.zeros(len(tree), dtype=np.intp)
        place[is_split] = order[found]
        places.append(place)
    return places[0], places[1]
