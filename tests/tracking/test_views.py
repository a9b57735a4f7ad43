"""Views of an experiment are tags in MLflow's own form, and the dashboard opens where the trainings are."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from mlflow.utils.validation import MAX_EXPERIMENT_TAG_VAL_LENGTH

from mlbkg.tracking.mlflow_log import open_log
from mlbkg.tracking.views import EXPERIMENTS, TRAININGS, VIEWS, address_of, view_tags

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_a_view_is_an_envelope_with_a_state_that_mlflow_knows() -> None:
    tags = view_tags(created_ms=5)
    assert list(tags) == [f"mlflow.sharedViewState.{view.key}" for view in VIEWS]
    for value in tags.values():
        assert len(value) < MAX_EXPERIMENT_TAG_VAL_LENGTH
        envelope = json.loads(value)
        assert (envelope["createdAt"], type(envelope["name"]), type(envelope["state"])) == (5, str, str)
        state = json.loads(envelope["state"])
        assert set(state["columnOrder"]) == set(state["selectedColumns"]) == set(state["columnWidths"])
        (section,) = state["compareRunSections"]
        assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == {section["uuid"]}
        metrics = [chart["metricKey"] for chart in state["compareRunCharts"]]
        assert len(set(metrics)) == len(metrics)


def test_an_experiment_gets_the_views_and_keeps_what_people_changed(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(uri)
    old = client.create_experiment("old", tags={TRAININGS.tag: "somebody's own"})
    for experiment in ("old", "new"):
        with open_log(enabled=True, uri=uri, experiment=experiment, run_name="r") as log:
            pass
        assert log.failure is None
    new = client.get_experiment_by_name("new")
    assert {view.tag for view in VIEWS} <= new.tags.keys()
    kept = client.get_experiment(old).tags
    assert {view.tag for view in VIEWS} <= kept.keys()
    assert kept[TRAININGS.tag] == "somebody's own"
    assert address_of(uri, "old") == TRAININGS.address(old)
    assert address_of(uri, None) == TRAININGS.address(new.experiment_id), "the latest"
    assert address_of(uri, "another") == EXPERIMENTS
    client.delete_experiment(old)
    assert address_of(uri, "old") == EXPERIMENTS


def test_no_database_no_experiment(tmp_path: Path) -> None:
    assert address_of(f"sqlite:///{tmp_path / 'none.db'}", None) == EXPERIMENTS
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_bytes(b"no database" * 1000)
    assert address_of(f"sqlite:///{tmp_path / 'text.db'}", "x") == EXPERIMENTS
    sqlite3.connect(tmp_path / "empty.db").close()
    assert address_of(f"sqlite:///{tmp_path / 'empty.db'}", "x") == EXPERIMENTS
    assert address_of("http://127.0.0.1:9", "x") == EXPERIMENTS
