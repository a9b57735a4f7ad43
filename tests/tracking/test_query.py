"""What a store holds is found again, in the order and amount asked for, and a store that is none is not made one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from mlbkg.errors import ConfigError, UnknownNameError
from mlbkg.tracking import query
from mlbkg.tracking.mlflow_run import PARENT
from mlbkg.tracking.query import LATEST, TrackingStore, by_metric, reading
from mlbkg.tracking.upload import StoreError

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def add(client: MlflowClient, experiment_id: str, name: str, *, began: int, auc: float | None, parent: str = "") -> str:
    tags = {"champion": "xgboost", **({PARENT: parent} if parent else {})}
    run = client.create_run(experiment_id, start_time=1000 * began, run_name=name, tags=tags)
    metrics = [Metric("auc", auc, 1, 0)] if auc is not None else []
    client.log_batch(run.info.run_id, metrics=metrics, params=[Param("folds", "5")])
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(tracking_uri=uri)


@pytest.fixture
def experiment(client: MlflowClient, tmp_path: Path) -> str:
    return str(client.create_experiment("upsilon1s", artifact_location=(tmp_path / "artifacts").as_uri()))


@pytest.fixture
def store(uri: str) -> Iterator[TrackingStore]:
    with reading(uri) as opened:
        yield opened


def test_runs_come_in_the_order_asked_for(client: MlflowClient, experiment: str, store: TrackingStore):
    first = add(client, experiment, "first", began=1, auc=0.8)
    second = add(client, experiment, "second", began=2, auc=0.9)
    failed = add(client, experiment, "failed", began=3, auc=None)
    trial = add(client, experiment, "trial", began=4, auc=0.95, parent=first)
    assert store.experiment("upsilon1s") == experiment

    def ids(**asked: object) -> list[str]:
        return [run.run_id for run in store.runs(experiment, **asked).runs]  # type: ignore[arg-type]

    assert ids() == [failed, second, first]
    assert ids(nested=True) == [trial, failed, second, first]
    assert ids(order=by_metric("auc", smaller_first=False)) == [second, first, failed]
    assert ids(order=by_metric("auc", smaller_first=True)) == [first, second, failed]
    assert ids(asked="metrics.auc > 0.85") == [second]
    assert ids(asked="metrics.auc > 0.85", nested=True) == [trial, second]
    two = store.runs(experiment, order=LATEST, at_most=2)
    assert ([run.name for run in two.runs], two.more) == (["failed", "second"], True)
    assert not store.runs(experiment, at_most=3).more
    run = store.runs(experiment, asked="attributes.run_name = 'trial'", nested=True).runs[0]
    assert (run.status, run.began, run.parent, run.metrics, run.params) == (
        "FINISHED",
        4.0,
        first,
        {"auc": 0.95},
        {"folds": "5"},
    )
    assert run.tags["champion"] == "xgboost"


def test_long_lists_come_in_pages(
    client: MlflowClient, experiment: str, store: TrackingStore, monkeypatch: pytest.MonkeyPatch
):
    ids = [add(client, experiment, f"run {i}", began=i, auc=i / 10) for i in range(1, 8)]
    monkeypatch.setattr(query, "PAGE", 3)
    assert [run.run_id for run in store.runs(experiment).runs] == ids[::-1]
    some = store.runs(experiment, at_most=4)
    assert ([run.run_id for run in some.runs], some.more) == (ids[:2:-1], True)


def test_a_few_of_a_thousand_runs_are_one_question(
    client: MlflowClient, experiment: str, store: TrackingStore, uri: str, monkeypatch: pytest.MonkeyPatch
):
    add(client, experiment, "made by MLflow", began=1, auc=0.1)
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        for table in ("runs", "latest_metrics"):
            fields = [field for _, field, *_ in database.execute(f"PRAGMA table_info({table})")]
            (row,) = database.execute(f"SELECT * FROM {table}")  # noqa: S608
            for i in range(1000):
                changed = {"run_uuid": f"{i:032x}", "name": f"run {i}", "value": i / 1000}
                copy = [changed.get(field, value) for field, value in zip(fields, row, strict=True)]
                database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", copy)  # noqa: S608
    asked = []
    original = MlflowClient.search_runs

    def counted(*arguments: object, max_results: int, **options: object) -> object:
        asked.append(max_results)
        return original(*arguments, max_results=max_results, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(MlflowClient, "search_runs", counted)
    best = store.runs(experiment, order=by_metric("auc", smaller_first=False), at_most=20)
    assert [run.metrics["auc"] for run in best.runs] == [i / 1000 for i in range(999, 979, -1)]
    assert best.more
    assert asked == [21]
    assert len(store.runs(experiment).runs) == 1001


def test_runs_by_their_names(client: MlflowClient, experiment: str, store: TrackingStore):
    one = add(client, experiment, "3f2a1c xgboost", began=1, auc=0.8)
    two = add(client, experiment, "3f2a1c xgboost again", began=2, auc=0.8)
    quoted = add(client, experiment, "Bob's", began=3, auc=0.8, parent=one)

    def found(name: str) -> list[str]:
        return [run.run_id for run in store.named(experiment, name)]

    assert found("3f2a1c xgboost") == [one]
    assert found("3f2a1c") == [two, one]
    assert found(one) == found(one[:12]) == [one]
    assert found("Bob's") == [quoted]
    assert found("nobody") == found("") == found("' OR \"") == []


def test_values_by_fold(client: MlflowClient, experiment: str, store: TrackingStore):
    run = add(client, experiment, "run", began=1, auc=0.8)
    values = [("auc_by_fold", 0.7, 1), ("auc_by_fold", 0.8, 0), ("auc_by_fold", 0.9, 2), ("loss", 0.5, 10)]
    client.log_batch(run, metrics=[Metric(name, value, 1, step) for name, value, step in values])
    client.log_batch(run, metrics=[Metric("auc_by_fold", 0.75, 2, 1)])
    assert store.steps(run, "auc_by_fold") == (0.8, 0.75, 0.9)
    assert store.steps(run, "loss") == store.steps(run, "nothing") == ()


def test_artifacts_are_copied(
    client: MlflowClient, experiment: str, store: TrackingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = add(client, experiment, "run", began=1, auc=0.8)
    client.log_text(run, "{}", "tables/evaluation.json")
    into = tmp_path / "into"
    into.mkdir()
    copy = store.artifact(run, "tables/evaluation.json", into)
    assert copy is not None
    assert copy.read_text(encoding="utf-8") == "{}"
    assert copy.is_relative_to(into)
    for nothing in ("tables", "evaluation.json", "tables/other.json", "../upsilon1s", "/etc/hostname"):
        assert store.artifact(run, nothing, into) is None
    monkeypatch.setattr(query, "LARGEST_ARTIFACT_BYTES", 2)
    assert store.artifact(run, "tables/evaluation.json", into) is None


def test_experiments_that_are_not_there(client: MlflowClient, experiment: str, store: TrackingStore):
    with pytest.raises(UnknownNameError, match=r"no experiment 'upsilon' in sqlite.*; did you mean 'upsilon1s'") as wrong:
        store.experiment("upsilon")
    assert "there is: Default, upsilon1s" in str(wrong.value)
    client.delete_experiment(experiment)
    with pytest.raises(UnknownNameError, match="it was deleted"):
        store.experiment("upsilon1s")


@pytest.mark.parametrize("wrong", ["auc > 0.9", "metrics.auc >", "params.folds = 5", "metrics.auc > 0 OR metrics.auc < 1"])
def test_filters_that_mlflow_does_not_understand(experiment: str, store: TrackingStore, wrong: str):
    with pytest.raises(ConfigError) as caught:
        store.runs(experiment, asked=wrong)
    message = str(caught.value)
    assert f"does not understand the filter {wrong!r}" in message
    assert "parentRunId" not in message
    assert "metrics.auc > 0.95 AND params.folds = '5'" in message


def test_the_examples_are_understood(experiment: str, store: TrackingStore):
    for example in query.EXAMPLES:
        assert store.runs(experiment, asked=example).runs == ()


def test_no_store_is_made(tmp_path: Path):
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    text = tmp_path / "text.db"
    text.write_text("no database", encoding="utf-8")
    before = other.read_bytes()
    for uri, reason in {
        f"sqlite:///{tmp_path}/none.db": "there is no such file",
        f"sqlite:///{other}": "no such table: experiments",
        f"sqlite:///{text}": "file is not a database",
        f"{tmp_path}/mlruns": "there is no such folder",
        (tmp_path / "mlruns").as_uri(): "there is no such folder",
    }.items():
        with pytest.raises(StoreError, match=reason), reading(uri):
            pass
    assert other.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"other.db", "text.db"}


def test_a_server_that_is_down(nowhere: str):
    with (
        reading(nowhere.replace("//", "//me:secret@")) as store,
        pytest.raises(StoreError, match="Connection refused") as told,
    ):
        store.experiment("upsilon1s")
    assert "secret" not in f"{told.value}{told.value.where}"
    assert "--uri" in told.value.hint


def test_what_a_run_is_tagged_with(client: MlflowClient, experiment: str, store: TrackingStore):
    run = add(client, experiment, "run", began=1, auc=0.8)
    client.log_batch(run, tags=[RunTag("run_folder", "runs/a/b")])
    assert store.runs(experiment).runs[0].tags["run_folder"] == "runs/a/b"


@pytest.mark.slow
def test_a_server_answers_alike(server: Any, tmp_path: Path):
    client = MlflowClient(tracking_uri=server.uri)
    experiment = str(client.create_experiment("upsilon1s"))
    run = add(client, experiment, "run", began=1, auc=0.8)
    client.log_batch(run, metrics=[Metric("auc_by_fold", value, 1, step) for step, value in enumerate((0.7, 0.9))])
    client.log_text(run, "{}", "tables/evaluation.json")
    into = tmp_path / "into"
    into.mkdir()
    with reading(server.uri) as store:
        assert store.experiment("upsilon1s") == experiment
        assert [one.run_id for one in store.runs(experiment, order=by_metric("auc", smaller_first=True)).runs] == [run]
        assert [one.run_id for one in store.named(experiment, run[:8])] == [run]
        assert store.steps(run, "auc_by_fold") == (0.7, 0.9)
        copy = store.artifact(run, "tables/evaluation.json", into)
        assert copy is not None
        assert copy.read_text(encoding="utf-8") == "{}"
        assert store.artifact(run, "tables/none.json", into) is None
        with pytest.raises(ConfigError, match="does not understand the filter"):
            store.runs(experiment, asked="auc > 1")
