"""`mlbkg upload` says what it sent where, and what is still here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from mlbkg.stages.upload import spool_of
from mlbkg.tracking.mlflow_log import open_log

Run = Callable[..., Any]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def fail_to_log(analysis: str, uri: str) -> None:
    spool = spool_of(analysis, "first")
    with open_log(enabled=True, uri=uri, experiment=analysis, run_name="first", spool=spool, timeout_s=10) as log:
        log.metrics({"auc": 0.9})
    assert log.failure is not None


def test_nothing_to_send(mlbkg: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = mlbkg("upload")
    assert (done.code, done.err) == (0, "")
    assert done.out == "There is nothing to send: tracking servers were told of all runs.\n"
    assert mlbkg("upload", "--json").json == {"uploaded": [], "kept": []}


def test_what_was_sent_and_what_was_not(mlbkg: Run, tiny: Path) -> None:
    uri = f"sqlite:///{Path.cwd()}/mlflow.db"
    tiny.write_text(tiny.read_text(encoding="utf-8").replace("{enabled: false}", f'{{uri: "{uri}"}}'), encoding="utf-8")
    fail_to_log("tiny", "http://me:secret@127.0.0.1:1")
    failed = mlbkg("upload")
    assert failed.code == 1
    assert "Still here" in failed.out
    assert "refused" in failed.out
    assert failed.err.splitlines()[-1] == "Nothing is lost. When the store answers: mlbkg upload"
    failed = mlbkg("upload", "--json")
    assert (failed.code, failed.json["error"]) == (1, "1 run was not sent")
    assert "secret" not in failed.out + failed.err
    sent = mlbkg("upload", str(tiny), "--json")
    assert sent.code == 0
    (row,) = sent.json["uploaded"]
    assert (row["name"], row["experiment"], row["uri"], row["nested_runs"]) == ("first", "tiny", uri, 0)
    assert MlflowClient(tracking_uri=uri).get_run(row["run_id"]).data.metrics == {"auc": 0.9}


def test_the_table_names_the_run(mlbkg: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.db").mkdir()
    fail_to_log("tiny", f"sqlite:///{tmp_path}/m.db")
    Path("m.db").rmdir()
    done = mlbkg("upload")
    assert done.code == 0
    assert "first" in done.out
    assert "nested" in done.out
