"""Runs in MLflow are found again with all they logged; a server that is down or slow costs seconds and no exception."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from mlbkg.tracking.base import NullLog, RunLog
from mlbkg.tracking.mlflow_log import open_log

Open = Callable[..., RunLog]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_everything_is_found_again(log_to: Open, uri: str, model: Path, tmp_path: Path) -> None:
    figure = tmp_path / "roc.txt"
    figure.write_text("figure")
    with log_to(uri) as log:
        log.parameters({f"p{i}": i for i in range(250)})
        log.parameters({"long": "x" * 10_000, "odd, key=1": None, "p0": "kept as first given"})
        log.metrics({"auc": 0.9, "xgboost/auc": 0.8})
        for step in range(3):
            log.metrics({"loss": 1.0 - step / 10}, step=step)
        log.tags({"analysis": "upsilon1s"})
        log.dataset("signal", fingerprint="f" * 64, source="data/s.root", rows=12)
        log.artifact(figure, folder="figures/deep")
        figure.unlink()
        log.onnx_model(model, name="upsilon1s", alias="champion", description="the best")
    assert log.failure is None
    client = MlflowClient(tracking_uri=uri)
    assert log.run_id is not None
    run = client.get_run(log.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first"
    assert run.data.tags["mlflow.note.content"] == "a test"
    assert run.data.tags["analysis"] == "upsilon1s"
    assert len(run.data.params) == 252
    assert run.data.params["p249"] == "249"
    assert run.data.params["p0"] == "0"
    assert run.data.params["odd_ key_1"] == "None"
    assert run.data.params["long"] == "x" * 5999 + "…"
    assert run.data.metrics["xgboost/auc"] == 0.8
    assert [(m.step, m.value) for m in client.get_metric_history(log.run_id, "loss")] == [(0, 1.0), (1, 0.9), (2, 0.8)]
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("signal", "f" * 36)
    assert json.loads(dataset.dataset.profile) == {"num_rows": 12, "fingerprint": "f" * 64}
    assert [file.path for file in client.list_artifacts(log.run_id, "figures/deep")] == ["figures/deep/roc.txt"]
    assert (tmp_path / "mlartifacts" / "upsilon1s" / log.run_id / "artifacts/figures/deep/roc.txt").read_text() == "figure"


def test_the_model_is_mlflows_own_and_the_alias_moves(log_to: Open, uri: str, model: Path) -> None:
    import mlflow

    for description in ("first", "second"):
        with log_to(uri) as log:
            log.onnx_model(model, name="upsilon1s", alias="champion", description=description)
        assert log.failure is None
    client = MlflowClient(tracking_uri=uri)
    champion = client.get_model_version_by_alias("upsilon1s", "champion")
    assert (champion.version, champion.description, champion.run_id) == (2, "second", log.run_id)
    folder = Path(champion.source.removeprefix("file://"))
    assert (folder / "model.onnx").read_bytes() == model.read_bytes()
    (output,) = client.get_run(champion.run_id).outputs.model_outputs
    assert client.get_logged_model(output.model_id).status == "READY"
    loaded = mlflow.pyfunc.load_model(str(folder))
    assert [(column.name, column.type.name) for column in loaded.metadata.get_input_schema()] == [
        ("a", "float"),
        ("b", "float"),
        ("c", "float"),
    ]
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.arange(6, dtype=np.float32).reshape(2, 3), columns=["a", "b", "c"])
    np.testing.assert_array_equal(np.ravel(loaded.predict(frame)["output"]), 2 * np.ravel(frame))


@pytest.mark.parametrize(("error", "status"), [(ValueError("no signal"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_an_exception_inside_marks_the_run(log_to: Open, uri: str, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), log_to(uri) as log:  # noqa: PT012
        log.metrics({"auc": 0.5})
        raise error
    assert log.run_id is not None
    run = MlflowClient(tracking_uri=uri).get_run(log.run_id)
    assert run.info.status == status
    assert run.data.metrics == {"auc": 0.5}
    assert run.data.tags["error"].startswith(type(error).__name__)


def test_a_server_that_is_not_there(log_to: Open, nowhere: str, model: Path, caplog: pytest.LogCaptureFixture) -> None:
    begin = time.monotonic()
    with (
        caplog.at_level(logging.WARNING, logger="mlbkg"),
        log_to(nowhere.replace("//", "//me:secret@"), timeout_s=10) as log,
    ):
        log.parameters({"a": 1})
        log.onnx_model(model, name="upsilon1s", alias=None, description="")
    assert time.monotonic() - begin < 10
    assert log.run_id is None
    assert log.failure is not None
    assert "Connection refused" in log.failure
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


def test_a_server_that_never_answers_costs_no_more_than_agreed(log_to: Open, silent_server: str) -> None:
    begin = time.monotonic()
    with log_to(silent_server, timeout_s=1.5) as log:
        log.metrics({"auc": 0.5})
        assert time.monotonic() - begin < 0.5
        assert log.run_id is None
    assert time.monotonic() - begin < 2.5
    assert log.failure == "TimeoutError: no answer within 1.5 s"


@pytest.mark.parametrize("content", [b"this is not a database" * 100, None])
def test_a_broken_store(log_to: Open, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.mkdir() if content is None else path.write_bytes(content)
    with log_to(f"sqlite:///{path}") as log:
        log.parameters({"a": 1})
    assert log.failure is not None
    assert "database" in log.failure


def test_a_locked_store_costs_no_more_than_agreed(log_to: Open, uri: str, tmp_path: Path) -> None:
    import sqlite3

    holder = sqlite3.connect(tmp_path / "mlflow.db")
    holder.execute("BEGIN EXCLUSIVE")
    begin = time.monotonic()
    with log_to(uri, timeout_s=2) as log:
        log.parameters({"a": 1})
    assert time.monotonic() - begin < 3.5
    assert log.failure is not None
    holder.close()


def test_a_file_that_is_gone_is_told_and_the_run_is_failed(log_to: Open, uri: str, tmp_path: Path) -> None:
    with log_to(uri) as log:
        assert log.run_id is not None
        log.artifact(tmp_path / "nothing.png")
    assert log.failure is not None
    assert "nothing.png" in log.failure
    assert MlflowClient(tracking_uri=uri).get_run(log.run_id).info.status == "FAILED"


def test_the_environment_is_as_before(log_to: Open, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    # MLflow keeps this one for itself, from its import on
    monkeypatch.delenv("_MLFLOW_TELEMETRY_SESSION_ID", raising=False)
    before = dict(os.environ)
    with log_to(uri) as log:
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "30"
    monkeypatch.delenv("_MLFLOW_TELEMETRY_SESSION_ID", raising=False)
    assert dict(os.environ) == before
    assert log.failure is None


def test_no_tracking_and_no_thread_left(uri: str) -> None:
    settings = {"uri": uri, "experiment": "e", "run_name": "r"}
    assert isinstance(open_log(enabled=False, **settings), NullLog)
    with open_log(enabled=True, **settings) as log:
        log.metrics({"auc": 1.0})
    assert log.run_id is not None
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mlbkg-")]


PROGRAM = """
from mlbkg.tracking.mlflow_log import open_log, warm_up
warm_up("sqlite:///sub/mlflow.db")
with open_log(enabled=True, uri="sqlite:///sub/mlflow.db", experiment="e", run_name="r") as log:
    log.metrics({"auc": 1.0})
assert log.failure is None, log.failure
"""


def test_nothing_is_printed_and_all_lies_beside_the_database(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["sub"]
