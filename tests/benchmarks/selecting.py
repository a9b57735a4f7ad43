"""Wall time and memory of ``mlbkg select`` on one flat ROOT file, against what else one could do with that file, each as a
program of its own with as many threads as there are cores:

- ``uproot``: only read the same branches, chunk by chunk;
- ``script``: the usual script: the whole file into pandas, ``predict_proba`` of each fold's model on its events, the
  selected rows written with uproot.

    python tests/benchmarks/selecting.py [rows]

Thirty float32 branches, twenty features, XGBoost with five folds of 200 trees of depth 4.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from flat import BRANCHES, EVENT_ID, N_FEATURES, N_FOLDS, write_config, write_flat
from scoring import trained
from timing import Usage, ratio, run_watched

SIGNAL_ROWS = 1_000
TREES = 200
TURNS = 3

MLBKG = "mlbkg select"
PROGRAMS = {"uproot": "only reading the branches with uproot", "script": "pandas, `predict_proba`, uproot"}

UPROOT = """
import uproot
executor = uproot.ThreadPoolExecutor({threads})
for chunk in uproot.iterate({{"big.root": "candidates"}}, {branches}, library="np", step_size="32 MB",
                            decompression_executor=executor):
    pass
"""

SCRIPT = """
import numpy, uproot, xgboost
data = uproot.open("big.root")["candidates"].arrays({branches}, library="pd")
score = numpy.empty(len(data), dtype="float32")
for fold in range({folds}):
    model = xgboost.XGBClassifier()
    model.load_model(f"fold_{{fold}}.json")
    rows = numpy.flatnonzero(data["__event__"] % {folds} == fold)
    score[rows] = model.predict_proba(data[{features}].iloc[rows])[:, 1]
data["score"] = score
selected = data[score >= 0.5]
with uproot.recreate("script.root") as file:
    file["candidates"] = {{name: selected[name].to_numpy() for name in selected}}
"""


def main(rows: int, *, turns: int = TURNS, trees: int = TREES) -> dict[str, dict[str, float]]:
    """``seconds`` (median), ``peak_mb`` (largest) and ``candidates_per_s`` of ``mlbkg select``, ``uproot`` and ``script``;
    ``ratio``: mlbkg's time over theirs."""
    with tempfile.TemporaryDirectory() as folder:
        programs = _prepare(Path(folder), rows, trees)
        used: dict[str, list[Usage]] = {name: [] for name in programs}
        for _ in range(turns):
            for name, command in programs.items():
                used[name].append(run_watched(command, cwd=folder))
    mine = [one.seconds for one in used[MLBKG]]
    answer = {}
    for name, found in used.items():
        seconds = [one.seconds for one in found]
        typical = statistics.median(seconds)
        answer[name] = {
            "seconds": typical,
            "candidates_per_s": rows / typical,
            "peak_mb": max(one.peak_mb for one in found),
            "ratio": ratio(mine, seconds),
        }
    return answer


def _prepare(folder: Path, rows: int, trees: int) -> dict[str, list[str]]:
    """Write the ntuples, train a model on small ones, and say how each program is called in ``folder``."""
    write_flat(folder / "signal.root", SIGNAL_ROWS, label=1, run=1)
    write_flat(folder / "big.root", rows, label=0, run=3)
    write_config(folder / "select.yaml", signal="signal.root", background="big.root", trees=trees)
    _train(folder, trees)
    branches = [*EVENT_ID, *BRANCHES]
    threads = os.cpu_count() or 1
    (folder / "uproot_only.py").write_text(UPROOT.format(threads=threads, branches=branches))
    (folder / "script.py").write_text(SCRIPT.format(branches=branches, features=list(BRANCHES[:N_FEATURES]), folds=N_FOLDS))
    mlbkg = str(Path(sys.executable).with_name("mlbkg"))
    return {
        MLBKG: [mlbkg, "select", "select.yaml", "--model", "folds.onnx", "--output", "skims", "--quiet"],
        "uproot": [sys.executable, "uproot_only.py"],
        "script": [sys.executable, "script.py"],
    }


def _train(folder: Path, trees: int) -> None:
    """Leave ``folds.onnx`` and the folds' native files in ``folder``."""
    parameters = {"n_estimators": trees, "max_depth": 4}
    fitted, models, _ = trained("xgboost", parameters, BRANCHES[:N_FEATURES], event_id=EVENT_ID)
    (folder / "folds.onnx").write_bytes(models.folds)
    for fold, one in enumerate(fitted):
        (path,) = one.to_native_files(folder / "native" / str(fold)).values()
        path.rename(folder / f"fold_{fold}.json")


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000), indent=2))
