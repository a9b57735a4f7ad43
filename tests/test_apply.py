"""Models in other programs: the same bits as ONNX Runtime's own, from any table, in any thread and process."""

from __future__ import annotations

import copy
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.apply import Model
from mlbkg.errors import FeatureMismatchError, MlbkgError, UnknownNameError
from mlbkg.evaluation.threshold_curve import ThresholdCurve
from mlbkg.export.forest import Forest
from mlbkg.export.metadata import FeatureInfo, ModelMetadata, WorkingPointInfo
from mlbkg.export.onnx import build_models
from mlbkg.export.session import open_session
from mlbkg.samples.folds import assign_folds

N = 25_000
FEATURES = (FeatureInfo("mRecoil", "GeV"), FeatureInfo("EGammaMax"), FeatureInfo("pT", column="daughter__bo0__cmpt__bc"))
POINTS = (
    WorkingPointInfo("talk", 0.6, 0.8, 0.1),
    WorkingPointInfo("smooth", 0.4, 0.8, 0.1, ThresholdCurve("mRecoil", (0.0, 1.0), (0.4, 0.7))),
)


def forest(seed: int) -> Forest:
    """40 trees of one cut."""
    rng = np.random.default_rng(seed)
    nodes = 3 * np.arange(41)
    columns = {
        "feature": np.column_stack([rng.integers(3, size=40), -np.ones((40, 2))]),
        "threshold": np.column_stack([rng.normal(size=40), np.zeros((40, 2))]),
        "left": np.tile([1, -1, -1], (40, 1)),
        "right": np.tile([2, -1, -1], (40, 1)),
        "value": np.column_stack([np.zeros(40), rng.normal(size=(40, 2)) / 3]).astype(np.float32),
    }
    kinds = {"feature": np.int32, "threshold": np.float32, "left": np.int32, "right": np.int32, "value": np.float64}
    return Forest(
        n_features=3,
        op="<",
        base_margin=0.0,
        precision="float32",
        tree_offset=nodes,
        missing_left=np.tile([True, False, False], 40),
        **{name: column.ravel().astype(kinds[name]) for name, column in columns.items()},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    metadata = ModelMetadata(
        analysis="test",
        title="",
        backend="xgboost",
        features=FEATURES,
        n_folds=3,
        salt="salt",
        event_id=("__run__", "__event__"),
        working_points=POINTS,
        class_prior=0.5,
        config={},
        data_fingerprints={},
        versions={},
    )
    models = build_models([forest(seed) for seed in range(3)], metadata)
    (tmp_path / "model.onnx").write_bytes(models.model)
    (tmp_path / "folds.onnx").write_bytes(models.folds)
    return tmp_path


@pytest.fixture(name="X")
def rows() -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(N, 3)).astype(np.float32)
    X[rng.random(X.shape) < 0.05] = np.nan
    X[:3, 0] = [np.inf, -np.inf, 0]
    return X


@pytest.fixture
def expected(folder: Path, X: NDArray[np.float32]) -> NDArray[np.float32]:
    session = open_session((folder / "model.onnx").read_bytes())
    return np.concatenate([session.run(["output"], {"input": part})[0][:, 0] for part in np.array_split(X, 5)])


def as_columns(X: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """In another order than the model's, with one that it does not need."""
    return {"other": X[:, 0] * 2, "daughter__bo0__cmpt__bc": X[:, 2], "mRecoil": X[:, 0], "EGammaMax": X[:, 1]}


@pytest.mark.parametrize("threads", [1, 3])
def test_plain_arrays(threads: int, folder: Path, X: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    model = Model(folder / "model.onnx", threads=threads)
    assert model.features == ("mRecoil", "EGammaMax", "pT")
    for rows in (X, X.astype(np.float64), np.asfortranarray(X), X.tolist()):
        np.testing.assert_array_equal(model.score(rows), expected)
    np.testing.assert_array_equal(model.score(X[:1]), expected[:1])
    assert model.score(X[:0]).shape == (0,)
    np.testing.assert_array_equal(model.score(X[:, ::-1], names=["pT", "EGammaMax", "mRecoil"]), expected)


def test_named_columns_in_any_order(folder: Path, X: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    import pandas as pd

    model, columns = Model(folder / "model.onnx"), as_columns(X)
    structured = np.rec.fromarrays(list(columns.values()), names=list(columns))
    for rows in (columns, structured, pd.DataFrame(columns), ak.zip(columns)):
        np.testing.assert_array_equal(model.score(rows), expected)
    masked = {**columns, "EGammaMax": np.ma.masked_invalid(np.nan_to_num(X[:, 1], nan=np.inf))}
    np.testing.assert_array_equal(model.score(masked), expected)


def test_working_points(folder: Path, X: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    model = Model(folder / "model.onnx")
    assert list(model.working_points) == ["talk", "smooth"]
    np.testing.assert_array_equal(model.passes(X), expected >= np.float32(0.6))
    np.testing.assert_array_equal(model.passes(as_columns(X), "talk"), expected >= np.float32(0.6))
    np.testing.assert_array_equal(model.passes(X, 0.25), expected >= np.float32(0.25))
    at = np.interp(X[:, 0].astype(np.float64), [0, 1], [0.4, 0.7])
    np.testing.assert_array_equal(model.passes(X, "smooth"), expected >= at)
    np.testing.assert_array_equal(model.passes(as_columns(X), "smooth"), expected >= at)
    with pytest.raises(UnknownNameError, match="no working point 'tlak'; did you mean 'talk'"):
        model.passes(X, "tlak")


def test_folds_are_those_of_the_events(folder: Path, X: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(2)
    ids = rng.integers(0, 10_000, (N, 2))
    fold = assign_folds(ids, n_folds=3, salt="salt").astype(np.int64)
    session = open_session((folder / "folds.onnx").read_bytes())
    expected = session.run(["output"], {"input": X, "fold": fold})[0][:, 0]
    model = Model(folder / "folds.onnx")
    assert model.takes_fold
    np.testing.assert_array_equal(model.score(X, event_id=ids), expected)
    columns = {**as_columns(X), "__run__": ids[:, 0], "__event__": ids[:, 1]}
    np.testing.assert_array_equal(model.score(columns), expected)
    with pytest.raises(MlbkgError, match="picks the forest that did not see an event by __run__, __event__"):
        model.score(X)
    with pytest.raises(MlbkgError, match=r"whole numbers \(25000, 2\) are needed"):
        model.score(X, event_id=ids[:, 0])
    with pytest.raises(MlbkgError, match="event_id is float64"):
        model.score(X, event_id=ids + 0.5)
    with pytest.raises(MlbkgError, match="is the mean of all folds, and takes no event ids"):
        Model(folder / "model.onnx").score(X, event_id=ids)


def test_wrong_rows(folder: Path, X: NDArray[np.float32]) -> None:
    model, columns = Model(folder / "model.onnx"), as_columns(X)
    with pytest.raises(FeatureMismatchError, match=r"takes 3 features, the array has 2 columns(.|\n)*mRecoil"):
        model.score(X[:, :2])
    with pytest.raises(FeatureMismatchError, match=r"'EGammaMax'; did you mean 'EGammaMx'"):
        model.score({"EGammaMx" if name == "EGammaMax" else name: column for name, column in columns.items()})
    with pytest.raises(MlbkgError, match="not equally long"):
        model.score({**columns, "EGammaMax": X[:5, 1]})
    with pytest.raises(MlbkgError, match="'EGammaMax' is <U"):
        model.score({**columns, "EGammaMax": np.array(["1"] * N)})
    with pytest.raises(MlbkgError, match="'EGammaMax' is not a row of numbers"):
        model.score({**columns, "EGammaMax": ak.unflatten(X[:, 1], [1, N - 1])})
    with pytest.raises(MlbkgError, match=r"a single row x is x\[None, :\]"):
        model.score(X[0])
    with pytest.raises(MlbkgError, match="2 names do not name the columns"):
        model.score(X, names=["a", "b"])


def test_threads_share_a_model(folder: Path, X: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    model = Model(folder / "model.onnx")
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: model.score(X), range(24)):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_workers_get_the_path(method: str, folder: Path, X: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    model = Model(folder / "model.onnx")
    model.score(X[:10])
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        found = [running.result(timeout=60) for running in [pool.submit(model.score, X) for _ in range(4)]]
    for scores in found:
        np.testing.assert_array_equal(scores, expected)


def test_copied_as_a_path_to_this_very_file(folder: Path, X: NDArray[np.float32]) -> None:
    """What a pickle holds, too."""
    model = Model(folder / "model.onnx")
    model.score(X)
    assert set(model.__getstate__()) == {"path", "threads", "_sha256"}
    assert copy.deepcopy(model).score(X[:2]).shape == (2,)
    shutil.copy(folder / "folds.onnx", folder / "model.onnx")
    with pytest.raises(MlbkgError, match="is not what it was before"):
        copy.deepcopy(model).score(X)


def test_a_model_that_names_nothing(folder: Path, X: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    import onnx

    model = onnx.load_model(str(folder / "model.onnx"))
    del model.metadata_props[:]
    (folder / "bare.onnx").write_bytes(model.SerializeToString())
    bare = Model(folder / "bare.onnx")
    assert bare.features == ("f0", "f1", "f2")
    np.testing.assert_array_equal(bare.score(X), expected)
    with pytest.raises(UnknownNameError, match="has no working points"):
        bare.passes(X)


def test_errors_come_early(tmp_path: Path) -> None:
    with pytest.raises(MlbkgError, match="cannot be read"):
        Model(tmp_path / "missing.onnx")
