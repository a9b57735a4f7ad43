"""What a server was not told is told later, and is then what it would have been."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from mlbkg.errors import MlbkgError
from mlbkg.tracking.base import NestedRun, RunLog
from mlbkg.tracking.mlflow_run import PARENT, RECORD
from mlbkg.tracking.record import CALLS, Record
from mlbkg.tracking.upload import Sent, StoreError, send

Open = Callable[..., RunLog]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def trial(number: int) -> NestedRun:
    return NestedRun(
        name=f"trial {number}",
        parameters={"max_depth": number},
        metrics={"auc": 0.9 + number / 1000},
        tags={"backend": "xgboost"},
        began=1_700_000_000.0 + number,
        ended=1_700_000_002.0 + number,
        status=("FINISHED", "KILLED")[number % 2],
        curves={"log_loss": [0.4, 0.3]},
    )


def first_half(log: RunLog, model: Path) -> None:
    log.parameters({"trials": 4})
    log.tags({"analysis": "upsilon1s"})
    log.dataset("signal", fingerprint="f" * 64, source="data/s.root", rows=12)
    log.metrics({"auc": 0.5}, step=0)
    for number in range(2):
        log.nested(trial(number))
    log.artifact(model, folder="models/deep")


def second_half(log: RunLog, model: Path) -> None:
    card = model.with_name("model_card.md")
    card.write_text("# The best\n" + "so good " * 1000, encoding="utf-8")
    log.metrics({"auc": 0.9, "bad": float("nan")}, step=1)
    for number in range(2, 4):
        log.nested(trial(number))
    log.onnx_model(model, name="upsilon1s", alias="champion", description="AUC 0.9", tags={"git_commit": "abc"}, card=card)
    log.artifact(card)


def content(uri: str, run_id: str | None) -> dict[str, Any]:
    """All that the pages of a run show, but for ids and the times of what the run itself said."""
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    assert run_id is not None
    run = client.get_run(run_id)
    children = client.search_runs([run.info.experiment_id], f"tags.`{PARENT}` = '{run_id}'")
    names = [child.info.run_name for child in children]
    assert sorted(names) == sorted(set(names))
    versions = client.search_model_versions(f"run_id = '{run_id}'")
    return {
        **of_run(client, run),
        "datasets": [(one.dataset.name, one.dataset.digest, one.dataset.profile) for one in run.inputs.dataset_inputs],
        "models": [
            (
                model.name,
                model.status,
                model.tags["sha256"],
                sorted(one.path for one in client.list_logged_model_artifacts(model.model_id)),
            )
            for model in (client.get_logged_model(one.model_id) for one in run.outputs.model_outputs)
        ],
        "children": {
            child.info.run_name: {**of_run(client, child), "times": (child.info.start_time, child.info.end_time)}
            for child in children
        },
        "versions": [(one.name, one.description, one.tags) for one in versions],
        "champion": [dict(client.get_registered_model(one.name).aliases) for one in versions],
        "summary": [client.get_registered_model(one.name).description for one in versions],
    }


def of_run(client: MlflowClient, run: Run) -> dict[str, Any]:
    hidden = (RECORD, PARENT)
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "parameters": run.data.params,
        "tags": {name: value for name, value in run.data.tags.items() if name not in hidden},
        "metrics": {
            name: [(one.step, str(one.value)) for one in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        },
        "files": sorted(files_of(client, run.info.run_id, "")),
    }


def files_of(client: MlflowClient, run_id: str, folder: str) -> list[tuple[str, int]]:
    found = []
    for one in client.list_artifacts(run_id, folder or None):
        found += files_of(client, run_id, one.path) if one.is_dir else [(one.path, one.file_size)]
    return found


def send_all(unsent: Path, uri: str) -> list[Sent]:
    sent = []
    for folder in sorted(unsent.glob("*")):
        record = Record.take(folder)
        assert record is not None
        sent.append(send(record, uri=uri))
    return sent


@pytest.fixture
def reference(log_to: Open, empty_store: Path, tmp_path: Path, model: Path) -> dict[str, Any]:
    """What a run is that nothing happened to."""
    (tmp_path / "reference").mkdir()
    shutil.copy(empty_store, tmp_path / "reference" / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/reference/mlflow.db"
    with log_to(uri) as log:
        first_half(log, model)
        second_half(log, model)
    assert log.failure is None
    found = content(uri, log.run_id)
    assert len(found["children"]) == 4
    assert found["versions"][0][1] == ("AUC 0.9\n\n# The best\n" + "so good " * 1000)[:4999] + "…"
    assert found["versions"][0][2].keys() == {"git_commit", "sha256"}
    assert found["summary"] == ["AUC 0.9"]
    assert {"MLmodel", "card.md", "model.onnx"} <= set(found["models"][0][3])
    assert len(found["files"]) == 2
    return found


def assert_same(found: dict[str, Any], reference: dict[str, Any]) -> None:
    """But for the number of the champion's version, where there were some before."""
    assert [list(aliases) for aliases in found.pop("champion")] == [["champion"]]
    assert found == {name: value for name, value in reference.items() if name != "champion"}


@pytest.mark.slow
def test_a_server_that_dies_and_comes_back(
    server: Any, log_to: Open, model: Path, tmp_path: Path, reference: dict[str, Any]
) -> None:
    unsent = tmp_path / "unsent"
    with log_to(server.uri, spool=unsent / "1 midway", timeout_s=20) as midway:
        first_half(midway, model)
        run_id = midway.run_id
        assert (unsent / "1 midway" / CALLS).is_file()
        server.kill()
        second_half(midway, model)
    assert midway.failure is not None
    with log_to(server.uri, spool=unsent / "2 never", timeout_s=20) as never:
        first_half(never, model)
        second_half(never, model)
    assert never.run_id is None
    assert sorted(folder.name for folder in unsent.glob("*")) == ["1 midway", "2 never"]
    record = Record.take(unsent / "2 never")
    assert record is not None
    with pytest.raises(StoreError, match=r"takes nothing: .*Connection refused"):
        send(record, uri=server.uri)
    record.close()

    server.start()
    sent = send_all(unsent, server.uri)
    assert [(one.nested, one.models, one.files) for one in sent] == [(4, 1, 2)] * 2
    assert sent[0].run_id == run_id
    assert not list(unsent.iterdir())
    for one in sent:
        assert_same(content(server.uri, one.run_id), reference)
    client = MlflowClient(tracking_uri=server.uri)
    begun = [client.get_run(one.run_id).info.start_time for one in sent]
    assert begun == sorted(begun)
    with log_to(server.uri, spool=unsent / "3 well") as log:
        first_half(log, model)
        second_half(log, model)
    assert log.failure is None
    assert not unsent.exists()
    assert_same(content(server.uri, log.run_id), reference)


class Killed(BaseException):
    """As SIGKILL would end it, at a call to the server that was or was not done yet."""


WRITING = (
    "create_experiment",
    "create_run",
    "update_run",
    "log_batch",
    "log_inputs",
    "log_outputs",
    "log_artifact",
    "log_model_artifacts",
    "create_logged_model",
    "finalize_logged_model",
    "create_registered_model",
    "create_model_version",
    "set_registered_model_alias",
    "set_terminated",
)


@pytest.mark.parametrize("done", [True, False], ids=["after the call", "before the call"])
def test_killed_at_any_call_it_is_sent_again_and_nothing_twice(
    log_to: Open,
    uri: str,
    nowhere: str,
    model: Path,
    tmp_path: Path,
    reference: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    done: bool,
) -> None:
    """Each attempt comes one writing call further than the one before it."""
    with log_to(nowhere, spool=tmp_path / "unsent" / "first", timeout_s=10) as log:
        first_half(log, model)
        second_half(log, model)
    calls, allowed = 0, 0

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > allowed and not done:
                raise Killed
            answer = method(*args, **options)
            if calls > allowed:
                raise Killed
            return answer

        return call

    for name in WRITING:
        monkeypatch.setattr(MlflowClient, name, dying(getattr(MlflowClient, name)))
    sent = None
    while sent is None:
        calls, allowed = 0, allowed + 1
        record = Record.take(tmp_path / "unsent" / "first")
        assert record is not None
        try:
            sent = send(record, uri=uri)
        except Killed:
            record.close()
    assert allowed >= 10
    monkeypatch.undo()
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_run(sent.run_id).info.experiment_id
    assert len(client.search_runs([experiment])) == 5
    assert len(client.search_logged_models([experiment])) == 1
    assert_same(content(uri, sent.run_id), reference)


def test_a_study_that_failed_to_tell_goes_on_in_one_run(
    log_to: Open, uri: str, nowhere: str, model: Path, tmp_path: Path, reference: dict[str, Any]
) -> None:
    spool = tmp_path / "unsent" / "study"
    with log_to(nowhere, spool=spool, timeout_s=10) as log:
        first_half(log, model)
    assert log.failure is not None
    with log_to(uri, spool=spool) as log:
        log.nested(trial(0))
        second_half(log, model)
    assert log.failure is None
    assert not spool.parent.exists()
    assert_same(content(uri, log.run_id), reference)


PROGRAM = """
import os, signal, sys
from pathlib import Path
from mlbkg.tracking.base import NestedRun
from mlbkg.tracking.mlflow_log import open_log
with open_log(enabled=True, uri=sys.argv[1], experiment="e", run_name="r", spool=Path("unsent/r")) as log:
    assert log.run_id is not None
    for number in range(2000):
        log.nested(NestedRun(f"trial {number}", {"a": number}, {"auc": 0.5}, {}, began=1.0, ended=2.0))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_program_leaves_what_it_did_not_tell(uri: str, tmp_path: Path) -> None:
    begin = time.time()
    done = subprocess.run([sys.executable, "-c", PROGRAM, uri], cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    lines = (tmp_path / "unsent" / "r" / CALLS).read_bytes().splitlines(keepends=True)
    assert len([line for line in lines if b'"nested"' in line]) == 2000
    kept = [line for line in lines if b'"nested"' not in line or b"trial 1" in line][:100]
    (tmp_path / "unsent" / "r" / CALLS).write_bytes(b"".join(kept))
    (sent,) = send_all(tmp_path / "unsent", uri)
    run = MlflowClient(tracking_uri=uri).get_run(sent.run_id)
    assert run.info.status == "KILLED"
    assert 1000 * begin <= run.info.start_time <= run.info.end_time <= 1000 * time.time()
    names = {json.loads(line)["run"]["name"] for line in kept if b'"nested"' in line}
    assert names <= content(uri, sent.run_id)["children"].keys()


def test_the_alias_stays_with_what_was_found_since(
    log_to: Open, uri: str, nowhere: str, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with log_to(nowhere, spool=tmp_path / "unsent" / "old", timeout_s=10) as old:
        second_half(old, model)
    time.sleep(0.01)
    with log_to(uri) as new:
        second_half(new, model)
    with caplog.at_level("INFO", logger="mlbkg"):
        send_all(tmp_path / "unsent", uri)
    champion = MlflowClient(tracking_uri=uri).get_model_version_by_alias("upsilon1s", "champion")
    assert champion.run_id == new.run_id
    assert "alias 'champion' of model 'upsilon1s' stays with version 1, of a later run" in caplog.text


@pytest.mark.parametrize("damage", ["model", "line"])
def test_a_damaged_record_is_kept_and_its_run_goes_on(
    log_to: Open, uri: str, nowhere: str, model: Path, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "unsent" / "first"
    with log_to(nowhere, spool=folder, timeout_s=10) as log:
        second_half(log, model)
    if damage == "model":
        (folder / "models" / "1" / "model.onnx").unlink()
    else:
        with (folder / CALLS).open("ab") as file:
            file.write(b"nonsense\n")
    with pytest.raises(MlbkgError, match=r"model.onnx is missing|not a call that a record holds: nonsense"):
        send_all(tmp_path / "unsent", uri)
    assert (folder / CALLS).is_file()
