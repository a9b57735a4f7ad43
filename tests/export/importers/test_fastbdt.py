"""FastBDT's files of every version against FastBDT's own answers (data/fastbdt/README.md says where these are from)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.importers.base import IMPORTERS, Imported
from mlbkg.export.importers.compare import compare
from mlbkg.export.importers.fastbdt import read
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.onnx import build_model
from mlbkg.export.session import open_session

DATA = Path(__file__).parent / "data" / "fastbdt"
SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "fastbdt"
NAMES = sorted(path.stem for path in DATA.glob("v*.txt"))
MARGINS = ("v3", "v4_replaced", "v5_margin")
PROGRAMS = {"v1": "FastBDT 1", "v2": "FastBDT 2", "v3": "FastBDT 3 or 4", "v4": "FastBDT 4", "v5": "FastBDT 5"}

Build = Callable[[Imported], bytes]


@pytest.fixture(scope="module")
def build(make_metadata: Callable[..., ModelMetadata]) -> Build:
    def build(imported: Imported) -> bytes:
        features = [FeatureInfo(f"f{i}") for i in range(imported.forest.n_features)]
        about = make_metadata("fastbdt", features, 1)
        return build_model([imported.forest], replace(about, output=imported.forest.output))

    return build


def answers(content: bytes, X: NDArray[np.float32]) -> NDArray[np.float64]:
    (output,) = open_session(content).run(["output"], {"input": X})
    return output[:, 0].astype(np.float64)


def table(path: Path, *, drop: tuple[int, ...] = ()) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    values = np.delete(np.loadtxt(path, delimiter=",", skiprows=1), drop, axis=1)
    return values[:, :-1].astype(np.float32), values[:, -1]


@pytest.mark.parametrize("name", NAMES)
def test_own_path_is_the_program(name: str) -> None:
    imported = read((DATA / f"{name}.txt").read_bytes(), name)
    X, expected = table(DATA / f"{name}.csv")
    found = imported.answer(X)
    if name.startswith("v5"):  # answers with float32, and the table has 9 digits of it
        np.testing.assert_array_equal(found.astype(np.float32), expected.astype(np.float32))
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-15)
    assert imported.program.startswith(PROGRAMS[name[:2]])
    assert imported.forest.output == ("identity" if name in MARGINS else "logistic")
    assert imported.feature_names is None


@pytest.mark.parametrize("name", NAMES)
def test_onnx_is_the_program(name: str, build: Build) -> None:
    imported = read((DATA / f"{name}.txt").read_bytes(), name)
    X, expected = table(DATA / f"{name}.csv")
    content = build(imported)
    np.testing.assert_allclose(answers(content, X), expected, rtol=2e-7, atol=6e-8)
    rows, difference = compare(imported, content)
    assert rows > 5000
    assert difference < 3e-7


@pytest.mark.parametrize("name", ["FastBDTv5", "higgs_d3_n100"])
def test_public_models(name: str, build: Build) -> None:
    """The goal is 5e-7 of FastBDT 5.4."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not there")
    file, answer_file, drop = {
        "FastBDTv5": ("FastBDTv5.txt", "FastBDTv5_reference.csv", ()),
        "higgs_d3_n100": ("higgs_d3_n100.weights.txt", "higgs_d3_n100.reference.csv.gz", (-2,)),
    }[name]
    imported = read((SHARED / file).read_bytes(), file)
    X, expected = table(SHARED / answer_file, drop=drop)
    np.testing.assert_array_equal(imported.answer(X).astype(np.float32), expected.astype(np.float32))
    assert np.abs(answers(build(imported), X) - expected).max() < 6.1e-8


def test_only_a_forest_by_itself_does_not_say_how_wide_it_is() -> None:
    found = {name: read((DATA / f"{name}.txt").read_bytes(), name).has_width for name in NAMES}
    assert sorted(name for name in NAMES if not found[name]) == ["v3", "v3_float"]


def test_models_that_older_versions_read_differently_say_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        imported = read((DATA / "v5_zeros.txt").read_bytes(), "zeros.txt")
    assert imported.program == "FastBDT 5, bins as they were trained"
    assert "zeros.txt: FastBDT up to 5.4 moves some of its bins" in caplog.text


def test_registered() -> None:
    assert IMPORTERS["fastbdt"].read is read


def tree(cuts: list[tuple[int, str, int]], values: list[float]) -> str:
    rows = "\n".join(f"{feature}\n{threshold}\n{valid}\n1.0\n" for feature, threshold, valid in cuts)
    numbers = f"{len(values)} " + " ".join(map(str, values)) + "\n"
    return f"{len(cuts)}\n{rows}{numbers * 3}\n"


def forest(*trees: str, f0: str = "0.25", shrinkage: str = "0.5", transform: str = "0") -> bytes:
    return "\n".join([f0, shrinkage, transform, str(len(trees)), *trees]).encode()


NAN, INF = np.nan, np.inf
STUMP = tree([(0, "1.5", 1)], [1, 2, 3])
DEEP = tree([(1, "0.5", 1), (0, "nan", 0), (1, "2.5", 1)], [1, 2, 4, 8, 16, 32, 64])


@pytest.mark.parametrize(
    ("trees", "X", "expected"),
    [
        # F0 + shrinkage * value, by hand
        ([], [[0.0]], [0.25]),
        ([STUMP], [[1.4], [1.5], [NAN], [-INF], [INF]], [1.25, 1.75, 0.75, 1.25, 1.75]),
        # an invalid cut ends the way; a feature that exists is not asked again
        ([DEEP], [[0, 0.4], [NAN, 0.4], [0, 2.4], [NAN, 2.5], [0, NAN]], [1.25, 1.25, 16.25, 32.25, 0.75]),
        # everything is at least -inf, nothing at least nan
        ([tree([(0, "-inf", 1)], [1, 2, 3])], [[-INF], [0], [NAN]], [1.75, 1.75, 0.75]),
        ([tree([(0, "nan", 1)], [1, 2, 3])], [[INF], [0], [NAN]], [1.25, 1.25, 0.75]),
        ([tree([(0, "inf", 1)], [1, 2, 3])], [[INF], [3e38], [NAN]], [1.75, 1.25, 0.75]),
        # 9 decimals are a float32, 17 a double: the float32 nearest to 0.1 is above 0.1, that nearest to 0.7 below
        ([tree([(0, "1.000000000e-01", 1)], [1, 2, 3])], [[0.1]], [1.75]),
        ([tree([(0, "6.999999881e-01", 1)], [1, 2, 3])], [[0.7]], [1.75]),
        ([tree([(0, "6.99999999999999956e-01", 1)], [1, 2, 3])], [[0.7]], [1.25]),
        ([tree([(0, "1e-42", 1)], [1, 2, 3])], [[1e-42], [9e-43], [0]], [1.75, 1.25, 1.25]),
        ([STUMP, DEEP, tree([], [10])], [[NAN, NAN], [2, 0]], [6.25, 7.75]),
    ],
)
def test_by_hand(trees: list[str], X: list[list[float]], expected: list[float], build: Build) -> None:
    imported = read(forest(*trees), "model.txt")
    rows = np.array(X, dtype=np.float32)
    np.testing.assert_array_equal(imported.answer(rows), expected)
    np.testing.assert_array_equal(answers(build(imported), rows), expected)


def test_probability_saturates(build: Build) -> None:
    imported = read(forest(tree([(0, "0", 1)], [0, -999, 999]), f0="0", shrinkage="1", transform="1"), "model.txt")
    X = np.array([[-1], [1], [NAN]], dtype=np.float32)
    np.testing.assert_array_equal(imported.answer(X), [0, 1, 0.5])
    np.testing.assert_array_equal(answers(build(imported), X), [0, 1, 0.5])


def edited(name: str, old: str, new: str) -> bytes:
    text = (DATA / f"{name}.txt").read_text()
    assert text.count(old) >= 1
    return text.replace(old, new, 1).encode()


def test_lines_may_be_joined() -> None:
    X, _ = table(DATA / "v5_purity.csv")
    text = (DATA / "v5_purity.txt").read_bytes()
    np.testing.assert_array_equal(read(b" ".join(text.split()), "a").answer(X), read(text, "b").answer(X))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it ends where the version should be"),
        (b"\x80\x04\x95pickle", r"word 1 is '\\x80\\x04\\x95pickle' where F0, a number, should be"),
        (b"2\n100\n3\n", "where the shrinkage of a forest|it ends"),
        (forest(STUMP)[:-8], "it has . entries of a tree|it ends within its entries"),
        (forest(STUMP) + b" 7 7", "where|ends"),
        (forest(STUMP, f0="nan"), "F0 nan and shrinkage 0.5, of which no answer can come"),
        (forest(STUMP, shrinkage="0"), "shrinkage 0, of which no answer can come"),
        (forest(STUMP, transform="2"), "of which no answer can come|where the number of cuts"),
        (forest(tree([(0, "1_5", 1)], [1, 2, 3])), "'1_5' where a cut, a number, should be"),
        (forest(tree([(0, "1.5", 1)], [1, 2, float("nan")])), "no exact ONNX form: it has leaves that are not finite"),
        (forest(tree([(0, "1.5", 1)] * 2, [1, 2, 3, 4, 5])), r"a tree of 2 cuts, and none of 2\^depth - 1"),
        (forest(tree([(0, "1.5", 1)], [1, 2])), "it has 2 weights of a tree where 3 are needed"),
        (forest(tree([(4294967295, "1.5", 1)], [1, 2, 3])), "where the feature of a cut, a whole number of at most"),
        (b"0.5 0.1 1 99999999 7", "where|ends"),
        (edited("v5_purity", "1\n", "3\n"), "word . is .* where|it has a tree of 4 cuts"),
        (edited("v5_purity", "4 1 0 1 0", "4 1 0 1 1"), "contradict each other"),
        (edited("v5_purity", "17 0 ", "17 1 "), "a purity map that does not put bins into another order"),
        (b"1\n1\n1\n0\n1 1 0 -1\n0\n1\n0\n0\n0 0 0 1\n0 0 0 0\n0 0 0 0\n", "it was saved before it was trained"),
        (b"1 1\n3 0 0.5 1\n0 0.1 1\n1\n3 2 1 0.5\n3 0 0 0\n3 0 0 0\n3 0 0 0", "it cuts on feature 3, and has 1"),
        (b"1 2\n5 0 0.5 0.7 0.2 1\n0 0.1 1\n1\n0 2 1 0.5\n3 0 0 0\n3 0 0 0", "bins that are not in order"),
        (b"1 30\n5 0 0.5 0.7 0.2 1\n", "a whole number of at most 20"),
        (b"9" * 100_000, r"'99999999999999999999…' where"),
    ],
)
def test_refused(content: bytes, reason: str) -> None:
    with pytest.raises(MlbkgError, match=reason) as caught:
        read(content, "model.txt")
    assert caught.value.where == "model.txt"


def test_any_bytes_give_an_error_or_a_model() -> None:
    rng = np.random.default_rng(7)
    sources = [(DATA / f"{name}.txt").read_bytes() for name in NAMES]
    words = [b"nan", b"-1", b"99999999999", b"1e400", b"0", b"2", b"<", b"\xff\x00", b"1.5", b""]
    outcomes = {"error": 0, "model": 0}
    for _ in range(400):
        content = bytearray(sources[rng.integers(len(sources))][: 3000 if rng.random() < 0.3 else None])
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(len(content)))
            content[at : at + int(rng.integers(0, 6))] = words[rng.integers(len(words))]
        try:
            imported = read(bytes(content), "mutated.txt")
        except MlbkgError:
            outcomes["error"] += 1
        else:
            outcomes["model"] += 1
            assert imported.answer(np.zeros((2, imported.forest.n_features), dtype=np.float32)).shape == (2,)
    assert min(outcomes.values()) > 20
