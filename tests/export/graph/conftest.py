"""The features of a graph without a forest behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.export.graph.build import FeatureGraph, feature_graph
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.onnx import IR_VERSION
from mlbkg.export.session import open_session

Graph = tuple[FeatureGraph, Callable[[Mapping[str, Any]], NDArray[np.float32]]]


@pytest.fixture
def make_graph(make_metadata: Callable[..., ModelMetadata]) -> Callable[..., Graph]:
    """Features and config -> the graph, and a function from branches ``(n,)`` to features ``(n, n_features)``."""

    def make(features: list[FeatureInfo], **config: Any) -> Graph:
        from onnx import TensorProto, checker, helper

        graph = feature_graph(replace(make_metadata(), features=tuple(features), config=config))
        inputs = [helper.make_tensor_value_info(one.name, TensorProto.FLOAT, [None, 1]) for one in graph.inputs]
        output = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(features)])
        nodes = [*graph.nodes, helper.make_node("Concat", graph.columns, ["features"], axis=1)]
        whole = helper.make_graph(nodes, "features", inputs, [output], graph.constants)
        model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", graph.opset)], ir_version=IR_VERSION)
        checker.check_model(model)
        session = open_session(model.SerializeToString())

        def run(columns: Mapping[str, Any]) -> NDArray[np.float32]:
            given = {one.name: np.asarray(columns[one.name], dtype=np.float32)[:, None] for one in graph.inputs}
            return np.asarray(session.run(None, given)[0])

        return graph, run

    return make
