"""Nodes and constants of a growing ONNX graph, each written down once however often it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.onnx import OPSET

PREFIX = "mlbkg/"
"""Begins the name of everything that is neither an input nor part of the forest."""
MAX_NODES = 100_000
"""Far above any analysis; a file with longer expressions would only keep the machine busy."""


class Recorder:
    """``opset``: the oldest that has all operators used so far."""

    def __init__(self) -> None:
        self.opset = OPSET
        self._nodes: list[tuple[str, tuple[str, ...], dict[str, Any], str]] = []
        self._constants: dict[tuple[str, bytes], tuple[str, NDArray[Any]]] = {}
        self._known: dict[object, str] = {}

    def node(self, operator: str, *inputs: str, **attributes: int) -> str:
        """The name of the result."""
        key = (operator, inputs, tuple(attributes.items()))
        if key not in self._known:
            if len(self._nodes) == MAX_NODES:
                raise MlbkgError(f"the features take more than {MAX_NODES:,} ONNX nodes")
            self._known[key] = f"{PREFIX}{operator}_{len(self._nodes)}"
            self._nodes.append((operator, inputs, attributes, self._known[key]))
        return self._known[key]

    def constant(self, value: NDArray[Any]) -> str:
        value = np.ascontiguousarray(value).reshape(np.shape(value))
        key = (f"{value.dtype.str}{value.shape}", value.tobytes())
        if key not in self._constants:
            self._constants[key] = f"{PREFIX}constant_{len(self._constants)}", value
        return self._constants[key][0]

    def needed_for(self, results: Iterable[str]) -> tuple[list[Any], list[Any], set[str]]:
        """Nodes and initializers without which there are no ``results``, and the names of the graph inputs they use.

        What was written down on the way to a result that could not be had is left out.
        """
        from onnx import helper, numpy_helper

        needed, nodes = set(results), []
        for operator, inputs, attributes, output in reversed(self._nodes):
            if output in needed:
                needed.update(inputs)
                nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        constants = [numpy_helper.from_array(value, name) for name, value in self._constants.values() if name in needed]
        made = {node.output[0] for node in nodes} | {constant.name for constant in constants}
        return nodes[::-1], constants, needed - made
