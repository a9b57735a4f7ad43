"""How much slower ``mlbkg.ntuples.read.iterate`` is than bare ``uproot.iterate`` on the same branches, in one run.

``python tests/benchmarks/reading.py [ROWS]`` prints one JSON object.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import uproot

from mlbkg.ntuples.read import iterate

BRANCHES = [f"feature_{i}" for i in range(30)]
BASKET = 50_000
REPEATS = 5


def main(rows: int) -> dict[str, float]:
    """Medians of alternating passes over 30 float32 branches of a zlib TTree; each pass touches every chunk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reading.root"
        _write(path, rows)
        bare, ours = [], []
        for _ in range(REPEATS):
            bare.append(_seconds(lambda: _bare(path)))
            ours.append(_seconds(lambda: _ours(path)))
    bare_s, mlbkg_s = statistics.median(bare), statistics.median(ours)
    return {"rows": rows, "bare_s": round(bare_s, 4), "mlbkg_s": round(mlbkg_s, 4), "ratio": round(mlbkg_s / bare_s, 3)}


def _write(path: Path, rows: int) -> None:
    rng = np.random.default_rng(20190313)
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        tree = file.mktree("events", dict.fromkeys(BRANCHES, "float32"))
        for start in range(0, rows, BASKET):
            size = min(BASKET, rows - start)
            tree.extend({name: rng.normal(size=size).astype(np.float32) for name in BRANCHES})


def _bare(path: Path) -> float:
    chunks = uproot.iterate({path: "events"}, BRANCHES, library="np", step_size="100 MB")
    return sum(float(chunk[BRANCHES[0]][0]) for chunk in chunks)


def _ours(path: Path) -> float:
    return sum(float(chunk.columns[BRANCHES[0]][0]) for chunk in iterate(path, BRANCHES, tree="events"))


def _seconds(work: Callable[[], float]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500_000)))
