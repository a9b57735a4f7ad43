"""Ctrl-C, as a terminal sends it to the program and all its workers: exit 130, nothing half done, nobody left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

PROGRAM = [sys.executable, "-c", "from mlbkg.cli.main import main; main()"]


def interrupted(*arguments: str, at: str, after_s: float) -> subprocess.CompletedProcess[str]:
    """Sends SIGINT to the program's process group ``after_s`` seconds after it told ``at`` on stderr."""
    process = subprocess.Popen(
        [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(at):
                break
        else:
            pytest.fail(f"never told '{at}'")
        time.sleep(after_s)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
        deadline = time.monotonic() + 5
        while group_lives(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not group_lives(process.pid)
    finally:
        if group_lives(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def files() -> set[str]:
    return {str(path) for path in Path().rglob("*") if path.is_file()}


@pytest.mark.parametrize("backend", ["xgboost", "lightgbm"])
def test_training(tiny: Path, backend: str) -> None:
    content = yaml.safe_load(tiny.read_text(encoding="utf-8"))
    endless = {"backend": backend, "n_estimators": 1_000_000, "learning_rate": 1e-6, "early_stopping_rounds": None}
    content["training"]["classifiers"] = [endless]
    tiny.write_text(yaml.safe_dump(content), encoding="utf-8")
    before = files()
    done = interrupted("train", "tiny.yaml", "--json", at="train classifiers", after_s=1.5)
    assert done.returncode == 130
    assert '"error": "interrupted"' in done.stdout
    assert done.stderr.endswith("Interrupted; no half file is left.\n")
    assert "Traceback" not in done.stderr
    assert files() == before
    assert not list(Path("runs").glob("*/*"))


def test_simulation(tiny: Path) -> None:
    content = yaml.safe_load(tiny.read_text(encoding="utf-8"))
    endless = {"name": "made", "role": "background", "files": "made.root"}
    endless["simulate"] = {"process": "upsilon1s_invisible", "events": 50_000_000}
    content["samples"].append(endless)
    tiny.write_text(yaml.safe_dump(content), encoding="utf-8")
    before = files()
    done = interrupted("simulate", "tiny.yaml", "-j", "2", at="simulate made", after_s=6)
    assert done.returncode == 130
    assert done.stdout == ""
    assert done.stderr.endswith("Interrupted; no half file is left.\n")
    assert "Traceback" not in done.stderr
    assert files() == before
