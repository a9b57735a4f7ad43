"""Another program's model becomes an ONNX file that answers alike, and that inspect and select take as one of ours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import uproot
import xgboost
import yaml

from mlbkg.errors import ConfigError, FeatureMismatchError, MlbkgError, ParityError
from mlbkg.export.importers.base import IMPORTERS, Importer
from mlbkg.export.load import MANIFEST, open_model
from mlbkg.stages.import_model import import_model
from mlbkg.stages.select import select

NAMES = ("mass", "energy", "angle")
RNG = np.random.default_rng(11)
X = RNG.normal(size=(4000, 3)).astype(np.float32)
X[RNG.random(X.shape) < 0.05] = np.nan
Y = np.nan_to_num(X[:, 0]) + 0.5 * np.nan_to_num(X[:, 2]) > 0


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    data = xgboost.DMatrix(X, Y, feature_names=list(NAMES))
    return xgboost.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, data, 20)


@pytest.fixture
def source(booster: xgboost.Booster, tmp_path: Path) -> Path:
    path = tmp_path / "old.json"
    booster.save_model(path)
    return path


def names_file(folder: Path, *lines: str) -> Path:
    path = folder / "names.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def scores(model: Path, rows: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(model).run(["output"], {"input": rows})[0][:, 0]


def test_it_answers_as_the_original(booster: xgboost.Booster, source: Path, tmp_path: Path) -> None:
    result = import_model("xgboost", source, tmp_path / "new.onnx")
    expected = booster.predict(xgboost.DMatrix(X, feature_names=list(NAMES)))
    assert np.abs(scores(result.model, X) - expected).max() < 2e-7
    assert (result.trees, result.features, result.output) == (20, NAMES, "logistic")
    assert result.rows > 10_000
    assert result.max_difference < 1e-6
    metadata = open_model(result.model).metadata
    assert metadata is not None
    assert metadata.feature_names == NAMES
    assert metadata.origin == result.program
    assert json.loads(json.dumps(result.to_json()))["features"] == list(NAMES)


def test_the_same_names_in_another_order_reorder_the_input(source: Path, tmp_path: Path) -> None:
    plain = import_model("xgboost", source, tmp_path / "plain.onnx")
    turned = import_model(
        "xgboost", source, tmp_path / "turned.onnx", features=names_file(tmp_path, "angle", "mass", "energy")
    )
    assert turned.features == ("angle", "mass", "energy")
    assert np.array_equal(scores(plain.model, X), scores(turned.model, X[:, [2, 0, 1]]))


def test_other_names_rename_by_position(source: Path, tmp_path: Path) -> None:
    plain = import_model("xgboost", source, tmp_path / "plain.onnx")
    named = import_model(
        "xgboost", source, tmp_path / "named.onnx", features=names_file(tmp_path, "# new", "a", "", " b", "c")
    )
    assert named.features == ("a", "b", "c")
    assert np.array_equal(scores(plain.model, X), scores(named.model, X))


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["a", "b"], "has 3 features, 2 are named"),
        (["a", "b", "a"], "'a' stands on line 1, too"),
        (["# nothing"], "must name each feature once"),
    ],
)
def test_wrong_names_are_refused(source: Path, tmp_path: Path, lines: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        import_model("xgboost", source, tmp_path / "new.onnx", features=names_file(tmp_path, *lines))
    assert told in str(caught.value)
    assert not (tmp_path / "new.onnx").exists()


def test_a_file_that_is_none_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"\x80\x04junk")
    with pytest.raises(MlbkgError):
        import_model("xgboost", tmp_path / "junk", tmp_path / "new.onnx")
    with pytest.raises(MlbkgError, match="cannot be read"):
        import_model("xgboost", tmp_path / "none", tmp_path / "new.onnx")
    assert not (tmp_path / "new.onnx").exists()


def test_a_trained_model_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"files": {"model.onnx": {"sha256": "0"}}}), encoding="utf-8")
    with pytest.raises(ConfigError, match="belongs to the training"):
        import_model("xgboost", source, tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match="written as ONNX"):
        import_model("xgboost", source, tmp_path / "model.bin")


def test_a_reader_that_errs_is_caught(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One leaf of one tree is changed behind the back of the numbers that are compared with."""
    right = IMPORTERS["xgboost"].read

    def read(content: bytes, where: str) -> object:
        imported = right(content, where)
        value = imported.forest.value.copy()
        value[np.flatnonzero(imported.forest.feature < 0)[3]] += 1e-3
        return replace(imported, forest=replace(imported.forest, value=value))

    monkeypatch.setitem(IMPORTERS._items, "xgboost", Importer("xgboost", "", read))  # type: ignore[arg-type]
    with pytest.raises(ParityError, match="differs from XGBoost"):
        import_model("xgboost", source, tmp_path / "new.onnx")
    assert not (tmp_path / "new.onnx").exists()


def analysis(folder: Path, features: list[str]) -> Path:
    """Ntuples with one row a candidate, and a config that cuts on a score."""
    for name, part in (("signal", Y), ("background", ~Y)):
        columns = {feature: X[part, i] for i, feature in enumerate(NAMES)}
        with uproot.recreate(folder / f"{name}.root") as file:
            file.mktree("tree", dict.fromkeys(columns, np.float32) | {"event": np.int64})
            file["tree"].extend({**columns, "event": np.arange(int(part.sum()))})
    config = {
        "analysis": "old",
        "luminosity_per_fb": 1,
        "ntuples": {"tree": "tree", "event_id": ["event"]},
        "samples": [
            {
                "name": name,
                "role": name,
                "files": str(folder / f"{name}.root"),
                "cross_section_nb": 1.0,
                "generated_events": 4000,
            }
            for name in ("signal", "background")
        ],
        "features": features,
        "training": {"classifiers": [{"backend": "xgboost"}]},
        "selection": {"working_point": {"score": 0.6}},
        "tracking": {"enabled": False},
    }
    path = folder / "old.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def test_select_takes_it(booster: xgboost.Booster, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = import_model("xgboost", source, tmp_path / "new.onnx").model
    result = select(analysis(tmp_path, list(NAMES)), model=model, output=tmp_path / "skims", workers=1)
    expected = int((booster.predict(xgboost.DMatrix(X, feature_names=list(NAMES))) >= np.float32(0.6)).sum())
    assert sum(file.selected for file in result.files) == expected
    assert 0 < expected < len(X)
    assert "what events it was trained on is not known" in caplog.text
    with pytest.raises(FeatureMismatchError, match="are not those of the config"):
        select(analysis(tmp_path, ["energy", "mass", "angle"]), model=model, output=tmp_path / "skims", workers=1)
