"""Each example program, run as a user runs it: mlbkg's decision for every row, and the same bits where its ONNX Runtime is
of the same version. ``pytest -rP`` shows what each says, latencies too, and by how much its scores differ.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import onnxruntime
import pytest
import uproot
from numpy.typing import NDArray

from mlbkg.stages.export_model import export_model

HERE = Path(__file__).parent
ROWS = 200_000
ONE_STEP = 1.2e-7
"""Of float32 below 1: what the last bit of another version's exponential may do."""

Run = Callable[..., str]
Compare = Callable[..., int]


@pytest.fixture
def compare(reference: Any) -> Compare:
    """``compare(scores, said, version)``: how many rows are decided as mlbkg decides."""

    def check(scores: NDArray[np.float32], said: str, version: str) -> int:
        difference = float(np.abs(scores - reference.score).max())
        print(f"ONNX Runtime {version}, largest difference {difference:.2g}: {said}")
        assert f"{np.count_nonzero(reference.selected)} of {len(reference.score)} rows selected" in said
        assert difference == 0 if version == onnxruntime.__version__ else difference <= ONE_STEP
        return int(np.count_nonzero((scores >= np.float32(reference.threshold)) == reference.selected))

    return check


@pytest.fixture(scope="session")
def names(reference: Any) -> Sequence[str]:
    session = onnxruntime.InferenceSession(reference.model)
    return [feature["name"] for feature in json.loads(session.get_modelmeta().custom_metadata_map["mlbkg.features"])]


def test_the_rows_are_hard(reference: Any) -> None:
    assert len(reference.X) == ROWS > reference.n_hard > 1_000
    assert np.isnan(reference.X).mean() > 0.02
    assert np.isposinf(reference.X).mean() > 0.005
    assert np.isneginf(reference.X).mean() > 0.005
    assert 0.1 < reference.selected.mean() < 0.9
    assert (reference.score == np.float32(reference.threshold)).any()


def test_python(reference: Any, run: Run, python_with: Any, compare: Compare, tmp_path: Path) -> None:
    python = python_with()
    said = run(
        python.command,
        HERE / "score.py",
        reference.model,
        reference.rows,
        reference.threshold,
        tmp_path / "out",
        env=python.env,
    )
    assert compare(np.fromfile(tmp_path / "out", dtype=np.float32), said, python.version) == ROWS


def test_event_loop(reference: Any, run: Run, python_with: Any, compare: Compare, tmp_path: Path) -> None:
    python = python_with()
    said = run(
        python.command,
        HERE / "event_loop.py",
        reference.model,
        reference.rows,
        reference.threshold,
        tmp_path / "out",
        env=python.env,
    )
    assert compare(np.fromfile(tmp_path / "out", dtype=np.float32), said, python.version) == ROWS
    assert "99 % take less" in said


@pytest.fixture(scope="session")
def c_program(compiler: str, c_api: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build line of ``score.c``."""
    include, library = c_api
    program = tmp_path_factory.mktemp("c") / "score"
    build = [compiler, "-O2", "-std=c11", "-Wall", "-Wextra", "-Werror", "-isystem", str(include), str(HERE / "score.c")]
    link = [str(library), f"-Wl,-rpath,{library.parent}", "-o", str(program)]
    done = subprocess.run([*build, *link], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.parametrize("rows_a_call", [10_000, 1])
def test_c(rows_a_call: int, reference: Any, run: Run, c_program: Path, compare: Compare, tmp_path: Path) -> None:
    said = run([str(c_program)], reference.model, reference.rows, reference.threshold, tmp_path / "out", rows_a_call)
    assert compare(np.fromfile(tmp_path / "out", dtype=np.float32), said, onnxruntime.__version__) == ROWS


def test_c_says_what_is_wrong(reference: Any, c_program: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.f32").write_bytes(reference.rows.read_bytes()[:-2])
    (tmp_path / "no.onnx").write_bytes(b"\x08\x08no model")
    out = str(tmp_path / "out")
    wrong = {
        "no model": [str(tmp_path / "missing.onnx"), str(reference.rows), "0.5", out],
        "not a model": [str(tmp_path / "no.onnx"), str(reference.rows), "0.5", out],
        "No such file": [str(reference.model), str(tmp_path / "missing.f32"), "0.5", out],
        "end within a row": [str(reference.model), str(tmp_path / "cut.f32"), "0.5", out],
        "threshold is a number": [str(reference.model), str(reference.rows), "half", out],
        "usage": [],
    }
    for problem, arguments in wrong.items():
        done = subprocess.run([str(c_program), *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode in (1, 2), problem
        assert (problem if problem not in ("no model", "not a model") else "ONNX Runtime: ") in done.stderr


@pytest.mark.parametrize(("package", "flags"), [("onnxruntime-node", []), ("onnxruntime-web", ["--web"])])
@pytest.mark.parametrize("one_row", [False, True], ids=["batches", "one-row"])
def test_node(
    package: str,
    flags: list[str],
    one_row: bool,
    reference: Any,
    run: Run,
    node_with: Any,
    compare: Compare,
    tmp_path: Path,
) -> None:
    node = node_with(package)
    more = [*flags, "--one-row"] if one_row else flags
    said = run(
        node.command,
        HERE / "score.mjs",
        reference.model,
        reference.rows,
        reference.threshold,
        tmp_path / "out",
        *more,
        env=node.env,
    )
    assert compare(np.fromfile(tmp_path / "out", dtype=np.float32), said, node.version) == ROWS


@pytest.mark.parametrize("flags", [[], ["--batches"]], ids=["callback", "batches"])
def test_rdataframe(
    flags: list[str], reference: Any, names: Sequence[str], run: Run, python_with: Any, compare: Compare, tmp_path: Path
) -> None:
    python = python_with("ROOT")
    with uproot.recreate(tmp_path / "in.root") as file:
        file.mktree("events", dict.fromkeys(names, np.float32)).extend(dict(zip(names, reference.X.T, strict=True)))
    said = run(
        python.command,
        HERE / "rdataframe.py",
        reference.model,
        tmp_path / "in.root",
        "events",
        reference.threshold,
        tmp_path / "out.root",
        *flags,
        env=python.env,
    )
    with uproot.open(tmp_path / "out.root") as file:
        scored = file["events"].arrays(["score", "selected"], library="np")
    assert compare(scored["score"], said, python.version) == ROWS
    np.testing.assert_array_equal(scored["selected"], reference.selected)


def test_coffea(reference: Any, names: Sequence[str], run: Run, python_with: Any, compare: Compare, tmp_path: Path) -> None:
    """Events of 0 to 4 candidates; two chunks."""
    python = python_with("coffea")
    counts = np.random.default_rng(1).integers(0, 5, 2 * len(reference.X))
    counts = counts[: np.searchsorted(np.cumsum(counts), len(reference.X)) + 1]
    counts[-1] -= counts.sum() - len(reference.X)
    candidates = {name: ak.unflatten(column.copy(), counts) for name, column in zip(names, reference.X.T, strict=True)}
    with uproot.recreate(tmp_path / "in.root") as file:
        file.mktree("events", dict.fromkeys(names, "var * float32")).extend(candidates)
    said = run(
        python.command,
        HERE / "coffea_processor.py",
        reference.model,
        tmp_path / "in.root",
        "events",
        reference.threshold,
        tmp_path / "scores",
        env=python.env,
    )
    chunks = sorted((tmp_path / "scores").iterdir(), key=lambda path: int(path.stem))
    assert len(chunks) == 2
    assert compare(np.concatenate([np.load(path) for path in chunks]), said, python.version) == ROWS


def test_basf2(reference: Any, names: Sequence[str], run: Run, compare: Compare, tmp_path: Path) -> None:
    """Also a call for each row, inside basf2."""
    python = shutil.which("python3")
    if python is None or shutil.which("basf2_mva_expert") is None:
        pytest.skip("no basf2_mva_expert: set up basf2 (b2setup), light-2507 or newer")
    export_model(reference.model, tmp_path / "weights.xml", form="basf2")
    columns = {**dict(zip(names, reference.X.T, strict=True)), "isSignal": np.zeros(len(reference.X), dtype=np.float32)}
    with uproot.recreate(tmp_path / "in.root") as file:
        file.mktree("events", dict.fromkeys(columns, np.float32)).extend(columns)
    said = run(
        [python],
        HERE / "basf2_expert.py",
        tmp_path / "weights.xml",
        tmp_path / "in.root",
        "events",
        reference.threshold,
        tmp_path / "out",
    )
    assert compare(np.fromfile(tmp_path / "out", dtype=np.float32), said, "of basf2") == ROWS
