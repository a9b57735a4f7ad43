"""What a training tells a tracking server: few figures that always have the same names, and the rest in groups."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score, roc_curve

from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.report.markdown import as_markdown
from mlbkg.report.tables import Table
from mlbkg.stages.train import TrainResult, train
from mlbkg.tracking.base import NullLog

CONFIG = """\
analysis: tiny
title: A tiny search
seed: 3
ntuples: {tree: t, event_id: [event]}
samples:
  - {name: signal, role: signal, files: signal.root}
  - {name: background, role: background, files: background.root, weight: w}
features: [x, y]
spectators: [mass]
training:
  folds: 3
  classifiers:
    - {backend: xgboost, n_estimators: 110, max_depth: 3, early_stopping_rounds: null}
    - {backend: xgboost, name: stump, n_estimators: 3, max_depth: 1}
evaluation: {bootstrap: 10, permutation_rows: 100, signal_efficiency: 0.7, compare_features: [x]}
selection: {working_point: {signal_efficiency: 0.5}}
"""


class Remembering(NullLog):
    """A tracking server that remembers all it is told."""

    def __init__(self, **opened: Any) -> None:
        self.opened = opened
        self.told_parameters: dict[str, object] = {}
        self.told_metrics: dict[str, float] = {}
        self.curves: dict[str, dict[int, float]] = {}
        self.told_tags: dict[str, str] = {}
        self.datasets: dict[str, dict[str, Any]] = {}
        self.artifacts: dict[str, str] = {}
        self.models: list[dict[str, Any]] = []

    def parameters(self, values: Mapping[str, object]) -> None:
        self.told_parameters |= values

    def metrics(self, values: Mapping[str, float], *, step: int | None = None) -> None:
        if step is None:
            self.told_metrics |= values
        for name, value in values.items() if step is not None else ():
            self.curves.setdefault(name, {})[step] = value

    def tags(self, values: Mapping[str, str]) -> None:
        self.told_tags |= values

    def dataset(self, name: str, **told: Any) -> None:
        self.datasets[name] = told

    def artifact(self, path: Path, *, folder: str = "") -> None:
        assert path.is_file()
        self.artifacts[path.name] = folder

    def onnx_model(self, path: Path, **told: Any) -> None:
        self.models.append({**told, "card": told["card"].read_text(encoding="utf-8")})


def write(path: str, *, shift: float, first: int) -> None:
    rng = np.random.default_rng(first)
    with AtomicRootWriter(path, tree="t") as writer:
        columns = {name: rng.normal(shift, 1, 600) for name in ("x", "y")}
        weight = {"mass": rng.random(600), "w": rng.uniform(0.5, 1.5, 600)}
        writer.extend({**columns, **weight, "event": np.arange(first, first + 600)})


def trained(folder: Path, *, patch: pytest.MonkeyPatch, text: str = CONFIG) -> tuple[TrainResult, Remembering]:
    patch.chdir(folder)
    write("signal.root", shift=1, first=0)
    write("background.root", shift=0, first=1000)
    Path("tiny.yaml").write_text(text, encoding="utf-8")
    opened: list[Remembering] = []

    def open_log(**options: Any) -> Remembering:
        opened.append(Remembering(**options))
        return opened[-1]

    patch.setattr("mlbkg.stages.training_log.open_log", open_log)
    result = train(Path("tiny.yaml"), workers=1)
    (log,) = opened
    return result, log


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainResult, Remembering]:
    with pytest.MonkeyPatch.context() as patch:
        return trained(tmp_path_factory.mktemp("tiny"), patch=patch)


Told = tuple[TrainResult, Remembering]


def test_figures_without_a_group_are_few_and_the_champions(told: Told) -> None:
    result, log = told
    plain = {name for name in log.told_metrics if "/" not in name}
    assert plain == {
        *("auc", "auc_error", "background_rejection", "background_rejection_error", "signal_efficiency", "log_loss"),
        *("sculpting", "trees", "fit_seconds", "seconds"),
    }
    assert list(log.told_metrics)[:2] == ["auc", "auc_error"], "MLflow lists them as they came"
    ranking = result.trained.best.ranking
    assert log.told_metrics["auc"] == log.told_metrics["xgboost/auc"] == ranking.auc.value
    assert log.told_metrics["background_rejection_error"] == ranking.background_rejection.error
    assert log.told_metrics["signal_efficiency"] == 0.7
    assert log.told_metrics["trees"] == 110
    assert log.told_metrics["seconds"] >= log.told_metrics["seconds/fitting"] > 0
    groups = {name.rpartition("/")[0] for name in log.told_metrics} - {""}
    assert groups == {"xgboost", "stump", "comparison", "background_efficiency", "sculpting", "seconds"}


def test_figures_of_a_fold_are_those_that_scikit_learn_finds(told: Told) -> None:
    result, log = told
    sample, fit = result.trained.data.sample, result.trained.fits[1]
    for split in result.trained.data.splits:
        margin, label, weight = (values[split.scored] for values in (fit.margin, sample.label, sample.weight))
        assert log.curves["stump/auc_by_fold"][split.fold] == pytest.approx(
            roc_auc_score(label, margin, sample_weight=weight), abs=1e-12
        )
        kept_background, kept_signal, _ = roc_curve(label, margin, sample_weight=weight, drop_intermediate=False)
        first = np.argmax(kept_signal >= 0.7 * (1 - 1e-12))
        assert log.curves["stump/background_rejection_by_fold"][split.fold] == pytest.approx(
            1 - kept_background[first], abs=1e-12
        )
        signal = label == 1
        alike = np.where(signal, 1 / weight[signal].sum(), 1 / weight[~signal].sum()) * weight
        assert log.curves["stump/log_loss_by_fold"][split.fold] == pytest.approx(
            log_loss(label, 1 / (1 + np.exp(-margin)), sample_weight=alike), abs=1e-9
        )


def test_curves_of_the_champion_are_where_other_trainings_have_theirs(told: Told) -> None:
    result, log = told
    for name in ("auc_by_fold", "background_rejection_by_fold", "log_loss_by_fold", "validation_loss"):
        assert log.curves[name] == log.curves[f"xgboost/{name}"]
        assert f"comparison/{name}" in log.curves
    loss = log.curves["validation_loss"]
    assert len(loss) == 100, "of 110 rounds"
    assert (min(loss), max(loss)) == (1, 110)
    assert loss[110] == pytest.approx(np.mean([curve[-1] for curve in result.trained.fits[0].curves]), abs=1e-12)


def test_parameters_are_all_there_for_the_compare_page(told: Told) -> None:
    result, log = told
    assert log.told_parameters["xgboost.max_depth"] == 3
    assert log.told_parameters["stump.max_depth"] == 1
    defaults = type(result.trained.fits[1].contender.params)().model_dump()
    assert log.told_parameters["stump.subsample"] == defaults["subsample"], "a default, too"
    assert {f"stump.{name}" for name in defaults} <= log.told_parameters.keys()
    assert log.told_parameters["features"] == "x, y"
    assert log.told_parameters["working_point"] == "signal efficiency 0.5"


def test_tags_say_what_a_run_is_of(told: Told) -> None:
    result, log = told
    tags = log.told_tags
    assert (tags["analysis"], tags["stage"], tags["champion"], tags["scale"]) == ("tiny", "train", "xgboost", "1")
    assert tags["features_sha256"] == hashlib.sha256(b'["x", "y"]').hexdigest()
    assert tags["config_sha256"] == hashlib.sha256(CONFIG.encode()).hexdigest()
    fingerprints = json.dumps(result.trained.data.fingerprints, sort_keys=True)
    assert tags["data_sha256"] == hashlib.sha256(fingerprints.encode()).hexdigest()
    assert tags["mlflow.source.name"] == tags["config"] == "tiny.yaml"
    assert all(tags.values()), "MLflow shows empty ones, too"
    assert log.datasets["background"]["rows"] == 600


def test_runs_on_the_same_folds_are_known_by_their_events(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, log = told
    other = CONFIG.replace("features: [x, y]", "features: [y]").replace("compare_features: [x]", "compare_features: []")
    _, fewer = trained(tmp_path, patch=monkeypatch, text=other.replace("n_estimators: 110", "n_estimators: 2"))
    assert fewer.told_tags["events_sha256"] == log.told_tags["events_sha256"]
    assert fewer.told_tags["data_sha256"] != log.told_tags["data_sha256"]
    salted = other.replace("folds: 3", "folds: 3\n  salt: another").replace("n_estimators: 110", "n_estimators: 2")
    _, elsewhere = trained(tmp_path, patch=monkeypatch, text=salted)
    assert elsewhere.told_tags["events_sha256"] != log.told_tags["events_sha256"]


def test_name_and_note_tell_the_run_without_a_click(told: Told) -> None:
    result, log = told
    assert log.opened["run_name"] == f"{result.run.name[-6:]} xgboost"
    assert time.time() - log.opened["began"] > result.seconds["fitting"], "MLflow's duration is that of the work"
    assert log.opened["spool"].parts[:3] == ("runs", "tiny", "unsent")
    head, _, champion, *rest = log.opened["description"].splitlines()
    assert "AUC" in head
    assert champion.startswith("| **xgboost**")
    auc = result.trained.best.ranking.auc.value
    assert f"**{auc:.3f}" in champion.replace(" ", "")
    text = "\n".join(rest)
    assert re.search(r"`score >= 0\.\d+` keeps 50.* % of the signal and rejects \d\d.* % of the background", text)
    assert f"`{result.run.path}`" in text
    assert not re.search(r"[`\s]/", text), "no absolute path"


def test_files_lie_in_folders_by_their_kind(told: Told) -> None:
    _, log = told
    assert log.artifacts["card.md"] == ""
    assert log.artifacts["roc.png"] == "figures"
    assert log.artifacts["evaluation.json"] == "tables"
    assert log.artifacts["config.yaml"] == "config"
    assert log.artifacts["folds.onnx"] == log.artifacts["model.onnx"] == "models"


def test_the_registered_model_says_what_it_is(told: Told) -> None:
    result, log = told
    (model,) = log.models
    assert (model["name"], model["alias"]) == ("tiny", "champion")
    assert model["card"].startswith("# A tiny search")
    assert re.match(
        r"xgboost: AUC 0\.\d+ ± 0\.\d+, background rejection .* % at 70.0 % signal efficiency", model["description"]
    )
    tags = model["tags"]
    assert tags["features_sha256"] == log.told_tags["features_sha256"]
    assert tags["run_folder"] == str(result.run.path)
    assert tags["working_point"].startswith("signal efficiency 0.5: score >= 0.")


def test_a_table_as_markdown() -> None:
    table = Table("no title", ("name", "value"), (("a|b", "1.5"), ("c", "2")))
    assert as_markdown(table, strong="c").splitlines() == [
        "| name&emsp; | value&emsp; |",
        "| :--- | ---: |",
        r"| a\|b&emsp; | 1.5&emsp; |",
        "| **c**&emsp; | **2**&emsp; |",
    ]
