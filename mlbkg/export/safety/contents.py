"""Look at an ONNX file before it is run: which operators it has, what they hold, and how large it all becomes.

Nothing in an ONNX file is code, but much of it is obeyed: other files are opened, libraries with further operators are
looked for, memory is taken as it asks for it. What passes here holds only operators that mlbkg itself writes, numbers that
they can take, and no more of anything than :mod:`mlbkg.export.safety.wire`, ``trees`` and ``shapes`` allow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mlbkg.errors import is_plain
from mlbkg.export.ensemble import ENSEMBLE, ML_DOMAIN, is_forest
from mlbkg.export.forest import MAX_FEATURES
from mlbkg.export.safety.refusal import damaged, refused, shown
from mlbkg.export.safety.shapes import OPERATORS, ROWS, Shape, Shapes
from mlbkg.export.safety.tensors import BYTES, INT64, check_tensor, integers_of
from mlbkg.export.safety.trees import ForestSize, check_ensemble
from mlbkg.export.safety.wire import MAX_BYTES, scan

OPSETS = {"": range(13, 25), ML_DOMAIN: range(1, 5)}
IR_VERSIONS = range(7, 13)
MAX_INPUTS = 10_000
MAX_OUTPUTS = 16
MAX_PROPS_BYTES = 16 * 2**20
OBEYED_PROPS = ("ort_config",)
"""ONNX Runtime takes its own settings from there, where the environment asks for it."""
_ATTRIBUTE_INT, _ATTRIBUTE_TENSOR = 2, 4
_ATTRIBUTES: dict[str, dict[str, int]] = {
    "Cast": {"to": _ATTRIBUTE_INT, "saturate": _ATTRIBUTE_INT},
    "Concat": {"axis": _ATTRIBUTE_INT},
    "ConstantOfShape": {"value": _ATTRIBUTE_TENSOR},
    "Gather": {"axis": _ATTRIBUTE_INT},
    "IsInf": {"detect_negative": _ATTRIBUTE_INT, "detect_positive": _ATTRIBUTE_INT},
    "Mod": {"fmod": _ATTRIBUTE_INT},
    "Reshape": {"allowzero": _ATTRIBUTE_INT},
    "Shape": {"start": _ATTRIBUTE_INT, "end": _ATTRIBUTE_INT},
}
_SHORT = 8


@dataclass(frozen=True)
class Column:
    """An input or output of the graph. type: a number of ``TensorProto.DataType``. shape: see :mod:`shapes`."""

    type: int
    shape: Shape


@dataclass(frozen=True)
class Contents:
    """What was found. model: the parsed message. forests: one per ensemble that is a forest, in their order."""

    model: Any
    inputs: dict[str, Column]
    outputs: dict[str, Column]
    forests: tuple[ForestSize, ...]
    opsets: dict[str, int]
    props: dict[str, str]


def check_contents(content: bytes, where: str) -> Contents:
    """Raises :class:`mlbkg.errors.MlbkgError` with the reason for what is no ONNX file, or none that may be run."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    if len(content) > MAX_BYTES:
        raise refused(where, f"it has {len(content) / 2**20:.0f} MiB, more than {MAX_BYTES / 2**20:.0f}")
    scan(content, where)
    try:
        model = onnx.load_model_from_string(content)
        if not model.graph.node:
            raise refused(where, "it has no nodes")
        opsets = _opsets(model, where)
        inputs, outputs = (_columns(values, where) for values in (model.graph.input, model.graph.output))
        forests = _graph(model.graph, inputs, outputs, where)
        props = _props(model, where)
        onnx.checker.check_model(content)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise damaged(where, shown(str(error).partition("\n")[0])) from error
    return Contents(model, inputs, outputs, forests, opsets, props)


def _opsets(model: Any, where: str) -> dict[str, int]:
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if foreign := set(opsets).union(node.domain for node in model.graph.node).difference(OPSETS):
        raise refused(where, f"it uses operators of {', '.join(sorted(map(shown, foreign)))}")
    if len(opsets) < len(model.opset_import) or any(version not in OPSETS[domain] for domain, version in opsets.items()):
        raise refused(where, f"it uses versions of operators that are not supported: {opsets}")
    if model.ir_version not in IR_VERSIONS:
        raise refused(where, f"it is of ONNX's IR version {model.ir_version}, not {IR_VERSIONS[0]} to {IR_VERSIONS[-1]}")
    return {domain or "ai.onnx": version for domain, version in opsets.items()}


def _columns(values: Any, where: str) -> dict[str, Column]:
    columns = {value.name: Column(value.type.tensor_type.elem_type, _declared(value)) for value in values}
    if len(columns) < len(values) or not 1 <= len(columns) <= MAX_INPUTS or not all(map(is_plain, columns)):
        raise refused(where, "its inputs or outputs are too many, have one name, or have letters that cannot be printed")
    for name, column in columns.items():
        if column.type not in BYTES or column.shape.count(ROWS) > 1 or any(size < ROWS for size in column.shape):
            raise refused(where, f"'{shown(name)}' is of a type or shape that no model of mlbkg has")
        if math.prod(size for size in column.shape if size != ROWS) > MAX_FEATURES:
            raise refused(where, f"'{shown(name)}' has the shape {column.shape}; at most {MAX_FEATURES:,} are supported")
    return columns


def _declared(value: Any) -> Shape:
    return tuple(dim.dim_value if dim.HasField("dim_value") else ROWS for dim in value.type.tensor_type.shape.dim)


def _graph(graph: Any, inputs: dict[str, Column], outputs: dict[str, Column], where: str) -> tuple[ForestSize, ...]:
    if len(outputs) > MAX_OUTPUTS:
        raise refused(where, f"it has {len(outputs)} outputs")
    known = {name: column.shape for name, column in inputs.items()}
    vectors: dict[str, Shape] = {}
    for tensor in graph.initializer:
        shape = check_tensor(tensor, where)
        if tensor.name in known:
            raise refused(where, f"two tensors are called '{shown(tensor.name)}'")
        known[tensor.name] = shape
        if tensor.data_type == INT64 and len(shape) == 1 and shape[0] <= _SHORT:
            vectors[tensor.name] = integers_of(tensor)
    shapes, forests = Shapes(known, vectors, where), []
    for node in graph.node:
        size = _check_node(node, shapes, where)
        if size is not None and is_forest(node):
            forests.append(size)
    for name, column in outputs.items():
        if shapes.of.get(name) != column.shape:
            raise refused(where, f"its output '{shown(name)}' is not there, or not of the shape {column.shape} that it says")
    return tuple(forests)


def _check_node(node: Any, shapes: Shapes, where: str) -> ForestSize | None:
    is_ensemble = (node.domain, node.op_type) == (ML_DOMAIN, ENSEMBLE)
    if not is_ensemble and (node.domain or node.op_type not in OPERATORS):
        flow = "control flow" if node.op_type in ("If", "Loop", "Scan", "SequenceMap") else "the operator"
        raise refused(where, f"it has {flow}: {shown(node.op_type)}, which no model of mlbkg needs")
    if not is_ensemble:
        _check_attributes(node, where)
        shapes.add(node)
        return None
    columns = shapes.of.get(node.input[0], (ROWS, ROWS)) if len(node.input) == 1 else ()
    if len(columns) != 2:
        raise refused(where, "its trees do not take rows of features")
    if columns == (ROWS, ROWS):
        raise refused(where, f"its trees take '{shown(node.input[0])}', which nothing before them makes")
    n_targets, size = check_ensemble(node, columns[1], where)
    shapes.add(node, n_targets)
    return size


def _check_attributes(node: Any, where: str) -> None:
    known = _ATTRIBUTES.get(node.op_type, {})
    names = [entry.name for entry in node.attribute]
    if len(set(names)) < len(names) or any(known.get(entry.name) != entry.type for entry in node.attribute):
        raise refused(where, f"the operator {node.op_type} has unknown attributes: {', '.join(map(shown, names[:5]))}")
    for entry in node.attribute:
        if entry.name == "to" and entry.i not in BYTES:
            raise refused(where, f"it makes tensors of type {entry.i}, not of numbers")
        if entry.type == _ATTRIBUTE_TENSOR:
            check_tensor(entry.t, where)


def _props(model: Any, where: str) -> dict[str, str]:
    props = {entry.key: entry.value for entry in model.metadata_props}
    if len(props) < len(model.metadata_props) or not all(map(is_plain, props)):
        raise refused(where, "it says something of itself twice, or under a name that cannot be printed")
    if obeyed := set(props).intersection(OBEYED_PROPS):
        raise refused(where, f"it has settings for ONNX Runtime: {', '.join(sorted(obeyed))}")
    if sum(map(len, props.values())) > MAX_PROPS_BYTES:
        raise refused(where, f"it says more than {MAX_PROPS_BYTES // 2**20} MiB of itself")
    return props
