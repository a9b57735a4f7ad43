"""XGBoost's files against XGBoost's own answers (data/xgboost/README.md says where those of old versions are from)."""

from __future__ import annotations

import gzip
import json
import logging
import pickle
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.importers.base import IMPORTERS, Imported
from mlbkg.export.importers.compare import compare
from mlbkg.export.importers.xgboost import read
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.onnx import build_model
from mlbkg.export.session import open_session

DATA = Path(__file__).parent / "data" / "xgboost"
FILES = sorted(path.name for path in DATA.iterdir() if path.suffix in (".json", ".ubj"))
RNG = np.random.default_rng(5)
X = RNG.normal(size=(1500, 3)).astype(np.float32)
X[:, 2] = RNG.integers(0, 70, len(X))
X[RNG.random(X.shape) < 0.08] = np.nan
Y = (np.nan_to_num(X[:, 0]) + (np.nan_to_num(X[:, 2]) % 3 == 0) + np.isnan(X[:, 1]) > 0.6).astype(int)
SPECIAL = [np.nan, 0, -0.0, 1e-45, -1e-45, 1e-40, 1e-35, -1e-35, 3e38, -3e38]
NO_CATEGORY = [-1, -0.5, -0.0, 0.5, 2.7, 69.5, 70, 95, 96, 200, 1e4, 16777215, 16777216, 3e9, 1e20, -1e20]
CATEGORIES = {"feature_types": ["q", "q", "c"], "enable_categorical": True}
SETTINGS = {"objective": "binary:logistic", "max_depth": 4, "nthread": 1, "verbosity": 0, "seed": 1}

Rows = NDArray[np.float32]
Answers = Callable[[Imported, Rows], tuple[NDArray[np.float32], NDArray[np.float32]]]
Convert = Callable[[Imported], bytes]


@pytest.fixture(scope="module")
def convert(make_metadata: Callable[..., ModelMetadata]) -> Convert:
    def convert(imported: Imported) -> bytes:
        features = [FeatureInfo(f"f{i}") for i in range(imported.forest.n_features)]
        about = make_metadata("xgboost", features, 1)
        return build_model([imported.forest], replace(about, output=imported.forest.output))

    return convert


@pytest.fixture(scope="module")
def answers(convert: Convert) -> Answers:
    """Output and margin of the ONNX model."""

    def answers(imported: Imported, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        output, margin = open_session(convert(imported)).run(["output", "margin"], {"input": rows})
        return output[:, 0], margin[:, 0]

    return answers


def train(rounds: int = 8, *, data: dict[str, Any] | None = None, label: Any = Y, **params: Any) -> xgboost.Booster:
    return xgboost.train({**SETTINGS, **params}, xgboost.DMatrix(X, label, **(data or {})), rounds)


def saved(booster: xgboost.Booster, form: str = "json") -> bytes:
    return bytes(booster.save_raw(form))


def plain(booster: xgboost.Booster) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(saved(booster))
    return document


def model_in(document: dict[str, Any]) -> dict[str, Any]:
    """Where the trees are."""
    booster = document["learner"]["gradient_booster"]
    found: dict[str, Any] = booster.get("gbtree", booster)["model"]
    return found


def hard_rows(document: dict[str, Any]) -> Rows:
    """Each feature at its thresholds, at their neighbours, and at what is special in float32."""
    rows = [X]
    for feature in range(X.shape[1]):
        cuts = [
            cut
            for tree in model_in(document)["trees"]
            for cut, child, used in zip(tree["split_conditions"], tree["left_children"], tree["split_indices"], strict=True)
            if child != -1 and used == feature
        ]
        values = np.array([*cuts, *SPECIAL], dtype=np.float32)
        beside = [np.nextafter(values, np.float32(side)) for side in (-3e38, 3e38)]
        values = np.concatenate([values, *beside])
        more = X[RNG.integers(len(X), size=len(values))]
        more[:, feature] = values
        rows.append(more)
    return np.concatenate(rows)


@pytest.mark.parametrize("name", FILES)
def test_old_versions(name: str, convert: Convert, answers: Answers) -> None:
    imported = read((DATA / name).read_bytes(), name)
    table = np.loadtxt((DATA / name).with_suffix(".csv"), delimiter=",", skiprows=1)
    rows, expected = table[:, :-1].astype(np.float32), table[:, -1]
    assert np.abs(imported.answer(rows) - expected).max() < 2e-7
    assert np.abs(answers(imported, rows)[0] - expected).max() < 2e-7
    assert f"XGBoost {name[1:6]} " in imported.program
    assert imported.feature_names == (("a", "b", "c") if name > "v1.4" else None)
    assert compare(imported, convert(imported))[1] < 1e-6


@pytest.mark.parametrize("form", ["json", "ubj"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"tree_method": "exact", "gamma": 5.0},
        {"grow_policy": "lossguide", "max_leaves": 60, "max_depth": 0},
        {"num_parallel_tree": 4, "subsample": 0.5},
        {"booster": "dart", "rate_drop": 0.5},
        {"max_depth": 1, "base_score": 0.0123},
    ],
    ids=lambda params: "-".join(params) or "default",
)
def test_margins_are_the_same_bits(params: dict[str, Any], form: str, answers: Answers) -> None:
    booster = train(**params)
    rows = hard_rows(plain(booster))
    imported = read(saved(booster, form), "model")
    output, margin = answers(imported, rows)
    np.testing.assert_array_equal(margin, booster.predict(xgboost.DMatrix(rows), output_margin=True))
    expected = booster.predict(xgboost.DMatrix(rows))
    assert np.abs(output - expected).max() < 1e-6
    assert np.abs(imported.answer(rows) - expected).max() < 1e-6
    assert f"({form.upper().replace('UBJ', 'UBJSON')})" in imported.program


@pytest.mark.parametrize("objective", ["binary:logistic", "reg:logistic", "binary:logitraw", "reg:squarederror"])
def test_base_score_is_the_same_bits(objective: str) -> None:
    booster = train(1, objective=objective, max_depth=1)
    document = plain(booster)
    for score in RNG.uniform(size=30):
        document["learner"]["learner_model_param"]["base_score"] = f"[{score:.9E}]"
        content = json.dumps(document).encode()
        margin = xgboost.Booster(model_file=bytearray(content)).predict(xgboost.DMatrix(X[:1]), output_margin=True)[0]
        forest = read(content, "model").forest
        assert np.isin(margin, np.float32(forest.base_margin) + forest.value.astype(np.float32))


@pytest.mark.parametrize(
    "objective", ["binary:logitraw", "reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "rank:pairwise"]
)
def test_regressions_and_ranks_answer_with_the_margin(objective: str, answers: Answers) -> None:
    booster = train(objective=objective, data={"qid": np.arange(len(X)) // 10} if "rank" in objective else {})
    imported = read(saved(booster), "model")
    rows = hard_rows(plain(booster))
    assert imported.forest.output == "identity"
    np.testing.assert_array_equal(answers(imported, rows)[0], booster.predict(xgboost.DMatrix(rows)))


@pytest.mark.parametrize("to_onehot", [1, 100])
def test_categories(to_onehot: int, convert: Convert, answers: Answers) -> None:
    """Also those that are none: XGBoost cuts decimals off, and sends what it does not know to the left."""
    booster = train(data=CATEGORIES, max_cat_to_onehot=to_onehot, max_depth=6)
    odd = np.repeat(X[:4], len(SPECIAL + NO_CATEGORY), axis=0)
    odd[:, 2] = np.tile(SPECIAL + NO_CATEGORY, 4)
    rows = np.concatenate([X, odd])
    expected = booster.predict(xgboost.DMatrix(rows, **CATEGORIES), output_margin=True)
    for form in ("json", "ubj"):
        imported = read(saved(booster, form), "model")
        assert imported.forest.lookups
        np.testing.assert_array_equal(answers(imported, rows)[1], expected)
        assert compare(imported, convert(imported))[1] < 1e-6


def test_named_categories_are_their_numbers(answers: Answers, caplog: pytest.LogCaptureFixture) -> None:
    pandas = pytest.importorskip("pandas", reason="named categories come out of pandas")
    codes = RNG.integers(0, 4, len(X))
    frame = pandas.DataFrame({"a": X[:, 0], "kind": pandas.Categorical.from_codes(codes, ["z", "a", "q", "m"])})
    data = xgboost.DMatrix(frame, codes % 2, enable_categorical=True)
    booster = xgboost.train({**SETTINGS, "max_cat_to_onehot": 1}, data, 3)
    with caplog.at_level(logging.WARNING):
        imported = read(saved(booster), "model")
    assert "numbers, not the categories" in caplog.text
    assert read(saved(booster, "ubj"), "model").program.endswith("categories by number")
    assert "categories" not in read(saved(train(data=CATEGORIES)), "model").program
    assert imported.feature_names == ("a", "kind")
    rows = np.column_stack([X[:, 0], codes]).astype(np.float32)
    assert np.abs(answers(imported, rows)[0] - booster.predict(data)).max() < 1e-6


def test_best_iteration_as_predict_has_it(tmp_path: Path, answers: Answers) -> None:
    """Classes of the scikit-learn kind stop there; a booster does not, though it may say where it is."""
    model = xgboost.XGBClassifier(n_estimators=60, learning_rate=1.0, early_stopping_rounds=4, n_jobs=1)
    model.fit(X[:700], Y[:700], eval_set=[(X[700:], Y[700:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    for name in ("model.json", "model.ubj"):
        model.save_model(tmp_path / name)
        imported = read((tmp_path / name).read_bytes(), name)
        assert f"up to its best iteration {model.best_iteration}" in imported.program
        assert np.abs(answers(imported, X)[0] - model.predict_proba(X)[:, 1]).max() < 1e-6
    imported = read(saved(model.get_booster()), "model")
    assert "best" not in imported.program
    assert np.abs(answers(imported, X)[0] - model.get_booster().predict(xgboost.DMatrix(X))).max() < 1e-6


def test_missing_numbers_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """The layout is XGBoost 1.7's, whose class keeps its settings in the file."""
    document = plain(train(2))
    document["learner"]["attributes"] = {"scikit_learn": '{"missing": -999.0}'}
    with caplog.at_level(logging.WARNING):
        imported = read(json.dumps(document).encode(), "model")
    assert "missing=-999" in caplog.text
    assert imported.program.endswith("NaN for what is missing, not -999")
    document["learner"]["attributes"] = {"scikit_learn": '{"missing": NaN, "settings": ' + "[" * 100_000}
    assert "missing" not in read(json.dumps(document).encode(), "model").program


@pytest.mark.parametrize(
    ("params", "label", "told"),
    [
        ({"objective": "binary:hinge"}, Y, "objective 'binary:hinge'"),
        ({"objective": "count:poisson"}, Y, "objective 'count:poisson'"),
        ({"objective": "multi:softprob", "num_class": 3}, Y, "objective 'multi:softprob'"),
        ({"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.9]}, Y, "targets"),
        ({"objective": "reg:squarederror"}, np.column_stack([Y, 1 - Y]), "2 targets"),
        ({"objective": "reg:squarederror", "multi_strategy": "multi_output_tree"}, np.column_stack([Y, 1 - Y]), "targets"),
        ({"booster": "gblinear"}, Y, "booster 'gblinear' is not made of trees"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_exact_form_is_refused(params: dict[str, Any], label: Any, told: str) -> None:
    booster = train(2, label=label, **params)
    for form in ("json", "ubj"):
        with pytest.raises(MlbkgError, match=told):
            read(saved(booster, form), "model")


class _Booby:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was loaded",))


PICKLE = pickle.dumps(_Booby())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (PICKLE, "is a pickle, which can run code"),
        (gzip.compress(PICKLE, mtime=0), "compressed with gzip"),
        (zlib.compress(PICKLE), "compressed with zlib"),
        (b"", "is empty"),
        (b"binf" + bytes(100), "the binary format of old versions is not read"),
        (struct.pack("<f", 0.5) + bytes(200), "the binary format of old versions is not read"),
        (b"<MethodSetup/>", "no XGBoost model"),
        (b'{"a": 1}', "'learner' is missing"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"a": [' + b"{}," * 8_000_000 + b"1]}", "MiB of memory"),
        (b"{L" + struct.pack(">q", 1) + b"a[$d#L" + struct.pack(">q", 2**61), "ends too early"),
        (b"{L" + struct.pack(">q", 1) + b"a[$Z#L" + struct.pack(">q", 2**61), "no values"),
        (b"{L" + struct.pack(">q", 1) + b"a" + b"[" * 100_000, "nested too deeply"),
        (b"{L" + struct.pack(">q", -1), "ends too early"),
        (b"{L" + struct.pack(">q", 1) + b"aZ}more", "behind the end"),
    ],
    ids=range(15),
)
def test_other_bytes_are_refused(content: bytes, told: str) -> None:
    with pytest.raises(MlbkgError, match=told):
        read(content, "model")


def _set(tree: dict[str, Any], name: str, place: int, value: Any) -> None:
    tree[name][place] = value


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tree: _set(tree, "left_children", 0, 0), "children that do not exist"),
        (lambda tree: _set(tree, "left_children", 0, 2**31), "children that do not exist"),
        (lambda tree: _set(tree, "left_children", 0, tree["right_children"][0]), "two parents"),
        (lambda tree: _set(tree, "split_indices", 0, 3), "feature beyond the 3"),
        (lambda tree: _set(tree, "split_indices", 0, 0.5), "whole ones"),
        (lambda tree: _set(tree, "split_conditions", 0, float("nan")), "not numbers"),
        (lambda tree: _set(tree, "split_conditions", -1, 1e39), "not finite"),
        (lambda tree: _set(tree, "split_type", 0, 7), "unknown kind"),
        (lambda tree: _set(tree, "split_type", 0, 1), "sets of categories"),
        (lambda tree: tree["split_indices"].pop(), "not equally long"),
        (lambda tree: tree.pop("default_left"), "'default_left' is missing"),
        (lambda tree: tree.update(left_children={}), "in a row"),
        (lambda tree: tree["tree_param"].update(size_leaf_vector="2"), "several values"),
    ],
)
def test_damaged_trees_are_refused(change: Callable[[dict[str, Any]], object], told: str) -> None:
    document = plain(train(2, max_depth=2))
    change(model_in(document)["trees"][1])
    with pytest.raises(MlbkgError, match=told):
        read(json.dumps(document).encode(), "model")


def test_categories_of_xgboost_1_6_are_refused() -> None:
    document = plain(train(2, data=CATEGORIES, max_cat_to_onehot=1))
    document["version"] = [1, 6, 2]
    with pytest.raises(MlbkgError, match=r"XGBoost 1\.6 takes categories for missing"):
        read(json.dumps(document).encode(), "model")


def mutated(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8])):
        place, kind = chance.randrange(len(changed)), chance.randrange(8)
        if kind < 5:
            changed[place] = chance.choice(b'0123456789-.eE,:[]{}"') if content[1:2] == b'"' else chance.randrange(256)
        elif kind < 6:
            del changed[place : place + chance.randrange(1, 30)]
        elif kind < 7:
            start = chance.randrange(len(changed))
            changed[place:place] = changed[start : start + 40]
        else:
            del changed[max(1, place) :]
    return bytes(changed)


@pytest.mark.parametrize("name", ["v3.1.3_categories.ubj", "v2.0.3_categories.json", "v2.1.4_dart.json"])
def test_changed_files_are_refused_or_are_models(name: str, answers: Answers) -> None:
    chance = random.Random(name)  # noqa: S311
    content, rows = (DATA / name).read_bytes(), X[:200]
    models = 0
    for _ in range(150):
        try:
            imported = read(mutated(content, chance), name)
        except MlbkgError:
            continue
        models += 1
        if imported.forest.n_features == rows.shape[1]:
            expected = imported.answer(rows)
            found = answers(imported, rows)[0]
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert 0 < models < 150


def test_it_is_registered() -> None:
    assert IMPORTERS["xgboost"].read is read
