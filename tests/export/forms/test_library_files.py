"""Files for XGBoost and treelite, read by these: the same branches as ONNX Runtime, and the same answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.adversarial import hard_rows, probe_rows
from mlbkg.export.forest import Forest
from mlbkg.export.forms.base import FORMS
from mlbkg.export.importers.base import IMPORTERS
from mlbkg.export.load import open_model
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.native import load_forest
from mlbkg.export.onnx import build_model
from mlbkg.export.session import open_session
from mlbkg.stages.export_model import export_model

DATA = Path(__file__).parents[1] / "importers" / "data"


def by_xgboost(path: Path, X: NDArray[np.float32]) -> NDArray[Any]:
    import xgboost

    booster = xgboost.Booster(model_file=str(path))
    booster.set_param({"nthread": 1})
    return np.asarray(booster.inplace_predict(X, validate_features=False))


def by_treelite(path: Path, X: NDArray[np.float32]) -> NDArray[Any]:
    import treelite

    return np.asarray(treelite.gtil.predict(treelite.Model.deserialize(str(path)), X, nthread=1)).ravel()


READERS = {"xgboost-json": by_xgboost, "treelite": by_treelite}


def three_leaves(leaves: NDArray[np.float64], precision: Literal["float32", "float64"] = "float32") -> Forest:
    """``x <= 1``, then ``x <= 2``; NaN goes right at both. The third leaf is where x > 2 and NaN go."""
    return Forest(
        n_features=1,
        op="<=",
        base_margin=0.0,
        precision=precision,
        tree_offset=np.array([0, 5]),
        feature=np.array([0, -1, 0, -1, -1], dtype=np.int32),
        threshold=np.array([1, 0, 2, 0, 0], dtype=np.float32),
        left=np.array([1, -1, 3, -1, -1], dtype=np.int32),
        right=np.array([2, -1, 4, -1, -1], dtype=np.int32),
        missing_left=np.zeros(5, dtype=bool),
        value=np.array([0, leaves[0], 0, leaves[1], leaves[2]]),
        output="identity",
    )


def written(folder: Path, forests: Any, metadata: ModelMetadata) -> Path:
    (folder / "model.onnx").write_bytes(build_model(forests, metadata))
    return folder / "model.onnx"


@pytest.mark.parametrize("n_folds", [1, 3])
@pytest.mark.parametrize("form", READERS)
def test_the_libraries_answer_alike(
    form: str, n_folds: int, trained: Any, make_metadata: Callable[..., ModelMetadata], tmp_path: Path
) -> None:
    forests = trained.forests[:n_folds]
    model = written(tmp_path, forests, make_metadata(trained.backend, n_folds=n_folds))
    other = tmp_path / f"other{FORMS[form].suffix}"
    export_model(model, other, form=form)
    X = np.concatenate([trained.X, hard_rows(forests, trained.X), *(probe_rows(f, trained.X)[0] for f in forests)])
    if form == "xgboost-json":  # XGBoost's inplace_predict takes no infinity
        X = X[~np.isinf(X).any(axis=1)]
    expected = open_session(open_model(model).content).run(["output"], {"input": X})[0][:, 0]
    found = READERS[form](other, X)
    assert len(X) > 3000
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_margins_of_xgboost_come_back_bit_by_bit(
    trained: Any, make_metadata: Callable[..., ModelMetadata], tmp_path: Path
) -> None:
    """Those of others are added in float32 there, and in float64 in ONNX Runtime."""
    import xgboost

    model = written(tmp_path, trained.forests[:1], make_metadata(trained.backend, n_folds=1))
    export_model(model, tmp_path / "m.json", form="xgboost-json")
    booster = xgboost.Booster(model_file=str(tmp_path / "m.json"))
    rows = xgboost.DMatrix(trained.X, feature_names=booster.feature_names)
    margin = booster.predict(rows, output_margin=True)
    expected = open_session(open_model(model).content).run(["margin"], {"input": trained.X})[0][:, 0]
    np.testing.assert_allclose(margin, expected, rtol=0, atol=0 if trained.backend == "xgboost" else 2e-6)


def test_margins_of_treelite_come_back_bit_by_bit(
    trained: Any, make_metadata: Callable[..., ModelMetadata], tmp_path: Path
) -> None:
    import treelite

    model = written(tmp_path, trained.forests[:1], make_metadata(trained.backend, n_folds=1))
    export_model(model, tmp_path / "m.treelite")
    X = np.concatenate([trained.X, hard_rows(trained.forests[:1], trained.X)])
    read = treelite.Model.deserialize(str(tmp_path / "m.treelite"))
    margin = treelite.gtil.predict(read, X, nthread=1, pred_margin=True).ravel().astype(np.float32)
    expected = open_session(open_model(model).content).run(["margin"], {"input": X})[0][:, 0]
    np.testing.assert_array_equal(margin, expected)


@pytest.mark.parametrize("form", READERS)
def test_answers_that_are_margins(form: str, make_metadata: Callable[..., ModelMetadata], tmp_path: Path) -> None:
    forest = three_leaves(np.array([0.25, -3.5, 1.5]))
    features = [FeatureInfo("x")]
    model = written(tmp_path, [forest], replace(make_metadata(features=features, n_folds=1), output="identity"))
    other = tmp_path / f"other{FORMS[form].suffix}"
    export_model(model, other, form=form)
    X = np.array([[0.5], [1.0], [1.5], [2.0], [np.nan]], dtype=np.float32)
    np.testing.assert_array_equal(READERS[form](other, X), [0.25, 0.25, -3.5, -3.5, 1.5])


def test_xgboost_adds_in_float32(
    make_metadata: Callable[..., ModelMetadata], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """0.1 is 1.49e-9 off in float32, and a sum as large as 0.1 rounds by up to 5.96e-9: 7.5e-9 together."""
    features = [FeatureInfo("x")]
    metadata = replace(make_metadata(features=features, n_folds=1), output="identity")
    model = written(tmp_path, [three_leaves(np.array([0.1, 0.0, 0.0]), "float64")], metadata)
    export_model(model, tmp_path / "m.json", form="xgboost-json")
    assert "margins differ by up to 7e-09" in caplog.text


def test_treelite_stops_at_missing_values_as_fastbdt_does(
    make_metadata: Callable[..., ModelMetadata], tmp_path: Path
) -> None:
    forest = IMPORTERS["fastbdt"].read((DATA / "fastbdt" / "v4_forest.txt").read_bytes(), "old").forest
    features = [FeatureInfo(f"f{i}") for i in range(forest.n_features)]
    model = written(tmp_path, [forest], make_metadata(features=features, n_folds=1))
    export_model(model, tmp_path / "m.treelite")
    X = np.random.default_rng(3).normal(size=(2000, forest.n_features)).astype(np.float32)
    X = np.concatenate([hard_rows([forest], X), np.where(X > 1, np.float32(np.nan), X)])
    expected = open_session(open_model(model).content).run(["output"], {"input": X})[0][:, 0]
    np.testing.assert_allclose(by_treelite(tmp_path / "m.treelite", X), expected, rtol=0, atol=1e-6)


def test_treelite_checkpoints_can_be_read_again(
    trained: Any, make_metadata: Callable[..., ModelMetadata], tmp_path: Path
) -> None:
    model = written(tmp_path, trained.forests[:1], make_metadata(trained.backend, n_folds=1))
    export_model(model, tmp_path / "m.treelite")
    again, before = load_forest("treelite", tmp_path / "m.treelite"), trained.forests[0]
    is_split = before.feature >= 0
    np.testing.assert_array_equal(again.tree_offset, before.tree_offset)
    np.testing.assert_array_equal(again.feature, before.feature)
    for name in ("left", "right", "missing_left", "threshold"):
        np.testing.assert_array_equal(getattr(again, name)[is_split], getattr(before, name)[is_split])


@pytest.mark.parametrize(
    ("source", "form", "reason"),
    [
        ("lightgbm/v2.3.1_categories.txt", "xgboost-json", "looks categories or bins up"),
        ("lightgbm/v2.3.1_categories.txt", "treelite", "looks categories or bins up"),
        ("fastbdt/v4_forest.txt", "xgboost-json", "it cuts at infinity"),
        ("tmva", "xgboost-json", "its answer is 2 p - 1"),
        ("tmva", "treelite", "its answer is 2 p - 1"),
    ],
)
def test_refused(source: str, form: str, reason: str, make_metadata: Callable[..., ModelMetadata], tmp_path: Path) -> None:
    paths = sorted((DATA / source).glob("gradient.xml")) if source == "tmva" else [DATA / source]
    forest = IMPORTERS[source.partition("/")[0]].read(paths[0].read_bytes(), "old").forest
    features = [FeatureInfo(f"f{i}") for i in range(forest.n_features)]
    model = written(tmp_path, [forest], replace(make_metadata(features=features, n_folds=1), output=forest.output))
    with pytest.raises(MlbkgError, match=reason):
        export_model(model, tmp_path / "other", form=form)
