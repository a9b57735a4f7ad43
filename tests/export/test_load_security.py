"""Attacks on whoever opens a model file: each is refused with its reason, and nothing of the file is run."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlbkg.errors import MlbkgError, is_plain
from mlbkg.export import session
from mlbkg.export.forest import MAX_DEPTH, Forest, checked
from mlbkg.export.load import open_model, read_again, read_safely
from mlbkg.export.lookup import Lookup
from mlbkg.export.metadata import PREFIX, FeatureInfo
from mlbkg.export.onnx import build_folds_model, build_model
from mlbkg.export.safety.contents import check_contents
from mlbkg.export.safety.refusal import shown
from mlbkg.selection.apply import ModelUse
from mlbkg.selection.score import open_scorer

Change = Callable[[Any], None]


def forest(**changes: Any) -> Forest:
    """Two trees, x0 < 0.5 and x1 < 1.5 and then x0 < 0."""
    whole = Forest(
        n_features=2,
        op="<",
        base_margin=0.25,
        precision="float32",
        tree_offset=np.array([0, 3, 8]),
        feature=np.array([0, -1, -1, 1, 0, -1, -1, -1], dtype=np.int32),
        threshold=np.array([0.5, 0, 0, 1.5, 0, 0, 0, 0], dtype=np.float32),
        left=np.array([1, 0, 0, 1, 3, 0, 0, 0], dtype=np.int32),
        right=np.array([2, 0, 0, 2, 4, 0, 0, 0], dtype=np.int32),
        missing_left=np.array([1, 0, 0, 0, 1, 0, 0, 0], dtype=bool),
        value=np.array([0, -1, 1, 0, 0, 0.5, 0.125, -0.5]),
    )
    return replace(whole, **changes)


@pytest.fixture
def about(make_metadata: Callable[..., Any]) -> Any:
    return make_metadata(features=[FeatureInfo("p", "GeV"), FeatureInfo("E", "GeV")], n_folds=2)


@pytest.fixture
def attacked(about: Any, tmp_path: Path) -> Callable[..., Path]:
    """``model.onnx`` or ``folds.onnx`` of two folds after a change to its protobuf message."""

    def attack(change: Change, *, folds: bool = False) -> Path:
        build = build_folds_model if folds else build_model
        model = onnx.load_model_from_string(build([forest(), forest(precision="float64")], about))
        change(model)
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return attack


def operators(model: Any, name: str) -> list[Any]:
    return [node for node in model.graph.node if node.op_type == name]


def entry(node: Any, name: str) -> Any:
    return next(found for found in node.attribute if found.name == name)


def add(model: Any, operator: str, inputs: list[str], outputs: list[str] | None = None, **attributes: Any) -> None:
    model.graph.node.append(helper.make_node(operator, inputs, outputs or ["x"], **attributes))


def constant(model: Any, name: str, values: list[int]) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(values, dtype=np.int64), name))


def small_graph() -> Any:
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    return helper.make_graph([helper.make_node("Identity", ["margin"], ["y"])], "inner", [], [value])


def test_they_are_opened_as_they_are_written(attacked) -> None:
    for folds in (False, True):
        model = open_model(attacked(lambda model: None, folds=folds))
        assert (model.n_features, model.takes_fold) == (2, folds)
        assert [(found.trees, found.nodes, found.depth) for found in model.forests] == [(2, 8, 2)] * 2


def in_an_initializer(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def in_an_initializer_that_does_not_say_so(model: Any) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def in_an_initializer_without_a_place(model: Any) -> None:
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def in_trees(model: Any) -> None:
    tensor = entry(operators(model, "TreeEnsembleRegressor")[1], "nodes_values_as_tensor").t
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../weights.bin")


def in_a_nested_graph(model: Any) -> None:
    inner = small_graph()
    inner.initializer.add(name="w", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    add(model, "If", ["margin"], then_branch=inner, else_branch=inner)


def in_a_list_of_tensors(model: Any) -> None:
    attribute = operators(model, "Cast")[0].attribute.add(name="more", type=9)
    attribute.tensors.add(data_type=1, data_location=TensorProto.EXTERNAL)


@pytest.mark.parametrize(
    "change",
    [
        in_an_initializer,
        in_an_initializer_that_does_not_say_so,
        in_an_initializer_without_a_place,
        in_trees,
        in_a_nested_graph,
        in_a_list_of_tensors,
    ],
)
def test_data_in_other_files(attacked, change: Change) -> None:
    with pytest.raises(MlbkgError, match=r"data in other files|a graph within a node|'tensors'"):
        open_model(attacked(change))


def function(model: Any) -> None:
    model.functions.append(
        helper.make_function(
            "own", "f", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], [helper.make_opsetid("", 15)]
        )
    )


def foreign_node(model: Any) -> None:
    add(model, "Inverse", ["margin"], domain="com.microsoft")


def foreign_import(model: Any) -> None:
    model.opset_import.add(domain="my.library", version=1)


def loop(model: Any) -> None:
    add(model, "Loop", ["", "", "margin"], body=small_graph())


def loop_without_a_body(model: Any) -> None:
    add(model, "Loop", ["", "", "margin"])


def newer_opset(model: Any) -> None:
    model.opset_import[0].version = 1000


def two_opsets(model: Any) -> None:
    model.opset_import.add(domain="", version=15)


def runtime_settings(model: Any) -> None:
    model.metadata_props.add(key="ort_config", value='{"session_options": {}}')


def training(model: Any) -> None:
    model.training_info.add()


def sparse(model: Any) -> None:
    model.graph.sparse_initializer.add()


def random_numbers(model: Any) -> None:
    add(model, "RandomNormalLike", ["margin"])


def strings(model: Any) -> None:
    operators(model, "Cast")[0].attribute[0].i = TensorProto.STRING


def a_wrong_domain(model: Any) -> None:
    operators(model, "TreeEnsembleRegressor")[0].domain = ""


def an_attribute_too_many(model: Any) -> None:
    operators(model, "Cast")[0].attribute.add(name="library", type=3, s=b"evil.so")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (function, "functions of its own"),
        (foreign_node, "operators of com.microsoft"),
        (foreign_import, "operators of my.library"),
        (loop, "control flow"),
        (loop_without_a_body, "control flow: Loop"),
        (newer_opset, "versions of operators"),
        (two_opsets, "versions of operators"),
        (runtime_settings, "settings for ONNX Runtime: ort_config"),
        (training, "training steps"),
        (sparse, "sparse tensors"),
        (random_numbers, "the operator: RandomNormalLike"),
        (strings, "tensors of type 8"),
        (a_wrong_domain, "the operator: TreeEnsembleRegressor"),
        (an_attribute_too_many, "unknown attributes: .*library"),
    ],
)
def test_what_is_more_than_a_model_of_trees(attacked, change: Change, reason: str) -> None:
    with pytest.raises(MlbkgError, match=reason):
        open_model(attacked(change))


def fill(*sizes: int) -> Change:
    def change(model: Any) -> None:
        constant(model, "sizes", list(sizes))
        add(model, "ConstantOfShape", ["sizes"])

    return change


def rows_squared_by_gathering(model: Any) -> None:
    add(model, "NonZero", ["fold"], ["all"])
    add(model, "Gather", ["input", "all"], axis=1)


def rows_squared_by_filling(model: Any) -> None:
    add(model, "Concat", ["rows", "rows"], ["square"], axis=0)
    add(model, "ConstantOfShape", ["square"])


def ever_wider(model: Any) -> None:
    name = "input"
    for i in range(20):
        add(model, "Concat", [name, name], [f"wide_{i}"], axis=1)
        name = f"wide_{i}"


def tile(model: Any) -> None:
    constant(model, "times", [1, 2**40])
    add(model, "Tile", ["margin", "times"])


def expand(model: Any) -> None:
    constant(model, "sizes", [2**20, 2**20])
    add(model, "Expand", ["margin", "sizes"])


def empty_but_large(model: Any) -> None:
    model.graph.initializer.add(name="w", data_type=1, dims=[2**31, 2**31])


def many_nodes(model: Any) -> None:
    for i in range(2000):
        add(model, "Add", ["wide", "wide"], [f"x{i}"])
    constant(model, "wide", list(range(2000)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (fill(2**20, 2**20), "a tensor of 1,099,511,627,776 numbers"),
        (fill(10_000_000), "a tensor of 10,000,000 numbers"),
        (fill(1, 1, 1, 1, 1, 1), "too many dimensions"),
        (rows_squared_by_gathering, "square of the rows"),
        (rows_squared_by_filling, "square of the rows"),
        (ever_wider, "numbers for each row"),
        (tile, "the operator: Tile"),
        (expand, "the operator: Expand"),
        (empty_but_large, "says that it has the shape"),
        (many_nodes, "more than 1,000,000 numbers"),
    ],
)
def test_what_grows_too_large(attacked, change: Change, reason: str) -> None:
    began = time.perf_counter()
    with pytest.raises(MlbkgError, match=reason):
        open_model(attacked(change, folds=True))
    assert time.perf_counter() - began < 2


def test_rows_squared_by_broadcasting(attacked) -> None:
    def change(model: Any) -> None:
        constant(model, "one", [1])
        add(model, "Squeeze", ["margin", "one"], ["flat"])
        add(model, "Mul", ["margin", "flat"])

    with pytest.raises(MlbkgError, match="square of the rows"):
        open_model(attacked(change))


def edited(name: str, edit: Callable[[Any], None]) -> Change:
    """A change to one attribute of the first trees, which add in float32."""

    def change(model: Any) -> None:
        edit(entry(operators(model, "TreeEnsembleRegressor")[0], name))

    return change


def put(field: str, place: int, value: Any) -> Callable[[Any], None]:
    def edit(attribute: Any) -> None:
        getattr(attribute, field)[place] = value

    return edit


def drop_last(field: str) -> Callable[[Any], None]:
    def edit(attribute: Any) -> None:
        getattr(attribute, field).pop()

    return edit


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (edited("nodes_featureids", put("ints", 0, 2)), "cut on feature 2 of 2"),
        (edited("nodes_featureids", put("ints", 0, -1)), "out of range"),
        (edited("nodes_featureids", put("ints", 1, 2**40)), "out of range"),
        (edited("nodes_truenodeids", put("ints", 0, 9)), "not there"),
        (edited("nodes_truenodeids", put("ints", 4, 0)), "do not form trees"),
        (edited("nodes_truenodeids", put("ints", 4, 1)), "do not form trees"),
        (edited("nodes_truenodeids", put("ints", 0, 2)), "do not form trees"),
        (edited("nodes_nodeids", put("ints", 1, 0)), "one number"),
        (edited("nodes_treeids", put("ints", 0, 1)), "one number|not there|do not form"),
        (edited("nodes_modes", put("strings", 1, b"BRANCH_LT")), "do not form trees"),
        (edited("nodes_modes", put("strings", 0, b"BRANCH_MEMBER")), "unknown mode"),
        (edited("nodes_modes", drop_last("strings")), "different lengths"),
        (edited("nodes_values", drop_last("floats")), "different lengths"),
        (edited("nodes_values", put("floats", 0, np.nan)), "thresholds that are not numbers"),
        (edited("nodes_missing_value_tracks_true", put("ints", 0, 7)), "missing values"),
        (edited("target_weights", put("floats", 0, np.inf)), "not finite"),
        (edited("target_weights", put("floats", 0, 3e38)), "too large to be added"),
        (edited("target_weights", drop_last("floats")), "different lengths"),
        (edited("target_ids", put("ints", 0, 1)), "target 1 of 1"),
        (edited("target_nodeids", put("ints", 0, 0)), "not there"),
        (edited("target_nodeids", put("ints", 0, 2)), "two of one leaf"),
        (edited("n_targets", lambda attribute: setattr(attribute, "i", 2**31)), "2147483648 targets"),
        (edited("aggregate_function", lambda attribute: setattr(attribute, "s", b"MAGIC")), "unknown aggregate_function"),
        (edited("nodes_modes", lambda attribute: setattr(attribute, "name", "nodes_nodes")), "unknown or there twice"),
        (edited("nodes_modes", lambda attribute: setattr(attribute, "type", 1)), "unknown or there twice"),
    ],
)
def test_trees_that_are_none(attacked, change: Change, reason: str) -> None:
    with pytest.raises(MlbkgError, match=reason):
        open_model(attacked(change))


def test_a_circle_beside_the_trees(attacked) -> None:
    """Two nodes that only lead to each other, as many as are reached twice: a count of visits does not notice."""

    def change(model: Any) -> None:
        node = operators(model, "TreeEnsembleRegressor")[0]
        for name, values in {
            "nodes_truenodeids": [1, 0, 0, 1, 3, 0, 0, 0],
            "nodes_falsenodeids": [1, 0, 0, 2, 4, 0, 0, 0],
        }.items():
            entry(node, name).ints[:] = values

    with pytest.raises(MlbkgError, match="do not form trees"):
        open_model(attacked(change))


def chain(depth: int) -> Forest:
    """One tree: every cut's right child is the next cut."""
    nodes = 2 * depth + 1
    is_split = np.arange(nodes) % 2 == 0
    is_split[-1] = False
    following = np.arange(nodes)
    return forest(
        tree_offset=np.array([0, nodes]),
        feature=np.where(is_split, 0, -1).astype(np.int32),
        threshold=np.zeros(nodes, dtype=np.float32),
        left=np.where(is_split, following + 1, 0).astype(np.int32),
        right=np.where(is_split, following + 2, 0).astype(np.int32),
        missing_left=np.zeros(nodes, dtype=bool),
        value=np.where(is_split, 0, 0.001),
    )


def test_depth_is_bounded_before_onnx_runtime_descends(about: Any) -> None:
    fits, too_deep = chain(MAX_DEPTH), chain(MAX_DEPTH + 1)
    assert checked(fits, "x") is fits
    with pytest.raises(MlbkgError, match="deeper than 1,000"):
        checked(too_deep, "x")
    content = build_model([fits, fits], about)
    assert check_contents(content, "x").forests[0].depth == MAX_DEPTH
    answers = session.open_session(content).run(["output"], {"input": np.zeros((3, 2), dtype=np.float32)})[0]
    assert np.isfinite(answers).all()
    with pytest.raises(MlbkgError, match="deeper than 1,000"):
        check_contents(build_model([too_deep, too_deep], about), "x")


def test_lookups_are_no_forest_and_pass(about: Any) -> None:
    lookup = Lookup(0, np.array([0, 1], dtype=np.float32), np.array([2, 0, 1], dtype=np.float32), np.nan)
    looked_up = forest(feature=np.array([2, -1, -1, 1, 0, -1, -1, -1], dtype=np.int32), lookups=(lookup,))
    assert len(check_contents(build_model([looked_up, looked_up], about), "x").forests) == 2


def props_with(**changes: Any) -> Change:
    def change(model: Any) -> None:
        for found in model.metadata_props:
            name = found.key.removeprefix(PREFIX)
            if name in changes:
                found.value = changes[name] if isinstance(changes[name], str) else json.dumps(changes[name])

    return change


def feature(**changes: Any) -> list[dict[str, Any]]:
    return [{"name": "p", "needs": [], **changes}, {"name": "E", "needs": []}]


@pytest.mark.parametrize(
    "change",
    [
        props_with(features=feature(name="p\x1b[2J")),
        props_with(features=feature(name="p\u202e")),
        props_with(features=feature(name="p\n")),
        props_with(features=feature(name="")),
        props_with(features=feature(name=3)),
        props_with(features=feature(basf2="\x07")),
        props_with(features=feature(needs="abc")),
        props_with(features=feature(library="x.so")),
        props_with(features="[" * 100_000),
        props_with(features=3),
        props_with(title="\x9b31m"),
        props_with(salt="\x00"),
        props_with(n_folds=10**9),
        props_with(n_folds=True),
        props_with(n_folds="2.0"),
        props_with(n_folds="9" * 5000),
        props_with(class_prior="NaN"),
        props_with(class_prior="2"),
        props_with(class_prior="1e999"),
        props_with(working_points=[{"name": "w", "threshold": "0.5", "signal_efficiency": 1, "background_efficiency": 0}]),
        props_with(working_points=[{"name": "w", "threshold": 0.5}]),
        props_with(event_id={"a": 1}),
        props_with(versions={"mlbkg": 1}),
        props_with(versions={"\x1b]0;": "1"}),
        props_with(config=[]),
        props_with(config={"seed": 1}),
    ],
)
def test_what_a_model_says_of_itself(attacked, change: Change) -> None:
    with pytest.raises(MlbkgError, match=r"incomplete or malformed|not the one it was trained with") as refused:
        open_model(attacked(change))
    assert is_plain(str(refused.value), lines=True)


def test_a_key_there_twice_or_too_much_said(attacked) -> None:
    with pytest.raises(MlbkgError, match="twice"):
        open_model(attacked(lambda model: model.metadata_props.append(model.metadata_props[0])))
    with pytest.raises(MlbkgError, match="more than 16 MiB"):
        open_model(attacked(lambda model: model.metadata_props.add(key="more", value="x" * 2**24)))


def test_what_cannot_be_read_back_is_not_written(about: Any) -> None:
    with pytest.raises(MlbkgError, match="cannot be written: features, of the wrong kind"):
        build_model([forest(), forest()], replace(about, features=(FeatureInfo("p\x1b"), FeatureInfo("E"))))


def test_damage_is_found_without_a_manifest(attacked, about: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    content = build_model([forest(), forest(precision="float64")], about)
    path.write_bytes(content)
    opened = open_model(path)
    assert (opened.is_verified, opened.is_sealed) == (False, True)
    changed = attacked(lambda model: None)
    assert open_model(changed).content == content  # what onnx parses and writes again is the same file
    place = content.index(b"answer_one")
    for damaged in (content[: place + 1] + b"m" + content[place + 2 :], content + b"\x42\x00"):
        path.write_bytes(damaged)
        with pytest.raises(MlbkgError, match=r"not as mlbkg wrote it|not a model that mlbkg opens"):
            open_model(path)
    with pytest.raises(MlbkgError, match="not as mlbkg wrote it"):
        open_model(attacked(edited("target_weights", put("floats", 0, 0.75))))
    unsealed = attacked(lambda model: model.metadata_props.pop())
    assert open_model(unsealed).metadata == about
    assert open_model(unsealed).describe()["sealed"] is False


def test_names_out_of_a_file_do_nothing_in_a_terminal(attacked) -> None:
    def change(model: Any) -> None:
        add(model, "\x1b[2J\u202eIf", ["margin"])

    with pytest.raises(MlbkgError) as refused:
        open_model(attacked(change))
    assert "\\x1b[2J\\x202eIf" in str(refused.value)
    assert shown("x" * 1000) == "x" * 200 + "…"
    assert is_plain("Υ(1S) → μ⁺μ⁻ 中")
    assert not any(map(is_plain, ("\u2066", "\ud800", "\x7f", "\n")))


def nested(n: int) -> bytes:
    """A message in a message, n times: graph, node, attribute, graph, ..."""
    content = b""
    for i in range(n):
        key = (b"\x32", b"\x2a", b"\x0a")[i % 3] if i < n - 1 else b"\x3a"
        length, head = len(content), b""
        while length > 127:
            head, length = head + bytes([length & 127 | 128]), length >> 7
        content = key + head + bytes([length]) + content
    return content


@pytest.mark.parametrize(
    "content",
    [
        b"\x3a\x80\x80\x80\x01" + b"\x0a\x00" * 2**20,  # a million empty nodes in 2 MB
        b"\x42\x00" * 2**20,  # operator sets
        b"\x3a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",  # a length of more than 64 bits
        b"\x3a\xff\xff\xff\xff\x0f",  # longer than the file
        b"\xfa\x01\x02\x08\x01",  # a field that nobody knows
        b"\x3b",  # the start of a group
        b"ORTM" + bytes(100),
        b"\x1c\x00\x00\x00ORTM" + bytes(100),  # ONNX Runtime's own format
        nested(3004),
    ],
)
def test_bytes_that_no_parser_should_see(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "load_model_from_string", lambda content: pytest.fail("parsed"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MlbkgError, match=r"is not a valid ONNX file|is not a model that mlbkg opens"):
        check_contents(content, "x.onnx")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB


def write_manifest(folder: Path, files: Any) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps({"files": files}))
    return path


@pytest.mark.parametrize(
    "name",
    ["../model.onnx", "/etc/passwd", "native/../../x", "a\\..\\b", "C:x", "", ".", "a//b", "x\x1b[2J", "./model.onnx"],
)
def test_a_manifest_that_names_files_elsewhere(attacked, tmp_path: Path, name: str) -> None:
    path = attacked(lambda model: None)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    write_manifest(tmp_path, {"model.onnx": {"sha256": sha256}, "native/fold_0.json": {"sha256": sha256}})
    assert open_model(path).is_verified
    write_manifest(tmp_path, {"model.onnx": {"sha256": sha256}, name: {"sha256": sha256}})
    with pytest.raises(MlbkgError, match="not in its folder"):
        open_model(path)


@pytest.mark.parametrize("told", [{"sha256": "1234"}, {"sha256": 5}, {"sha256": "Z" * 64}, {}, None, "[" * 10**5])
def test_a_manifest_without_a_sha256(attacked, tmp_path: Path, told: Any) -> None:
    path = attacked(lambda model: None)
    manifest = write_manifest(tmp_path, {"model.onnx": told})
    if isinstance(told, str):
        manifest.write_text(told)
    with pytest.raises(MlbkgError, match="not a manifest of mlbkg's"):
        open_model(path)


def test_a_manifest_that_is_no_file(attacked, tmp_path: Path) -> None:
    path = attacked(lambda model: None)
    (tmp_path / "manifest.json").symlink_to(tmp_path / "nowhere")
    with pytest.raises(MlbkgError, match="No such file"):
        open_model(path)
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(MlbkgError, match="Is a directory"):
        open_model(path)


def test_what_would_never_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for path, reason in ((tmp_path / "pipe.onnx", "not a file"), (Path("/dev/zero"), "not a file"), (tmp_path, "directory")):
        with pytest.raises(MlbkgError, match=reason):
            open_model(path)


def test_a_file_exchanged_after_it_was_checked(attacked, about: Any, tmp_path: Path) -> None:
    path = attacked(lambda model: None)
    opened = open_model(path)
    use = ModelUse(path, 0.5, 2, "s", None, False, sha256=opened.sha256)
    assert use.content == opened.content == read_again(path, opened.sha256) == read_safely(path)
    path.write_bytes(build_model([forest(), forest()], about))
    for read in (lambda: use.content, lambda: open_model(path, sha256=opened.sha256)):
        with pytest.raises(MlbkgError, match="is not what it was before"):
            read()
    unchecked = ModelUse(attacked(loop), 0.5, 2, "s", None, False)
    with pytest.raises(MlbkgError, match="control flow"):
        _ = unchecked.content


def test_sessions_take_bytes_only_and_one_thread(about: Any) -> None:
    content = build_model([forest(), forest()], about)
    opened = session.open_checked_session(content, "x")
    options = opened.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.load_model_format") == "ONNX"
    with pytest.raises(MlbkgError, match="does not take the model"):
        session.open_session(b"ORTM")
    with open_scorer(content, threads=1) as scorer:
        scores = scorer.start(np.zeros((3, 5), dtype=np.float32), np.zeros(3, dtype=np.int8))
        with pytest.raises(MlbkgError, match="cannot be applied to 3 rows of 5 features"):
            scores()
