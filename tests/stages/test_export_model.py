"""What a form is asked to write, and what is refused before it is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from mlbkg.errors import ConfigError, MlbkgError, UnknownNameError
from mlbkg.evaluation.threshold_curve import ThresholdCurve
from mlbkg.export.answer import answer
from mlbkg.export.forest import Forest
from mlbkg.export.forms.base import FORMS, Form, Request
from mlbkg.export.metadata import FeatureInfo, ModelMetadata, WorkingPointInfo
from mlbkg.export.onnx import build_models
from mlbkg.stages.export_model import export_model

STUMPS = Forest(
    n_features=2,
    op="<",
    base_margin=0.25,
    precision="float32",
    tree_offset=np.array([0, 3, 6]),
    feature=np.array([0, -1, -1, 1, -1, -1], dtype=np.int32),
    threshold=np.array([0.5, 0, 0, -2, 0, 0], dtype=np.float32),
    left=np.array([1, -1, -1, 1, -1, -1], dtype=np.int32),
    right=np.array([2, -1, -1, 2, -1, -1], dtype=np.int32),
    missing_left=np.array([True, False, False, False, False, False]),
    value=np.array([0, -1.5, 0.75, 0, 0.5, -0.25]),
)
CURVE = ThresholdCurve("mRecoil", (1.0, 2.0), (0.4, 0.6))


def metadata(*points: WorkingPointInfo) -> ModelMetadata:
    return ModelMetadata(
        analysis="stumps",
        title="two stumps",
        backend="xgboost",
        features=(FeatureInfo("a"), FeatureInfo("b")),
        n_folds=2,
        salt="",
        event_id=("event",),
        working_points=points,
        class_prior=0.5,
        config={},
        data_fingerprints={},
        versions={},
    )


@pytest.fixture
def models(tmp_path: Path) -> Callable[..., Path]:
    """The folder of ``model.onnx`` and ``folds.onnx``, with these working points."""

    def build(*points: WorkingPointInfo) -> Path:
        built = build_models([STUMPS, replace(STUMPS, base_margin=-0.5)], metadata(*points))
        (tmp_path / "model.onnx").write_bytes(built.model)
        (tmp_path / "folds.onnx").write_bytes(built.folds)
        return tmp_path

    return build


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Two forms that write what they were called with; the requests they got."""
    requests: list[Request] = []

    def write(request: Request) -> bytes:
        requests.append(request)
        return f"{request.name} {request.threshold}".encode()

    FORMS.names()  # those that there are, before these two join them
    monkeypatch.setitem(FORMS._items, "plain", Form("plain", ".plain", "for tests", write))
    monkeypatch.setitem(FORMS._items, "cut", Form("cut", ".cut", "for tests", write, needs_threshold=True))
    return requests


TALK = WorkingPointInfo("talk", 0.75, 0.849, 0.007)
TIGHT = WorkingPointInfo("tight", 0.9, 0.5, 0.001)


def test_the_request_holds_the_model(models: Callable[..., Path], asked: list[Request], tmp_path: Path) -> None:
    model = models(TALK) / "model.onnx"
    result = export_model(model, tmp_path / "my-model.plain")
    assert (result.form, result.threshold) == ("plain", None)
    assert result.file.read_bytes() == b"my_model None"
    assert result.sha256 == hashlib.sha256(b"my_model None").hexdigest()
    assert json.loads(json.dumps(result.to_json()))["bytes"] == len(b"my_model None")
    rows = np.array([[0.4, -3], [0.6, 1], [np.nan, np.nan]], dtype=np.float32)
    margins = np.array([[0.25 - 1.5 + 0.5, 0.25 + 0.75 - 0.25, 0.25 - 1.5 - 0.25]], dtype=np.float32)
    expected = answer(np.mean([margins, margins - np.float32(0.75)], axis=0), asked[0].forests[0].output)
    (got,) = onnxruntime.InferenceSession(asked[0].model.content).run(["output"], {"input": rows})
    assert len(asked[0].forests) == 2
    assert np.allclose(got[:, 0], expected[0], atol=1e-7)


@pytest.mark.parametrize(
    ("settings", "threshold"),
    [({}, 0.75), ({"working_point": "tight"}, 0.9), ({"score": 0.125}, 0.125)],
)
def test_thresholds(
    models: Callable[..., Path], asked: list[Request], tmp_path: Path, settings: dict[str, object], threshold: float
) -> None:
    model = models(TALK, TIGHT) / "model.onnx"
    assert export_model(model, tmp_path / "x.cut", **settings).threshold == threshold  # type: ignore[arg-type]
    assert asked[0].threshold == threshold


@pytest.mark.parametrize(
    ("points", "file", "settings", "told"),
    [
        ((TALK,), "x.cut", {"working_point": "talks"}, "no working point 'talks'; did you mean 'talk'?"),
        ((), "x.cut", {}, "has no working points"),
        ((replace(TALK, curve=CURVE),), "x.cut", {}, "a threshold that depends on mRecoil"),
        ((TALK,), "x.cut", {"working_point": "talk", "score": 0.5}, "they may differ"),
        ((TALK,), "x.cut", {"score": float("nan")}, "got nan"),
        ((TALK,), "x.plain", {"name": "1st"}, "cannot name a C function"),
        ((TALK,), "x.unknown", {}, "does not tell which form is meant"),
    ],
)
def test_refused(
    models: Callable[..., Path],
    asked: list[Request],
    tmp_path: Path,
    points: tuple[WorkingPointInfo, ...],
    file: str,
    settings: dict[str, object],
    told: str,
) -> None:
    model = models(*points) / "model.onnx"
    with pytest.raises(ConfigError) as caught:
        export_model(model, tmp_path / file, **settings)  # type: ignore[arg-type]
    assert told in str(caught.value)
    assert not asked
    assert not (tmp_path / file).exists()


def test_what_cannot_be_another_form(models: Callable[..., Path], asked: list[Request], tmp_path: Path) -> None:
    folder = models(TALK)
    with pytest.raises(ConfigError, match="picks a forest by the fold") as caught:
        export_model(folder / "folds.onnx", tmp_path / "x.plain")
    assert str(folder / "model.onnx") in (caught.value.hint or "")
    with pytest.raises(UnknownNameError, match="did you mean 'plain'"):
        export_model(folder / "model.onnx", tmp_path / "x", form="plane")
    with pytest.raises(MlbkgError, match="cannot be read"):
        export_model(tmp_path / "none.onnx", tmp_path / "x.plain")
    assert not asked
