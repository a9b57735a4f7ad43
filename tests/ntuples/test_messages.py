"""What a user reads when an ntuple is wrong: exact texts under tests/messages."""

from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from mlbkg.errors import NtupleError
from mlbkg.ntuples.read import column_error, describe, find, iterate, require
from mlbkg.ntuples.write import AtomicRootWriter

MESSAGES = Path(__file__).resolve().parents[1] / "messages"
NEEDED = {"R2": "needed by feature 'r2'", "daughter(0,pt)": "needed by feature 'kaon_pt'"}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with one good file and one of each broken kind."""
    monkeypatch.chdir(tmp_path)
    with AtomicRootWriter("data/qqbar_3.root", tree="B0") as writer:
        writer.extend(
            {
                "foxWolframR2": np.arange(5.0),
                "track_px": ak.Array([[1.0], [], [], [], []]),
                "daughter__bo0__cmp__bc": np.arange(5.0),
            }
        )
    with AtomicRootWriter("data/none.root", tree="B0") as writer:
        writer.extend({"foxWolframR2": np.arange(0.0)})
    whole = Path("data/qqbar_3.root").read_bytes()
    Path("data/truncated.root").write_bytes(whole[: len(whole) // 2])
    Path("data/notes.root").write_text("mass = 5.28\n")
    Path("data/zero.root").write_bytes(b"")
    Path("data/header.root").write_bytes(whole[:80])
    with uproot.recreate("data/two.root") as file:
        file.mktree("signal", {"x": "float32"})
        file.mktree("background", {"x": "float32"})
    with uproot.recreate("data/words.root") as file:
        file.mkrntuple("B0", {"name": ["a", "b"], "x": np.arange(2.0)})
    with uproot.recreate("data/histogram.root") as file:
        file["h"] = np.histogram([1.0, 2.0])


def read(path: str, columns: object, **options: object) -> Callable[[], object]:
    return lambda: list(iterate(path, columns, **options))  # type: ignore[arg-type]


CASES: dict[str, Callable[[], object]] = {
    "missing_file": lambda: describe("data/qqbar_4.root"),
    "no_match": lambda: find(["data/*.root", "data/signal_*.root", "dta/qqbar.root", "data", "data/qqbar_5.root"]),
    "not_root": lambda: describe("data/notes.root"),
    "zero_bytes": lambda: describe("data/zero.root"),
    "truncated": lambda: describe("data/truncated.root"),
    "unreadable": lambda: describe("data/header.root"),
    "missing_tree": lambda: describe("data/two.root", tree="sginal"),
    "which_tree": lambda: describe("data/two.root"),
    "no_tree": lambda: describe("data/histogram.root"),
    "missing_branches": read("data/qqbar_3.root", NEEDED),
    "missing_branch": read("data/qqbar_3.root", ["R2"]),
    "jagged": read("data/qqbar_3.root", {"track_px": "needed by cut 'track_px > 1'"}, scalars=["track_px"]),
    "not_numeric": read("data/words.root", ["name", "x"]),
    "several_kinds": read("data/qqbar_3.root", ["R2", "track_px"], scalars=["track_px"]),
    "empty_tree": read("data/none.root", ["foxWolframR2"]),
}


@pytest.mark.parametrize("case", CASES)
def test_message(case: str) -> None:
    with pytest.raises(NtupleError) as caught:
        CASES[case]()
    assert f"{caught.value}\n" == (MESSAGES / f"ntuples_{case}.txt").read_text(encoding="utf-8")
    assert caught.value.where or case == "no_match"
    assert caught.value.exit_code == 1


def test_require_says_the_same_without_reading() -> None:
    ntuple = describe("data/qqbar_3.root")
    assert require(ntuple, ["foxWolframR2", "daughter(0,p)", "track_px"]) == []
    error = column_error(ntuple, NEEDED, context="sample 'qqbar', config line 9")
    assert error is not None
    assert error.what == "2 branches missing from tree 'B0' in data/qqbar_3.root (sample 'qqbar', config line 9)"
    assert require(ntuple, NEEDED) == list(error.details)
    assert require(describe("data/none.root"), ["foxWolframR2"]) == [
        "tree 'B0' in data/none.root is empty: it holds no rows"
    ]
