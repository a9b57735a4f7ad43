"""What a model says of itself survives the file, and nonsense is refused."""

from __future__ import annotations

import json

import pytest

from mlbkg.errors import MlbkgError
from mlbkg.export.metadata import ModelMetadata, installed_versions


def test_round_trip(make_metadata) -> None:
    about = make_metadata()
    props = about.to_props()
    assert ModelMetadata.from_props(props, where="m.onnx") == about
    assert all(isinstance(text, str) for text in props.values())
    assert list(props) == sorted(props)
    assert about.feature_names[5] == "jet1_b-tag"


def test_structured_values_are_json(make_metadata) -> None:
    props = make_metadata().to_props()
    assert json.loads(props["mlbkg.event_id"]) == ["__experiment__", "__run__", "__event__"]
    assert json.loads(props["mlbkg.features"])[0]["basf2"] == "useCMSFrame(p)"
    assert props["mlbkg.title"] == "Υ(1S) → invisible"


def test_other_properties_are_ignored(make_metadata) -> None:
    props = {**make_metadata().to_props(), "author": "someone", "mlbkg.kind": "mean"}
    assert ModelMetadata.from_props(props, where="m.onnx") == make_metadata()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("features", None, "malformed: 'mlbkg.features'"),
        ("features", "[", "incomplete or malformed"),
        ("features", '[{"title":"x"}]', "incomplete or malformed"),
        ("format", "2", "metadata of format 2, this version reads 1"),
        ("config", '{"training":{"folds":9}}', "not the one it was trained with"),
    ],
)
def test_damaged_metadata_is_refused(make_metadata, name: str, text: str | None, message: str) -> None:
    props = {key: value for key, value in make_metadata().to_props().items() if text is not None or key != f"mlbkg.{name}"}
    if text is not None:
        props[f"mlbkg.{name}"] = text
    with pytest.raises(MlbkgError, match=message):
        ModelMetadata.from_props(props, where="m.onnx")


def test_versions_are_those_installed() -> None:
    import onnx

    assert installed_versions(["onnx"]) == {"onnx": onnx.__version__}
