"""The model with its features in front: it takes branches, one input for each, instead of a matrix of features."""

from __future__ import annotations

from typing import Any

from mlbkg.errors import MlbkgError, is_plain
from mlbkg.export.forms.base import FORMS, Form, Request
from mlbkg.export.graph.build import FeatureGraph, feature_graph
from mlbkg.export.graph.inputs import PROPERTY, property_of
from mlbkg.export.graph.recorder import PREFIX as OWN
from mlbkg.export.onnx import ROWS
from mlbkg.export.safety.contents import check_contents
from mlbkg.export.seal import sealed


def write(request: Request) -> bytes:
    """The bytes of the ONNX file; from ``input`` on, a tensor of its graph now, it is the model's.

    Inputs: float32 ``[None, 1]``, named after the branches, and after those features that need more than flat branches.
    Raises :class:`MlbkgError` where the names of inputs do not fit a graph.
    """
    import onnx
    from onnx import TensorProto, helper

    where = str(request.model.path)
    if request.model.metadata is None:
        raise MlbkgError(f"{where} does not say what its features are", where=where)
    model = onnx.load_model_from_string(request.model.content)
    if [value.name for value in model.graph.input] != ["input"]:
        raise MlbkgError(
            f"{where} does not take features as its only input", where=where, hint="Export the model it is from."
        )
    features = feature_graph(request.model.metadata)
    _require_names(features, model.graph, where)
    forest = list(model.graph.node)
    del model.graph.node[:], model.graph.input[:]
    model.graph.node.extend([*features.nodes, helper.make_node("Concat", features.columns, ["input"], axis=1), *forest])
    model.graph.initializer.extend(features.constants)
    model.graph.input.extend(
        helper.make_tensor_value_info(one.name, TensorProto.FLOAT, [ROWS, 1]) for one in features.inputs
    )
    for entry in model.opset_import:
        if not entry.domain:
            entry.version = max(entry.version, features.opset)
    model.metadata_props.add(key=PROPERTY, value=property_of(features.inputs, features.sources))
    content = sealed(model)
    check_contents(content, where)
    return content


def _require_names(features: FeatureGraph, graph: Any, where: str) -> None:
    taken = {
        "input",
        "fold",
        *(name for node in graph.node for name in node.output),
        *(one.name for one in graph.initializer),
    }
    wrong = [one.name for one in features.inputs if one.name in taken or one.name.startswith(OWN) or not is_plain(one.name)]
    if wrong:
        raise MlbkgError(
            f"a branch or feature called '{wrong[0]}' cannot be an input: the graph has something else of that name",
            where=where,
            hint="Rename it, and train with the new name.",
        )


FORMS.add("raw-inputs", Form("raw-inputs", ".onnx", "ONNX that takes branches and computes the features itself", write))
