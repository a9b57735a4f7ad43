"""What a model says of itself survives the file, and nonsense is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mlbkg.errors import MlbkgError
from mlbkg.evaluation.threshold_curve import ThresholdCurve
from mlbkg.export.metadata import ModelMetadata, WorkingPointInfo, installed_versions


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


CURVE = ThresholdCurve("m2Recoil", (-0.5, 0.1, 72.25), (0.25, 0.75, 0.5))


def test_a_cut_that_changes_with_the_mass_survives_the_file(make_metadata) -> None:
    points = (WorkingPointInfo("per window", 0.25, 0.5, 0.01, CURVE), WorkingPointInfo("talk", 0.75, 0.849, 0.007))
    about = replace(make_metadata(), working_points=points)
    props = about.to_props()
    assert ModelMetadata.from_props(props, where="m.onnx") == about
    written = json.loads(props["mlbkg.working_points"])
    assert written[0]["curve"] == {"variable": "m2Recoil", "at": [-0.5, 0.1, 72.25], "threshold": [0.25, 0.75, 0.5]}
    assert "curve" not in written[1], "what older programs read has not changed"


@pytest.mark.parametrize(("at", "threshold"), [([], []), ([1.0], [0.5, 0.6]), ([2.0, 1.0], [0.5, 0.6])])
def test_a_damaged_curve_is_refused(make_metadata, at: list[float], threshold: list[float]) -> None:
    curve = {"variable": "m2Recoil", "at": at, "threshold": threshold}
    point = {"name": "x", "threshold": 0.25, "signal_efficiency": 0.5, "background_efficiency": 0.01, "curve": curve}
    props = {**make_metadata().to_props(), "mlbkg.working_points": json.dumps([point])}
    with pytest.raises(MlbkgError, match="needs a threshold for each of rising values"):
        ModelMetadata.from_props(props, where="m.onnx")
