"""A file that says that mlbkg wrote it has mlbkg's graph, whatever its trees are; only such a graph becomes other forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mlbkg.errors import MlbkgError
from mlbkg.export.forest import Forest
from mlbkg.export.load import open_model
from mlbkg.export.lookup import Lookup
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.onnx import build_folds_model, build_model
from mlbkg.export.read_back import forests_of
from mlbkg.export.seal import sealed

Change = Callable[[Any], None]
LOOKUP = Lookup(1, np.array([-1, 0.5, 2], dtype=np.float32), np.array([3, 1, 0, 2], dtype=np.float32), np.nan)


def forest(seed: int, **changes: Any) -> Forest:
    """A cut on x0, x1 or what is looked up of x1, and below it one of the others."""
    rng = np.random.default_rng(seed)
    whole = Forest(
        n_features=2,
        op="<",
        base_margin=0.0,
        precision="float32",
        tree_offset=np.array([0, 5, 8]),
        feature=np.array([0, 1, -1, -1, -1, 1, -1, -1], dtype=np.int32),
        threshold=np.array([0.25, 1, 0, 0, 0, -0.5, 0, 0], dtype=np.float32),
        left=np.array([1, 3, 0, 0, 0, 1, 0, 0], dtype=np.int32),
        right=np.array([2, 4, 0, 0, 0, 2, 0, 0], dtype=np.int32),
        missing_left=np.array([0, 1, 0, 0, 0, 1, 0, 0], dtype=bool),
        value=np.where([0, 0, 1, 1, 1, 0, 1, 1], rng.normal(size=8).astype(np.float32), 0).astype(np.float64),
    )
    return replace(whole, **changes)


@pytest.fixture
def about(make_metadata: Callable[..., ModelMetadata]) -> ModelMetadata:
    return make_metadata(features=[FeatureInfo("p"), FeatureInfo("E")], n_folds=2)


@pytest.fixture
def written(about: ModelMetadata, tmp_path: Path) -> Callable[..., Path]:
    """``model.onnx`` after a change, with a new seal."""

    def write(change: Change = lambda model: None, *, folds: bool = False, **changes: Any) -> Path:
        build = build_folds_model if folds else build_model
        metadata = replace(about, output=changes.get("output", "logistic"))
        model = onnx.load_model_from_string(build([forest(1, **changes), forest(2, **changes)], metadata))
        change(model)
        path = tmp_path / "model.onnx"
        path.write_bytes(sealed(model))
        return path

    return write


def arrays(found: Forest) -> dict[str, Any]:
    plain = {name: value for name, value in vars(found).items() if name != "lookups"}
    lookups = [vars(lookup) for lookup in found.lookups]
    return {**plain, "lookups": lookups}


def with_lookup() -> dict[str, Any]:
    return {"feature": np.array([0, 2, -1, -1, -1, 1, -1, -1], dtype=np.int32), "lookups": (LOOKUP,)}


@pytest.mark.parametrize("folds", [False, True])
@pytest.mark.parametrize(
    "changes",
    [{}, {"op": "<="}, {"precision": "float64"}, {"output": "symmetric"}, {"output": "identity"}, with_lookup()],
    ids=["plain", "less or equal", "float64", "symmetric", "identity", "lookup"],
)
def test_the_forests_come_back(written, changes: dict[str, Any], folds: bool) -> None:
    found = forests_of(open_model(written(folds=folds, **changes)))
    for expected, forest_found in zip((forest(1, **changes), forest(2, **changes)), found, strict=True):
        np.testing.assert_equal(arrays(forest_found), arrays(expected))


def constant(name: str, value: float) -> Change:
    def change(model: Any) -> None:
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
        old = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(np.array(value, dtype=old.dtype), name))

    return change


def node(operator: str, **fields: Any) -> Change:
    def change(model: Any) -> None:
        found = next(node for node in model.graph.node if node.op_type == operator)
        for name, value in fields.items():
            if isinstance(value, list):
                getattr(found, name)[:] = value
            else:
                setattr(found, name, value)

    return change


def by_another_output(model: Any) -> None:
    """The answer by way of nodes of another name, the usual ones beside it."""
    for found in model.graph.node:
        found.output[:] = ["usual" if name == "output" else name for name in found.output]
    model.graph.node.append(helper.make_node("Identity", ["margin"], ["output"]))


def weights_in_another_order(model: Any) -> None:
    found = next(node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor")
    for entry in found.attribute:
        if entry.name in ("target_nodeids", "target_treeids"):
            entry.ints[:] = list(entry.ints)[::-1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (constant("answer_one", 1.5), "'answer_one' is not what it should be"),
        (constant("n_folds", 0), "'n_folds' is not"),
        (node("Sum", input=["margin_0", "margin_0"]), "'margin_sum' is not"),
        (node("Div", op_type="Mul"), "'margin' is not"),
        (node("Neg", op_type="Abs"), "not made of their sum as usual"),
        (node("Add", input=["answer_2", "answer_2"]), "'answer_3' is not"),
        (weights_in_another_order, r"is not what it should be|in another order"),
        (by_another_output, "says that it has 2 folds and the output 'logistic', and has 2 and 'identity'"),
    ],
)
def test_another_graph(written, change: Change, reason: str) -> None:
    path = written(change)
    with pytest.raises(MlbkgError, match=reason):
        open_model(path)


def test_what_goes_beside_the_answer_may_be_there(written) -> None:
    def change(model: Any) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.float32([0.5]), "threshold"))
        model.graph.node.append(helper.make_node("GreaterOrEqual", ["output", "threshold"], ["selected"]))
        model.graph.output.append(helper.make_tensor_value_info("selected", onnx.TensorProto.BOOL, ["candidates", 1]))

    assert len(forests_of(open_model(written(change)))) == 2


def test_the_layout_of_the_first_models(written) -> None:
    """They had one node for the logistic function."""

    def change(model: Any) -> None:
        nodes = [found for found in model.graph.node if not found.output[0].startswith(("answer", "output"))]
        del model.graph.node[:], model.graph.initializer[1:]
        model.graph.node.extend([*nodes, helper.make_node("Sigmoid", ["margin"], ["output"])])

    assert [found.output for found in forests_of(open_model(written(change)))] == ["logistic"] * 2


def test_models_of_others_are_opened_but_have_no_other_forms(written) -> None:
    path = written()
    model = onnx.load(path)
    constant("answer_one", 2.0)(model)
    del model.metadata_props[:]
    path.write_bytes(model.SerializeToString())
    opened = open_model(path)
    assert opened.metadata is None
    with pytest.raises(MlbkgError, match="'answer_one' is not what it should be"):
        forests_of(opened)
