"""The output ``selected`` is the decision that the score makes, in every row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlbkg.errors import ConfigError, MlbkgError
from mlbkg.export.adversarial import hard_rows, probe_rows
from mlbkg.export.load import open_model
from mlbkg.export.metadata import FeatureInfo, ModelMetadata, WorkingPointInfo
from mlbkg.export.onnx import build_models
from mlbkg.export.read_back import forests_of
from mlbkg.export.session import open_session
from mlbkg.stages.export_model import export_model


@pytest.fixture
def model(trained: Any, make_metadata: Callable[..., ModelMetadata], tmp_path: Path) -> Path:
    """One with the working point 'talk' at one of its own scores."""
    one = trained
    score = open_session(one.models.model).run(["output"], {"input": one.X})[0][:, 0]
    points = (WorkingPointInfo("talk", float(np.sort(score)[len(score) // 3]), 0.849, 0.007),)
    metadata = replace(one.metadata, working_points=points)
    path = tmp_path / "model.onnx"
    path.write_bytes(build_models(one.forests, metadata).model)
    return path


def test_selected_is_what_the_score_decides(model: Path, trained: Any, tmp_path: Path) -> None:
    one = trained
    result = export_model(model, tmp_path / "cut.onnx", form="decision", working_point="talk")
    opened = open_model(tmp_path / "cut.onnx")
    session = open_session(opened.content)
    X = np.concatenate([one.X, hard_rows(one.forests, one.X), *(probe_rows(f, one.X)[0] for f in one.forests)])
    output, margin, selected = session.run(["output", "margin", "selected"], {"input": X})
    np.testing.assert_array_equal(output, open_session(open_model(model).content).run(["output"], {"input": X})[0])
    assert result.threshold is not None
    np.testing.assert_array_equal(selected, output >= np.float32(result.threshold))
    assert selected.dtype == bool
    assert selected.shape == margin.shape == (len(X), 1)
    assert (output == np.float32(result.threshold)).any()
    assert 0.05 < selected.mean() < 0.95


def test_the_forests_are_still_there(model: Path, tmp_path: Path) -> None:
    export_model(model, tmp_path / "cut.onnx", form="decision", score=0.25)
    before, after = forests_of(open_model(model)), forests_of(open_model(tmp_path / "cut.onnx"))
    assert [forest.n_nodes for forest in before] == [forest.n_nodes for forest in after]


def test_a_decision_is_made_once(model: Path, tmp_path: Path) -> None:
    export_model(model, tmp_path / "cut.onnx", form="decision", score=0.25)
    with pytest.raises(MlbkgError, match="has a decision already"):
        export_model(tmp_path / "cut.onnx", tmp_path / "again.onnx", form="decision", score=0.5)


def test_a_model_without_working_points_needs_a_score(
    trained: Any, make_metadata: Callable[..., ModelMetadata], tmp_path: Path
) -> None:
    features = [FeatureInfo(f"f{i}") for i in range(6)]
    metadata = replace(make_metadata(features=features), working_points=())
    (tmp_path / "model.onnx").write_bytes(build_models(trained.forests, metadata).model)
    with pytest.raises(ConfigError, match="has no working points"):
        export_model(tmp_path / "model.onnx", tmp_path / "cut.onnx", form="decision")
