"""Time of ``mlbkg.ntuples.read.iterate`` against bare ``uproot.iterate`` on the same branches.

Thirty float32 branches of a zlib TTree; each pass touches every chunk.

    python tests/benchmarks/reading.py [rows]
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import uproot
from timing import compared

from mlbkg.ntuples.read import iterate

BRANCHES = [f"feature_{i}" for i in range(30)]
BASKET = 50_000
TURNS = 5
THREADS = 2
DEFAULT, THREADED = "uproot.iterate", "uproot.iterate, same threads"


def main(rows: int, *, turns: int = TURNS) -> dict[str, dict[str, float]]:
    """``bare_s``, ``mlbkg_s`` and ``ratio``, mlbkg over bare: with uproot's defaults, and with as many threads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reading.root"
        _write(path, rows)
        executor = uproot.ThreadPoolExecutor(THREADS)
        try:
            return {
                DEFAULT: compared({"bare": lambda: _bare(path, None), "mlbkg": lambda: _ours(path)}, turns=turns),
                THREADED: compared({"bare": lambda: _bare(path, executor), "mlbkg": lambda: _ours(path)}, turns=turns),
            }
        finally:
            executor.shutdown()


def _write(path: Path, rows: int) -> None:
    rng = np.random.default_rng(20190313)
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        tree = file.mktree("events", dict.fromkeys(BRANCHES, "float32"))
        for start in range(0, rows, BASKET):
            size = min(BASKET, rows - start)
            tree.extend({name: rng.normal(size=size).astype(np.float32) for name in BRANCHES})


def _bare(path: Path, executor: object) -> float:
    chunks = uproot.iterate({path: "events"}, BRANCHES, library="np", step_size="100 MB", decompression_executor=executor)
    return sum(float(chunk[BRANCHES[0]][0]) for chunk in chunks)


def _ours(path: Path) -> float:
    chunks = iterate(path, BRANCHES, tree="events", threads=THREADS)
    return sum(float(chunk.columns[BRANCHES[0]][0]) for chunk in chunks)


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500_000), indent=2))
