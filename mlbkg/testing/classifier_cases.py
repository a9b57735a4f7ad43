"""What every classifier backend must do. A new backend, in this project or another, subclasses the cases in a test file:

    from mlbkg.testing.classifier_cases import ClassifierCases

    class TestMyBackend(ClassifierCases):
        backend = "my_backend"

Expected numbers are closed forms, given beside each case.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, ndtr
from scipy.stats import rankdata

from mlbkg.classifiers.base import BACKENDS, Backend, FittedClassifier, TrainingSet
from mlbkg.errors import FeatureMismatchError, MlbkgError, WeightError
from mlbkg.export.load import open_model
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.model_card import CardText
from mlbkg.export.session import open_session
from mlbkg.export.write import export

N_FEATURES = 5
SEPARATION = 1.5  # distance of the two means in the first feature, in standard deviations
_DRAWS = ("subsample", "colsample_bytree", "max_features")


def two_gaussians(rows: int, *, seed: int) -> TrainingSet:
    """Equal numbers of both classes, normal, apart by ``SEPARATION`` in the first feature; the others are noise."""
    rng = np.random.default_rng(seed)
    y = (np.arange(rows) % 2).astype(np.int8)
    X = rng.standard_normal((rows, N_FEATURES)).astype(np.float32)
    X[:, 0] += np.float32(SEPARATION) * y
    return TrainingSet(X, y, np.ones(rows))


def area_under_curve(margin: NDArray[np.float64], y: NDArray[np.int8]) -> float:
    """Unweighted ROC area: the chance that a signal row lies above a background row, ties counting half (Mann-Whitney U)."""
    signal, background = np.count_nonzero(y == 1), np.count_nonzero(y == 0)
    ranks = rankdata(margin)[y == 1].sum()
    return float((ranks - signal * (signal + 1) / 2) / (signal * background))


def hard_rows(rows: int, *, seed: int) -> NDArray[np.float32]:
    """Features with NaN, infinities, zeros and the ends of float32 among ordinary values."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, N_FEATURES)).astype(np.float32)
    limit = np.finfo(np.float32).max
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, limit, -limit, 1e-40], dtype=np.float32)
    odd = rng.random(X.shape) < 0.3
    X[odd] = rng.choice(special, size=int(odd.sum()))
    return X


class ClassifierCases:
    """Subclass with ``backend`` set; ``params`` may be replaced by others that fit in a fraction of a second."""

    backend: ClassVar[str]
    params: ClassVar[Mapping[str, Any]] = {"n_estimators": 30, "learning_rate": 0.1}

    @property
    def implementation(self) -> Backend:
        return BACKENDS[self.backend]

    def fit(
        self,
        train: TrainingSet,
        *,
        valid: TrainingSet | None = None,
        seed: int = 1,
        threads: int = 1,
        losses: list[float] | None = None,
        **params: Any,
    ) -> FittedClassifier:
        """Fit with the class' ``params`` and those given; the loss of each round is appended to ``losses``."""

        def on_round(iteration: int, loss: float) -> None:
            if losses is not None:
                assert iteration == len(losses), "rounds count from zero, one call each"
                losses.append(loss)

        return self.implementation.fit(
            train,
            params=self.implementation.params(**{**self.params, **params}),
            valid=valid,
            seed=seed,
            threads=threads,
            on_round=on_round,
        )

    def draws(self) -> dict[str, Any]:
        """Parameters that make the fit use its random numbers; empty for a backend that has none."""
        return {name: 0.5 for name in _DRAWS if name in self.implementation.params.model_fields}

    @pytest.fixture
    def fitted(self) -> FittedClassifier:
        return self.fit(two_gaussians(4000, seed=1))

    def test_every_parameter_has_a_default_and_a_description(self) -> None:
        fields = self.implementation.params.model_fields
        assert not [name for name, field in fields.items() if field.is_required()]
        bare = {"n_estimators", "learning_rate", "early_stopping_rounds"} - set(fields)
        assert not bare
        assert not [name for name, field in fields.items() if not field.description]

    @pytest.mark.parametrize(
        "wrong", [{"no_such_parameter": 1}, {"n_estimators": 0}, {"learning_rate": 0.0}, {"early_stopping_rounds": 0}]
    )
    def test_wrong_parameters_are_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="validation error"):
            self.implementation.params(**wrong)

    def test_learns_two_gaussians(self) -> None:
        """The best possible area is Φ(d/√2) for two unit normals at distance d (Φ of their difference over its spread)."""
        test = two_gaussians(20_000, seed=2)
        area = area_under_curve(self.fit(two_gaussians(20_000, seed=1)).predict_margin(test.X), test.y)
        assert area == pytest.approx(float(ndtr(SEPARATION / np.sqrt(2))), abs=0.015)

    def test_probability_is_logistic_of_margin(self, fitted: FittedClassifier) -> None:
        X = hard_rows(2000, seed=3)
        probability = fitted.predict(X)
        assert probability.dtype == np.float64
        np.testing.assert_allclose(probability, expit(fitted.predict_margin(X)), rtol=0, atol=1e-6)

    def test_gain_importance_finds_the_feature(self, fitted: FittedClassifier) -> None:
        gain = fitted.gain_importance()
        assert gain.shape == (N_FEATURES,)
        assert gain.sum() == pytest.approx(1.0)
        assert gain[0] == max(gain)

    @pytest.mark.parametrize("threads", [2, 4])
    def test_thread_count_does_not_change_the_model(self, threads: int, tmp_path: Path) -> None:
        train = two_gaussians(20_000, seed=4)
        one = self.fit(train, threads=1, **self.draws()).to_native_files(tmp_path / "one")
        many = self.fit(train, threads=threads, **self.draws()).to_native_files(tmp_path / "many")
        assert {name: path.read_bytes() for name, path in one.items()} == {
            name: path.read_bytes() for name, path in many.items()
        }

    def test_fits_side_by_side_do_not_disturb_each_other(self) -> None:
        trains = [two_gaussians(6000, seed=seed) for seed in (5, 6)]
        X = hard_rows(1000, seed=7)
        alone = [self.fit(train, **self.draws()).predict_margin(X) for train in trains]
        with ThreadPoolExecutor(2) as pool:
            together = list(pool.map(lambda train: self.fit(train, threads=2, **self.draws()).predict_margin(X), trains))
        np.testing.assert_array_equal(together, alone)

    def test_another_seed_draws_other_rows_or_features(self) -> None:
        if not self.draws():
            pytest.skip(f"{self.backend} draws no random numbers: it has none of {', '.join(_DRAWS)}")
        train = two_gaussians(4000, seed=8)
        first, second = (self.fit(train, seed=seed, **self.draws()).predict_margin(train.X) for seed in (1, 2))
        assert not np.array_equal(first, second)

    def test_weight_counts_like_repeated_rows(self) -> None:
        """Signal that weighs four is signal that is there four times; a fit without the weights must be far from both."""
        once = two_gaussians(20_000, seed=9)
        weighted = TrainingSet(once.X, once.y, np.where(once.y == 1, 4.0, 1.0))
        rows = np.repeat(np.arange(20_000), np.where(once.y == 1, 4, 1))
        repeated = TrainingSet(once.X[rows], once.y[rows], np.ones(len(rows)))
        by_weight, by_rows, without = (self.fit(train).predict(once.X) for train in (weighted, repeated, once))
        assert np.abs(by_weight - by_rows).mean() < 0.03
        assert np.abs(by_weight - without).mean() > 0.1

    def test_rows_of_no_weight_are_ignored(self) -> None:
        """Half the rows say the opposite, but weigh nothing to speak of."""
        clean, liars = two_gaussians(4000, seed=10), two_gaussians(4000, seed=11)
        train = TrainingSet(
            np.concatenate([clean.X, liars.X]),
            np.concatenate([clean.y, 1 - liars.y]).astype(np.int8),
            np.repeat([1.0, 1e-9], 4000),
        )
        test = two_gaussians(10_000, seed=12)
        area = area_under_curve(self.fit(train).predict_margin(test.X), test.y)
        assert area == pytest.approx(float(ndtr(SEPARATION / np.sqrt(2))), abs=0.02)

    def test_learns_from_what_is_missing(self) -> None:
        """NaN in 80 % of the signal and 20 % of the background, all else noise: area (1 + 0.8 - 0.2) / 2 = 0.8."""
        rng = np.random.default_rng(13)
        y = (np.arange(20_000) % 2).astype(np.int8)
        X = rng.standard_normal((len(y), N_FEATURES)).astype(np.float32)
        X[rng.random(len(y)) < np.where(y == 1, 0.8, 0.2), 2] = np.nan
        train, test = (TrainingSet(X[half], y[half], np.ones(10_000)) for half in (slice(0, 10_000), slice(10_000, None)))
        fitted = self.fit(train)
        assert area_under_curve(fitted.predict_margin(test.X), test.y) == pytest.approx(0.8, abs=0.02)
        assert np.isfinite(fitted.predict_margin(hard_rows(1000, seed=14))).all()

    def test_cut_at_the_best_round(self) -> None:
        losses: list[float] = []
        valid = two_gaussians(1000, seed=16)
        fitted = self.fit(
            two_gaussians(1000, seed=15),
            valid=valid,
            losses=losses,
            n_estimators=300,
            learning_rate=0.5,
            early_stopping_rounds=5,
        )
        best = int(np.argmin(losses))
        assert len(losses) == best + 1 + 5, "five rounds without a smaller loss end the training"
        assert fitted.n_trees == best + 1
        assert fitted.predict_leaves(valid.X).shape == (1000, best + 1)
        margin = np.where(valid.y == 1, 1, -1) * fitted.predict_margin(valid.X)
        assert np.logaddexp(0, -margin).mean() == pytest.approx(losses[best], abs=1e-6)

    def test_weights_of_the_validation_rows_count(self) -> None:
        losses: list[float] = []
        valid = two_gaussians(1000, seed=17)
        weight = np.where(valid.y == 1, 3.0, 0.1)
        fitted = self.fit(
            two_gaussians(1000, seed=18),
            valid=TrainingSet(valid.X, valid.y, weight),
            losses=losses,
            n_estimators=5,
            early_stopping_rounds=None,
        )
        margin = np.where(valid.y == 1, 1, -1) * fitted.predict_margin(valid.X)
        assert np.average(np.logaddexp(0, -margin), weights=weight) == pytest.approx(losses[-1], abs=1e-6)

    def test_without_early_stopping_every_round_is_kept(self) -> None:
        train, valid = two_gaussians(1000, seed=19), two_gaussians(1000, seed=20)
        settings: dict[str, Any] = {"n_estimators": 60, "learning_rate": 0.5, "early_stopping_rounds": None}
        assert self.fit(train, valid=valid, **settings).n_trees == 60
        assert self.fit(train, valid=None, **{**settings, "early_stopping_rounds": 5}).n_trees == 60

    def test_files_give_the_classifier_back_without_pickle(
        self, fitted: FittedClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("a model file must not be pickled")

        for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
            monkeypatch.setattr(f"pickle.{name}", refuse)
        files = fitted.to_native_files(tmp_path / "first")
        X = hard_rows(4000, seed=21)
        for path in files.values():
            loaded = self.implementation.load(path)
            assert (loaded.n_features, loaded.n_trees) == (N_FEATURES, fitted.n_trees)
            np.testing.assert_array_equal(loaded.predict_margin(X), fitted.predict_margin(X))
            np.testing.assert_array_equal(loaded.predict_leaves(X), fitted.predict_leaves(X))
            np.testing.assert_array_equal(loaded.gain_importance(), fitted.gain_importance())
        again = loaded.to_native_files(tmp_path / "second")
        assert {name: path.read_bytes() for name, path in again.items()} == {
            name: path.read_bytes() for name, path in files.items()
        }

    def test_a_file_of_something_else_is_refused(self, tmp_path: Path) -> None:
        for content in (b"", b"not a model", b"{}"):
            path = tmp_path / "model"
            path.write_bytes(content)
            with pytest.raises(MlbkgError, match="model"):
                self.implementation.load(path)

    def test_leaves_decide_the_margin(self, fitted: FittedClassifier) -> None:
        X = np.concatenate([hard_rows(2000, seed=22), two_gaussians(4000, seed=1).X])
        leaves, margin = fitted.predict_leaves(X), fitted.predict_margin(X)
        assert leaves.shape == (len(X), fitted.n_trees)
        _, path = np.unique(leaves, axis=0, return_inverse=True)
        lowest, highest = np.full(path.max() + 1, np.inf), np.full(path.max() + 1, -np.inf)
        np.minimum.at(lowest, path.ravel(), margin)
        np.maximum.at(highest, path.ravel(), margin)
        np.testing.assert_array_equal(lowest, highest)
        assert len(np.unique(margin)) > 100

    def test_onnx_answers_as_trained(self, fitted: FittedClassifier, tmp_path: Path) -> None:
        """Every decision path is the same and probabilities differ by at most 1e-6, on adversarial rows too."""
        features = tuple(FeatureInfo(f"x{i}") for i in range(N_FEATURES))
        metadata = ModelMetadata(
            analysis="cases",
            title="",
            backend=self.backend,
            features=features,
            n_folds=1,
            salt="",
            event_id=("event",),
            working_points=(),
            class_prior=0.5,
            config={},
            data_fingerprints={},
            versions={},
        )
        card = CardText(training={}, performance={}, limits=())
        X = hard_rows(500, seed=12)
        exported = export([fitted], X, tmp_path, metadata=metadata, card=card)
        assert exported.parity.different_paths == 0
        assert exported.parity.max_abs_dp <= 1e-6
        session = open_session(open_model(exported.model).content)
        output = session.run(["output"], {"input": X})[0][:, 0]
        np.testing.assert_allclose(output, fitted.predict(X), atol=1e-6)

    def test_no_rows_to_predict(self, fitted: FittedClassifier) -> None:
        nothing = np.empty((0, N_FEATURES), dtype=np.float32)
        assert fitted.predict_margin(nothing).shape == (0,)
        assert fitted.predict(nothing).shape == (0,)
        assert fitted.predict_leaves(nothing).shape == (0, fitted.n_trees)

    @pytest.mark.parametrize("columns", [N_FEATURES - 1, N_FEATURES + 1])
    @pytest.mark.parametrize("method", ["predict_margin", "predict", "predict_leaves"])
    def test_other_columns_are_refused(self, fitted: FittedClassifier, method: str, columns: int) -> None:
        with pytest.raises(FeatureMismatchError, match=f"trained on {N_FEATURES} features, got {columns}"):
            getattr(fitted, method)(np.zeros((3, columns), dtype=np.float32))

    def test_float64_features_are_refused(self, fitted: FittedClassifier) -> None:
        with pytest.raises(MlbkgError, match="float32"):
            fitted.predict_margin(np.zeros((3, N_FEATURES)))  # type: ignore[arg-type]

    @pytest.mark.parametrize("part", ["training", "validation"])
    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"y": np.zeros(100, dtype=np.int8)}, MlbkgError, "has no signal"),
            ({"y": np.ones(100, dtype=np.int8)}, MlbkgError, "has no background"),
            ({"y": np.full(100, -1, dtype=np.int8)}, MlbkgError, "must be 0"),
            ({"weight": np.full(100, np.nan)}, WeightError, "100 of 100 .* not finite"),
            ({"weight": np.full(100, np.inf)}, WeightError, "not finite"),
            ({"weight": np.full(100, -1.0)}, WeightError, "negative, the smallest -1"),
            ({"weight": np.zeros(100)}, WeightError, "sum to zero"),
            ({"weight": np.ones(99)}, MlbkgError, "100 rows"),
            ({"X": np.zeros((100, N_FEATURES))}, MlbkgError, "float32"),
            ({"X": np.zeros(100, dtype=np.float32)}, MlbkgError, "float32 array of shape"),
            ({"X": np.full((100, N_FEATURES), np.inf, dtype=np.float32)}, MlbkgError, "column 0: 100 of 100 rows"),
        ],
    )
    def test_bad_input_is_refused(self, part: str, change: dict[str, Any], error: type[MlbkgError], message: str) -> None:
        good = two_gaussians(100, seed=23)
        bad = TrainingSet(**{"X": good.X, "y": good.y, "weight": good.weight, **change})
        with pytest.raises(error, match=message) as caught:
            self.fit(*((bad,) if part == "training" else (good,)), valid=bad if part == "validation" else None)
        assert part in str(caught.value)

    def test_no_rows_to_train_on(self) -> None:
        nothing = TrainingSet(np.empty((0, N_FEATURES), dtype=np.float32), np.empty(0, dtype=np.int8), np.empty(0))
        with pytest.raises(MlbkgError, match="training set has no rows"):
            self.fit(nothing)

    def test_validation_with_other_columns_is_refused(self) -> None:
        train = two_gaussians(100, seed=24)
        valid = TrainingSet(train.X[:, :3].copy(), train.y, train.weight)
        with pytest.raises(FeatureMismatchError, match=f"has 3 features, the training set {N_FEATURES}"):
            self.fit(train, valid=valid)
