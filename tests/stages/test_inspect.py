"""What inspect finds in the models that ship with mlbkg, and in what is made of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mlbkg.cli.show_model import inspect_text
from mlbkg.stages.export_model import export_model
from mlbkg.stages.import_model import import_model
from mlbkg.stages.inspect import inspect

MODELS = Path(__file__).parents[2] / "models" / "upsilon1s"
FASTBDT = Path(__file__).parents[1] / "export" / "importers" / "data" / "fastbdt"
COLUMN = {"type": "float32", "shape": [None, 1]}


def checks(found: dict[str, Any]) -> dict[str, bool | None]:
    return {check["name"]: check["passed"] for check in found["checks"]}


def test_a_trained_model() -> None:
    found = inspect(MODELS / "model.onnx")
    assert found["inputs"] == [{"name": "input", "type": "float32", "shape": [None, 28]}]
    assert found["outputs"] == [{"name": "output", **COLUMN}, {"name": "margin", **COLUMN}]
    assert checks(found) == {
        "safe to open": True,
        "manifest": True,
        "sealed": None,
        "layout": True,
        "ONNX Runtime": True,
        "basf2": True,
    }
    assert found["selected_at"] is None
    text = inspect_text(found)
    for told in (
        "Υ(1S) → invisible (upsilon1s)",
        "trained: xgboost, 5 folds",
        "EGammaMax",
        "GeV",
        "nROE_Charged",
        "84.90 %",
    ):
        assert told in text


def test_a_model_that_takes_folds_is_none_for_basf2() -> None:
    model, folds = inspect(MODELS / "model.onnx"), inspect(MODELS / "folds.onnx")
    assert checks(folds)["basf2"] is False
    assert "use model.onnx, the mean of the folds" in folds["checks"][-1]["finding"]
    assert folds["cost_ns"] == pytest.approx(model["cost_ns"] / 5)
    assert {"name": "fold", "type": "int64", "shape": [None]} in folds["inputs"]


def test_a_copy_without_its_manifest(tmp_path: Path) -> None:
    shutil.copy(MODELS / "model.onnx", tmp_path)
    found = inspect(tmp_path / "model.onnx")
    assert checks(found)["manifest"] is None
    assert "none beside it" in inspect_text(found)


def test_a_decision(tmp_path: Path) -> None:
    export_model(MODELS / "model.onnx", tmp_path / "cut.onnx", form="decision", working_point="signal efficiency 0.849")
    found = inspect(tmp_path / "cut.onnx")
    assert found["selected_at"] == pytest.approx(0.953426, abs=5e-7)
    assert found["outputs"][-1] == {"name": "selected", "type": "bool", "shape": [None, 1]}
    assert checks(found)["basf2"] is True
    assert checks(found)["sealed"] is True
    assert "selected is output >= 0.953426" in inspect_text(found)


def test_a_model_that_takes_branches(tmp_path: Path) -> None:
    export_model(MODELS / "model.onnx", tmp_path / "raw.onnx", form="raw-inputs")
    found = inspect(tmp_path / "raw.onnx")
    kinds = {one["name"]: one["feature"] for one in found["raw_inputs"]}
    assert (kinds["daughter0_px"], kinds["nTracksROE"]) == (False, True)
    assert {one["name"] for one in found["inputs"]} == set(kinds)
    assert checks(found)["basf2"] is False
    assert "feature, needs" in inspect_text(found)


def test_an_imported_model_says_what_it_was(tmp_path: Path) -> None:
    import_model("fastbdt", FASTBDT / "basf2_v5.xml", tmp_path / "old.onnx")
    found = inspect(tmp_path / "old.onnx")
    text = inspect_text(found)
    assert "imported from FastBDT 5 in a basf2 weightfile" in text
    assert "daughter(0, pt)" in text
    assert "trained:" not in text
    assert "Working points" not in text


def test_a_model_of_somebody_else(tmp_path: Path) -> None:
    import onnx

    model = onnx.load_model(str(MODELS / "model.onnx"))
    del model.metadata_props[:]
    (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
    found = inspect(tmp_path / "other.onnx")
    assert (found["metadata"], found["cost_ns"]) == (None, None)
    assert checks(found)["layout"] is None
    assert "Not written by mlbkg" in inspect_text(found)


def test_other_inputs_are_listed(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("a", "b", "output")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["output"])], "sum", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (tmp_path / "sum.onnx").write_bytes(model.SerializeToString())
    found = inspect(tmp_path / "sum.onnx")
    assert [one["name"] for one in found["inputs"]] == ["a", "b"]
    assert checks(found)["basf2"] is False
    assert checks(found)["ONNX Runtime"] is False
    assert "in:  a float32 [None, 1], b float32 [None, 1]" in inspect_text(found)
