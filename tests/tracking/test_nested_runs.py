"""Nested runs are whole at once, have their true times, and are there once however often a study goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mlflow.entities import Run, ViewType
from mlflow.tracking import MlflowClient

from mlbkg.tracking.base import NestedRun, RunLog
from mlbkg.tracking.mlflow_run import CURVE_POINTS, PARENT

Open = Callable[..., RunLog]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def trial(number: int, *, status: str = "FINISHED", rounds: int = 3) -> NestedRun:
    return NestedRun(
        name=f"trial {number}",
        parameters={f"p{i}": number + i for i in range(120)},
        metrics={"auc": 0.9 + number / 1000, "cost_ns": 80.0},
        tags={"backend": "xgboost"},
        began=1_700_000_000.25 + number,
        ended=1_700_000_002.5 + number,
        status=status,
        description="a trial",
        curves={"fold 0/log_loss": [1 / (i + 1) for i in range(rounds)]},
    )


def children_of(client: MlflowClient, run_id: str | None) -> dict[str, Run]:
    assert run_id is not None
    experiment = client.get_run(run_id).info.experiment_id
    found = client.search_runs([experiment], f"tags.`{PARENT}` = '{run_id}'")
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def test_everything_of_a_nested_run_is_found_again(log_to: Open, uri: str) -> None:
    with log_to(uri) as log:
        for number, status in enumerate(("FINISHED", "KILLED", "FAILED")):
            log.nested(trial(number, status=status, rounds=1500))
        log.nested(trial(0))
    assert log.failure is None
    client = MlflowClient(tracking_uri=uri)
    found = children_of(client, log.run_id)
    assert {name: run.info.status for name, run in found.items()} == {
        "trial 0": "FINISHED",
        "trial 1": "KILLED",
        "trial 2": "FAILED",
    }
    run = found["trial 1"]
    assert (run.info.start_time, run.info.end_time) == (1_700_000_001_250, 1_700_000_003_500)
    assert run.data.params == {f"p{i}": str(1 + i) for i in range(120)}
    assert run.data.metrics == {"auc": 0.901, "cost_ns": 80.0, "fold 0/log_loss": 1 / 1500}
    assert run.data.tags["backend"] == "xgboost"
    assert run.data.tags["mlflow.note.content"] == "a trial"
    assert run.data.tags["mlflow.source.name"] == "mlbkg"
    assert run.data.tags["mlflow.user"] == client.get_run(log.run_id or "").data.tags["mlflow.user"]
    history = client.get_metric_history(run.info.run_id, "fold 0/log_loss")
    assert len(history) == CURVE_POINTS
    assert {metric.step for metric in history} > {0, 1499}
    assert [metric.value for metric in history] == [1 / (metric.step + 1) for metric in history]
    assert {metric.timestamp for metric in history} == {1_700_000_003_500}


def test_a_study_that_goes_on_keeps_its_run_and_its_trials(log_to: Open, uri: str) -> None:
    with log_to(uri) as log:
        first = log.run_id
        log.parameters({"trials": 2})
        for number in range(2):
            log.nested(trial(number))
    client = MlflowClient(tracking_uri=uri)
    before = children_of(client, first)
    client.delete_run(before["trial 1"].info.run_id)
    half = client.create_run(before["trial 0"].info.experiment_id, run_name="trial 2", tags={PARENT: first})
    with log_to(uri, run_id=first, description="goes on") as log:
        assert log.run_id == first
        assert client.get_run(first or "").info.status == "RUNNING"
        log.parameters({"trials": 5, "more": 1})
        for number in range(4):
            log.nested(trial(number))
    assert log.failure is None
    parent = client.get_run(first or "")
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {"trials": "2", "more": "1"}
    assert parent.data.tags["mlflow.note.content"] == "goes on"
    found = children_of(client, first)
    assert sorted(found) == ["trial 0", "trial 2", "trial 3"]
    assert found["trial 0"].info.run_id == before["trial 0"].info.run_id
    assert found["trial 2"].info.run_id == half.info.run_id
    assert found["trial 2"].info.status == "FINISHED"
    assert len(client.search_runs([parent.info.experiment_id], run_view_type=ViewType.DELETED_ONLY)) == 1


@pytest.mark.parametrize("gone", ["unknown", "deleted", "elsewhere"])
def test_a_run_that_is_gone_is_made_anew(log_to: Open, uri: str, gone: str) -> None:
    client = MlflowClient(tracking_uri=uri)
    old = "f" * 32
    if gone != "unknown":
        old = client.create_run(client.create_experiment("upsilon1s" if gone == "deleted" else "other")).info.run_id
    if gone == "deleted":
        client.delete_run(old)
    with log_to(uri, run_id=old) as log:
        log.nested(trial(0))
    assert log.failure is None
    assert log.run_id not in (None, old)
    assert list(children_of(client, log.run_id)) == ["trial 0"]


def test_the_experiment_is_described_once(log_to: Open, uri: str) -> None:
    client = MlflowClient(tracking_uri=uri)
    for description, expected in (("", None), ("Υ(1S) → invisible", "Υ(1S) → invisible"), ("other", "Υ(1S) → invisible")):
        with log_to(uri, experiment_description=description) as log:
            pass
        assert log.failure is None
        experiment = client.get_experiment_by_name("upsilon1s")
        assert experiment is not None
        assert experiment.tags.get("mlflow.note.content") == expected
