"""``mlbkg run``: every stage once, nothing twice, and on from where it was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbkg.stages.run import RunResult, run

Small = Callable[..., Path]

STATISTICS = """selection: {working_point: {signal_efficiency: 0.8}}
fit:
  variable: mass
  window: [9.3, 9.6]
  bins: 20
  signal: gaussian
  background: {shape: chebyshev, order: 1}
limit: {quantity: cross_section, symbol: σ, methods: [cls]}
"""
WITH_FIT = {"selection: {working_point: {signal_efficiency: 0.8}}\n": STATISTICS}
STAGES = ("simulate", "train", "select", "fit", "limit")


def done(result: RunResult) -> set[str]:
    return {ran.stage for ran in result.stages if not ran.kept} - {"simulate"}


def test_what_did_not_change_is_kept(small_analysis: Small) -> None:
    config = small_analysis(replace=WITH_FIT, peak=True)
    first = run(config, workers=1)
    assert [ran.stage for ran in first.stages] == list(STAGES)
    assert done(first) == {"train", "select", "fit", "limit"}
    assert first.to_json()["limit"]["unit"] == "fb"
    again = run(config, workers=1)
    assert done(again) == set()
    assert again.run == first.run

    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("bins: 20", "bins: 30"), encoding="utf-8")
    assert "train" in done(run(config, workers=1))
    config.write_text(text.replace("methods: [cls]", "methods: [cls, profile]"), encoding="utf-8")
    changed = run(config, workers=1)
    assert {"fit", "limit"} <= done(changed)

    (changed.run.stage("limit") / "limit.json").unlink()
    assert done(run(config, workers=1)) == {"limit"}
    assert done(run(config, force=True, workers=1)) == {"train", "select", "fit", "limit"}


def test_a_config_without_a_fit_ends_with_the_selection(small_analysis: Small) -> None:
    result = run(small_analysis(), workers=1)
    assert [ran.stage for ran in result.stages] == ["simulate", "train", "select"]


@pytest.mark.skipif(os.name != "posix", reason="kills a group of processes")
@pytest.mark.parametrize("reached", ["01-train", "02-select", "03-fit"])
def test_killed_it_goes_on_with_what_had_finished(small_analysis: Small, reached: str) -> None:
    """SIGKILL when a stage's folder has appeared: that stage is not done again, and no half file is left."""
    config = small_analysis(replace=WITH_FIT, peak=True)
    command = [sys.executable, "-c", "from mlbkg.cli.main import main; main()", "run", str(config), "--quiet", "-j", "1"]
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 240
    while not list(Path("runs").glob(f"*/*/{reached}")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    result = run(config, workers=1)
    finished = STAGES[1 : int(reached[:2]) + 1]
    assert not done(result) & set(finished)
    assert {path.name for path in result.run.path.iterdir()} == {"01-train", "02-select", "03-fit", "04-limit"}
    manifests = [json.loads((path / "manifest.json").read_text()) for path in result.run.path.iterdir()]
    assert all(manifest["key"] for manifest in manifests)
