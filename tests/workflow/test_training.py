"""The main job, end to end on small ntuples."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import uproot

import mlbkg.stages.train as train_stage
from mlbkg.errors import EmptySampleError, MlbkgError, ParityError, WeightError
from mlbkg.export.load import open_model
from mlbkg.stages.run_folder import RunFolder, sha256_of
from mlbkg.stages.train import train
from mlbkg.tracking.mlflow_store import client_of

Small = Callable[..., Path]
BACKENDS = """
    - {backend: xgboost, n_estimators: 20, max_depth: 3}
    - {backend: lightgbm, n_estimators: 20, num_leaves: 7}
    - {backend: hist_gradient_boosting, n_estimators: 20, max_leaf_nodes: 7}"""


def test_three_backends_give_what_the_design_binds(small_analysis: Small) -> None:
    result = train(small_analysis(classifiers=BACKENDS), workers=2)
    answer = json.loads(json.dumps(result.to_json()))
    assert {"run_dir", "model", "folds_model", "mlflow_run_id", "champion", "seconds"} <= answer.keys()
    assert answer["backends"].keys() == {"xgboost", "lightgbm", "hist_gradient_boosting"}
    for found in answer["backends"].values():
        # two unit Gaussians apart by 1 in x and y, and less in z: AUC = Phi(sqrt(2) / sqrt(2)) = 0.841 from x and y alone,
        # diluted by the tau sample at half the distance
        assert 0.78 < found["auc"] < 0.95
        assert 0 < found["auc_error"] < 0.03
        assert found["signal_efficiency"] == 0.849
        assert 0 < found["background_rejection"] < 1
    assert answer["categories"].keys() == {"qqbar", "tau"}
    assert answer["categories"]["tau"]["background_efficiency"] > answer["categories"]["qqbar"]["background_efficiency"]


def test_the_run_folder_holds_what_its_manifest_says(small_analysis: Small) -> None:
    result = train(small_analysis(), workers=1)
    folder = result.run.stage("train")
    manifest = result.run.manifest("train")
    assert manifest is not None
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"manifest.json"}
    assert manifest["files"].keys() == written
    assert all(sha256_of(folder / name) == entry["sha256"] for name, entry in manifest["files"].items())
    assert {"model.onnx", "folds.onnx", "card.md", "out_of_fold.root", "config.resolved.yaml", "environment.txt"} <= written
    assert open_model(result.files.model).is_verified
    assert str(Path.cwd()) not in (folder / "model.onnx").read_bytes().decode("latin-1")


def test_same_config_and_seed_give_the_same_bytes(small_analysis: Small) -> None:
    config = small_analysis(classifiers=BACKENDS)
    first, second = train(config, workers=1), train(config, workers=2)
    assert first.run.path != second.run.path
    for name in ("model.onnx", "folds.onnx", "models/lightgbm/model.onnx", "models/hist_gradient_boosting/model.onnx"):
        assert (first.files.folder / name).read_bytes() == (second.files.folder / name).read_bytes()
    config.write_text(config.read_text().replace("seed: 7", "seed: 8"), encoding="utf-8")
    assert train(config, workers=1).files.model.read_bytes() != first.files.model.read_bytes()


def test_the_model_runs_in_five_lines_without_mlbkg(small_analysis: Small) -> None:
    result = train(small_analysis(), workers=1)
    onnx.checker.check_model(onnx.load(result.files.model))
    session = onnxruntime.InferenceSession(result.files.model)
    X = result.trained.data.sample.features
    score, margin = session.run(["output", "margin"], {"input": X})
    assert score.shape == margin.shape == (len(X), 1)
    mean = np.mean([fitted.predict_margin(X) for fitted in result.trained.fits[0].fitted], axis=0)
    np.testing.assert_allclose(margin[:, 0], mean, atol=1e-5)


def test_out_of_fold_scores_are_kept(small_analysis: Small) -> None:
    result = train(small_analysis(), workers=1)
    with uproot.open(result.files.folder / "out_of_fold.root") as file:
        table = file["out_of_fold"].arrays(library="np")
    sample, fit = result.trained.data.sample, result.trained.fits[0]
    np.testing.assert_array_equal(table["margin_xgboost"], fit.margin)
    np.testing.assert_array_equal(table["physics_weight"], sample.weight)
    np.testing.assert_array_equal(table["fold"], sample.fold)
    for split, fitted in zip(result.trained.data.splits, fit.fitted, strict=True):
        np.testing.assert_array_equal(fit.margin[split.scored], fitted.predict_margin(sample.features[split.scored]))
        trained_events = {tuple(row) for row in sample.event_id[np.concatenate([split.train, split.valid])]}
        assert not trained_events & {tuple(row) for row in sample.event_id[split.scored]}


def test_every_run_is_in_mlflow(small_analysis: Small) -> None:
    result = train(small_analysis(), workers=1)
    client = client_of("sqlite:///mlflow.db")
    run = client.get_run(result.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["champion"] == "xgboost"
    assert run.data.params["xgboost.max_depth"] == "3"
    assert run.data.metrics["xgboost/auc"] == pytest.approx(result.trained.evaluations[0].ranking.auc.value)
    assert [entry.dataset.name for entry in run.inputs.dataset_inputs] == ["signal", "qqbar", "tau"]
    figures = {artifact.path for artifact in client.list_artifacts(result.mlflow_run_id, "figures")}
    assert "figures/roc.png" in figures
    assert client.get_model_version_by_alias("small", "champion").run_id == result.mlflow_run_id


def test_a_tracking_server_that_is_not_there_loses_nothing(small_analysis: Small, caplog: pytest.LogCaptureFixture) -> None:
    config = small_analysis(replace={"sqlite:///mlflow.db": "http://127.0.0.1:9"})
    with caplog.at_level(logging.WARNING):
        result = train(config, workers=1)
    assert result.mlflow_run_id is None
    assert result.tracking_failure
    assert open_model(result.files.model).is_verified


def test_a_model_that_does_not_answer_as_trained_is_not_written(
    small_analysis: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ParityError("they differ")

    monkeypatch.setattr("mlbkg.export.write.check_parity", refuse)
    with pytest.raises(ParityError):
        train(small_analysis(), workers=1)
    assert not list(Path("runs").rglob("*.onnx"))


def test_a_killed_stage_leaves_the_one_before(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with run.writing("train") as folder:
        (folder / "manifest.json").write_text('{"number": 1}', encoding="utf-8")
    with contextlib.suppress(KeyboardInterrupt), run.writing("train") as folder:
        (folder / "manifest.json").write_text('{"number": 2}', encoding="utf-8")
        raise KeyboardInterrupt
    assert run.manifest("train") == {"number": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["01-train"]


def test_an_empty_sample_stops_before_training(small_analysis: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained on an empty sample")

    monkeypatch.setattr(train_stage, "cross_fit", never)
    with pytest.raises(EmptySampleError, match="empty after cut 1 of 1, 'mass > 11'") as caught:
        train(small_analysis(replace={"mass > 9.3": "mass > 11"}), workers=1)
    assert "1500 candidates read from 1 file -> 1500 -> 0;  mass seen: 9.2" in caught.value.details[0]


def test_negative_weights_need_a_policy(small_analysis: Small) -> None:
    config = small_analysis(replace={"weight: genweight": 'weight: "genweight - 0.6"'})
    with pytest.raises(WeightError, match="sample 'tau'"):
        train(config, workers=1)
    config.write_text(config.read_text().replace("training:\n", "training:\n  negative_weights: drop\n"), encoding="utf-8")
    result = train(config, workers=1)
    negative = result.trained.data.sample.weight < 0
    assert negative.any()
    assert (result.trained.data.weight[negative] == 0).all()
    trained_on = np.concatenate([np.concatenate([s.train, s.valid]) for s in result.trained.data.splits])
    assert not negative[trained_on].any()
    tau = next(line for line in result.trained.evaluations[0].ranking.categories if line.name == "tau")
    assert tau.expected_yield == pytest.approx(
        result.trained.data.sample.weight[result.trained.data.sample.category == 2].sum()
    )


def test_errors_are_told_before_long_work(small_analysis: Small) -> None:
    config = small_analysis(replace={"features: [x, y,": "features: [xx, yy,"})
    with pytest.raises(MlbkgError) as caught:
        train(config, workers=1)
    text = str(caught.value)
    assert "'x'" in text
    assert "yy" in text
    assert not Path("runs").exists()
