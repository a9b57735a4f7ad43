"""Latency: one row a call in C, with the generated header and in ONNX Runtime, against the library's own call for one row.

    python tests/benchmarks/single_row.py [--calls N] [--runtime-calls N] [--turns N] [--rows N] [--smoke] [--json FILE]

One process, one thread, the three ways in turns over the same rows (``single_row.c``). ``ratio``: of a way's time over the
library's, the median of the turns. Ends with status 1 where answers differ or where memory grows over ``--calls`` calls of
the header or ``--runtime-calls`` of ONNX Runtime, and with status 77 where something that it needs is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scoring
from timing import ratio

from mlbkg.classifiers.base import BACKENDS
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.native import load_forest
from mlbkg.export.onnx import build_model
from mlbkg.stages.export_model import export_model

CALLS, ROWS, TURNS = 10_000_000, 20_000, 11
GROWTH_KB = 1024
DIFFERENCE = 1e-6
NOT_INSTALLED = 77
FOLDERS = ("/usr/include", "/usr/local/include", f"{sys.prefix}/include")
PARTS = ("", "onnxruntime", "onnxruntime/core/session")
LIBRARIES = {"xgboost": "lib/libxgboost.so", "lightgbm": "lib/lib_lightgbm.so"}
MODELS: dict[tuple[str, str], dict[str, Any]] = {
    ("xgboost", "100 trees of depth 3"): {"n_estimators": 100, "max_depth": 3},
    ("lightgbm", "100 trees of depth 3"): {"n_estimators": 100, "max_depth": 3, "num_leaves": 8},
    ("xgboost", "500 trees of 31 leaves"): {
        "n_estimators": 500,
        "max_depth": 20,
        "max_leaves": 31,
        "grow_policy": "lossguide",
    },
    ("lightgbm", "500 trees of 31 leaves"): {"n_estimators": 500, "num_leaves": 31},
}
SMOKE: dict[tuple[str, str], dict[str, Any]] = {
    (backend, "5 trees"): {"n_estimators": 5, "max_depth": 3} for backend in LIBRARIES
}


class NotInstalledError(Exception):
    """What is not there, and how to get it."""


@dataclass(frozen=True)
class Tools:
    """include: the folder of ``onnxruntime_c_api.h``. native: of a backend, its shared library."""

    compiler: str
    include: Path
    onnxruntime: Path
    native: dict[str, Path]


def main() -> int:
    parser = argparse.ArgumentParser(description="one row a call: header, ONNX Runtime, native library")
    parser.add_argument("--calls", type=int, default=CALLS, help="of the header, over which memory must not grow")
    parser.add_argument("--runtime-calls", type=int, default=CALLS, help="the same of ONNX Runtime, some µs each")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--rows", type=int, default=ROWS, help="different rows, all of them in each turn")
    parser.add_argument("--smoke", action="store_true", help="small models, to show that everything runs")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    asked = parser.parse_args()
    try:
        tools = find_tools()
    except NotInstalledError as missing:
        print(missing, file=sys.stderr)
        return NOT_INSTALLED
    results: dict[str, dict[str, float]] = {}
    for (backend, size), parameters in (SMOKE if asked.smoke else MODELS).items():
        found = measure(
            backend, parameters, tools, rows=asked.rows, turns=asked.turns, calls=(asked.calls, asked.runtime_calls)
        )
        results[f"{backend}, {size}"] = found
        print(f"{backend}, {size}:", json.dumps(found, indent=2), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    faults = list(_faults(results))
    print("\n".join(faults), file=sys.stderr, end="\n" if faults else "")
    return 1 if faults else 0


def find_tools() -> Tools:
    """``CC`` and ``ONNXRUNTIME_INCLUDE`` come first. Raises :class:`NotInstalledError`."""
    compiler = shutil.which(os.environ.get("CC", "gcc"))
    if compiler is None:
        raise NotInstalledError("no C compiler: apt install gcc")
    places = [Path(folder, part) for folder in FOLDERS for part in PARTS]
    if "ONNXRUNTIME_INCLUDE" in os.environ:
        places.insert(0, Path(os.environ["ONNXRUNTIME_INCLUDE"]))
    include = next((place for place in places if (place / "onnxruntime_c_api.h").is_file()), None)
    if include is None:
        raise NotInstalledError("no onnxruntime_c_api.h: apt install libonnxruntime-dev, or set ONNXRUNTIME_INCLUDE")
    native = {backend: _in_package(backend, library) for backend, library in LIBRARIES.items()}
    return Tools(compiler, include, _in_package("onnxruntime", "capi/libonnxruntime.so.1.*"), native)


def measure(
    backend: str, parameters: dict[str, Any], tools: Tools, *, rows: int, turns: int, calls: tuple[int, int]
) -> dict[str, float]:
    """Per way, ``_ns`` a call (median) and its ``_ratio`` to the library's; ``_growth_kb`` of its memory over ``calls``.

    ``onnxruntime_differs``: rows whose answer has not the header's bits; ``native_difference``: the largest to the header's.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        native = _trained(backend, parameters, folder)
        scoring.candidates(rows, seed=9).X.tofile(folder / "rows.f32")
        program = _compiled(tools, folder)
        files = [folder / "model.onnx", folder / "rows.f32", backend, tools.native[backend], native]
        run = subprocess.run(
            [str(part) for part in (program, *files, turns, *calls)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    if run.returncode:
        raise RuntimeError(run.stderr)
    said = {tuple(line.split()[:2]): line.split()[2:] for line in run.stdout.splitlines()}
    taken = {name: [float(ns) for ns in values] for (what, name), values in said.items() if what == "ns"}
    memory = {name: [int(kb) for kb in values[1:]] for (what, name), values in said.items() if what == "kb"}
    return {
        **{f"{name}_ns": statistics.median(ns) for name, ns in taken.items()},
        **{f"{name}_ratio": ratio(ns, taken["native"]) for name, ns in taken.items() if name != "native"},
        **{f"{name}_growth_kb": after - before for name, (before, after) in memory.items()},
        "onnxruntime_differs": int(said["differ", "onnxruntime"][0]),
        "native_difference": float(said["differ", "native"][0]),
    }


def _faults(results: dict[str, dict[str, float]]) -> Iterator[str]:
    for model, found in results.items():
        for name in ("header", "onnxruntime"):
            if found[f"{name}_growth_kb"] >= GROWTH_KB:
                yield f"{model}: memory grew by {found[f'{name}_growth_kb']} kB over the calls of {name}"
        if found["onnxruntime_differs"]:
            yield f"{model}: header and ONNX Runtime differ for {found['onnxruntime_differs']} rows"
        if not found["native_difference"] <= DIFFERENCE:
            yield f"{model}: header and {model.split(',')[0]} differ by {found['native_difference']}"


def _trained(backend: str, parameters: dict[str, Any], folder: Path) -> Path:
    """The library's own file; ``folder`` then has model.onnx and bdt.h, too."""
    trainer = BACKENDS[backend]
    params = trainer.params.model_validate(parameters)
    train = scoring.candidates(scoring.TRAINING_ROWS, seed=0)
    fitted = trainer.fit(train, params=params, valid=None, seed=1, threads=1, on_round=None)
    ((format, native),) = fitted.to_native_files(folder / "native").items()
    metadata = ModelMetadata(
        analysis="benchmark",
        title="",
        backend=backend,
        features=tuple(map(FeatureInfo, scoring.FEATURES)),
        n_folds=1,
        salt="",
        event_id=(),
        working_points=(),
        class_prior=0.5,
        config={},
        data_fingerprints={},
        versions={},
    )
    (folder / "model.onnx").write_bytes(build_model([load_forest(format, native)], metadata))
    export_model(folder / "model.onnx", folder / "bdt.h")
    return native


def _compiled(tools: Tools, folder: Path) -> Path:
    library = folder / "libonnxruntime.so.1"  # the name that the library has for itself
    library.symlink_to(tools.onnxruntime)
    source, program = Path(__file__).with_suffix(".c"), folder / "single_row"
    flags = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{folder}", "-isystem", str(tools.include)]
    command = [tools.compiler, *flags, str(source), str(library), f"-Wl,-rpath,{folder}", "-ldl", "-lm", "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def _in_package(package: str, pattern: str) -> Path:
    spec = importlib.util.find_spec(package)
    found = sorted(Path(spec.origin).parent.glob(pattern)) if spec and spec.origin else []
    if not found:
        raise NotInstalledError(f"no {pattern} in the Python package: pip install {package}")
    return found[-1]


if __name__ == "__main__":
    sys.exit(main())
