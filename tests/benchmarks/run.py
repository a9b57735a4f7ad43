"""All benchmarks, as one table.

    python tests/benchmarks/run.py [--rows N] [--turns N] [--smoke] [--config CONFIG] [--samples FOLDER] [--json FILE]

Every ratio is mlbkg's time over that of the bare library, taken in turns within one run: the median of the turns' ratios.
``--rows`` is the size of the selection; the others follow it. ``--smoke`` only shows that everything runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cross_fitting
import fitting
import reading
import scan_limits
import scoring
import selecting
import signal_fits
import tracking_overhead
import tuning_pruning
import whole_training
from flat import write_config, write_flat

ROWS = 5_000_000
SMOKE_ROWS = 4_000

Results = dict[str, dict[str, dict[str, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description="mlbkg against the bare libraries")
    parser.add_argument("--rows", type=int, default=ROWS, help="candidates to select")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="sizes that say nothing about speed")
    parser.add_argument("--config", type=Path, default=whole_training.UPSILON1S, help="what `mlbkg train` is measured on")
    parser.add_argument("--samples", type=Path, help="the config's data folder, where it was simulated before")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    asked = parser.parse_args()
    results = smoke() if asked.smoke else measure(asked.rows, asked.turns, asked.config.resolve(), asked.samples)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    print("\n".join(table(results)))
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n", encoding="utf-8")


def measure(rows: int, turns: int, config: Path, samples: Path | None) -> Results:
    return {
        "reading": reading.main(rows // 10, turns=turns),
        "fitting": fitting.main(rows // 25, turns=turns),
        "training": cross_fitting.main(rows // 50, turns=turns),
        "scoring": scoring.main(rows // 100, turns=turns),
        "selecting": selecting.main(rows, turns=turns),
        "signal fits": signal_fits.main(100, turns=turns),
        "scan limits": scan_limits.main(1000, turns=turns),
        "tracking": tracking_overhead.main(rows // 250, turns=turns),
        "pruning": {tuning_pruning.HIGGS.stem: tuning_pruning.main()},
        "mlbkg train": {config.stem: whole_training.main(config, samples=samples)},
    }


def smoke() -> Results:
    with tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder) / f"{name}.root") for name in ("signal", "background")}
        for label, path in enumerate((files["background"], files["signal"])):
            write_flat(Path(path), SMOKE_ROWS, label=label, run=label)
        config = write_config(Path(folder) / "flat.yaml", **files, trees=5)
        flat = whole_training.main(config)
        pruning = tuning_pruning.main(config, trials=7, searches=1, rounds=5)
    return {
        "reading": reading.main(SMOKE_ROWS, turns=1),
        "fitting": fitting.main(SMOKE_ROWS, turns=1, n_estimators=5),
        "training": cross_fitting.main(SMOKE_ROWS, turns=1, n_estimators=5, backends=["xgboost"]),
        "scoring": scoring.main(SMOKE_ROWS, turns=1, trees={"xgboost": {"n_estimators": 5, "max_depth": 3}}),
        "selecting": selecting.main(SMOKE_ROWS, turns=1, trees=5),
        "signal fits": signal_fits.main(2, turns=1),
        "scan limits": scan_limits.main(10, turns=1),
        "tracking": tracking_overhead.main(SMOKE_ROWS, turns=1, trials=2, n_estimators=5),
        "pruning": {"flat": pruning},
        "mlbkg train": {"flat": flat},
    }


def table(results: Results) -> list[str]:
    """In Markdown."""
    return ["| what | against | ratio | mlbkg | theirs |", "| --- | --- | --- | --- | --- |", *_lines(results)]


def _lines(results: Results) -> Iterator[str]:
    def line(*cells: Any) -> str:
        return f"| {' | '.join(map(str, cells))} |"

    for name, found in results["reading"].items():
        against = "bare `uproot.iterate`" if name == reading.DEFAULT else "the same, with as many threads"
        yield line("read 30 branches", against, *_compared(found))
    for name, found in results["fitting"].items():
        yield line("fit", f"{name} alone", *_compared(found))
    for name, found in results["training"].items():
        yield line("five folds, fitted and scored", f"a loop over {name}", *_compared(found))
    for name, found in results["scoring"].items():
        mine, theirs = (f"{found[key]:.2f} µs/row" for key in ("folds_us", "native_us"))
        yield line("score with `folds.onnx`", f"{name}'s own `predict`", f"{found['ratio']:.2f}", mine, theirs)
    mine = results["selecting"][selecting.MLBKG]
    for name, found in results["selecting"].items():
        if name != selecting.MLBKG:
            yield line("`mlbkg select`", selecting.PROGRAMS[name], f"{found['ratio']:.2f}", _used(mine), _used(found))
    for name, found in results["signal fits"].items():
        yield line("fits to toys, 120 bins, 10 parameters", f"`{name}` and Migrad", *_compared(found))
    for name, found in results["scan limits"].items():
        yield line("limits of counting experiments, and five expected", f"`{name}`, the limit alone", *_compared(found))
    for name, found in results["tracking"].items():
        yield line(f"a trial, told to MLflow in {name}", "the same, told to nobody", *_compared(found))
    for name, found in results["pruning"].items():
        yield line(f"a search in {name}.yaml that prunes trials", "the same without", *_compared(found))
    for name, found in results["mlbkg train"].items():
        share = f"{100 * found['outside_share']:.0f} %"
        yield line(f"`mlbkg train {name}.yaml`", "its share outside the work proper", share, _used(found), "")


def _compared(found: dict[str, float]) -> tuple[str, str, str]:
    return f"{found['ratio']:.2f}", f"{found['mlbkg_s']:.2f} s", f"{found['bare_s']:.2f} s"


def _used(found: dict[str, float]) -> str:
    return f"{found['seconds']:.1f} s, {found['peak_mb']:.0f} MB"


if __name__ == "__main__":
    main()
