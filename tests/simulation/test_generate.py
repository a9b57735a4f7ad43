"""Files: the same events for any number of workers, whole or absent."""

import signal
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import psutil
import pytest
import uproot

from mlbkg.errors import ConfigError, MlbkgError, UnknownNameError
from mlbkg.ntuples.read import metadata
from mlbkg.physics.beams import BEAMS
from mlbkg.simulation import generate as module
from mlbkg.simulation.base import PROCESSES, Generated, Process, ProcessParams, Setting
from mlbkg.simulation.events import COLLECTIONS, EVENT
from mlbkg.simulation.generate import Block, SimulatedSample, generate, simulate_block


def block(sample: str, *, seed: int, number: int) -> Block:
    return Block("upsilon1s_invisible", sample, seed, number, 100, BEAMS["Y3S"], ProcessParams())


def make(
    path: Path, *, process: str = "upsilon3s_generic", events: int = 25_000, seed: int = 1, workers: int = 1
) -> SimulatedSample:
    return generate(process, events=events, seed=seed, sample="sample", path=path, workers=workers)


def contents(path: Path) -> ak.Array:
    with uproot.open(path) as file:
        return file["events"].arrays()


def same(first: ak.Array, second: ak.Array) -> bool:
    return first.fields == second.fields and all(
        ak.array_equal(first[name], second[name], equal_nan=True) for name in first.fields
    )


def test_workers_do_not_change_the_events(tmp_path: Path) -> None:
    one = make(tmp_path / "one.root", workers=1)
    two = make(tmp_path / "two.root", workers=2)
    assert one.events_generated == two.events_generated == 25_000
    assert same(contents(one.path), contents(two.path))


def test_seeds_and_samples_change_the_events() -> None:
    first = simulate_block(block("a", seed=1, number=0))
    for other in (block("a", seed=2, number=0), block("b", seed=1, number=0)):
        second = simulate_block(other)
        assert not np.array_equal(first.event["mc_dipion_mass"], second.event["mc_dipion_mass"])
        assert first.event["__run__"][0] != second.event["__run__"][0]
    next_block = simulate_block(block("a", seed=1, number=1))
    assert not np.array_equal(first.event["mc_dipion_mass"], next_block.event["mc_dipion_mass"])


@pytest.mark.parametrize("process", ["two_photon_mumu", "continuum_qq"])
def test_the_file_keeps_the_contract(tmp_path: Path, process: str) -> None:
    seen: list[int] = []
    path = tmp_path / "sample.root"
    made = generate(process, events=2_500, seed=3, sample="sample", path=path, workers=1, on_progress=seen.append)
    assert sum(seen) == made.events_generated == 2_500
    events = contents(path)
    assert len(events) == made.events_written
    branches = {f"{name}_{branch}" for name, columns in COLLECTIONS.items() for branch in columns}
    assert set(events.fields) == set(EVENT) | branches | {f"n_{name}" for name in COLLECTIONS}
    assert ak.all(events.__experiment__ == 1000 + PROCESSES[process].number)
    assert len(np.unique(events.__event__)) == len(events)
    assert ak.all(ak.any(events.track_charge == 1, axis=1) & ak.any(events.track_charge == -1, axis=1))
    assert ak.all(events.n_track == ak.num(events.track_px))
    pt = np.hypot(events.track_px, events.track_py)
    assert ak.all(pt[:, 1:] <= pt[:, :-1])
    found = metadata(str(path))
    assert found["filter_efficiency"] == pytest.approx(made.events_written / 2_500)
    expected = {"process": process, "events": 2_500, "seed": 3, "sample": "sample", "version": 2, "beams": "Y3S"}
    assert expected.items() <= found.items()
    assert found["cross_section_nb"] == PROCESSES[process].cross_section(BEAMS["Y3S"], PROCESSES[process].params())


def test_a_process_is_one_registered_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_pion_pair(rng: np.random.Generator, n: int, setting: Setting) -> Generated:
        return PROCESSES["upsilon1s_invisible"].generate_block(rng, n, setting)

    monkeypatch.setitem(
        PROCESSES._items, "mine", Process("mine", 99, "mine", one_pion_pair, cross_section_nb=None, resonant=True)
    )
    made = make(tmp_path / "mine.root", process="mine", events=100)
    assert made.events_written > 50
    assert metadata(str(made.path))["cross_section_nb"] is None


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_block_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setattr(module, "_filtered", _broken)
    with pytest.raises(MlbkgError, match="block 1 is broken"):
        make(tmp_path / "broken.root", process="two_photon_mumu", events=50_000, workers=workers)
    assert list(tmp_path.iterdir()) == []


def _broken(block: Block) -> object:
    if block.number == 1:
        raise MlbkgError("block 1 is broken")
    return simulate_block(block)


@pytest.mark.parametrize(("events", "workers", "seed"), [(0, 1, 1), (10, 0, 1), (10, 1, -1)])
def test_impossible_numbers(tmp_path: Path, events: int, workers: int, seed: int) -> None:
    with pytest.raises(ConfigError, match="of sample 'sample' must be at least"):
        make(tmp_path / "no.root", events=events, workers=workers, seed=seed)


def test_an_unknown_process_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'upsilon3s_generic'"):
        make(tmp_path / "no.root", process="upsilon3s_generik")


SCRIPT = """
import sys
from pathlib import Path
from mlbkg.simulation.generate import generate

if __name__ == "__main__":
    generate("upsilon3s_generic", events=10_000_000, seed=1, sample="s", path=Path(sys.argv[1]), workers=2,
             on_progress=lambda done: print(done, flush=True))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopping_leaves_no_file_and_no_process(tmp_path: Path, how: signal.Signals) -> None:
    script, folder = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder / "sample.root")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline()
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        process.send_signal(how)
        assert process.wait(timeout=30) != 0
    assert psutil.wait_procs(children, timeout=30)[1] == []
    assert not (folder / "sample.root").exists()
    # After SIGKILL nobody can remove the hidden temporary
    assert how is signal.SIGKILL or list(folder.iterdir()) == []
