"""Write forests as ONNX: ``model.onnx``, the mean of the folds, and ``folds.onnx``, the fold that did not see the event.

Default domain opset 15 and ai.onnx.ml opset 3 in an IR 8 file, one ``TreeEnsembleRegressor`` per fold: read by ONNX Runtime
1.15 and newer. The logistic function has nodes of its own, in float64: ``post_transform`` is ignored by ONNX Runtime for one
target, and its float32 ``Sigmoid`` takes the last bits of the answer from the processor it runs on.

The leaf values are added as the trained library adds them: in float32 or float64, tree by tree, the base margin first. It is
part of the first tree's leaves, because ONNX Runtime adds ``base_values`` last. With one thread XGBoost's margins come out
bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlbkg.errors import MlbkgError
from mlbkg.export.answer import answer_constants, answer_nodes
from mlbkg.export.ensemble import ENSEMBLE, ML_DOMAIN, attributes_of, ensemble_nodes, numbers
from mlbkg.export.forest import Forest
from mlbkg.export.metadata import PREFIX, ModelMetadata
from mlbkg.export.safety.wire import MAX_BYTES
from mlbkg.export.seal import sealed

OPSET, ML_OPSET, IR_VERSION = 15, 3, 8
ROWS = "candidates"


@dataclass(frozen=True)
class Models:
    """The two files' bytes."""

    model: bytes
    folds: bytes


def build_models(forests: Sequence[Forest], metadata: ModelMetadata) -> Models:
    """``forests[k]`` did not see fold ``k``. Raises :class:`MlbkgError` where they and ``metadata`` do not fit together."""
    widths = {forest.n_features for forest in forests} | {len(metadata.features)}
    if len(widths) != 1 or len(forests) != metadata.n_folds:
        raise MlbkgError(
            f"{len(forests)} forests of {sorted(widths)} features do not make a model of {metadata.n_folds} folds "
            f"and {len(metadata.features)} features"
        )
    return Models(model=build_model(forests, metadata), folds=build_folds_model(forests, metadata))


def build_model(forests: Sequence[Forest], metadata: ModelMetadata) -> bytes:
    """Input ``input`` float32 ``[None, n_features]``; outputs ``output``, ``margin`` float32 ``[None, 1]``.

    ``margin`` is the mean of the folds' margins, ``output`` what ``metadata.output`` makes of it.
    """
    nodes, constants = mean_nodes(forests)
    return _serialised(nodes, constants, metadata, kind="mean")


def mean_nodes(forests: Sequence[Forest]) -> tuple[list[Any], list[Any]]:
    """Nodes and initializers from ``input`` to ``margin``."""
    from onnx import helper, numpy_helper

    nodes, margins = [], []
    for fold, forest in enumerate(forests):
        margins.append(f"margin_{fold}")
        nodes += ensemble_nodes(forest, "input", margins[-1])
    nodes.append(helper.make_node("Sum", margins, ["margin_sum"]))
    nodes.append(helper.make_node("Div", ["margin_sum", "n_folds"], ["margin"]))
    return nodes, [numpy_helper.from_array(np.array(len(forests), dtype=np.float32), "n_folds")]


def build_folds_model(forests: Sequence[Forest], metadata: ModelMetadata) -> bytes:
    """As :func:`build_model` with a second input ``fold`` int64 ``[None]``: each row sees the forest of its fold only.

    Rows are gathered by fold, scored and scattered back, so that a row costs one forest, not all. A row whose fold does not
    exist, or that has no entry in ``fold``, gets NaN in both outputs.
    """
    from onnx import TensorProto, helper

    inputs = [helper.make_tensor_value_info("fold", TensorProto.INT64, [ROWS])]
    nodes, constants = folds_nodes(forests)
    return _serialised(nodes, constants, metadata, kind="folds", more_inputs=inputs)


def folds_nodes(forests: Sequence[Forest]) -> tuple[list[Any], list[Any]]:
    """Nodes and initializers from ``input`` and ``fold`` to ``margin``."""
    from onnx import helper, numpy_helper

    constants = [
        numpy_helper.from_array(np.array([0], dtype=np.int64), "axis_0"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "axis_1"),
        *(numpy_helper.from_array(np.array(fold, dtype=np.int64), f"fold_{fold}") for fold in range(len(forests))),
    ]
    not_a_number = numpy_helper.from_array(np.array([np.nan], dtype=np.float32))
    nodes = [
        helper.make_node("Shape", ["input"], ["rows"], start=0, end=1),
        helper.make_node("Concat", ["rows", "axis_1"], ["margin_shape"], axis=0),
        helper.make_node("ConstantOfShape", ["margin_shape"], ["filled_0"], value=not_a_number),
    ]
    for fold, forest in enumerate(forests):
        filled = f"filled_{fold + 1}" if fold + 1 < len(forests) else "margin"
        nodes += [
            helper.make_node("Equal", ["fold", f"fold_{fold}"], [f"is_{fold}"]),
            helper.make_node("NonZero", [f"is_{fold}"], [f"where_{fold}"]),
            helper.make_node("Squeeze", [f"where_{fold}", "axis_0"], [f"rows_{fold}"]),
            helper.make_node("Unsqueeze", [f"rows_{fold}", "axis_1"], [f"index_{fold}"]),
            helper.make_node("Gather", ["input", f"rows_{fold}"], [f"input_{fold}"], axis=0),
            *ensemble_nodes(forest, f"input_{fold}", f"margin_{fold}"),
            helper.make_node("ScatterND", [f"filled_{fold}", f"index_{fold}", f"margin_{fold}"], [filled]),
        ]
    return nodes, constants


def build_leaf_model(ensemble: Any, *, n_features: int) -> bytes:
    """The nodes of an ensemble out of a written model, with output ``leaf`` float32 ``[None, n_trees]``: the reached nodes.

    Every tree becomes a target of its own and every leaf's weight its node number (exact in float32 below 2^24).
    """
    from onnx import TensorProto, checker, helper

    attributes = {
        name: value for name, value in attributes_of(ensemble).items() if not name.startswith(("target_", "base_"))
    }
    trees = np.asarray(attributes_of(ensemble)["target_treeids"])
    n_trees = int(trees.max()) + 1
    leaves = attributes_of(ensemble)["target_nodeids"]
    if max(leaves) >= 2**24:
        raise MlbkgError(f"a tree of {max(leaves)} nodes is too large to be checked")
    is_double = "nodes_values_as_tensor" in attributes
    targets = {
        "target_treeids": trees.tolist(),
        "target_nodeids": leaves,
        "target_ids": trees.tolist(),
        **numbers("target_weights", np.asarray(leaves, dtype=np.float64), is_double=is_double),
    }
    source = "exact" if is_double else "input"
    nodes = [helper.make_node("Cast", ["input"], ["exact"], to=TensorProto.DOUBLE)] if is_double else []
    nodes.append(
        helper.make_node(ENSEMBLE, [source], ["leaf"], domain=ML_DOMAIN, **{**attributes, **targets, "n_targets": n_trees})
    )
    graph = helper.make_graph(
        nodes,
        "leaves",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [ROWS, n_features])],
        [helper.make_tensor_value_info("leaf", TensorProto.FLOAT, [ROWS, n_trees])],
    )
    model = helper.make_model(graph, opset_imports=_opsets(), ir_version=IR_VERSION)
    checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _serialised(
    nodes: list[Any], constants: list[Any], metadata: ModelMetadata, *, kind: str, more_inputs: Sequence[Any] = ()
) -> bytes:
    from onnx import TensorProto, checker, helper

    nodes = [*nodes, *answer_nodes(metadata.output)]
    constants = [*constants, *answer_constants(metadata.output)]
    width = len(metadata.features)
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [ROWS, width]), *more_inputs]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [ROWS, 1]) for name in ("output", "margin")]
    graph = helper.make_graph(nodes, metadata.analysis, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=_opsets(), ir_version=IR_VERSION, producer_name="mlbkg")
    _set_props(model, {**metadata.to_props(), f"{PREFIX}kind": kind})
    checker.check_model(model)
    content = sealed(model)
    if len(content) > MAX_BYTES:
        raise MlbkgError(
            f"the ONNX file has {len(content) / 2**20:.0f} MiB, more than the {MAX_BYTES / 2**20:.0f} that are opened again",
            hint="Train fewer or smaller trees.",
        )
    return content


def _set_props(model: Any, props: Mapping[str, str]) -> None:
    for name in sorted(props):
        entry = model.metadata_props.add()
        entry.key, entry.value = name, props[name]


def _opsets() -> list[Any]:
    from onnx import helper

    return [helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)]
