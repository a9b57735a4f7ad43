"""A stage is kept exactly where it would come out the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlbkg.config.load import load
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.stages.freshness import is_fresh, key_of
from mlbkg.stages.run_folder import RunFolder, new_run, write_manifest

CONFIG = """
analysis: small
luminosity_per_fb: 10
ntuples: {tree: t, event_id: [event]}
samples:
  - {name: signal, role: signal, files: signal.root}
  - {name: background, role: background, files: background.root}
  - {name: data, role: data, files: data.root}
features: [x]
spectators: [mass]
selection: {working_point: {signal_efficiency: 0.8}}
fit: {variable: mass, window: [9.4, 9.5]}
tracking: {uri: "sqlite:///mlflow.db"}
"""
STAGES = ("train", "select", "fit", "limit")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run of which the training is there, in a folder with the config and the samples."""
    monkeypatch.chdir(tmp_path)
    for name in ("signal", "background", "data"):
        with AtomicRootWriter(f"{name}.root", tree="t") as writer:
            writer.extend({"event": [1, 2], "x": [0.5, 1.5], "mass": [9.41, 9.45]})
    Path("small.yaml").write_text(CONFIG, encoding="utf-8")
    found = new_run("small")
    with found.writing("train") as folder:
        (folder / "model.onnx").write_bytes(b"forest")
        write_manifest(folder, {"stage": "train", "key": key_of("train", load(Path("small.yaml")))})
    return found


def changed(run: RunFolder, old: str, new: str) -> set[str]:
    """The stages whose keys a change of the config changes."""
    before = {stage: key_of(stage, load(Path("small.yaml")), run) for stage in STAGES}
    assert old in CONFIG
    Path("small.yaml").write_text(CONFIG.replace(old, new), encoding="utf-8")
    after = {stage: key_of(stage, load(Path("small.yaml")), run) for stage in STAGES}
    return {stage for stage in STAGES if before[stage] != after[stage]}


@pytest.mark.parametrize(
    ("old", "new", "stages"),
    [
        ("analysis: small", "# a remark\nanalysis: small", set()),
        ("sqlite:///mlflow.db", "sqlite:///elsewhere.db", set()),
        ("spectators: [mass]", "spectators: [mass]\npreselection: ['x > 0']", {"train", "select", "fit", "limit"}),
        ("spectators: [mass]", "spectators: [mass]\ntraining: {folds: 3}", {"train"}),
        ("{signal_efficiency: 0.8}", "{signal_efficiency: 0.7}", {"train", "select"}),
        ("{signal_efficiency: 0.8}}", "{signal_efficiency: 0.8}, branches: [x]}", {"select"}),
        ("[9.4, 9.5]", "[9.4, 9.49]", {"train", "fit", "limit"}),
        ("[9.4, 9.5]", "[9.4, 9.5], blind: [9.43, 9.47]", {"select", "fit", "limit"}),
        ("[9.4, 9.5]}", "[9.4, 9.5]}\nlimit: {confidence_level: 0.95}", {"fit", "limit"}),
    ],
)
def test_what_a_change_of_the_config_reaches(run: RunFolder, old: str, new: str, stages: set[str]) -> None:
    assert changed(run, old, new) == stages


def test_a_working_point_by_limit_makes_the_training_depend_on_the_fit(run: RunFolder) -> None:
    by_limit = CONFIG.replace("{signal_efficiency: 0.8}", "{expected_limit: {points: 10}}")
    Path("small.yaml").write_text(by_limit, encoding="utf-8")
    before = key_of("train", load(Path("small.yaml")))
    Path("small.yaml").write_text(by_limit.replace("[9.4, 9.5]", "[9.4, 9.49]"), encoding="utf-8")
    assert key_of("train", load(Path("small.yaml"))) != before


def test_changed_files_reach_the_stages_that_read_them(run: RunFolder) -> None:
    loaded = load(Path("small.yaml"))
    train, select = key_of("train", loaded), key_of("select", loaded, run)
    os.utime("data.root", ns=(1, 1))
    assert key_of("train", loaded) == train
    assert key_of("select", loaded, run) != select
    os.utime("signal.root", ns=(1, 1))
    assert key_of("train", loaded) != train


def test_another_model_or_option_makes_another_selection(run: RunFolder) -> None:
    loaded = load(Path("small.yaml"))
    select = key_of("select", loaded, run, unblind=False)
    assert key_of("select", loaded, run, unblind=True) != select
    with run.writing("train") as folder:
        (folder / "model.onnx").write_bytes(b"another")
        write_manifest(folder, {"stage": "train"})
    assert key_of("select", loaded, run, unblind=False) != select


def test_only_a_whole_stage_is_kept(run: RunFolder) -> None:
    key = key_of("train", load(Path("small.yaml")))
    assert is_fresh("train", key, run)
    assert not is_fresh("train", key[::-1], run)
    assert not is_fresh("select", key, run)
    (run.stage("train") / "model.onnx").write_bytes(b"broken")
    assert not is_fresh("train", key, run)
    (run.stage("train") / "model.onnx").unlink()
    assert not is_fresh("train", key, run)
