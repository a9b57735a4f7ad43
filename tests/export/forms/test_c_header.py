"""The C header: compiled by C and C++ compilers, it answers every row with ONNX Runtime's own bits."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.errors import ConfigError
from mlbkg.export.forest import Forest, Output
from mlbkg.export.importers.base import IMPORTERS
from mlbkg.export.load import open_model
from mlbkg.export.lookup import Lookup
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.onnx import build_model
from mlbkg.export.session import open_session
from mlbkg.stages.export_model import export_model

DATA = Path(__file__).parents[1] / "importers" / "data"
STRICT = ["-O2", "-Wall", "-Wextra", "-Werror", "-pedantic"]
ROWS = 200_000
BATCH = 10_000
PROGRAM = """
#include "{name}.h"
#ifdef __cplusplus
extern "C"
#endif
void many(const float *x, long n, float *answer, int *selected) {{
  long row;
  for (row = 0; row < n; ++row) {{
    answer[row] = {name}(x + row * {NAME}_N_FEATURES);
    selected[row] = {name}_selected(x + row * {NAME}_N_FEATURES);
  }}
}}
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, make_metadata: Callable[..., ModelMetadata]) -> Write:
    """The ONNX file of these forests."""

    def write(*forests: Forest, title: str = "", feature: str = "f") -> Path:
        features = [FeatureInfo(f"{feature}{i}") for i in range(forests[0].n_features)]
        metadata = replace(make_metadata(features=features, n_folds=len(forests)), title=title, output=forests[0].output)
        path = tmp_path / "model.onnx"
        path.write_bytes(build_model(forests, metadata))
        return path

    return write


def compiled(folder: Path, name: str, *, cpp: bool) -> ctypes.CDLL:
    compiler = shutil.which("g++" if cpp else "gcc") or shutil.which("clang++" if cpp else "clang")
    if compiler is None:
        pytest.skip("no compiler: apt install g++")
    source, library = folder / f"many.{'cpp' if cpp else 'c'}", folder / f"many_{cpp}.so"
    source.write_text(PROGRAM.format(name=name, NAME=name.upper()))
    command = [compiler, f"-std={'c++11' if cpp else 'c99'}", *STRICT, "-shared", "-fPIC", str(source), "-o", str(library)]
    done = subprocess.run([*command, "-lm"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


def answered(library: ctypes.CDLL, X: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    answer, selected = np.empty(len(X), dtype=np.float32), np.empty(len(X), dtype=np.int32)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (X, answer, selected)]
    library.many(pointers[0], ctypes.c_long(len(X)), *pointers[1:])
    return answer, selected


def hard(forests: tuple[Forest, ...], n_rows: int = ROWS) -> NDArray[np.float32]:
    """At, beside and between all cuts, NaN, ±inf and ±0."""
    rng = np.random.default_rng(5)
    X = np.empty((n_rows, forests[0].n_features), dtype=np.float32)
    for feature in range(X.shape[1]):
        cuts = [forest.threshold[forest.feature == feature] for forest in forests]
        cuts += [lookup.edges for forest in forests for lookup in forest.lookups if lookup.feature == feature]
        found = np.unique(np.concatenate(cuts))
        found = found[np.isfinite(found)] if np.isfinite(found).any() else np.zeros(1, dtype=np.float32)
        at = rng.choice(found, n_rows)
        with np.errstate(over="ignore"):
            between = (at + rng.normal(size=n_rows) * (np.std(found.astype(np.float64)) + 0.1)).astype(np.float32)
        odd = rng.choice(np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40], dtype=np.float32), n_rows)
        kinds = [at, np.nextafter(at, np.float32(-np.inf)), np.nextafter(at, np.float32(np.inf)), odd]
        X[:, feature] = np.select([rng.integers(8, size=n_rows) == i for i in range(4)], kinds, between)
    return X


def random_forest(seed: int, *, precision: str = "float32", output: Output = "logistic", lookups: bool = False) -> Forest:
    """Trees of depth 5 with random cuts; some leaves are on every level."""
    rng = np.random.default_rng(seed)
    columns: list[list[float]] = []
    offset = [0]

    def grow(start: int, depth: int) -> int:
        here = len(columns)
        if depth == 5 or (depth and rng.random() < 0.2):
            value = rng.normal() * 0.3
            columns.append([-1, 0, -1, -1, 0, float(np.float32(value)) if precision == "float32" else value])
            return here - start
        feature = rng.integers(6 if lookups else 4)
        cut = np.float32(rng.choice([-1.0, 0.5, 2.0]) if feature >= 4 else rng.normal())
        columns.append([feature, cut, 0, 0, rng.integers(2), 0])
        left, right = grow(start, depth + 1), grow(start, depth + 1)
        columns[here][2:4] = [left, right]
        return here - start

    for _ in range(30):
        grow(len(columns), 0)
        offset.append(len(columns))
    feature, threshold, left, right, missing_left, value = np.array(columns).T
    steps = np.arange(-3, 4, dtype=np.float32)
    values = np.array([0, 2, -1, 3, 1, 0, 2, -2], dtype=np.float32)
    tables = (Lookup(1, steps, values, np.nan), Lookup(2, steps[:1], values[:2], 0.0))
    return Forest(
        n_features=4,
        op="<" if precision == "float32" else "<=",
        base_margin=0.0,
        precision="float32" if precision == "float32" else "float64",
        tree_offset=np.array(offset),
        feature=feature.astype(np.int32),
        threshold=threshold.astype(np.float32),
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        missing_left=missing_left.astype(bool),
        value=value,
        lookups=tables if lookups else (),
        output=output,
    )


FORESTS: dict[str, tuple[Forest, ...]] = {
    "one fold": (random_forest(1),),
    "mean of three folds": tuple(map(random_forest, (1, 2, 3))),
    "float64": (random_forest(4, precision="float64"), random_forest(5, precision="float64")),
    "lookups": (random_forest(6, lookups=True), random_forest(7, lookups=True)),
    "symmetric": (random_forest(8, precision="float64", output="symmetric"),),
    "identity": (random_forest(9, output="identity"),),
}


@pytest.mark.parametrize("cpp", [False, True], ids=["c99", "c++11"])
@pytest.mark.parametrize("name", FORESTS)
def test_every_answer_has_the_bits_of_onnx_runtime(name: str, cpp: bool, write: Write, tmp_path: Path) -> None:
    forests = FORESTS[name]
    model = write(*forests)
    X = hard(forests)
    session = open_session(open_model(model).content)
    batches = [X[start : start + BATCH] for start in range(0, len(X), BATCH)]
    expected = np.concatenate([session.run(["output"], {"input": batch})[0][:, 0] for batch in batches])
    threshold = float(np.sort(expected)[len(expected) // 2])
    export_model(model, tmp_path / "my_bdt.h", score=threshold)
    answer, selected = answered(compiled(tmp_path, "my_bdt", cpp=cpp), X)
    np.testing.assert_array_equal(answer.view(np.int32), expected.view(np.int32))
    np.testing.assert_array_equal(selected == 1, expected >= np.float32(threshold))
    assert len(np.unique(expected)) > 1000


@pytest.mark.parametrize("source", ["fastbdt/v4_followed.txt", "lightgbm/v2.3.1_categories.txt", "tmva"])
def test_imported_models(source: str, write: Write, tmp_path: Path) -> None:
    paths = sorted((DATA / source).glob("*.xml")) if source == "tmva" else [DATA / source]
    for path in paths:
        forest = IMPORTERS[source.partition("/")[0]].read(path.read_bytes(), path.name).forest
        model = write(forest)
        X = hard((forest,), 20_000)
        expected = open_session(open_model(model).content).run(["output"], {"input": X})[0][:, 0]
        (folder := tmp_path / path.stem).mkdir()
        export_model(model, folder / "bdt.h", score=0.5)
        answer, _ = answered(compiled(folder, "bdt", cpp=False), X)
        np.testing.assert_array_equal(answer.view(np.int32), expected.view(np.int32))


def test_names_cannot_end_the_comment(write: Write, tmp_path: Path) -> None:
    model = write(random_forest(1), title="a */ int x; /* b", feature="*/ evil \\")
    export_model(model, tmp_path / "bdt.h", score=0.5)
    text = (tmp_path / "bdt.h").read_text()
    comment = text[: text.index("#ifndef")]
    assert comment.count("*/") == 1
    assert comment.count("/*") == 1
    compiled(tmp_path, "bdt", cpp=False)


def test_fast_math_is_refused_by_the_header_itself(write: Write, tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no compiler: apt install gcc")
    export_model(write(random_forest(1)), tmp_path / "bdt.h")
    (tmp_path / "a.c").write_text('#include "bdt.h"\n')
    done = subprocess.run(
        [compiler, "-ffast-math", "-c", str(tmp_path / "a.c"), "-o", str(tmp_path / "a.o")], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "compile without -ffast-math" in done.stderr


def test_without_a_working_point_there_is_no_decision(write: Write, tmp_path: Path) -> None:
    export_model(write(random_forest(1)), tmp_path / "bdt.h")
    text = (tmp_path / "bdt.h").read_text()
    assert "THRESHOLD" not in text
    assert not re.search(r"\bmalloc\b|\bcalloc\b|\bstdlib\b", text)
    with pytest.raises(ConfigError, match="cannot name a C function"):
        export_model(tmp_path / "model.onnx", tmp_path / "2bad.h")
