"""Records that runs left are sent, each to its store, oldest first; what cannot be sent stays, with the reason."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from mlbkg.errors import MlbkgError
from mlbkg.stages.upload import UploadResult, spool_of, upload
from mlbkg.tracking.calls import Begin, End, Metrics, Model, Parameters
from mlbkg.tracking.record import CALLS, Record

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
CONFIG = """\
analysis: zprime
ntuples: {{tree: t, event_id: [event]}}
samples:
  - {{name: signal, role: signal, files: signal.root}}
  - {{name: background, role: background, files: background.root}}
features: [x]
tracking: {{uri: "{uri}"}}
"""
NOWHERE = "http://127.0.0.1:1"

Leave = Callable[..., Path]


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, made once: that takes seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> str:
    """With its whole path: MLflow keeps a connection for each address that it was given."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def leave(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leave:
    """What a run leaves that could tell nothing of itself."""
    monkeypatch.chdir(tmp_path)

    def make(analysis: str, name: str, *, uri: str = store, began_ms: int = 1_700_000_000_000) -> Path:
        about: dict[str, Any] = {"description": "", "experiment_description": "", "run_id": None}
        begin = Begin(id=f"{analysis} {name}", uri=uri, experiment=analysis, run_name=name, began_ms=began_ms, **about)
        record = Record.claim(spool_of(analysis, name), begin)
        record.append(Parameters(values={"name": name}))
        record.append(Metrics(values=(("auc", 0.9, 0, began_ms + 1),)))
        record.append(End(status="FINISHED", ended_ms=began_ms + 2))
        record.close()
        return record.folder

    return make


def outcome(result: UploadResult) -> tuple[list[str], list[str]]:
    return [one.run_name for one in result.uploaded], [one.record.name for one in result.kept]


def test_all_are_sent_oldest_first_and_nothing_is_left(leave: Leave, store: str) -> None:
    leave("upsilon1s", "b", began_ms=2_000)
    leave("upsilon1s", "c", began_ms=3_000)
    leave("zprime", "a", began_ms=1_000)
    result = upload()
    assert outcome(result) == (["a", "b", "c"], [])
    assert result.failure is None
    client = MlflowClient(tracking_uri=store)
    for one in result.uploaded:
        run = client.get_run(one.sent.run_id)
        assert (run.info.run_name, run.data.params, run.data.metrics) == (one.run_name, {"name": one.run_name}, {"auc": 0.9})
        experiment = client.get_experiment(run.info.experiment_id)
        assert experiment.name == one.experiment
    assert not list(Path("runs").glob("*/unsent"))
    assert outcome(upload()) == ([], [])


def test_with_a_config_its_analysis_goes_where_the_config_says_now(leave: Leave, store: str) -> None:
    leave("upsilon1s", "a", uri="sqlite:///other.db")
    leave("zprime", "b", uri=NOWHERE)
    Path("zprime.yaml").write_text(CONFIG.format(uri=store), encoding="utf-8")
    result = upload(Path("zprime.yaml"))
    assert outcome(result) == (["b"], [])
    assert result.uploaded[0].uri == store
    assert [path.parent.name for path in Path("runs").glob(f"*/unsent/*/{CALLS}")] == ["a"]


def test_what_fails_does_not_hold_up_the_rest(leave: Leave) -> None:
    first = leave("upsilon1s", "1 nowhere", uri=NOWHERE, began_ms=1_000)
    leave("upsilon1s", "2 nowhere, too", uri=NOWHERE, began_ms=2_000)
    with (leave("upsilon1s", "3 damaged") / CALLS).open("ab") as file:
        file.write(b"{}\n")
    record = Record.take(leave("upsilon1s", "4 without its model", began_ms=4_000))
    assert record is not None
    record.append(Model(file="models/1/m.onnx", card=None, name="m", alias=None, description="", tags={}))
    record.close()
    leave("upsilon1s", "5 well", began_ms=5_000)
    result = upload()
    assert outcome(result)[0] == ["5 well"]
    reasons = {one.record.name: one.reason for one in result.kept}
    assert "Connection refused" in reasons["1 nowhere"]
    assert reasons["2 nowhere, too"] == reasons["1 nowhere"]
    assert reasons["3 damaged"].endswith("record.jsonl:5: not a call that a record holds: {}")
    assert "models/1/m.onnx is missing" in reasons["4 without its model"]
    failure = result.failure
    assert isinstance(failure, MlbkgError)
    assert str(failure).startswith("4 runs were not sent")
    assert first.is_dir()
    again = upload()
    assert [one.record for one in again.kept] == [one.record for one in result.kept]


def test_a_run_that_goes_on_is_left_alone(leave: Leave) -> None:
    folder = leave("upsilon1s", "a")
    program = f"""
from pathlib import Path
from mlbkg.tracking.record import Record
record = Record.take(Path({str(folder)!r}))
print("holds", flush=True)
input()
"""
    holder = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == b"holds\n"
        result = upload()
        assert outcome(result) == ([], ["a"])
        assert result.kept[0].in_use
        assert result.failure is None
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
        holder.stdin.close()
    assert outcome(upload()) == (["a"], [])


def test_an_experiment_that_was_deleted_holds_up_no_other(leave: Leave, store: str) -> None:
    client = MlflowClient(tracking_uri=store)
    leave("upsilon1s", "1", began_ms=1_000)
    leave("zprime", "2", began_ms=2_000)
    client.delete_experiment(client.create_experiment("upsilon1s"))
    result = upload()
    assert outcome(result) == (["2"], ["1"])
    assert result.kept[0].reason.startswith("experiment 'upsilon1s' was deleted; restore it")
