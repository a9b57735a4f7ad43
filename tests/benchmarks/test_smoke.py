"""The benchmarks run, and say what they should; how fast anything is, is no matter for a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BACKENDS = {"xgboost", "lightgbm", "hist_gradient_boosting"}


@pytest.mark.slow
def test_every_benchmark_runs(tmp_path: Path) -> None:
    script, answer = Path(__file__).with_name("run.py"), tmp_path / "figures.json"
    run = subprocess.run(
        [sys.executable, str(script), "--smoke", "--json", str(answer)], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    results = json.loads(answer.read_text())["results"]
    assert {name: set(found) for name, found in results.items()} == {
        "reading": {"uproot.iterate", "uproot.iterate, same threads"},
        "fitting": BACKENDS,
        "training": {"xgboost"},
        "scoring": {"xgboost"},
        "selecting": {"mlbkg select", "uproot", "script"},
        "signal fits": {"iminuit.cost"},
        "scan limits": {"scipy"},
        "tracking": {"sqlite"},
        "pruning": {"flat"},
        "mlbkg train": {"flat"},
    }
    ratios = [figures["ratio"] for name in results if name != "mlbkg train" for figures in results[name].values()]
    assert len(ratios) == 14
    assert min(ratios) > 0
    assert 0 < results["mlbkg train"]["flat"]["outside_share"] < 1
    assert min(figures["peak_mb"] for figures in results["selecting"].values()) > 10
    lines = run.stdout.splitlines()
    assert len(lines) == 2 + len(ratios)  # two lines of heading; selecting has one less, the whole training one more
    assert {line.count("|") for line in lines} == {6}


def test_single_row_runs(tmp_path: Path) -> None:
    script, answer = Path(__file__).with_name("single_row.py"), tmp_path / "figures.json"
    sizes = ["--rows", "500", "--turns", "1", "--calls", "50000", "--runtime-calls", "20000"]
    run = subprocess.run(
        [sys.executable, str(script), "--smoke", *sizes, "--json", str(answer)], cwd=tmp_path, capture_output=True, text=True
    )
    if run.returncode == 77:
        pytest.skip(run.stderr.strip())
    assert run.returncode == 0, run.stderr
    results = json.loads(answer.read_text())
    assert set(results) == {"xgboost, 5 trees", "lightgbm, 5 trees"}
    for found in results.values():
        assert min(found["header_ns"], found["onnxruntime_ns"], found["native_ns"]) > 0
        assert min(found["header_ratio"], found["onnxruntime_ratio"]) > 0
        assert max(found["header_growth_kb"], found["onnxruntime_growth_kb"]) < 1024
        assert found["onnxruntime_differs"] == 0
        assert found["native_difference"] <= 1e-6
