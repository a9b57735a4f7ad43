"""Export from trained folds to a folder that can be given away."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlbkg.errors import ParityError
from mlbkg.export import write
from mlbkg.export.load import open_model
from mlbkg.export.model_card import CardText
from mlbkg.export.write import export

CARD = CardText(
    training={"signal": "1,200 candidates", "weights": "physics weights, classes balanced"},
    performance={"AUC": "0.975 ± 0.001"},
    limits=("Not for Υ(2S) data.",),
)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "upsilon1s"
    return export(trained.fitted, trained.X, folder, metadata=trained.metadata, card=CARD)


def test_folder_holds_what_the_manifest_says(exported) -> None:
    folder = exported.model.parent
    manifest = json.loads(exported.manifest.read_text())
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert found == {*manifest["files"], "manifest.json"}
    assert {"model.onnx", "folds.onnx", "card.md"} < found
    assert len(exported.native) == 3
    for name, entry in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert entry == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        assert exported.sha256[name] == entry["sha256"]
    assert manifest["parity"]["different_paths"] == 0


def test_result_counts(exported, trained) -> None:
    assert exported.n_trees == sum(fitted.n_trees for fitted in trained.fitted)
    assert exported.n_nodes == exported.parity.splits + exported.parity.leaves
    assert exported.bytes == exported.model.stat().st_size


def test_written_models_are_those_of_the_forests(exported, trained) -> None:
    assert exported.model.read_bytes() == trained.models.model
    assert exported.folds_model.read_bytes() == trained.models.folds


def test_the_same_training_writes_the_same_folder(exported, trained, tmp_path: Path) -> None:
    again = export(trained.fitted, trained.X, tmp_path, metadata=trained.metadata, card=CARD)
    assert again.sha256 == exported.sha256
    assert again.manifest.read_bytes() == exported.manifest.read_bytes()


def test_native_files_load_again(exported, trained) -> None:
    from mlbkg.classifiers.base import BACKENDS

    loaded = BACKENDS[trained.backend].load(exported.native[1])
    assert np.array_equal(loaded.predict_margin(trained.X), trained.fitted[1].predict_margin(trained.X))


def test_card(exported, trained) -> None:
    card = exported.card.read_text()
    for text in (
        "# Υ(1S) → invisible",
        "| 1 | `useCMSFrame(p)` | GeV | `useCMSFrame(p)` | momentum |",
        r"tracks \| rest of event",
        "| AUC | 0.975 ± 0.001 |",
        "| talk | 0.75 | 0.849 | 0.007 |",
        "- Not for Υ(2S) data.",
        trained.metadata.config_sha256,
        "0 differ",
    ):
        assert text in card


def test_the_card_s_five_lines_run(exported, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code = exported.card.read_text().split("```python\n")[1].split("```")[0]
    assert code.count("\n") == 5
    monkeypatch.chdir(exported.model.parent)
    exec(compile(code, "card.md", "exec"), {})  # noqa: S102
    assert 0 < float(capsys.readouterr().out.strip("[]\n ")) < 1


def test_nothing_is_written_when_the_gate_stays_shut(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_back = write._read_back

    def damaged(fitted):
        native, forests = read_back(fitted)
        forests[2] = replace(forests[2], missing_left=~forests[2].missing_left)
        return native, forests

    monkeypatch.setattr(write, "_read_back", damaged)
    with pytest.raises(ParityError):
        export(trained.fitted, trained.X, tmp_path / "model", metadata=trained.metadata, card=CARD)
    assert not (tmp_path / "model").exists()


def test_loaded_again(exported, trained) -> None:
    for path, takes_fold in ((exported.model, False), (exported.folds_model, True)):
        loaded = open_model(path)
        assert loaded.is_verified
        assert loaded.takes_fold is takes_fold
        assert loaded.metadata == trained.metadata
        assert [forest.trees for forest in loaded.forests] == [forest.n_trees for forest in trained.forests]
        assert [forest.nodes for forest in loaded.forests] == [forest.n_nodes for forest in trained.forests]
        assert [forest.depth for forest in loaded.forests] == [forest.depth for forest in trained.forests]
        described = json.loads(json.dumps(loaded.describe()))
        assert described["trees"] == exported.n_trees
        assert described["depth"] == exported.depth
        assert described["metadata"]["features"][1]["name"] == "EGammaMax"
