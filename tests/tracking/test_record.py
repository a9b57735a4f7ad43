"""A record holds what it was given, is one process's at a time, and is read as data that may be wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlbkg.errors import MlbkgError
from mlbkg.tracking.base import NestedRun
from mlbkg.tracking.calls import (
    Began,
    Begin,
    Call,
    Dataset,
    End,
    Metrics,
    Model,
    Nested,
    Parameters,
    Tags,
    clean,
    from_line,
    to_line,
)
from mlbkg.tracking.record import CALLS, Record

BEGIN = Begin(
    id="a1",
    uri="sqlite:///x.db",
    experiment="upsilon1s",
    run_name="first",
    description="Υ(1S) → invisible",
    experiment_description="",
    run_id=None,
    began_ms=1_700_000_000_000,
)
RUN = NestedRun(
    name="trial 7",
    parameters={"max_depth": 4, "odd, key=": "x" * 7000},
    metrics={"auc": 0.9, "bad": float("nan"), "worse": float("inf")},
    tags={"backend": "xgboost"},
    began=1.5,
    ended=3.25,
    status="KILLED",
    curves={"loss": [0.3, 0.2]},
)
CALLS_OF_EACH_KIND: list[Call] = [
    BEGIN,
    Began(run_id="f" * 32),
    Parameters(values={"a": "1"}),
    Metrics(values=(("auc", 0.5, 0, 12), ("auc", float("-inf"), 1, 13))),
    Tags(values={"analysis": "upsilon1s"}),
    Dataset(name="signal", fingerprint="f" * 64, source="s.root", rows=3),
    Nested(run=clean(RUN)),
    Model(file="models/1/m.onnx", card=None, name="upsilon1s", alias="champion", description="", tags={"git": "1"}),
    End(status="FINISHED", ended_ms=99),
]


@pytest.mark.parametrize("call", CALLS_OF_EACH_KIND, ids=lambda call: call.call)
def test_a_call_is_read_as_it_was_written(call: Call) -> None:
    line = to_line(call)
    assert line.count(b"\n") == 1
    again = from_line(line, where="here")
    assert type(again) is type(call)
    assert to_line(again) == line


def test_nested_runs_get_keys_and_lengths_that_mlflow_takes() -> None:
    run = clean(RUN)
    assert run.parameters == {"max_depth": "4", "odd_ key_": "x" * 5999 + "…"}
    assert run.curves == {"loss": (0.3, 0.2)}
    assert (run.began, run.ended, run.status) == (1.5, 3.25, "KILLED")


@pytest.mark.parametrize(
    "line",
    [
        b"nothing",
        b'{"call":"shell","command":"rm"}\n',
        b'{"call":"end","status":"DONE","ended_ms":1}\n',
        b'{"call":"end","status":"FAILED"}\n',
        b'{"call":"end","status":"FAILED","ended_ms":1,"more":2}\n',
        b'{"call":"tags","values":{"a":[1]}}\n',
        b'{"call":"tags","values":{"a":"1"}\n',
    ],
)
def test_what_is_no_call_is_refused_with_its_line(line: bytes) -> None:
    with pytest.raises(MlbkgError, match=r"^here:3: not a"):
        from_line(line, where="here:3")


def test_a_record_is_found_as_it_was_left(tmp_path: Path) -> None:
    (tmp_path / "roc.png").write_bytes(b"figure")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a.txt").write_text("a")
    record = Record.claim(tmp_path / "unsent" / "first", BEGIN)
    assert not record.continued
    for call in CALLS_OF_EACH_KIND[1:]:
        record.append(call)
    record.keep(tmp_path / "roc.png", "artifacts/figures")
    record.keep(tmp_path / "run", "artifacts")
    assert (record.model_folder(), record.model_folder()) == ("models/1", "models/2")
    record.close()
    left = Record.take(tmp_path / "unsent" / "first")
    assert left is not None
    assert (left.begin, left.run_id, left.continued) == (BEGIN, "f" * 32, True)
    assert [to_line(call) for call in left.left()] == [to_line(call) for call in CALLS_OF_EACH_KIND]
    assert [(path.name, folder) for path, folder in left.artifacts()] == [("roc.png", "figures"), ("a.txt", "run")]
    left.discard()
    assert not (tmp_path / "unsent" / "first").exists()
    with pytest.raises(FileNotFoundError):
        Record.take(tmp_path / "unsent" / "first")


def test_half_a_line_of_a_killed_process_is_dropped(tmp_path: Path) -> None:
    record = Record.claim(tmp_path / "first", BEGIN)
    record.append(Tags(values={"a": "1"}))
    record.close()
    with (tmp_path / "first" / CALLS).open("ab") as file:
        file.write(to_line(Tags(values={"b": "2"}))[:-4])
    again = Record.claim(tmp_path / "first", BEGIN)
    assert again.continued
    again.append(Tags(values={"c": "3"}))
    assert list(again.left()) == [BEGIN, Tags(values={"a": "1"})]
    again.close()
    last = Record.take(tmp_path / "first")
    assert last is not None
    assert list(last.left()) == [BEGIN, Tags(values={"a": "1"}), Tags(values={"c": "3"})]
    last.close()


HOLD = """
import sys, time
from pathlib import Path
from mlbkg.tracking.record import Record
record = Record.take(Path(sys.argv[1]))
print("holds", flush=True)
time.sleep(60)
"""


def test_who_holds_a_record_has_it_alone_until_it_ends(tmp_path: Path) -> None:
    first = tmp_path / "first"
    Record.claim(first, BEGIN).close()
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(first)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"holds\n"
        assert Record.take(first) is None
        beside = Record.claim(first, BEGIN)
        assert (beside.folder, beside.continued) == (tmp_path / "first-2", False)
        beside.discard()
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    taken = Record.take(first)
    assert taken is not None
    taken.close()


def test_only_a_record_of_the_same_run_is_continued(tmp_path: Path) -> None:
    record = Record.claim(tmp_path / "first", BEGIN)
    record.append(Began(run_id="old"))
    record.close()
    for run_id, folder in ((None, "first"), ("old", "first"), ("other", "first-2")):
        found = Record.claim(tmp_path / "first", BEGIN.model_copy(update={"run_id": run_id}))
        assert (found.folder.name, found.run_id) == (folder, run_id or "old")
        found.close()


def test_a_damaged_record_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / CALLS).write_bytes(b"{}\n")
    found = Record.claim(tmp_path / "first", BEGIN)
    assert found.folder.name == "first-2"
    found.close()
    with pytest.raises(MlbkgError, match=r"record.jsonl:1: not a call"):
        Record.take(tmp_path / "first")
    (tmp_path / "first" / CALLS).write_bytes(to_line(End(status="FAILED", ended_ms=1)))
    with pytest.raises(MlbkgError, match="does not begin as a record does"):
        Record.take(tmp_path / "first")


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "link", "models/../../secret"])
def test_no_path_leads_out_of_a_record(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    record = Record.claim(tmp_path / "first", BEGIN)
    (record.folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(MlbkgError, match="a file that it does not hold"):
        record.file(name)
    (record.folder / "artifacts").mkdir()
    (record.folder / "artifacts" / "link").symlink_to(tmp_path)
    with pytest.raises(MlbkgError, match="a file that it does not hold"):
        list(record.artifacts())
    with pytest.raises(MlbkgError, match="a file that it does not hold"):
        record.keep(tmp_path / "secret", "artifacts/../../..")
    record.close()


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    record = Record.claim(tmp_path / "first", BEGIN)
    with pytest.raises(MlbkgError, match=r"models/1/m\.onnx is missing"):
        record.file("models/1/m.onnx")
    record.close()


def test_only_its_owner_reads_a_record(tmp_path: Path) -> None:
    record: Any = Record.claim(tmp_path / "first", BEGIN)
    assert (record.folder.stat().st_mode & 0o077) == 0
    record.close()
