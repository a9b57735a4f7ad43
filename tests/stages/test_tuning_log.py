"""What a search tells a tracking server: a run for each trial as it ended, and one that says what the winner is worth."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from mlbkg.config.load import load
from mlbkg.evaluation.estimates import Estimate
from mlbkg.report.tuning_result import Contestant, FigureOfMerit, Judged, SearchTold, TuningTold
from mlbkg.stages.tuning_log import SearchLog, TrackedSearch, nested_run_of, search_metrics
from mlbkg.stages.tuning_note import note_before, note_of
from mlbkg.tracking.mlflow_store import client_of
from mlbkg.tuning.importance import Importance
from mlbkg.tuning.study import Goal
from mlbkg.tuning.trial import Trial

CONFIG = """\
analysis: tiny
title: A tiny search
ntuples: {tree: t, event_id: [event]}
samples:
  - {name: signal, role: signal, files: signal.root}
  - {name: background, role: background, files: background.root}
features: [x, y]
tuning: {objective: log_loss, trials: 30, minutes: 5, backends: [xgboost]}
tracking: {experiment: tinies}
"""
LOSS = FigureOfMerit("log_loss", "log-loss", "", False)
AUC = FigureOfMerit("auc", "AUC", "", True)
GOALS = (Goal("log_loss", False),)


def trial(number: int = 7, **changes: Any) -> Trial:
    told = {
        "state": "complete",
        "start": None,
        "values": (0.25,),
        "violation": (),
        "record": {
            "log_loss": {"value": 0.25, "error": 0.01, "by_fold": [0.2, 0.3], "replicas": [0.24, 0.26]},
            "auc": {"value": 0.9, "error": None, "by_fold": [0.9, None]},
            "trees": [10, 20],
        },
        "reason": None,
        **changes,
    }
    return Trial(
        number, told["state"], "xgboost", {"max_depth": 3, "learning_rate": 0.125}, told["start"], told["values"],
        told["violation"], told["record"], {(0, 0.1): 0.6}, {0: 0.25}, 1000.0, 1012.5, told["reason"],
    )  # fmt: skip


def told(*, seen: float = 0.25) -> tuple[SearchTold, TuningTold]:
    """The winner is better by 0.05 ± 0.02 in loss on unseen events, where it is worse by 0.03 than where it was searched."""
    winner = {
        "log_loss": Judged(Estimate(seen, 0.01), Estimate(0.28, 0.02), Estimate(0.28 - seen, 0.022), None),
        "auc": Judged(None, Estimate(0.9, 0.01), None, None),
    }
    other = {
        "log_loss": Judged(Estimate(0.3, 0.01), Estimate(0.33, 0.02), Estimate(0.03, 0.022), Estimate(0.05, 0.02)),
        "auc": Judged(None, Estimate(0.88, 0.01), None, Estimate(-0.02, 0.005)),
    }
    contestants = (
        Contestant("tuned", "xgboost", {"max_depth": 3, "learning_rate": 0.125}, "winner", winner),
        Contestant("xgboost", "xgboost", {}, "config", other),
    )
    trials = (trial(), trial(8, state="pruned", values=None, record={}), trial(9, state="failed", values=None, record={}))
    importance = Importance({"xgboost": {"learning_rate": Estimate(0.75, 0.05)}}, {})
    search = SearchTold("tiny/log_loss-1a2b3c/0", 0, trials, 7, (7,), contestants, {}, importance)
    return search, TuningTold((LOSS,), (LOSS, AUC), (search,), None)


def test_a_complete_trial() -> None:
    run = nested_run_of(trial(start="best"), GOALS, tags={"study": "loss-1"})
    assert (run.name, run.status) == ("0007 xgboost", "FINISHED")
    assert run.parameters == {"backend": "xgboost", "xgboost.max_depth": 3, "xgboost.learning_rate": 0.125}
    assert run.metrics == {"log_loss": 0.25, "log_loss_error": 0.01, "auc": 0.9, "trees": 15.0, "seconds": 12.5}
    assert next(iter(run.metrics)) == "log_loss", "what is searched for comes first"
    assert run.curves == {"log_loss_by_fold": (0.2, 0.3)}, "a curve with a hole is none"
    tags = {"study": "loss-1", "stage": "trial", "trial": "7", "state": "complete", "backend": "xgboost", "start": "best"}
    assert run.tags == tags
    assert (run.began, run.ended) == (1000.0, 1012.5)
    assert run.description == "complete, start `best`"


@pytest.mark.parametrize(("state", "status"), [("pruned", "KILLED"), ("failed", "FAILED")])
def test_a_trial_that_did_not_end_well(state: str, status: str) -> None:
    run = nested_run_of(trial(state=state, values=None, record={}, reason="why"), GOALS, tags={})
    assert (run.status, run.metrics, run.curves) == (status, {"seconds": 12.5}, {})
    assert run.tags["reason"] == "why"
    assert run.description == f"{state}, chosen by the sampler: why"


def test_a_trial_that_breaks_a_constraint_says_so() -> None:
    run = nested_run_of(trial(violation=(-0.5, 0.25)), GOALS, tags={})
    assert run.tags["feasible"] == "no"
    assert (run.metrics["violation/0"], run.metrics["violation/1"]) == (-0.5, 0.25)


def test_figures_of_a_search_are_honest_ones_and_what_they_cost() -> None:
    metrics = search_metrics(*told())
    assert (metrics["log_loss"], metrics["log_loss_error"], metrics["auc"]) == (0.28, 0.02, 0.9)
    assert (metrics["log_loss/search"], metrics["log_loss/gap"]) == (0.25, pytest.approx(0.03))
    assert metrics["log_loss/gain_on_xgboost"] == pytest.approx(0.05), "positive: the winner is better"
    assert metrics["log_loss/gain_on_xgboost_error"] == 0.02
    assert metrics["auc/gain_on_xgboost"] == pytest.approx(0.02)
    assert metrics["xgboost/log_loss"] == 0.33
    assert "auc/search" not in metrics
    counts = [metrics[f"trials{of}"] for of in ("", "/complete", "/pruned", "/failed")]
    assert counts == [3, 1, 1, 1]
    assert metrics["seconds"] == 37.5
    assert metrics["importance/xgboost.learning_rate"] == 0.75


def test_what_is_not_known_is_not_told() -> None:
    assert not any("search" in name or "gap" in name for name in search_metrics(*told(seen=math.nan)) if "error" not in name)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(CONFIG, encoding="utf-8")
    return Path("tiny.yaml")


def test_the_note_begins_with_who_won(config: Path) -> None:
    before = note_before(load(config).config, Path("runs/tiny/studies/one"))
    assert "search for better log_loss by xgboost, 30 trials or 5 minutes" in before
    head, _, winner, other, *rest = note_of(*told(), before).splitlines()
    assert head == "| on unseen events&emsp; | log loss&emsp; | auc&emsp; | to the winner&emsp; |"
    assert winner == "| **tuned**&emsp; | **0.280 ± 0.020**&emsp; | **0.900 ± 0.010**&emsp; | **–**&emsp; |"
    assert other == "| xgboost&emsp; | 0.330 ± 0.020&emsp; | 0.880 ± 0.010&emsp; | 0.050 ± 0.020&emsp; |"
    text = "\n".join(rest)
    assert "Winner: trial **0007 xgboost**, `max_depth 3, learning_rate 0.125`" in text
    assert "Log-loss of the search 0.250 ± 0.010, on unseen events 0.280 ± 0.020: optimism 0.030 ± 0.022" in text
    assert "3 trials: 1 complete, 1 pruned, 1 failed" in text
    assert text.endswith(before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_search_that_goes_on_goes_on_in_its_run(config: Path) -> None:
    tracked = TrackedSearch(load(config), Path("runs/tiny/studies/log_loss-1a2b3c"), "k" * 64, 0, GOALS)
    with SearchLog(tracked) as first:
        first.trial(trial())
    search, everything = told()
    with SearchLog(tracked) as second:
        for one in search.trials:
            second.trial(one)
        second.results(search, everything, {"config": [config]})
    assert (first.failure, second.failure) == (None, None)
    assert second.run_id == first.run_id is not None
    kept = json.loads((tracked.folder / "mlflow-0.json").read_text(encoding="utf-8"))
    assert kept == {"uri": "sqlite:///mlflow.db", "run_id": first.run_id}
    client = client_of("sqlite:///mlflow.db")
    experiment = client.get_experiment_by_name("tinies")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == ["0007 xgboost", "0008 xgboost", "0009 xgboost", "study log_loss-1a2b3c"]
    assert [runs[f"000{number} xgboost"].info.status for number in (7, 8, 9)] == ["FINISHED", "KILLED", "FAILED"]
    parent = runs["study log_loss-1a2b3c"]
    assert parent.data.params["objective"] == "log_loss"
    assert parent.data.tags["winner"] == "0007 xgboost"
    assert parent.data.tags["mlflow.note.content"].startswith("| on unseen events")
    assert all(runs[name].data.tags["study"] == "log_loss-1a2b3c" for name in runs)
    assert [file.path for file in client.list_artifacts(parent.info.run_id, "config")] == ["config/tiny.yaml"]


def test_without_tracking_nothing_is_kept(config: Path) -> None:
    config.write_text(CONFIG.replace("experiment: tinies", "enabled: false"), encoding="utf-8")
    with SearchLog(TrackedSearch(load(config), Path("study"), "k", 1, GOALS)) as log:
        log.trial(trial())
    assert log.run_id is None
    assert not Path("study").exists()
