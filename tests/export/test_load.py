"""A model file from anywhere is looked at before it is run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlbkg.errors import MlbkgError
from mlbkg.export import load
from mlbkg.export.load import open_model


@pytest.fixture
def edited(trained, tmp_path: Path) -> Callable[[Callable[[Any], None]], Path]:
    """A copy of ``model.onnx`` after a change to its protobuf message."""

    def edit(change: Callable[[Any], None]) -> Path:
        import onnx

        model = onnx.load_model_from_string(trained.models.model)
        change(model)
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return edit


def ensemble(model: Any) -> Any:
    return next(node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor")


def attribute(node: Any, name: str) -> Any:
    return next(entry for entry in node.attribute if entry.name == name)


def keep_data_elsewhere(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def keep_attribute_data_elsewhere(model: Any) -> None:
    node = model.graph.node.add(op_type="Constant", output=["secret"])
    entry = node.attribute.add(name="value", type=4)
    entry.t.data_type, entry.t.data_location = 1, 1
    location = entry.t.external_data.add()
    location.key, location.value = "location", "secret.bin"


def use_a_foreign_operator(model: Any) -> None:
    model.opset_import.add(domain="com.microsoft", version=1)
    model.graph.node.add(op_type="Inverse", domain="com.microsoft", input=["margin"], output=["x"])


def define_a_function(model: Any) -> None:
    model.functions.add(name="f", domain="")


def loop_for_ever(model: Any) -> None:
    model.graph.node.add(op_type="Loop", input=["", ""], output=["x"])


def rename_the_input(model: Any) -> None:
    model.graph.input[0].name = "features"


def walk_in_a_circle(model: Any) -> None:
    node = ensemble(model)
    modes = attribute(node, "nodes_modes").strings
    second = next(i for i, mode in enumerate(modes) if i and mode != b"LEAF")
    attribute(node, "nodes_truenodeids").ints[second] = 0


def lead_nowhere(model: Any) -> None:
    attribute(ensemble(model), "nodes_truenodeids").ints[0] = 10**6


def drop_a_feature_s_name(model: Any) -> None:
    entry = next(entry for entry in model.metadata_props if entry.key == "mlbkg.features")
    entry.value = json.dumps(json.loads(entry.value)[1:])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (keep_data_elsewhere, "data in other files"),
        (keep_attribute_data_elsewhere, "data in other files"),
        (use_a_foreign_operator, "operators of com.microsoft"),
        (define_a_function, "functions of its own"),
        (loop_for_ever, "control flow: Loop"),
        (rename_the_input, "'input', which nothing before"),
        (walk_in_a_circle, "do not form trees"),
        (lead_nowhere, "not there"),
        (drop_a_feature_s_name, "names 5 features and takes 6"),
    ],
)
def test_what_is_refused(edited, change: Callable[[Any], None], reason: str) -> None:
    with pytest.raises(MlbkgError, match=reason):
        open_model(edited(change))


def test_a_model_without_metadata_is_opened(edited) -> None:
    loaded = open_model(edited(lambda model: model.ClearField("metadata_props")))
    assert loaded.metadata is None
    assert not loaded.is_verified
    assert loaded.n_features == 6


def test_files_that_are_no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MlbkgError, match="No such file"):
        open_model(tmp_path / "nowhere.onnx")
    path = tmp_path / "model.onnx"
    for content in (b"", b"not a protobuf message", bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(MlbkgError, match=r"not a valid ONNX file|has no nodes"):
            open_model(path)
    monkeypatch.setattr(load, "MAX_BYTES", 999)
    with pytest.raises(MlbkgError, match="more than 0 MiB"):
        open_model(path)


def test_the_manifest_beside_it_is_believed(edited, tmp_path: Path) -> None:
    path = edited(lambda model: None)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"files": {"model.onnx": {"sha256": "0" * 64}}}))
    with pytest.raises(MlbkgError, match=r"is not the file that manifest\.json"):
        open_model(path)
    manifest.write_text(json.dumps({"outputs": {}}))
    assert not open_model(path).is_verified
    for rubbish in ("[]", "{", '{"files": {"model.onnx": 3}}', '{"files": 3}'):
        manifest.write_text(rubbish)
        with pytest.raises(MlbkgError, match="is not a manifest"):
            open_model(path)


def test_a_truncated_model_is_refused(trained, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    rng = np.random.default_rng(1)
    for length in rng.integers(1, len(trained.models.model), 20):
        path.write_bytes(trained.models.model[:length])
        with pytest.raises(MlbkgError):
            open_model(path)
