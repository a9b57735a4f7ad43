"""Files for XGBoost and treelite, read by these: the same branches as ONNX Runtime, and the same answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.adversarial import hard_rows, probe_rows
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
    from dataclasses import replace

    paths = sorted((DATA / source).glob("gradient.xml")) if source == "tmva" else [DATA / source]
    forest = IMPORTERS[source.partition("/")[0]].read(paths[0].read_bytes(), "old").forest
    features = [FeatureInfo(f"f{i}") for i in range(forest.n_features)]
    model = written(tmp_path, [forest], replace(make_metadata(features=features, n_folds=1), output=forest.output))
    with pytest.raises(MlbkgError, match=reason):
        export_model(model, tmp_path / "other", form=form)
