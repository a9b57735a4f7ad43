"""A stage's folder is there whole or not at all, whatever happened to the one before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlbkg.stages.run_folder import RunFolder, write_manifest


@pytest.fixture(scope="module")
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def written(run: RunFolder, text: str) -> Path:
    with run.writing("select") as folder:
        (folder / "skim.root").write_text(text)
        write_manifest(folder, {"stage": "select"})
    return run.stage("select")


def test_a_new_one_takes_the_place_of_the_old(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    written(run, "old")
    assert (written(run, "new") / "skim.root").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["02-select"]


def test_a_failure_leaves_the_old(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    folder = written(run, "old")
    with pytest.raises(ZeroDivisionError), run.writing("select") as draft:
        (draft / "skim.root").write_text(str(1 / 0))
    assert (folder / "skim.root").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["02-select"]


def test_what_a_killed_process_left_is_cleared_up(tmp_path: Path, dead: int) -> None:
    half = tmp_path / f".02-select.{dead}"
    half.mkdir()
    other = tmp_path / f".03-fit.{dead}"
    other.mkdir()
    written(RunFolder(tmp_path), "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "02-select"]


def test_the_old_comes_back_where_the_new_never_came(tmp_path: Path, dead: int) -> None:
    old = tmp_path / f".02-select.{dead}.old"
    old.mkdir()
    (old / "skim.root").write_text("old")
    run = RunFolder(tmp_path)
    with pytest.raises(RuntimeError), run.writing("select"):
        raise RuntimeError
    assert (run.stage("select") / "skim.root").read_text() == "old"


def test_a_draft_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        living = tmp_path / f".02-select.{process.pid}"
        living.mkdir()
        written(RunFolder(tmp_path), "new")
        assert living.is_dir()
    finally:
        process.communicate()
