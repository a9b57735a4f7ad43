"""The champion on other features, the cut by expected limit, and the signal that is faked: from training to selection."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from typer.testing import CliRunner

from mlbkg.cli.main import app
from mlbkg.errors import ConfigError, LimitError
from mlbkg.export.load import open_model
from mlbkg.stages.check import check
from mlbkg.stages.select import select
from mlbkg.stages.train import train
from mlbkg.tracking.mlflow_store import client_of

Small = Callable[..., Path]

EVALUATION = "evaluation: {bootstrap: 20, permutation_rows: 500"
FIT = """
fit:
  variable: mass
  window: [9.3, 9.6]
  bins: 40
  signal: gaussian
  background: chebyshev
  peaking: {samples: [tau], uncertainty: 0.1}
systematics: [{name: tracking, effect: 0.02}, {name: resolution, width: 0.1}]
tracking:"""
BY_LIMIT = {
    "selection: {working_point: {signal_efficiency: 0.8}}": "selection: {working_point: {expected_limit: {points: 10}}}",
    "\ntracking:": FIT,
}
RUNNER = CliRunner()


def comparing(features: str) -> dict[str, str]:
    return {EVALUATION: f"{EVALUATION}, compare_features: [{features}]"}


def test_the_model_is_the_same_with_a_comparison_and_without(small_analysis: Small) -> None:
    """Bit by bit, but for the config that it carries."""
    alone = train(small_analysis(), workers=1).trained
    beside = train(small_analysis(replace=comparing("mass, y")), workers=1).trained
    np.testing.assert_array_equal(alone.data.sample.features, beside.data.sample.features)
    np.testing.assert_array_equal(alone.fits[0].margin, beside.fits[0].margin)
    assert alone.data.fingerprints == beside.data.fingerprints
    assert alone.comparison is None
    assert beside.comparison is not None
    assert [line.name for line in beside.comparison.evaluation.importance] == ["mass", "y"]
    assert len(beside.evaluations) == 1


def test_the_same_features_give_the_same_scores(small_analysis: Small) -> None:
    same = 'x, y, {name: z, column: useCMSFrame(E), unit: GeV}, {name: ratio, expression: "x / (abs(y) + 1)"}'
    trained = train(small_analysis(replace=comparing(same)), workers=1).trained
    assert trained.comparison is not None
    np.testing.assert_array_equal(trained.comparison.fit.margin, trained.fits[0].margin)
    assert trained.comparison.evaluation.ranking.auc == trained.best.ranking.auc


def test_a_comparison_is_shown_and_never_exported(small_analysis: Small) -> None:
    config = small_analysis(replace=comparing("x, mass, {name: twice, expression: 2 * x}"))
    answered = RUNNER.invoke(app, ["train", str(config), "-j", "1", "--quiet", "--json"])
    assert answered.exit_code == 0, answered.output
    answer = json.loads(answered.stdout)
    found = answer["comparison"]
    assert found["name"] == "xgboost (comparison)"
    assert found["features"] == ["x", "mass", "twice"]
    assert 0.5 < found["auc"] < answer["backends"]["xgboost"]["auc"]
    assert found["sculpting"][0]["spectator"] == answer["sculpting"][0]["spectator"] == "mass"
    folder = Path(answer["model"]).parent
    assert [path.name for path in (folder / "models").iterdir()] == ["xgboost"]
    assert json.loads((folder / "evaluation.json").read_text())["comparison"]["name"] == "xgboost (comparison)"
    metrics = client_of("sqlite:///mlflow.db").get_run(answer["mlflow_run_id"]).data.metrics
    assert metrics["comparison/auc"] == pytest.approx(found["auc"])
    assert {"comparison/sculpting", "xgboost/sculpting", "sculpting/mass"} <= metrics.keys()
    with uproot.open(folder / "out_of_fold.root") as file:
        assert not [name for name in file["out_of_fold"].keys() if "comparison" in name]  # noqa: SIM118 (a tree is no dict)


def test_tables_show_the_comparison(small_analysis: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    config = small_analysis(replace={**comparing("x, mass"), **BY_LIMIT})
    shown = RUNNER.invoke(app, ["train", str(config), "-j", "1", "--quiet"]).stdout
    assert "xgboost (comparison)" in shown
    assert "mass (comparison)" in shown
    assert "smallest expected limit" in shown
    assert "Fit of signal and smooth background to simulated background alone" in shown


def test_a_branch_that_only_the_comparison_needs_is_missed_at_once(small_analysis: Small) -> None:
    with pytest.raises(ConfigError) as caught:
        check(small_analysis(replace=comparing("x, w")))
    assert "w  needed by feature 'w' of evaluation.compare_features" in str(caught.value)


def test_the_cut_by_expected_limit_is_that_of_the_model_and_of_the_selection(small_analysis: Small) -> None:
    config = small_analysis(replace=BY_LIMIT)
    result = train(config, workers=1)
    trained = result.trained
    scan = trained.scan
    assert scan is not None
    assert trained.best.working_point.threshold == scan.threshold[scan.best]
    name = "expected limit with systematics, 10 cuts"
    metadata = open_model(result.files.folds_model).metadata
    assert metadata is not None
    points = {point.name: point.threshold for point in metadata.working_points}
    assert points[name] == scan.threshold[scan.best]
    assert set(points) == {name, *scan.marks} == {name, "signal efficiency 0.849", "Punzi a = 3, b = 1.28155"}
    selected = select(config, workers=1)
    assert selected.threshold == scan.threshold[scan.best]
    assert selected.cutflow[2].weighted == pytest.approx(trained.best.working_point.signal_yield.value)
    assert (result.files.figures / "cut_scan.png").is_file()
    answer: dict[str, Any] = json.loads(json.dumps(result.to_json()))
    assert answer["cut_scan"]["best"]["expected_limit"] == np.nanmin(scan.expected_limit)
    written = json.loads((result.files.folder / "evaluation.json").read_text())
    assert written["cut_scans"]["xgboost"]["best"] == scan.best


def test_a_model_serves_the_other_working_points(small_analysis: Small) -> None:
    """Trained by signal efficiency 0.8, selected by that of the evaluation."""
    config = small_analysis()
    trained = train(config, workers=1).trained
    text = config.read_text().replace("working_point: {signal_efficiency: 0.8}", "working_point: {signal_efficiency: 0.849}")
    config.write_text(text, encoding="utf-8")
    alternatives = {point.rule: point.threshold for point in trained.best.alternatives}
    assert select(config, workers=1).threshold == alternatives["signal efficiency 0.849"]


def test_a_model_without_the_cut_by_expected_limit(small_analysis: Small) -> None:
    config = small_analysis()
    train(config, workers=1)
    config = small_analysis(replace=BY_LIMIT)
    with pytest.raises(ConfigError, match="has no working point 'expected limit with systematics, 10 cuts'; it has"):
        select(config, workers=1)


def test_no_cut_by_expected_limit_is_told(small_analysis: Small) -> None:
    window = {**BY_LIMIT, "\ntracking:": FIT.replace("[9.3, 9.6]", "[9.30, 9.3001]")}
    with pytest.raises(LimitError, match="no cut can be chosen by its expected limit"):
        train(small_analysis(replace=window), workers=1)


def test_the_faked_signal_is_none_where_the_features_do_not_know_the_mass(small_analysis: Small) -> None:
    """The fit variable is flat for signal and background alike; a classifier that sees it learns nothing from it either."""
    result = train(small_analysis(replace={**comparing("x, y"), "\ntracking:": FIT}), workers=1)
    faked = result.trained.faked
    assert set(faked) == {"xgboost", "xgboost (comparison)"}
    assert all(abs(found.significance) < 3 for found in faked.values())
    metrics = client_of("sqlite:///mlflow.db").get_run(result.mlflow_run_id).data.metrics
    assert metrics["xgboost/fake_signal"] == pytest.approx(faked["xgboost"].events)
    assert metrics["comparison/fake_signal_error"] == pytest.approx(faked["xgboost (comparison)"].error)
