"""Forests and lookups as the nodes of an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.export.forest import Forest
from mlbkg.export.lookup import Lookup

ML_DOMAIN = "ai.onnx.ml"
ENSEMBLE = "TreeEnsembleRegressor"
LOOKUPS = "lookups"
"""Begins the name of an ensemble that is no forest but looks up further features."""
_MODES = {"<": "BRANCH_LT", "<=": "BRANCH_LEQ"}


def attributes_of(node: Any) -> dict[str, Any]:
    """Attribute -> value, as ``onnx.helper.make_node`` takes them."""
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def is_forest(node: Any) -> bool:
    """Whether a node of a graph is a forest: neither another operator nor one that looks up features."""
    return node.op_type == ENSEMBLE and not node.name.startswith(LOOKUPS)


def ensemble_nodes(forest: Forest, source: str, margin: str) -> list[Any]:
    """``source`` float32 ``[None, n_features]`` -> ``margin`` float32 ``[None, 1]``."""
    from onnx import TensorProto, helper

    nodes, columns = _with_lookups(forest.lookups, source, margin)
    if is_double := forest.precision == "float64":
        nodes.append(helper.make_node("Cast", [columns], [f"{margin}_input"], to=TensorProto.DOUBLE))
        columns = f"{margin}_input"
    attributes = _attributes(forest, _with_base(forest), is_double=is_double)
    nodes.append(helper.make_node(ENSEMBLE, [columns], [margin], domain=ML_DOMAIN, **attributes))
    return nodes


def _with_lookups(lookups: Sequence[Lookup], source: str, margin: str) -> tuple[list[Any], str]:
    """The nodes that put what is looked up behind the columns of ``source``, and what the result is called."""
    from onnx import helper

    if not lookups:
        return [], source
    steps, looked_up, both = lookup_trees(lookups), f"{margin}_{LOOKUPS}", f"{margin}_columns"
    attributes = _attributes(steps, steps.value, is_double=False, target=steps.tree, n_targets=len(lookups))
    name = f"{LOOKUPS} of {margin}"
    return [
        helper.make_node(ENSEMBLE, [source], [looked_up], domain=ML_DOMAIN, name=name, **attributes),
        helper.make_node("Concat", [source, looked_up], [both], axis=1),
    ], both


def lookup_trees(lookups: Sequence[Lookup]) -> Forest:
    """One balanced tree for each, whose leaves hold its values."""
    trees = [_lookup_tree(lookup) for lookup in lookups]
    feature, threshold, left, right, value = (np.concatenate(columns) for columns in zip(*trees, strict=True))
    offset = np.cumsum([0, *(len(tree[0]) for tree in trees)], dtype=np.int64)
    is_root = np.isin(np.arange(len(feature)), offset)
    return Forest(
        n_features=int(feature.max()) + 1,
        op="<",
        base_margin=0.0,
        precision="float32",
        tree_offset=offset,
        feature=feature.astype(np.int32),
        threshold=threshold.astype(np.float32),
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        missing_left=is_root,
        value=value.astype(np.float64),
    )


def _lookup_tree(lookup: Lookup) -> tuple[list[int], list[float], list[int], list[int], list[float]]:
    """feature, threshold, left, right, value of its nodes. Nothing is below the root's -inf: only NaN goes left there."""
    feature, threshold, left, right, value = [lookup.feature, -1], [-np.inf, 0.0], [1, 0], [2, 0], [0.0, lookup.missing]
    columns: tuple[list[Any], ...] = (feature, threshold, left, right, value)
    waiting = [(0, len(lookup.edges))]
    while waiting:
        first, last = waiting.pop(0)
        if first == last:
            node = (-1, 0.0, 0, 0, float(lookup.values[first]))
        else:
            middle, child = (first + last) // 2, len(feature) + len(waiting) + 1
            node = (lookup.feature, float(lookup.edges[middle]), child, child + 1, 0.0)
            waiting += [(first, middle), (middle + 1, last)]
        for column, entry in zip(columns, node, strict=True):
            column.append(entry)
    return feature, threshold, left, right, value


def _attributes(
    forest: Forest,
    value: NDArray[Any],
    *,
    is_double: bool,
    target: NDArray[np.int64] | None = None,
    n_targets: int = 1,
) -> dict[str, Any]:
    """``target (n_nodes,)``: the output's column that a leaf adds to."""
    is_leaf = forest.feature < 0
    tree = forest.tree
    node = np.arange(forest.n_nodes) - forest.tree_offset[tree]
    modes = np.where(is_leaf, "LEAF", _MODES[forest.op])
    return {
        "n_targets": n_targets,
        "aggregate_function": "SUM",
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": node.tolist(),
        "nodes_modes": modes.tolist(),
        "nodes_featureids": np.where(is_leaf, 0, forest.feature).tolist(),
        "nodes_truenodeids": np.where(is_leaf, 0, forest.left).tolist(),
        "nodes_falsenodeids": np.where(is_leaf, 0, forest.right).tolist(),
        "nodes_missing_value_tracks_true": (forest.missing_left & ~is_leaf).astype(int).tolist(),
        **numbers("nodes_values", np.where(is_leaf, 0, forest.threshold), is_double=is_double),
        "target_treeids": tree[is_leaf].tolist(),
        "target_nodeids": node[is_leaf].tolist(),
        "target_ids": [0] * int(is_leaf.sum()) if target is None else target[is_leaf].tolist(),
        **numbers("target_weights", value[is_leaf], is_double=is_double),
    }


def _with_base(forest: Forest) -> NDArray[Any]:
    kind = np.dtype(forest.precision)
    value = forest.value.astype(kind)
    first = slice(0, int(forest.tree_offset[1]))
    value[first] += kind.type(forest.base_margin)
    return value


def numbers(name: str, values: NDArray[Any], *, is_double: bool) -> dict[str, Any]:
    """The attribute ``name`` or, for float64, ``name_as_tensor``."""
    from onnx import numpy_helper

    if is_double:
        return {f"{name}_as_tensor": numpy_helper.from_array(values.astype(np.float64), name)}
    return {name: values.astype(np.float32).tolist()}
