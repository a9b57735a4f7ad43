"""A few of the mutated files with every run of the tests; ten thousand: ``python tests/fuzzing/run.py``."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUN = Path(__file__).with_name("run.py")
FILES = 360
MARK = Path("/tmp/mlbkg-was-here")  # noqa: S108
"""What a pickle among them would make."""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(RUN), *arguments], capture_output=True, text=True, timeout=120, check=False)


def test_each_is_refused_or_correct(tmp_path: Path) -> None:
    done = run("--files", str(FILES), "--seed", "20", "--keep", str(tmp_path))
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert list(tmp_path.iterdir()) == []
    assert not MARK.exists()
    assert re.search(r"files, seed 20: 0 failures", done.stdout, re.MULTILINE)
    rows = {row[0]: (int(row[1]), int(row[2])) for line in done.stdout.splitlines()[1:] if len(row := line.split()) == 3}
    assert {"fastbdt", "basf2-xml", "basf2-root", "onnx"} <= set(rows)
    assert sum(rows["all"]) == FILES + sum(rows["crafted"])
    assert min(rows["all"]) > FILES // 20  # neither is everything refused, nor is nothing


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(RUN.parent))
    return importlib.import_module("run")


def test_a_file_comes_back_by_its_number(module: Any) -> None:
    seeds = {"fastbdt": [b"1 2 3 4.5 6", b"7 8 9"], "lightgbm": [b"tree\nnum_class=1\n"]}
    files = [[module.file_of(seeds, seed, number) for number in range(60)] for seed in (1, 1, 2)]
    assert files[0] == files[1] != files[2]
    assert {kind for kind, _ in files[0]} == {"fastbdt", "lightgbm"}
    assert len(set(files[0])) > 30


def test_failures_are_kept(
    module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = iter(["correct", "crash"])
    monkeypatch.setattr(module, "corpus", lambda: {"fastbdt": [b""]})
    monkeypatch.setattr(module, "crafted", lambda seeds: [])
    monkeypatch.setattr(module, "mutated", lambda *_: b"abc")
    monkeypatch.setattr(
        module.Worker, "_asked", lambda *_: {"outcome": next(outcomes), "message": "-11", "seconds": 0.0, "mib": 0.0}
    )
    monkeypatch.setattr(sys, "argv", ["run.py", "--files", "1", "--keep", str(tmp_path)])
    assert module.main() == 1
    assert (tmp_path / "1-0.fastbdt").read_bytes() == b"abc"
    assert "1 files, seed 1: 1 failures" in capsys.readouterr().out
