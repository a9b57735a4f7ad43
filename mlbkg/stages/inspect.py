"""``mlbkg inspect``: what an ONNX model says of itself, and where it can be used."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlbkg.export.forms.decision import PROPERTY as SELECTED_AT
from mlbkg.export.graph.inputs import raw_inputs_of
from mlbkg.export.load import LoadedModel, look_into
from mlbkg.export.onnx import ML_OPSET, OPSET
from mlbkg.export.read_back import forests_of
from mlbkg.export.safety.contents import Column, Contents
from mlbkg.export.safety.shapes import ROWS
from mlbkg.export.safety.tensors import BOOL, DOUBLE, FLOAT, INT32, INT64
from mlbkg.stages.tuning_cost import assumed_ns

_TYPES = {FLOAT: "float32", DOUBLE: "float64", INT32: "int32", INT64: "int64", BOOL: "bool"}


@dataclass(frozen=True)
class Check:
    """passed: None where the file does not tell."""

    name: str
    passed: bool | None
    finding: str


def inspect(path: Path) -> dict[str, Any]:
    """Features, folds, working points, inputs and outputs, size, cost and checks as plain values; the model is not run.

    ``cost_ns``: of a candidate in ONNX Runtime on one thread, from the forest's size; None for layouts of others.
    ``selected_at``: the score from which on the output ``selected`` is true; None without that output. ``raw_inputs``: what
    each input is, where these are not the features but what they are computed from.
    """
    model, contents = look_into(path)
    return {
        **model.describe(),
        "inputs": _columns(contents.inputs),
        "outputs": _columns(contents.outputs),
        "raw_inputs": [asdict(one) for one in raw_inputs_of(contents.props)],
        "selected_at": json.loads(contents.props[SELECTED_AT]) if SELECTED_AT in contents.props else None,
        "cost_ns": _cost(model, contents),
        "checks": [asdict(check) for check in _checks(model, contents)],
    }


def _columns(columns: dict[str, Column]) -> list[dict[str, Any]]:
    return [
        {"name": name, "type": _TYPES[column.type], "shape": [None if size == ROWS else size for size in column.shape]}
        for name, column in columns.items()
    ]


def _cost(model: LoadedModel, contents: Contents) -> float | None:
    if model.metadata is None or "input" not in contents.inputs:
        return None
    costs = [assumed_ns(forest) for forest in forests_of(model)]
    return sum(costs) / (len(costs) if model.takes_fold else 1)


def _checks(model: LoadedModel, contents: Contents) -> tuple[Check, ...]:
    is_old_enough = model.opsets.get("ai.onnx", 0) <= OPSET and model.opsets.get("ai.onnx.ml", 0) <= ML_OPSET
    return (
        Check(
            "safe to open", True, "only operators, numbers and sizes that a model of trees needs; no code, no other files"
        ),
        Check("manifest", model.is_verified or None, "the file that it names" if model.is_verified else "none beside it"),
        Check("sealed", model.is_sealed or None, "as mlbkg wrote it" if model.is_sealed else "no sha256 inside"),
        Check("layout", model.metadata is not None or None, _layout(model)),
        Check("ONNX Runtime", is_old_enough, _runtime(model, is_old_enough)),
        _basf2(contents),
    )


def _layout(model: LoadedModel) -> str:
    return "the forests are as mlbkg writes them" if model.metadata else "not written by mlbkg; its answer may be anything"


def _runtime(model: LoadedModel, is_old_enough: bool) -> str:
    opsets = ", ".join(f"{domain} {version}" for domain, version in sorted(model.opsets.items()))
    return f"{'1.15 and newer' if is_old_enough else 'newer than 1.15'} ({opsets})"


def _basf2(contents: Contents) -> Check:
    """What the ONNX method of basf2's MVA package asks for: mva/doc/onnx-tips.rst and ONNX.cc of belle2/basf2."""
    inputs, output = contents.inputs, contents.outputs.get("output")
    if len(inputs) != 1:
        reason = f"it takes one input, not {len(inputs)}"
        reason += ": use model.onnx, the mean of the folds" if "fold" in inputs else ""
    elif output is None or output.type != FLOAT or output.shape != (ROWS, 1):
        reason = "it needs the output 'output', float32 [None, 1]"
    else:
        return Check("basf2", True, "method ONNX: one float32 input [None, n], output 'output' float32 [None, 1]")
    return Check("basf2", False, f"method ONNX: {reason}")
