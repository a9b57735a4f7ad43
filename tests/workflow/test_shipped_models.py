"""Models that are shipped are the files of their manifest, take the config's features, and score as stated on fresh events.

Fresh: a sample that is simulated anew, with random numbers that no training had; of real data, the events themselves, each
scored by the forest that did not see it.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from mlbkg.config.load import load
from mlbkg.evaluation.metrics import Ranking, rank
from mlbkg.export.load import open_model
from mlbkg.stages.progress import NoProgress
from mlbkg.stages.publish import MAX_BYTES, publish
from mlbkg.stages.simulate import simulate_samples
from mlbkg.stages.train import train
from mlbkg.stages.training_data import TrainingData, load_training_data

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(path.parent for path in (ROOT / "models").glob("*/manifest.json"))
ANOTHER_SEED = 20_190_314_15
EVENTS = 120_000
"""About so many are simulated, of all samples together: seconds."""
SIGMAS = 4.0

TINY = """\
analysis: tiny
seed: 5
luminosity_per_fb: 10
ntuples: {tree: events}
candidates: {pair: pipi}
samples:
  - {name: signal, role: signal, files: data/signal.root, cross_section_nb: 1.0e-3,
     simulate: {process: upsilon1s_invisible, events: 3000}}
  - {name: continuum, role: background, files: data/continuum.root, cross_section_nb: 3.88,
     simulate: {process: continuum_qq, events: 9000}}
features: [CosThetaPiPi, CosHelicityPiPi, AnglePiPi]
training:
  folds: 2
  classifiers: [{backend: xgboost, n_estimators: 20, max_depth: 3}]
evaluation: {bootstrap: 30, permutation_rows: 200}
tracking: {enabled: false}
"""


@dataclass(frozen=True)
class Shipped:
    """A published folder, and the config that its samples are made from."""

    folder: Path
    config: Path

    @property
    def manifest(self) -> dict[str, Any]:
        content = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        assert isinstance(content, dict)
        return content


NONE = pytest.param(None, marks=pytest.mark.skip(reason="models/ holds no published model"), id="none")
MODELS = [pytest.param(Shipped(folder, ROOT / "configs" / f"{folder.name}.yaml"), id=folder.name) for folder in SHIPPED] or [
    NONE
]


def check_files(model: Shipped) -> None:
    told = model.manifest["files"]
    assert {path.name for path in model.folder.iterdir()} == {*told, "manifest.json"}
    assert set(told) == {"model.onnx", "folds.onnx", "card.md"}
    for name, file in told.items():
        content = (model.folder / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"]), name
        assert len(content) <= MAX_BYTES


def check_features(model: Shipped) -> None:
    wanted = [feature.name for feature in load(model.config).config.features]
    manifest = model.manifest
    assert manifest["features"] == wanted
    assert manifest["features_sha256"] == hashlib.sha256(json.dumps(wanted).encode()).hexdigest()
    for name, inputs in (("model.onnx", {"input"}), ("folds.onnx", {"input", "fold"})):
        opened = open_model(model.folder / name)
        assert opened.is_verified
        assert opened.metadata is not None
        assert list(opened.metadata.feature_names) == wanted
        session = onnxruntime.InferenceSession(model.folder / name, providers=["CPUExecutionProvider"])
        assert {node.name for node in session.get_inputs()} == inputs


def fresh_events(model: Shipped, folder: Path) -> TrainingData:
    """Candidates that no forest saw which scores them."""
    simulated = [sample.simulate.events for sample in load(model.config).config.samples if sample.simulate]
    if not simulated:
        return load_training_data(load(model.config).config, workers=1, progress=NoProgress())
    scale = min(1.0, EVENTS / sum(simulated))
    loaded = load(model.config, scale=float(f"{scale:.2g}"))
    loaded = replace(loaded, config=loaded.config.model_copy(update={"seed": ANOTHER_SEED}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        simulate_samples(loaded, force=False, workers=1, progress=NoProgress())
        return load_training_data(loaded.config, workers=1, progress=NoProgress())


def score(path: Path, features: NDArray[np.float32], fold: NDArray[np.int8] | None) -> NDArray[np.float64]:
    """Log-odds ``(n,)``, by the model file itself."""
    inputs: dict[str, Any] = {"input": features} if fold is None else {"input": features, "fold": fold.astype(np.int64)}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (margin,) = session.run(["margin"], inputs)
    return np.asarray(margin, dtype=np.float64)[:, 0]


def ranked(margin: NDArray[np.float64], data: TrainingData, stated: dict[str, Any]) -> Ranking:
    sample = data.sample
    return rank(
        1 / (1 + np.exp(-margin)),
        margin,
        sample.label,
        sample.weight,
        sample.category,
        category_names=sample.category_names,
        event_index=data.event_index,
        signal_efficiency=stated["signal_efficiency"],
        replicas=100,
        seed=1,
        roc_points=50,
    )


def pulls(found: Ranking, stated: dict[str, Any]) -> dict[str, float]:
    """Found less stated, in combined standard deviations."""
    pairs = {"auc": found.auc, "background_rejection": found.background_rejection}
    return {
        name: (one.value - stated[name]["value"]) / math.hypot(one.error, stated[name]["error"])
        for name, one in pairs.items()
    }


def check_score(model: Shipped, data: TrainingData) -> None:
    """The forests out of fold score as stated, their mean no worse; with one feature shuffled they do not."""
    stated, sample = model.manifest["score"], data.sample
    margin = score(model.folder / "folds.onnx", sample.features, sample.fold)
    found = pulls(ranked(margin, data, stated), stated)
    assert all(abs(pull) < SIGMAS for pull in found.values()), found
    mean = pulls(ranked(score(model.folder / "model.onnx", sample.features, None), data, stated), stated)
    assert all(pull > -SIGMAS for pull in mean.values()), mean
    names = enumerate(sample.feature_names)
    blunted = {name: pulls(ranked(shuffled(model, data, i), data, stated), stated) for i, name in names}
    worst = min(blunted, key=lambda name: blunted[name]["auc"])
    assert blunted[worst]["auc"] < -SIGMAS, f"the check is blind: nothing is seen of a shuffled {worst}: {blunted[worst]}"


def shuffled(model: Shipped, data: TrainingData, column: int) -> NDArray[np.float64]:
    features = data.sample.features.copy()
    features[:, column] = np.random.default_rng(column).permutation(features[:, column])
    return score(model.folder / "folds.onnx", features, data.sample.fold)


@pytest.mark.parametrize("model", MODELS)
def test_files_and_features(model: Shipped) -> None:
    check_files(model)
    check_features(model)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_the_stated_score_is_found_again(model: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    check_score(model, fresh_events(model, tmp_path))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("tiny.yaml").write_text(TINY, encoding="utf-8")
        train(Path("tiny.yaml"), workers=1)
        publish(Path("tiny.yaml"))
    return Shipped(folder / "models/tiny", folder / "tiny.yaml")


@pytest.fixture(scope="module")
def fresh(published: Shipped, tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return fresh_events(published, tmp_path_factory.mktemp("fresh"))


@pytest.mark.slow
def test_what_is_published_now_would_pass(published: Shipped, fresh: TrainingData) -> None:
    check_files(published)
    check_features(published)
    first = load_training_data_of(published)
    trained_on = {row.tobytes() for row in first.sample.features}
    assert not [row for row in fresh.sample.features if row.tobytes() in trained_on]
    check_score(published, fresh)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.onnx", "folds.onnx", "card.md"])
def test_a_file_of_another_training_would_not(published: Shipped, tmp_path: Path, name: str) -> None:
    shutil.copytree(published.folder, tmp_path / "tiny")
    with (tmp_path / "tiny" / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(AssertionError):
        check_files(Shipped(tmp_path / "tiny", published.config))


@pytest.mark.slow
@pytest.mark.parametrize("figure", ["auc", "background_rejection"])
def test_a_score_that_is_overstated_would_not(published: Shipped, fresh: TrainingData, tmp_path: Path, figure: str) -> None:
    """By ten of its errors: a training whose score was taken on the events that it trained on, say."""
    shutil.copytree(published.folder, tmp_path / "tiny")
    manifest = published.manifest
    manifest["score"][figure]["value"] += 10 * manifest["score"][figure]["error"]
    (tmp_path / "tiny" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(AssertionError, match=figure):
        check_score(Shipped(tmp_path / "tiny", published.config), fresh)


def load_training_data_of(model: Shipped) -> TrainingData:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(model.config.parent)
        return load_training_data(load(model.config).config, workers=1, progress=NoProgress())
