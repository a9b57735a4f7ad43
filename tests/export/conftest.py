"""Three folds of each backend, trained on features that the known converters stumble over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.classifiers.base import BACKENDS, FittedClassifier, TrainingSet
from mlbkg.export.forest import Forest
from mlbkg.export.metadata import FeatureInfo, ModelMetadata, WorkingPointInfo
from mlbkg.export.native import load_forest
from mlbkg.export.onnx import Models, build_models

N_FOLDS = 3
FEATURES = (
    FeatureInfo("useCMSFrame(p)", "GeV", ("px", "py", "pz"), "momentum", "useCMSFrame(p)"),
    FeatureInfo("EGammaMax", "GeV", ("cluster_e",), "most energetic photon; NaN without one"),
    FeatureInfo("nTracksROE", "", ("track_charge",), "tracks | rest of event", "nROE_Tracks()"),
    FeatureInfo("allZero", "", (), "constant"),
    FeatureInfo("tiny", "", (), "subnormal numbers", column="tiny__bo1__bc"),
    FeatureInfo("jet1_b-tag", "", (), "discrete", expression="a - b"),
)


def candidates(rows: int, *, seed: int) -> TrainingSet:
    rng = np.random.default_rng(seed)
    X = np.empty((rows, len(FEATURES)), dtype=np.float32)
    X[:, 0] = rng.normal(size=rows)
    X[:, 1] = np.where(rng.random(rows) < 0.3, np.nan, rng.exponential(size=rows))
    X[:, 2] = rng.integers(0, 6, size=rows)
    X[:, 3] = 0
    X[:, 4] = rng.integers(-8, 9, size=rows) * np.float32(1e-40)
    X[:, 5] = rng.choice([-1.5, 0, 1.5], size=rows)
    logit = 1.5 * X[:, 0] + np.where(np.isnan(X[:, 1]), 1, -X[:, 1]) + 0.4 * (X[:, 2] - 2.5) * X[:, 5]
    y = (rng.random(rows) < 1 / (1 + np.exp(-logit - 2 * np.sign(X[:, 4])))).astype(np.int8)
    return TrainingSet(X, y, rng.uniform(0.5, 1.5, rows))


@dataclass(frozen=True, eq=False)
class Trained:
    backend: str
    fitted: tuple[FittedClassifier, ...]
    forests: tuple[Forest, ...]
    models: Models
    X: NDArray[np.float32]
    metadata: ModelMetadata


def metadata(backend: str = "xgboost", features: Sequence[FeatureInfo] = FEATURES, n_folds: int = N_FOLDS) -> ModelMetadata:
    return ModelMetadata(
        analysis="upsilon1s",
        title="Υ(1S) → invisible",
        backend=backend,
        features=tuple(features),
        n_folds=n_folds,
        salt="mlbkg",
        event_id=("__experiment__", "__run__", "__event__"),
        working_points=(WorkingPointInfo("talk", 0.75, 0.849, 0.007),),
        class_prior=0.5,
        config={"training": {"folds": n_folds}, "title": "Υ"},
        data_fingerprints={"signal": "12ab", "generic": "34cd"},
        versions={"mlbkg": "0.1.0"},
    )


def read_back(fitted: FittedClassifier, folder: Path) -> Forest:
    ((format, path),) = fitted.to_native_files(folder).items()
    return load_forest(format, path)


def fit(backend: str, train: TrainingSet, valid: TrainingSet | None = None, *, seed: int = 1, **params: Any) -> Any:
    implementation = BACKENDS[backend]
    settings = implementation.params(**{"n_estimators": 40, "learning_rate": 0.3, "early_stopping_rounds": 5, **params})
    return implementation.fit(train, params=settings, valid=valid, seed=seed, threads=1, on_round=None)


@pytest.fixture(scope="session", params=["hist_gradient_boosting", "lightgbm", "xgboost"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp(request.param)
    valid = candidates(1000, seed=99)
    fitted = tuple(fit(request.param, candidates(3000, seed=fold), valid) for fold in range(N_FOLDS))
    forests = tuple(read_back(one, folder / str(fold)) for fold, one in enumerate(fitted))
    about = metadata(request.param)
    return Trained(request.param, fitted, forests, build_models(forests, about), candidates(3000, seed=0).X, about)


@pytest.fixture(scope="session")
def make_metadata() -> Callable[..., ModelMetadata]:
    return metadata


@pytest.fixture(scope="session")
def make_candidates() -> Callable[..., TrainingSet]:
    return candidates


@pytest.fixture(scope="session")
def make_fit() -> Callable[..., Any]:
    return fit


@pytest.fixture(scope="session")
def make_forest() -> Callable[[FittedClassifier, Path], Forest]:
    return read_back
