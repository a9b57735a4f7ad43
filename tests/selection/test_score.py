"""Scores come in the order of the rows, whatever the number of threads and however the rows come in blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import uproot
from numpy.typing import NDArray

from mlbkg.classifiers.base import BACKENDS, FittedClassifier, TrainingSet
from mlbkg.errors import FeatureMismatchError
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.native import load_forest
from mlbkg.export.onnx import Models, build_models
from mlbkg.features.resolve import FeatureSpec
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.samples.folds import assign_folds
from mlbkg.samples.source import Recipe, SampleSource
from mlbkg.selection import score
from mlbkg.selection.apply import ModelUse, SelectedFile, apply_model
from mlbkg.selection.score import open_scorer, require_features

N_FOLDS = 3
NAMES = ("a", "b", "c")
ROWS = 2_345

Trained = tuple[Sequence[FittedClassifier], Models]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder, backend = tmp_path_factory.mktemp("native"), BACKENDS["lightgbm"]
    params = backend.params.model_validate({"n_estimators": 10, "num_leaves": 7})
    fitted, forests = [], []
    for fold in range(N_FOLDS):
        X = rows(1000, seed=fold)
        data = TrainingSet(X, (X.sum(axis=1) > 0).astype(np.int8), np.ones(len(X)))
        fitted.append(backend.fit(data, params=params, valid=None, seed=fold, threads=1, on_round=None))
        ((format, path),) = fitted[-1].to_native_files(folder / str(fold)).items()
        forests.append(load_forest(format, path))
    about = ModelMetadata(
        analysis="test",
        title="",
        backend="lightgbm",
        features=tuple(map(FeatureInfo, NAMES)),
        n_folds=N_FOLDS,
        salt="s",
        event_id=("event",),
        working_points=(),
        class_prior=0.5,
        config={},
        data_fingerprints={},
        versions={},
    )
    return fitted, build_models(forests, about)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score, "BATCH", 100)


def rows(n: int, *, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, len(NAMES)), dtype=np.float32)


def out_of_fold(fitted: Sequence[FittedClassifier], X: NDArray[np.float32], fold: NDArray[np.int8]) -> NDArray[np.float64]:
    each = np.array([one.predict(X) for one in fitted])
    return each[fold, np.arange(len(X))]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("threads", [1, 4])
def test_each_row_gets_the_score_of_its_fold_s_classifier(trained: Trained, threads: int) -> None:
    fitted, models = trained
    X, fold = rows(ROWS, seed=7), (np.arange(ROWS) % N_FOLDS).astype(np.int8)
    with open_scorer(models.folds, threads=threads) as scorer:
        first, second = scorer.start(X, fold), scorer.start(X[::-1], fold[::-1])
        np.testing.assert_allclose(second()[::-1], out_of_fold(fitted, X, fold), atol=1e-6)
        np.testing.assert_allclose(first(), out_of_fold(fitted, X, fold), atol=1e-6)
    with open_scorer(models.model, threads=threads) as scorer:
        margin = np.mean([one.predict_margin(X) for one in fitted], axis=0)
        np.testing.assert_allclose(scorer.start(X, fold)(), 1 / (1 + np.exp(-margin)), atol=1e-6)


def test_no_rows_have_no_scores(trained: Trained) -> None:
    with open_scorer(trained[1].folds, threads=2) as scorer:
        scores = scorer.start(np.empty((0, len(NAMES)), dtype=np.float32), np.empty(0, dtype=np.int8))()
    assert scores.shape == (0,)
    assert scores.dtype == np.float32


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("workers", [1, 3])
def test_a_skim_keeps_the_order_of_its_file(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr("mlbkg.ntuples.read.CHUNK_BYTES", 8_000)  # 400 rows of 20 bytes
    fitted, models = trained
    X = rows(ROWS, seed=11)
    event = np.arange(ROWS, dtype=np.int64)
    with AtomicRootWriter(tmp_path / "in.root", tree="t") as writer:
        writer.extend({"event": event, **dict(zip(NAMES, X.T, strict=True))})
    (tmp_path / "folds.onnx").write_bytes(models.folds)
    told: list[int] = []
    (found,) = select(tmp_path, workers, told.append)
    assert isinstance(found, SelectedFile)
    fold = assign_folds(event[:, None], n_folds=N_FOLDS, salt="s")
    expected = out_of_fold(fitted, X, fold)
    with uproot.open(tmp_path / "skims" / "data.root") as file:
        skim = file["t"].arrays(library="np")
    kept = event[expected >= 0.5]
    np.testing.assert_array_equal(skim["event"], kept)
    np.testing.assert_array_equal(skim["fold"], fold[kept])
    np.testing.assert_allclose(skim["score"], expected[kept], atol=1e-6)
    assert sum(told) == found.read == ROWS
    assert len(told) > 3
    assert found.written == found.selected == len(kept) == found.counts[-1].events


def select(folder: Path, workers: int, told: Callable[[int], None]) -> list[object]:
    source = SampleSource("data", "data", -1, (str(folder / "in.root"),), "t")
    recipe = Recipe(event_id=("event",), features=tuple(map(FeatureSpec, NAMES)))
    use = ModelUse(folder / "folds.onnx", 0.5, N_FOLDS, "s", None, False)
    return list(apply_model([source], recipe, use, folder / "skims", workers=workers, on_candidates=told))


def test_features_of_another_model_are_refused() -> None:
    require_features(("a", "b"), ["a", "b"], where="m.onnx")
    with pytest.raises(FeatureMismatchError) as caught:
        require_features(("a", "b"), ["a", "c"], where="m.onnx")
    assert caught.value.details == (
        "the model needs 'b'",
        "the config has 'c', which the model does not know",
    )
