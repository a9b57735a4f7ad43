"""From the margin to what a model answers, as the last nodes of its graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.export.forest import Output

_LOGISTIC = (("Neg",), ("Exp",), ("Add", "answer_one"), ("Reciprocal",))
_STEPS: dict[Output, tuple[tuple[str, ...], ...]] = {
    "logistic": _LOGISTIC,
    "symmetric": (*_LOGISTIC, ("Mul", "answer_two"), ("Sub", "answer_one")),
    "identity": (),
}
_CONSTANTS = {"answer_one": 1.0, "answer_two": 2.0}


def answer(margin: NDArray[np.float32], output: Output) -> NDArray[np.float32]:
    """What the graph computes, here: ``(n,)`` -> ``(n,)``."""
    if output == "identity":
        return margin
    with np.errstate(over="ignore"):
        probability = 1 / (1 + np.exp(-margin.astype(np.float64)))
    return (probability if output == "logistic" else 2 * probability - 1).astype(np.float32)


def answer_nodes(output: Output) -> list[Any]:
    """``margin`` float32 -> ``output`` float32, by way of float64."""
    from onnx import TensorProto, helper

    steps = _STEPS[output]
    if not steps:
        return [helper.make_node("Identity", ["margin"], ["output"])]
    names = ["answer_0", *(f"answer_{i}" for i in range(1, len(steps) + 1))]
    return [
        helper.make_node("Cast", ["margin"], [names[0]], to=TensorProto.DOUBLE),
        *(
            helper.make_node(operator, [source, *constant], [target])
            for (operator, *constant), source, target in zip(steps, names, names[1:], strict=False)
        ),
        helper.make_node("Cast", [names[-1]], ["output"], to=TensorProto.FLOAT),
    ]


def answer_constants(output: Output) -> list[Any]:
    """The initializers that :func:`answer_nodes` uses."""
    from onnx import numpy_helper

    used = {name for _, *names in _STEPS[output] for name in names}
    return [numpy_helper.from_array(np.array(_CONSTANTS[name]), name) for name in sorted(used)]


def find_output(operators: tuple[str, ...]) -> Output | None:
    """The answer that these operators make of the margin, in their order; None for any other."""
    written: dict[tuple[str, ...], Output] = {
        ("Cast", *(step[0] for step in steps), "Cast") if steps else ("Identity",): output
        for output, steps in _STEPS.items()
    }
    return {("Sigmoid",): "logistic", **written}.get(operators)
