"""The forests inside a graph that mlbkg wrote, and whether it is such a graph.

A graph that consists of the right operators may still compute anything. The forests that are read out of it are therefore
written again, and each node and constant must come out as it is in the file.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.answer import answer_constants, answer_nodes, find_output
from mlbkg.export.ensemble import ENSEMBLE, LOOKUPS, attributes_of, is_forest
from mlbkg.export.forest import Forest, Op, Output, Precision, checked
from mlbkg.export.lookup import Lookup
from mlbkg.export.onnx import folds_nodes, mean_nodes


def forests_in(graph: Any, *, n_features: int, takes_fold: bool, where: str) -> tuple[Forest, ...]:
    """One for each fold, in order; what the base margin adds is in the first tree's leaves.

    ``graph``: of a model that passed :func:`mlbkg.export.safety.contents.check_contents`. Raises :class:`MlbkgError` where
    it is not laid out as mlbkg lays out models; nodes that neither ``output`` nor ``margin`` comes from may be there, too.
    """
    operators = _after_margin(graph)
    output = find_output(operators)
    forests = _forests(graph, n_features, output, where) if output else ()
    if output is None or not forests:
        raise _other_layout(where, "it has no trees, or its output is not made of their sum as usual")
    _require_same(graph, forests, output, operators, takes_fold=takes_fold, where=where)
    return forests


def _forests(graph: Any, n_features: int, output: Output, where: str) -> tuple[Forest, ...]:
    lookups: tuple[Lookup, ...] = ()
    forests = []
    try:
        for node in graph.node:
            if is_forest(node):
                forests.append(checked(_forest(node, n_features, lookups, output), where))
                lookups = ()
            elif node.op_type == ENSEMBLE and node.name.startswith(LOOKUPS):
                lookups = _lookups(node)
    except (LookupError, TypeError, ValueError) as error:
        raise _other_layout(where, "its trees are in another order") from error
    return tuple(forests)


def _require_same(
    graph: Any, forests: tuple[Forest, ...], output: Output, operators: tuple[str, ...], *, takes_fold: bool, where: str
) -> None:
    from onnx import helper

    nodes, constants = folds_nodes(forests) if takes_fold else mean_nodes(forests)
    if operators == ("Sigmoid",):  # until 0.1.0
        nodes = [*nodes, helper.make_node("Sigmoid", ["margin"], ["output"])]
    else:
        nodes, constants = [*nodes, *answer_nodes(output)], [*constants, *answer_constants(output)]
    found = {name: node for node in graph.node for name in node.output}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    wrong = [node.output[0] for node in nodes if not _is_same(node, found.get(node.output[0]))]
    wrong += [tensor.name for tensor in constants if not _is_same(tensor, stored.get(tensor.name))]
    if wrong:
        raise _other_layout(where, f"'{wrong[0]}' is not what it should be")


def _is_same(expected: Any, found: Any) -> bool:
    return found is not None and expected.SerializeToString(deterministic=True) == found.SerializeToString(
        deterministic=True
    )


def _other_layout(where: str, reason: str) -> MlbkgError:
    return MlbkgError(
        f"{where} is not laid out as mlbkg writes models: {reason}",
        where=where,
        hint="Make it anew: mlbkg train, or mlbkg import-… from the original program's file.",
    )


def _after_margin(graph: Any) -> tuple[str, ...]:
    """The operators that ``output`` comes out of, ``margin`` goes into the first of them; none where it does not."""
    made_by = {name: node for node in graph.node for name in node.output}
    operators: list[str] = []
    name = "output"
    while name != "margin" and name in made_by and len(operators) <= len(graph.node):
        operators.insert(0, made_by[name].op_type)
        name = made_by[name].input[0]
    return tuple(operators) if name == "margin" else ()


def _forest(node: Any, n_features: int, lookups: tuple[Lookup, ...], output: Output) -> Forest:
    entries = attributes_of(node)
    modes = np.asarray(entries["nodes_modes"])
    is_leaf = modes == b"LEAF"
    tree = np.asarray(entries["nodes_treeids"], dtype=np.int64)
    n_trees = int(tree.max()) + 1
    op: Op = "<=" if (modes == b"BRANCH_LEQ").any() else "<"
    precision: Precision = "float64" if "nodes_values_as_tensor" in entries else "float32"
    value = np.zeros(len(tree))
    value[is_leaf] = _numbers(entries, "target_weights")
    return Forest(
        n_features=n_features,
        op=op,
        base_margin=0.0,
        precision=precision,
        tree_offset=np.searchsorted(tree, np.arange(n_trees + 1)),
        feature=np.where(is_leaf, -1, entries["nodes_featureids"]).astype(np.int32),
        threshold=_numbers(entries, "nodes_values").astype(np.float32),
        left=np.asarray(entries["nodes_truenodeids"], dtype=np.int32),
        right=np.asarray(entries["nodes_falsenodeids"], dtype=np.int32),
        missing_left=np.asarray(entries["nodes_missing_value_tracks_true"], dtype=bool),
        value=value,
        lookups=lookups,
        output=output,
    )


def _numbers(entries: dict[str, Any], name: str) -> NDArray[np.float64]:
    from onnx import numpy_helper

    tensor = entries.get(f"{name}_as_tensor")
    return np.asarray(entries[name] if tensor is None else numpy_helper.to_array(tensor), dtype=np.float64)


def _lookups(node: Any) -> tuple[Lookup, ...]:
    """Each tree's leaves in the order of the values that lead to them; node 1 is where NaN goes."""
    steps = _forest(node, 0, (), "identity")
    return tuple(_lookup(steps, first, last) for first, last in pairwise(steps.tree_offset))


def _lookup(steps: Forest, first: int, last: int) -> Lookup:
    feature, value = steps.feature[first:last], steps.value[first:last].astype(np.float32)
    left, right, edge = steps.left[first:last], steps.right[first:last], steps.threshold[first:last]
    edges: list[np.float32] = []
    values: list[np.float32] = []
    waiting = [(int(right[0]), False)]
    while waiting:
        node, is_edge = waiting.pop()
        if is_edge:
            edges.append(edge[node])
        elif feature[node] < 0:
            values.append(value[node])
        else:
            waiting += [(int(right[node]), False), (node, True), (int(left[node]), False)]
    return Lookup(int(feature[0]), np.array(edges, dtype=np.float32), np.array(values, dtype=np.float32), float(value[1]))
