"""Files are written whole, with their metadata, and read back as they were."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from mlbkg.errors import NtupleError
from mlbkg.ntuples.read import describe, iterate, metadata, read_all
from mlbkg.ntuples.write import ROWS_PER_BASKET, AtomicRootWriter


def tracks(n: int) -> dict[str, object]:
    counts = np.arange(n) % 4
    px = ak.unflatten(np.arange(counts.sum(), dtype=np.float32), counts)
    return {
        "__event__": np.arange(n, dtype=np.int64),
        "n_track": counts.astype(np.int32),
        "track_px": px,
        "track_charge": ak.values_astype(px, "int32"),
        "useCMSFrame(E)": np.linspace(0, 1, n),
        "flag": np.arange(n) % 2 == 0,
        "lonely": ak.values_astype(px, "float64")[:, :1],
    }


def write(path: Path, parts: Iterable[dict[str, object]]) -> None:
    with AtomicRootWriter(path, tree="t") as writer:
        for part in parts:
            writer.extend(part)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "events.root"
    columns = tracks(20)
    with AtomicRootWriter(path, tree="events", metadata={"process": "toy", "generated_events": 20}) as writer:
        writer.extend({name: values[:7] for name, values in columns.items()})
        writer.extend({name: values[:0] for name, values in columns.items()})
        writer.extend({name: values[7:] for name, values in columns.items()})
        writer.metadata["seed"] = 3
    back = read_all(path, list(columns))
    for name, values in columns.items():
        assert ak.all(ak.Array(back[name]) == ak.Array(values)), name
        assert ak.type(back[name]).content == ak.type(values).content, name
    assert metadata(path) == {"process": "toy", "generated_events": 20, "seed": 3}
    assert [file.name for file in tmp_path.iterdir()] == ["events.root"]


def test_collections_share_the_counter_they_came_with(tmp_path: Path) -> None:
    path = tmp_path / "events.root"
    with AtomicRootWriter(path, tree="events") as writer:
        writer.extend(tracks(5))
    with uproot.open(path) as file:
        tree = file["events"]
        assert file["events"].classname == "TTree"
        assert {tree[name].count_branch.name for name in ("track_px", "track_charge")} == {"n_track"}
        assert tree["lonely"].count_branch.name == "n_lonely"
        assert tree["useCMSFrame__boE__bc"].typename == "double"


def test_no_rows_still_make_a_file_with_a_schema(tmp_path: Path) -> None:
    path = tmp_path / "empty.root"
    with AtomicRootWriter(path, tree="events") as writer:
        writer.extend({name: values[:0] for name, values in tracks(3).items()})
    ntuple = describe(path)
    assert ntuple.entries == 0
    assert ntuple.branches["track_px"].kind == "jagged"
    assert ntuple.branches["__event__"].dtype == "int64"


def test_small_extends_are_joined_and_large_ones_cut(tmp_path: Path) -> None:
    path = tmp_path / "events.root"
    n = 2 * ROWS_PER_BASKET + 10
    values = np.arange(n, dtype=np.float32)
    with AtomicRootWriter(path, tree="t") as writer:
        writer.extend({"x": values[:5]})
        writer.extend({"x": values[5:]})
    with uproot.open(path) as file:
        assert file["t"]["x"].num_baskets == 3
    np.testing.assert_array_equal(read_all(path, ["x"])["x"], values)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "events.root"
    path.write_text("old")

    def columns() -> Iterator[dict[str, object]]:
        yield {"x": np.arange(5.0)}
        raise error

    with pytest.raises(error):
        write(path, columns())
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["events.root"]


def test_a_metadata_key_of_another_program_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "foreign.root"
    with uproot.recreate(path) as file:
        file.mktree("t", {"x": "float32"})
    assert metadata(path) == {}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"y": np.zeros(2)}, "changed"),
        ({"x": np.zeros(2), "j": ak.Array([[1.0], []]), "z": np.zeros(2)}, "changed"),
        ({"x": ak.Array([[1.0], []]), "j": ak.Array([[1.0], []])}, "first float64, now lists of float64"),
        ({"x": np.zeros(2), "j": np.zeros(2)}, "first lists of float64, now float64"),
        ({"x": np.zeros(2), "j": ak.Array([[1.0]])}, "different lengths"),
        ({"x": np.zeros(2, dtype=complex), "j": ak.Array([[1.0], []])}, "one number or one list of numbers a row"),
        ({"x": np.zeros((2, 2)), "j": ak.Array([[1.0], []])}, "one number or one list of numbers a row"),
        ({"x": np.array(["a", "b"]), "j": ak.Array([[1.0], []])}, "one number or one list of numbers a row"),
        ({"x": np.zeros(2), "j": ak.Array([[1.0, None], []])}, "one number or one list of numbers a row"),
        ({"x": ak.Array([1.0, None]), "j": ak.Array([[1.0], []])}, "one number or one list of numbers a row"),
        ({"x": np.zeros(2), "j": ak.Array([[1.0], None])}, "one number or one list of numbers a row"),
        ({"x": np.zeros(2), "j": ak.Array([["a"], []])}, "one number or one list of numbers a row"),
    ],
)
def test_later_rows_must_be_like_the_first(tmp_path: Path, second: dict[str, object], message: str) -> None:
    first = {"x": np.zeros(2), "j": ak.Array([[1.0], []])}
    with pytest.raises(NtupleError, match=message):
        write(tmp_path / "a.root", [first, second])
    assert list(tmp_path.iterdir()) == []


def test_a_counter_that_stops_counting_is_an_error(tmp_path: Path) -> None:
    first = {"n_a": np.array([1, 0]), "a_x": ak.Array([[1.0], []])}
    with pytest.raises(NtupleError, match="does not have 'n_a' values a row"):
        write(tmp_path / "a.root", [first, {**first, "n_a": np.array([1, 1])}])


def test_a_flat_column_that_counts_nothing_stays_a_column(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    columns = {"n_a": np.array([7, 7]), "a_x": ak.Array([[1.0], []])}
    with AtomicRootWriter(path, tree="t") as writer:
        writer.extend(columns)
    back = read_all(path, ["n_a", "a_x", "n_a_x"])
    assert back["n_a"].tolist() == [7, 7]
    assert back["n_a_x"].tolist() == [1, 0]
    assert back["a_x"].tolist() == [[1.0], []]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "no columns were given"),
        ({"a(b)": np.zeros(1), "a__bob__bc": np.zeros(1)}, "as another column is"),
        ({"π": np.zeros(1)}, "would be called ''"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, columns: dict[str, object], message: str) -> None:
    with pytest.raises(NtupleError, match=message), AtomicRootWriter(tmp_path / "a.root", tree="t") as writer:
        writer.extend(columns)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NtupleError, match="cannot write"), AtomicRootWriter(tmp_path / "file" / "a.root", tree="t"):
        pass


def test_the_metadata_name_is_taken(tmp_path: Path) -> None:
    with pytest.raises(NtupleError, match="cannot be called 'mlbkg'"):
        AtomicRootWriter(tmp_path / "a.root", tree="mlbkg")


def test_a_colon_in_a_file_name_is_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "run:1.root"
    with AtomicRootWriter(path, tree="t") as writer:
        writer.extend({"x": np.arange(3.0)})
    assert [len(chunk) for chunk in iterate(path, ["x"])] == [3]
