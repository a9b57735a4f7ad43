"""``mlbkg check``: the files against the config, all problems at once, no event read."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from mlbkg.errors import ConfigError
from mlbkg.ntuples.read import iterate
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.simulation.events import COLLECTIONS, EVENT
from mlbkg.stages.check import check

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = ROOT / "tests" / "messages"
ID = ("__experiment__", "__run__", "__event__")

CONFIG = """\
analysis: b_to_knunu
ntuples: {tree: B0}
preselection: ["Mbc > 5.27"]
samples:
  - {name: signal, role: signal, files: "data/signal_*.root"}
  - name: qqbar
    role: background
    weight: __weight__

    files: "data/qqbar_*.root"
features:
  - {name: r2, column: foxWolframR2}
  - {name: kaon_pt, column: "daughter(0,pt)"}
  - {name: ratio, expression: "kaon_pt / r2"}
spectators: [Mbc]
"""


def write(
    path: str, *, without: tuple[str, ...] = (), rows: int = 4, jagged: tuple[str, ...] = (), tree: str = "B0"
) -> None:
    names = (*ID, "__weight__", "foxWolframR2", "daughter__bo0__cmpt__bc", "Mbc")
    columns = {name: np.arange(float(rows)) for name in names if name not in (*without, *jagged)}
    columns |= {name: ak.Array([[1.0, 2.0]] * rows) for name in jagged}
    with AtomicRootWriter(path, tree=tree) as writer:
        writer.extend(columns)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write("data/signal_1.root")
    write("data/qqbar_1.root")
    write("data/qqbar_2.root", rows=3)
    Path("configs").mkdir()
    path = Path("configs/b_to_knunu.yaml")
    path.write_text(CONFIG)
    return path


def failing(config: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        check(config)
    return caught.value


def test_all_is_well(config: Path) -> None:
    found = check(config)
    assert [(sample.name, len(sample.files), sample.entries) for sample in found.samples] == [
        ("signal", 1, 4),
        ("qqbar", 2, 7),
    ]
    needs = {feature.name: feature.needs for feature in found.features}
    assert needs["kaon_pt"] == ("daughter(0,pt)",)
    assert needs["ratio"] == ("daughter(0,pt)", "foxWolframR2")
    assert found.warnings == ()
    assert found.to_json()["samples"][1]["files"] == 2


def test_missing_branches_of_one_file_read_as_designed(config: Path) -> None:
    write("data/qqbar_3.root", without=("foxWolframR2", "daughter__bo0__cmpt__bc"))
    assert f"{failing(config)}\n" == (MESSAGES / "config_check_missing_branches.txt").read_text()
    assert failing(config).where == "configs/b_to_knunu.yaml:10"


def test_all_problems_of_all_files_at_once(config: Path) -> None:
    for path in Path("data").iterdir():
        path.unlink()
    write("data/qqbar_1.root", without=("Mbc", "__weight__"))
    write("data/qqbar_2.root", without=("Mbc", "__weight__"))
    write("data/qqbar_3.root", rows=0)
    write("data/qqbar_4.root", jagged=("Mbc",))
    write("data/qqbar_5.root", tree="B0x")
    Path("data/qqbar_6.root").write_text("not ROOT")
    assert f"{failing(config)}\n" == (MESSAGES / "config_check_many.txt").read_text()


def test_a_cross_section_needs_to_know_how_many_events_were_generated(config: Path) -> None:
    config.write_text(CONFIG.replace("role: signal,", "role: signal, cross_section_nb: 1.0,") + "luminosity_per_fb: 1\n")
    assert "does not say how many events were generated" in str(failing(config))
    stated = CONFIG.replace("role: signal,", "role: signal, cross_section_nb: 1.0, generated_events: 10,")
    config.write_text(stated + "luminosity_per_fb: 1\n")
    assert check(config).warnings == ("no cross section for qqbar, but for others: their weights cannot be compared",)


def test_an_efficiency_needs_to_know_how_many_signal_events_were_generated(config: Path) -> None:
    fit = "luminosity_per_fb: 1\nfit: {variable: Mbc, window: [0, 3]}\n"
    config.write_text(CONFIG + fit)
    assert check(config).warnings == ()
    config.write_text(CONFIG + fit + "limit: {quantity: cross_section}\n")
    found = failing(config)
    assert found.what == (
        "data/signal_1.root does not say how many events were generated, which the weights of sample 'signal' need"
    )
    assert "generated_events" in found.hint


def test_the_same_rows_in_two_samples_are_noticed(config: Path) -> None:
    config.write_text(CONFIG.replace("data/qqbar_*.root", "data/signal_*.root"))
    assert check(config).warnings == ("samples 'signal' and 'qqbar' both read tree 'B0' of data/signal_1.root",)


EVENTS = """\
analysis: events
candidates: {pair: pipi}
samples:
  - {name: signal, role: signal, files: "data/s*.root", simulate: {process: upsilon1s_invisible, events: 10}}
  - {name: real, role: background, files: "data/real.root"}
preselection: ["mRecoil > 9.4"]
features: [nTracksROE, EGammaMax, {name: tagged, column: my_tag}]
spectators: [mRecoil]
"""


def write_events(path: str, *, without: tuple[str, ...] = (), extra: tuple[str, ...] = ("my_tag",)) -> None:
    flat = {name: np.arange(3, dtype=branch.dtype) for name, branch in EVENT.items() if name not in without}
    jagged = {
        f"{collection}_{name}": ak.values_astype(ak.Array([[1], [], [2, 3]]), branch.dtype)
        for collection, branches in COLLECTIONS.items()
        for name, branch in branches.items()
        if f"{collection}_{name}" not in without
    }
    with AtomicRootWriter(path, tree="events") as writer:
        writer.extend({**flat, **jagged, **{name: np.arange(3.0) for name in extra}})


def test_events_need_what_the_candidates_and_features_are_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = Path("events.yaml")
    config.write_text(EVENTS)
    write_events("data/real.root")
    found = check(config)
    assert found.samples[0].to_be_simulated
    assert found.samples[1].entries == 3
    write_events("data/real.root", without=("cluster_energy", "track_charge"), extra=())
    text = str(failing(config))
    assert "3 branches missing from tree 'events' in data/real.root (sample 'real', config line 5)" in text
    assert "track_charge    needed to build candidates" in text
    assert "cluster_energy  needed by feature 'EGammaMax'" in text
    assert "my_tag          needed by feature 'tagged'" in text


def test_no_event_is_read(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an event was read")

    monkeypatch.setattr("uproot.behaviors.TBranch.TBranch.array", refuse)
    monkeypatch.setattr("uproot.behaviors.TBranch.HasBranches.iterate", refuse)
    with pytest.raises(AssertionError, match="an event was read"):
        next(iterate("data/signal_1.root", ["Mbc"], tree="B0"))
    assert check(config).samples[0].entries == 4


def test_the_shipped_real_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = check(Path("configs/higgs.yaml"))
    assert [sample.entries for sample in found.samples] == [10_000, 10_000]  # tests/data/README.md
    assert len(found.features) == 28
