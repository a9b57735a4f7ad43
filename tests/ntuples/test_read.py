"""Streaming of TTree and RNTuple, flat and jagged, against bare uproot on the same files."""

import functools
import http.server
import os
import threading
from pathlib import Path

import awkward as ak
import fsspec
import numpy as np
import pytest
import uproot

from mlbkg.errors import NtupleError
from mlbkg.ntuples import read as module
from mlbkg.ntuples.read import Chunk, describe, find, iterate, read_all, require
from mlbkg.ntuples.write import AtomicRootWriter

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not here")
HIGGS = Path(__file__).resolve().parents[1] / "data" / "Higgs_data.root"


def write(path: Path, n: int, *, offset: int = 0) -> Path:
    counts = np.arange(n) % 3
    px = ak.unflatten(np.arange(counts.sum(), dtype=np.float32), counts)
    with AtomicRootWriter(path, tree="events") as writer:
        writer.extend(
            {
                "__event__": np.arange(offset, offset + n, dtype=np.int64),
                "useCMSFrame__boE__bc": np.linspace(0, 1, n, dtype=np.float32),
                "n_track": counts,
                "track_px": px,
            }
        )
    return path


def write_rntuple(path: Path, n: int, *, clusters: int = 1) -> Path:
    counts = np.arange(n) % 3
    columns = {
        "__event__": np.arange(n),
        "x": np.linspace(0, 1, n, dtype=np.float32),
        "track_px": ak.unflatten(np.arange(counts.sum(), dtype=np.float32), counts),
        "word": ["a"] * n,
    }
    with uproot.recreate(path) as file:
        ntuple = file.mkrntuple("events", columns)
        for _ in range(clusters - 1):
            ntuple.extend(columns)
    return path


def test_columns_come_under_the_names_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", 10)
    (chunk,) = iterate(path, ["useCMSFrame(E)", "useCMSFrame__boE__bc", "track_px", "__event__"], tree="events")
    assert list(chunk.columns) == ["useCMSFrame(E)", "useCMSFrame__boE__bc", "track_px", "__event__"]
    assert isinstance(chunk.columns["useCMSFrame(E)"], np.ndarray)
    assert chunk.columns["useCMSFrame(E)"].dtype == np.float32
    assert isinstance(chunk.columns["track_px"], ak.Array)
    assert (chunk.path, chunk.start, chunk.stop, len(chunk)) == (str(path), 0, 10, 10)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [1, 7, 10, 1000, None])
def test_chunks_join_to_the_files(tmp_path: Path, rows: int | None, threads: int) -> None:
    paths = [write(tmp_path / "a.root", 10), write(tmp_path / "b.root", 23, offset=100)]
    chunks = list(iterate(paths, ["__event__", "track_px"], tree="events", rows_per_chunk=rows, threads=threads))
    events = np.concatenate([chunk.columns["__event__"] for chunk in chunks])
    np.testing.assert_array_equal(events, [*range(10), *range(100, 123)])
    assert all(len(chunk.columns["track_px"]) == len(chunk) <= (rows or 33) for chunk in chunks)
    lists = [row for chunk in chunks for row in chunk.columns["track_px"].tolist()]
    assert lists == [row for path in paths for row in uproot.open({path: "events"})["track_px"].array().tolist()]


@pytest.mark.parametrize("rows", [1, 7, 40, None])
def test_rntuples_read_like_trees(tmp_path: Path, rows: int | None) -> None:
    path = write_rntuple(tmp_path / "a.root", 20, clusters=3)
    back: dict[str, list[object]] = {"x": [], "track_px": [], "__event__": []}
    for chunk in iterate(path, list(back), rows_per_chunk=rows):
        for name, values in back.items():
            values.extend(chunk.columns[name].tolist())
        assert isinstance(chunk.columns["x"], np.ndarray)
    expected = uproot.open({path: "events"}).arrays(list(back))
    assert back == {name: expected[name].tolist() for name in back}


def test_rntuple_kinds(tmp_path: Path) -> None:
    ntuple = describe(write_rntuple(tmp_path / "a.root", 4))
    assert {name: info.kind for name, info in ntuple.branches.items()} == {
        "__event__": "number",
        "x": "number",
        "track_px": "jagged",
        "word": "other",
    }
    assert ntuple.branches["track_px"].dtype == "float32"
    assert ntuple.entries == 4


def test_a_chunk_holds_whole_baskets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        tree = file.mktree("t", {"x": "float32", "y": "float32"})
        for _ in range(10):
            tree.extend({"x": np.zeros(1000, np.float32), "y": np.zeros(1000, np.float32)})
    monkeypatch.setattr(module, "CHUNK_BYTES", 2500 * 8)
    assert [chunk.start for chunk in iterate(path, ["x", "y"])] == [0, 2000, 4000, 6000, 8000]


def test_no_basket_is_decompressed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        tree = file.mktree("t", {"x": "float32"})
        for _ in range(6):
            tree.extend({"x": np.zeros(1000, np.float32)})
    decompressed: list[int] = []
    basket = uproot.models.TBasket.Model_TBasket
    monkeypatch.setattr(basket, "read_members", _counting(basket.read_members, decompressed))
    assert sum(len(chunk) for chunk in iterate(path, ["x"], rows_per_chunk=700, threads=1)) == 6000
    assert len(decompressed) == 6


def _counting(method: object, calls: list[int]) -> object:
    def counted(self: object, *args: object, **kwargs: object) -> object:
        calls.append(1)
        return method(self, *args, **kwargs)  # type: ignore[operator]

    return counted


def test_no_columns_still_count_rows(tmp_path: Path) -> None:
    chunks = list(iterate(write(tmp_path / "a.root", 10), [], rows_per_chunk=4))
    assert [(chunk.start, chunk.stop, dict(chunk.columns)) for chunk in chunks] == [(0, 4, {}), (4, 8, {}), (8, 10, {})]


def test_described_ntuples_can_be_read(tmp_path: Path) -> None:
    ntuple = describe(write(tmp_path / "a.root", 5))
    assert ntuple.trees == ("events",)
    assert ntuple.entries == 5
    assert ntuple.resolve("useCMSFrame(E)") == "useCMSFrame__boE__bc"
    assert read_all(ntuple, ["__event__"])["__event__"].tolist() == [0, 1, 2, 3, 4]


def test_names_with_pattern_characters_mean_themselves(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        file.mktree("t", {"a": "float32", "[a]": "float32", "a*": "int32"}).extend(
            {"a": np.zeros(2, np.float32), "[a]": np.ones(2, np.float32), "a*": np.full(2, 2, np.int32)}
        )
    assert {name: values.tolist() for name, values in read_all(path, ["[a]", "a*"]).items()} == {"[a]": [1, 1], "a*": [2, 2]}


def test_empty_trees_are_passed_over_when_asked(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.root", 0), write(tmp_path / "b.root", 2)]
    assert [chunk.path for chunk in iterate(paths, ["n_track"], allow_empty=True)] == [str(paths[1])]
    assert require(describe(paths[0]), ["n_track"], allow_empty=True) == []
    with pytest.raises(NtupleError, match="is empty: it holds no rows"):
        list(iterate(paths, ["n_track"]))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_a_stopped_reader_closes_its_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", 10)
    before = len(os.listdir("/proc/self/fd"))
    chunks = iterate(path, ["__event__"], rows_per_chunk=2)
    assert isinstance(next(chunks), Chunk)
    chunks.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_globs_paths_and_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.root", "a.root", "c.txt", "sub/d.root"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert find(["*.root"]) == ["a.root", "b.root"]
    assert find(["b.root", "./*.root", str(tmp_path / "a.root")]) == ["a.root", "b.root"]
    assert find(["**/*.root"]) == ["a.root", "b.root", "sub/d.root"]
    with fsspec.open_files(["memory://find/x.root", "memory://find/y.root"], "wb") as files:
        for file in files:
            file.write(b"x")
    assert find(["memory://find/*.root"]) == ["memory:///find/x.root", "memory:///find/y.root"]
    assert find(["memory://find/x.root"]) == ["memory://find/x.root"]
    with pytest.raises(NtupleError, match=r"no such file: 'memory://find/z\.root'"):
        find(["memory://find/z.root"])


def test_urls_are_read_through_fsspec(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", 10)
    with fsspec.open("memory://read/a.root", "wb") as file:
        file.write(path.read_bytes())
    assert read_all("memory://read/a.root", ["__event__"])["__event__"].tolist() == list(range(10))


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Sends whole files only, as Python's server does; ``ranges`` adds what real servers do."""

    ranges = False

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        if not self.ranges or asked is None:
            super().do_GET()
            return
        content = Path(self.translate_path(self.path)).read_bytes()
        start, stop = asked.removeprefix("bytes=").split("-")
        part = content[int(start) : int(stop) + 1 if stop else None]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(part)

    def end_headers(self) -> None:
        if self.ranges:
            self.send_header("Accept-Ranges", "bytes")
        super().end_headers()


@pytest.mark.parametrize("ranges", [False, True])
def test_the_web_is_read_with_and_without_ranges(tmp_path: Path, ranges: bool) -> None:
    write(tmp_path / "a.root", 10)
    handler = type("Handler", (_Handler,), {"ranges": ranges})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        assert find([f"{url}/a.root"]) == [f"{url}/a.root"]
        assert read_all(f"{url}/a.root", ["__event__"])["__event__"].tolist() == list(range(10))
        with pytest.raises(NtupleError, match="no such file: 'http"):
            describe(f"{url}/b.root")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    with pytest.raises(NtupleError, match="cannot open http"):
        describe(f"{url}/a.root")


def test_higgs_names_with_a_hyphen() -> None:
    ntuple = describe(HIGGS, tree="sig_tree")
    assert ntuple.trees == ("bkg_tree", "sig_tree")
    assert ntuple.entries == 10_000  # shared/data/README.md
    assert len(ntuple.branches) == 29
    values = read_all(HIGGS, ["jet1_b-tag", "lepton_pT"], tree="sig_tree")
    assert values["jet1_b-tag"].shape == (10_000,)
    assert values["jet1_b-tag"].dtype == np.float32


@needs_shared
@pytest.mark.parametrize(
    ("name", "tree", "kinds"),
    [
        (
            "ml_dataloader_filters_vectors_hvector.root",
            "test_tree",
            {"f1": "number", "f3": "number", "f4": "jagged", "f5": "jagged", "f6": "jagged"},
        ),
        ("test_int_float_rntuple_v1-0-0-0.root", "ntuple", {"one_integers": "number", "two_floats": "number"}),
        ("uproot-HZZ-zlib.root", "events", {"NJet": "number", "Jet_Px": "jagged", "Jet_ID": "jagged"}),
        ("uproot-Zmumu-zlib.root", "events", {"Type": "other", "E1": "number"}),
        ("tmva_class_example.root", "TreeB", {"weight": "number"}),
    ],
)
def test_files_of_others(name: str, tree: str, kinds: dict[str, str]) -> None:
    path = SHARED / "root_files" / name
    ntuple = describe(path, tree=tree)
    assert {branch: ntuple.branches[branch].kind for branch in kinds} == kinds
    columns = [branch for branch, kind in kinds.items() if kind != "other"]
    ours = read_all(ntuple, columns)
    theirs = uproot.open({path: tree}).arrays(columns)
    for branch in columns:
        assert ours[branch].tolist() == theirs[branch].tolist()


def test_damage_names_file_and_branch(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    rng = np.random.default_rng(1)
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        tree = file.mktree("t", {"good": "float32", "bad": "float32"})
        for _ in range(4):
            tree.extend({name: rng.normal(size=1000).astype(np.float32) for name in ("good", "bad")})
    with uproot.open(path) as file:
        start = int(file["t"]["bad"].member("fBasketSeek")[2])
    content = bytearray(path.read_bytes())
    content[start + 200 : start + 1200] = bytes(1000)
    path.write_bytes(content)
    assert len(list(iterate(path, ["good"]))) == 1
    with pytest.raises(NtupleError) as caught:
        list(iterate(path, ["good", "bad"], rows_per_chunk=1000))
    assert caught.value.what == f"{path} is damaged: tree 't' cannot be read in rows 2000 to 3000"
    assert caught.value.details[0] == "branch 'bad' fails"
    assert not any("good" in line for line in caught.value.details)
