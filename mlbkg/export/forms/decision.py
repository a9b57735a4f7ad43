"""The model with one output more: whether the row is selected at a working point."""

from __future__ import annotations

import json

import numpy as np

from mlbkg.errors import MlbkgError
from mlbkg.export.forms.base import FORMS, Form, Request
from mlbkg.export.metadata import PREFIX
from mlbkg.export.onnx import ROWS
from mlbkg.export.seal import sealed

SELECTED, _THRESHOLD = "selected", "selected_at"
PROPERTY = PREFIX + _THRESHOLD
"""The score from which on rows are selected, as JSON."""


def write(request: Request) -> bytes:
    """The bytes of the ONNX file, with the output ``selected``, bool ``[None, 1]``: ``output >= threshold`` in float32.

    Raises :class:`MlbkgError` for a model that has such an output already.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    assert request.threshold is not None
    model = onnx.load_model_from_string(request.model.content)
    graph = model.graph
    if SELECTED in {output.name for output in graph.output}:
        raise MlbkgError(
            f"{request.model.path} has a decision already",
            where=str(request.model.path),
            hint="Export the model it is from.",
        )
    threshold = np.array(request.threshold, dtype=np.float32)
    graph.initializer.append(numpy_helper.from_array(threshold, _THRESHOLD))
    graph.node.append(helper.make_node("GreaterOrEqual", ["output", _THRESHOLD], [SELECTED]))
    graph.output.append(helper.make_tensor_value_info(SELECTED, TensorProto.BOOL, [ROWS, 1]))
    model.metadata_props.add(key=PROPERTY, value=json.dumps(float(threshold)))
    return sealed(model)


FORMS.add(
    "decision",
    Form("decision", ".onnx", "ONNX with the output 'selected' beside 'output'", write, needs_threshold=True),
)
