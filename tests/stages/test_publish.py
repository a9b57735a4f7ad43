"""What is published is what was trained, whole and small, and tells nothing of the machine."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from mlbkg.cli.main import app
from mlbkg.config.load import load
from mlbkg.errors import ConfigError, MlbkgError
from mlbkg.export.load import open_model
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.stages.publish import publish
from mlbkg.stages.publish_traces import traces_of_a_machine
from mlbkg.stages.train import train

CONFIG = """\
analysis: tiny
seed: 3
ntuples: {tree: t, event_id: [event]}
samples:
  - {name: signal, role: signal, files: FOLDERsignal.root}
  - {name: background, role: background, files: background.root}
features: [x, y]
training:
  folds: 2
  classifiers: [{backend: xgboost, name: best, n_estimators: 5, max_depth: 3}]
evaluation: {bootstrap: 10, permutation_rows: 100}
selection: {working_point: {signal_efficiency: 0.5}}
tracking: {enabled: false, uri: "http://tracking.example:5000"}
tuning: {storage: "postgresql://database.example/studies"}
"""
RUNNER = CliRunner()


def write(path: str, *, shift: float, first: int) -> None:
    rng = np.random.default_rng(first)
    with AtomicRootWriter(path, tree="t") as writer:
        columns = {name: rng.normal(shift, 1, 400) for name in ("x", "y")}
        writer.extend({**columns, "event": np.arange(first, first + 400)})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training in it."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write("signal.root", shift=1, first=0)
        write("background.root", shift=0, first=1000)
        Path("tiny.yaml").write_text(CONFIG.replace("FOLDER", ""), encoding="utf-8")
        train(Path("tiny.yaml"), workers=1)
    return folder


@pytest.fixture
def config(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return Path("tiny.yaml")


def training() -> Path:
    (folder,) = Path("runs/tiny").glob("*/01-train")
    return folder


def test_files_are_the_trainings_own_and_match_the_manifest(config: Path) -> None:
    result = publish(config, made_by=["mlbkg tune base.yaml"])
    assert result.folder == Path("models/tiny")
    assert {path.name for path in result.folder.iterdir()} == {"model.onnx", "folds.onnx", "card.md", "manifest.json"}
    manifest = json.loads((result.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest == result.manifest
    for name, told in manifest["files"].items():
        content = (result.folder / name).read_bytes()
        assert content == (training() / name).read_bytes()
        assert (told["bytes"], told["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert open_model(result.folder / "model.onnx").is_verified
    assert manifest["made_by"] == ["mlbkg tune base.yaml", "mlbkg train tiny.yaml", "mlbkg publish tiny.yaml"]


def test_the_manifest_says_what_the_model_is_and_scores(config: Path) -> None:
    manifest = publish(config).manifest
    (evaluated,) = json.loads((training() / "evaluation.json").read_text())["classifiers"]
    assert manifest["score"]["auc"] == evaluated["ranking"]["auc"]
    assert manifest["score"]["background_rejection"] == evaluated["ranking"]["background_rejection"]
    assert manifest["score"]["signal_efficiency"] == load(config).config.evaluation.signal_efficiency
    assert (manifest["champion"]["name"], manifest["champion"]["backend"]) == ("best", "xgboost")
    assert manifest["champion"]["parameters"]["max_depth"] == 3
    assert manifest["champion"]["parameters"]["n_estimators"] == 5
    assert manifest["features"] == ["x", "y"]
    assert manifest["features_sha256"] == hashlib.sha256(b'["x", "y"]').hexdigest()
    assert manifest["config_sha256"] == hashlib.sha256(config.read_bytes()).hexdigest()
    assert manifest["data"]["signal"]["candidates"] == 400
    assert len(manifest["data"]["background"]["fingerprint"]) == 64
    point = manifest["working_point"]
    assert (point["name"], 0 < point["threshold"] < 1) == ("signal efficiency 0.5", True)
    assert {"mlbkg_version", "git_commit"} <= manifest.keys()


def test_nothing_tells_of_the_machine(config: Path) -> None:
    folder = publish(config).folder
    for path in folder.iterdir():
        content = path.read_bytes()
        for trace in (str(Path.cwd()), str(Path.home()), "example"):
            assert trace.encode() not in content, path
        if len(socket.gethostname()) > 8:
            assert socket.gethostname().encode() not in content, path
    props = {entry.key: entry.value for entry in onnx.load(folder / "model.onnx").metadata_props}
    assert not {"tracking", "tuning"} & json.loads(props["mlbkg.config"]).keys()


@pytest.mark.parametrize(
    ("text", "trace"),
    [
        ('{"files": ["/data/belle/x.root"]}', "/data/belle/x.root"),
        ("see `/home/me/model.onnx`", "/home/me/model.onnx"),
        ('"~/ntuples/s.root"', "~/ntuples/s.root"),
        (r'"C:\data\x.root"', r"C:\data\x.root"),
        ("files: root://grid.example//store/x.root", "root://grid.example//store/x.root"),
        ('"sqlite:////tmp/mlflow.db"', "sqlite:////tmp/mlflow.db"),
    ],
)
def test_traces_are_seen(text: str, trace: str) -> None:
    assert trace in list(traces_of_a_machine(text))


@pytest.mark.parametrize(
    "text",
    ["data/x/*.root", "x / (abs(y) + 1)", "GeV/c", "Υ(3S) → π⁺π⁻", "see https://arxiv.org/abs/1007.1727", "a/b /c", "1/2"],
)
def test_what_is_no_trace(text: str) -> None:
    assert not list(traces_of_a_machine(text))


def test_a_config_with_absolute_paths_is_refused(config: Path) -> None:
    config.write_text(CONFIG.replace("FOLDER", f"{Path.cwd()}/"), encoding="utf-8")
    train(config, workers=1)
    with pytest.raises(MlbkgError, match="names places on this machine") as caught:
        publish(config)
    assert f"model.onnx: {Path.cwd()}/signal.root" in caught.value.details
    assert not Path("models").exists()


def test_a_model_that_is_too_large_is_refused(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlbkg.stages.publish.MAX_BYTES", 5_000)
    with pytest.raises(MlbkgError, match=r"too large to publish, more than 0\.005 MB") as caught:
        publish(config)
    assert "fewer n_estimators" in caught.value.hint
    assert [line.split(":")[0].rpartition("/")[2] for line in caught.value.details] == ["model.onnx", "folds.onnx"]


@pytest.mark.parametrize("name", ["model.onnx", "card.md", "evaluation.json"])
def test_what_was_changed_since_is_refused(config: Path, name: str) -> None:
    with (training() / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(MlbkgError, match="is not as the training wrote it"):
        publish(config)


def test_only_a_training_of_this_config_is_published(config: Path) -> None:
    config.write_text(config.read_text(encoding="utf-8").replace("max_depth: 3", "max_depth: 4"), encoding="utf-8")
    with pytest.raises(MlbkgError, match=r"1 finished trainings .* none is of tiny\.yaml as it is now") as caught:
        publish(config)
    assert caught.value.hint == "Make one: mlbkg train tiny.yaml"
    with pytest.raises(ConfigError, match=r"was not trained with tiny\.yaml as it is now"):
        publish(config, run=training().parent)
    with pytest.raises(ConfigError, match="holds no finished training"):
        publish(config, run=Path("runs"))


def test_what_was_published_before_is_replaced_and_nothing_else(config: Path) -> None:
    first = publish(config).folder
    (first / "card.md").write_text("old", encoding="utf-8")
    assert (publish(config).folder / "card.md").read_text(encoding="utf-8") != "old"
    assert [path.name for path in Path("models").iterdir()] == ["tiny"]
    with pytest.raises(ConfigError, match="holds something other than a published model"):
        publish(config, to=Path("models"))
    with pytest.raises(ConfigError, match="holds something other"):
        publish(config, to=training())
    (first / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="nothing was replaced"):
        publish(config)
    assert (first / "notes.txt").is_file()


def test_the_command_shows_and_tells(config: Path) -> None:
    shown = RUNNER.invoke(app, ["publish", "tiny.yaml", "--to", "elsewhere/here", "--made-by", "mlbkg tune x.yaml"])
    assert shown.exit_code == 0, shown.output
    assert "elsewhere/here: best of 20" in shown.stdout
    assert "folds.onnx" in shown.stdout
    told = RUNNER.invoke(app, ["publish", "tiny.yaml", "--json", "--run", str(training().parent)])
    answer = json.loads(told.stdout)
    assert answer["folder"] == "models/tiny"
    assert answer["run"] == str(training().parent)
    assert answer["files"]["model.onnx"]["bytes"] > 0
