"""A small model, 200,000 rows that are hard on it, what mlbkg itself says of them, and the runtimes that are here.

``MLBKG_CONSUMERS_PYTHON``: a Python with ROOT or coffea, and onnxruntime; else the one that runs the tests.
``ONNXRUNTIME_INCLUDE``: the folder of ``onnxruntime_c_api.h``, if it is not in a usual place.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.classifiers.base import BACKENDS, TrainingSet
from mlbkg.export.adversarial import hard_rows, probe_rows
from mlbkg.export.forest import Forest
from mlbkg.export.metadata import FeatureInfo, ModelMetadata, WorkingPointInfo
from mlbkg.export.native import load_forest
from mlbkg.export.onnx import build_model
from mlbkg.selection.score import open_scorer

ROWS, N_FOLDS = 200_000, 2
FEATURES = ("mRecoil", "EGammaMax", "nTracksROE", "cosTheta", "chiProb", "thrust")
FOLDERS = ("/usr/include", "/usr/local/include", f"{sys.prefix}/include")
PARTS = ("", "onnxruntime", "onnxruntime/core/session")


@dataclass(frozen=True, eq=False)
class Reference:
    """A model, and mlbkg's scores and decisions. rows: the file of ``X``. threshold: the score of some row.

    n_hard: so many rows, the first, are at, beside and between the cuts of every tree, or NaN, ±inf and the like.
    """

    model: Path
    rows: Path
    X: NDArray[np.float32]
    n_hard: int
    score: NDArray[np.float32]
    threshold: float
    selected: NDArray[np.bool_]


@dataclass(frozen=True)
class Runtime:
    """command: that runs a program of it. version: of its ONNX Runtime."""

    command: tuple[str, ...]
    version: str
    env: dict[str, str]


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("model")
    forests = [_trained(fold, folder) for fold in range(N_FOLDS)]
    hard, rest = _hard_rows(forests)
    X = np.concatenate([hard, rest])[:ROWS]
    X.tofile(folder / "rows.f32")
    threshold = float(np.sort(_scores(build_model(forests, _metadata(0.5)), X))[ROWS * 4 // 5])
    (folder / "model.onnx").write_bytes(build_model(forests, _metadata(threshold)))
    score = _scores((folder / "model.onnx").read_bytes(), X)
    selected = score >= np.float32(threshold)
    return Reference(folder / "model.onnx", folder / "rows.f32", X, len(hard), score, threshold, selected)


@pytest.fixture(scope="session")
def run() -> Callable[..., str]:
    """``run(command, *arguments)``: what the program prints, once it has succeeded."""

    def run(command: Sequence[str], *arguments: object, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            [*command, *map(str, arguments)], capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})}
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def python_with() -> Callable[..., Runtime]:
    """A Python that has these modules, or a skip."""

    def find(*modules: str) -> Runtime:
        python = os.environ.get("MLBKG_CONSUMERS_PYTHON", sys.executable)
        script = (
            "import importlib.util, importlib.metadata, json, sys\n"
            "missing = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]\n"
            "print(json.dumps([missing, missing or importlib.metadata.version('onnxruntime')]))"
        )
        found = subprocess.run([python, "-c", script, "onnxruntime", *modules], capture_output=True, text=True, timeout=60)
        assert found.returncode == 0, found.stderr
        missing, version = json.loads(found.stdout)
        if missing:
            pytest.skip(f"{', '.join(missing)} not in {python}: set MLBKG_CONSUMERS_PYTHON to a Python that has it")
        return Runtime((python,), version, {"PYTHONWARNINGS": "ignore"})

    return find


@pytest.fixture(scope="session")
def node_with() -> Callable[[str], Runtime]:
    """Node with this package, installed globally, or a skip."""

    def find(package: str) -> Runtime:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            pytest.skip("no node and npm: https://nodejs.org")
        root = subprocess.run(
            [npm, "root", "--global"], capture_output=True, text=True, timeout=60, check=True
        ).stdout.strip()
        about = Path(root) / package / "package.json"
        if not about.is_file():
            pytest.skip(f"no {package} in {root}: npm install --global {package}")
        return Runtime((node,), json.loads(about.read_text())["version"], {"NODE_PATH": root})

    return find


@pytest.fixture(scope="session")
def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        pytest.skip("no C compiler: apt install gcc")
    return found


@pytest.fixture(scope="session")
def c_api(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of the C header, and the library, which is that of the Python package under the name it asks for."""
    folders = [Path(folder, part) for folder in FOLDERS for part in PARTS]
    if "ONNXRUNTIME_INCLUDE" in os.environ:
        folders.insert(0, Path(os.environ["ONNXRUNTIME_INCLUDE"]))
    include = next((folder for folder in folders if (folder / "onnxruntime_c_api.h").is_file()), None)
    if include is None:
        pytest.skip("no onnxruntime_c_api.h: apt install libonnxruntime-dev, or set ONNXRUNTIME_INCLUDE to its folder")
    package = importlib.util.find_spec("onnxruntime")
    assert package
    assert package.origin
    found = sorted((Path(package.origin).parent / "capi").glob("libonnxruntime.so.1.*"))
    if not found:
        pytest.skip(f"no libonnxruntime.so.1.* in {Path(package.origin).parent / 'capi'}: pip install 'onnxruntime>=1.32'")
    library = tmp_path_factory.mktemp("lib") / "libonnxruntime.so.1"
    library.symlink_to(found[-1])
    return include, library


def _trained(fold: int, folder: Path) -> Forest:
    rng = np.random.default_rng(fold)
    X = _candidates(4_000, rng)
    logit = 3 * X[:, 0] - np.nan_to_num(X[:, 1]) + X[:, 3] * (X[:, 2] - 2) + np.where(X[:, 4] < 0.01, -2, 0) + X[:, 5]
    y = (rng.random(len(X)) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    backend = BACKENDS["xgboost"]
    params = backend.params.model_validate({"n_estimators": 60, "max_depth": 4, "learning_rate": 0.3})
    fitted = backend.fit(TrainingSet(X, y, np.ones(len(X))), params=params, valid=None, seed=1, threads=1, on_round=None)
    ((format, path),) = fitted.to_native_files(folder / str(fold)).items()
    return load_forest(format, path)


def _candidates(rows: int, rng: np.random.Generator) -> NDArray[np.float32]:
    photon = np.where(rng.random(rows) < 0.2, np.nan, rng.exponential(size=rows))
    columns = [
        rng.normal(size=rows),
        photon,
        rng.integers(0, 6, rows),
        rng.uniform(-1, 1, rows),
        rng.random(rows) ** 3,
        rng.normal(size=rows),
    ]
    return np.column_stack(columns).astype(np.float32)


def _hard_rows(forests: Sequence[Forest]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What parity is checked with; and candidates with a third of the values at or beside a cut, and others NaN or ±inf."""
    rng = np.random.default_rng(20190313)
    X = _candidates(ROWS, rng)
    hard = np.concatenate([hard_rows(forests, X[:2_000]), *(probe_rows(forest, X[:2_000])[0] for forest in forests)])
    for place in range(X.shape[1]):
        cuts = np.unique(np.concatenate([forest.threshold[forest.feature == place] for forest in forests]))
        beside = np.concatenate([np.nextafter(cuts, np.float32(side)) for side in (-np.inf, np.inf)])
        chance = rng.random(ROWS)
        values = np.where(chance < 0.3, rng.choice(np.concatenate([cuts, beside]), ROWS), X[:, place])
        X[:, place] = np.select([chance > 0.98, chance > 0.97, chance > 0.92], [np.inf, -np.inf, np.nan], values)
    return hard, X


def _metadata(threshold: float) -> ModelMetadata:
    return ModelMetadata(
        analysis="consumers",
        title="",
        backend="xgboost",
        features=tuple(map(FeatureInfo, FEATURES)),
        n_folds=N_FOLDS,
        salt="",
        event_id=("__event__",),
        working_points=(WorkingPointInfo("test", threshold, 0.5, 0.1),),
        class_prior=0.5,
        config={},
        data_fingerprints={},
        versions={},
    )


def _scores(model: bytes, X: NDArray[np.float32]) -> NDArray[np.float32]:
    with open_scorer(model, threads=1) as scorer:
        return scorer.start(X, np.zeros(len(X), dtype=np.int8))()
