"""LightGBM's files against LightGBM's own answers (data/lightgbm/README.md says where those of old versions are from)."""

from __future__ import annotations

import gzip
import logging
import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.importers.base import IMPORTERS, Imported
from mlbkg.export.importers.compare import compare
from mlbkg.export.importers.lightgbm import read
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.onnx import build_model
from mlbkg.export.session import open_session

DATA = Path(__file__).parent / "data" / "lightgbm"
FILES = sorted(path.name for path in DATA.glob("*.txt"))
RNG = np.random.default_rng(6)
COMPLETE = RNG.normal(size=(1500, 3)).astype(np.float32)
COMPLETE[:, 0] *= RNG.random(1500) > 0.3
COMPLETE[:, 2] = RNG.integers(0, 70, 1500)
X = np.where(RNG.random(COMPLETE.shape) < 0.08, np.float32(np.nan), COMPLETE)
Y = (np.nan_to_num(X[:, 1]) + (X[:, 0] == 0) + (np.nan_to_num(X[:, 2]) % 3 == 0) + np.isnan(X[:, 1]) > 1).astype(int)
ZERO = np.float32(1e-35)
"""LightGBM's kZeroThreshold."""
SPECIAL = [np.nan, np.inf, -np.inf, 0, -0.0, 1e-45, -1e-45, 1e-36, -1e-36, ZERO, -ZERO, 3e38, -3e38]
SPECIAL += [np.nextafter(side * ZERO, np.float32(end)) for side in (1, -1) for end in (1, -1)]
NO_CATEGORY = [-1, -0.9999999, -0.5, 0.5, 2.7, 31.99, 69.5, 70, 95, 96, 200, 16777216, 2147483648, 4294967298, 1e10, 1e20]
SETTINGS = {"objective": "binary", "num_leaves": 15, "min_data_in_leaf": 5, "num_threads": 1, "verbose": -1, "seed": 1}

Rows = NDArray[np.float32]
Answers = Callable[[Imported, Rows], NDArray[np.float32]]
Convert = Callable[[Imported], bytes]


@pytest.fixture(scope="module")
def convert(make_metadata: Callable[..., ModelMetadata]) -> Convert:
    def convert(imported: Imported) -> bytes:
        features = [FeatureInfo(f"f{i}") for i in range(imported.forest.n_features)]
        about = make_metadata("lightgbm", features, 1)
        return build_model([imported.forest], replace(about, output=imported.forest.output))

    return convert


@pytest.fixture(scope="module")
def answers(convert: Convert) -> Answers:
    def answers(imported: Imported, rows: Rows) -> NDArray[np.float32]:
        (output,) = open_session(convert(imported)).run(["output"], {"input": rows})
        return np.asarray(output[:, 0])

    return answers


def train(rows: Rows = X, rounds: int = 8, *, data: dict[str, Any] | None = None, **params: Any) -> lightgbm.Booster:
    settings = {**SETTINGS, **params}
    return lightgbm.train(settings, lightgbm.Dataset(rows.astype(np.float64), Y, **(data or {})), rounds)


def saved(booster: lightgbm.Booster) -> bytes:
    return str(booster.model_to_string()).encode()


def hard_rows(content: bytes, base: Rows) -> Rows:
    """Each feature at its thresholds, at their neighbours, and at what is special to LightGBM."""
    cuts: dict[int, list[float]] = {feature: [] for feature in range(base.shape[1])}
    features: list[str] = []
    for line in content.decode().splitlines():
        key, _, value = line.partition("=")
        if key == "split_feature":
            features = value.split()
        elif key == "threshold":
            for name, cut in zip(features, value.split(), strict=True):
                cuts[int(name)].append(float(cut))
    rows = [base]
    for column, found in cuts.items():
        values = np.array(found, dtype=np.float32)
        beside = [np.nextafter(values, np.float32(side)) for side in (-3e38, 3e38)]
        values = np.concatenate([values, *beside, *[np.array(SPECIAL, dtype=np.float32)] * 5])
        more = base[RNG.integers(len(base), size=len(values))]
        more[:, column] = values
        rows.append(more)
    return np.concatenate(rows)


def check(booster: lightgbm.Booster, rows: Rows, convert: Convert, answers: Answers) -> Imported:
    imported = read(saved(booster), "model")
    expected = lightgbm.Booster(model_str=saved(booster).decode()).predict(rows)
    assert np.abs(imported.answer(rows) - expected).max() < 1e-14
    assert np.abs(answers(imported, rows) - expected).max() < 1e-6
    assert compare(imported, convert(imported))[1] < 1e-6
    return imported


@pytest.mark.parametrize("name", FILES)
def test_old_versions(name: str, convert: Convert, answers: Answers) -> None:
    imported = read((DATA / name).read_bytes(), name)
    table = np.loadtxt((DATA / name).with_suffix(".csv"), delimiter=",", skiprows=1)
    rows, expected = table[:, :-1].astype(np.float32), table[:, -1]
    assert np.abs(imported.answer(rows) - expected).max() < 1e-15
    assert np.abs(answers(imported, rows) - expected).max() < 1e-7
    assert imported.feature_names == ("a", "b", "c")
    assert compare(imported, convert(imported))[1] < 1e-6


@pytest.mark.parametrize("rows", [X, COMPLETE], ids=["missing", "complete"])
@pytest.mark.parametrize(
    ("params", "output"),
    [
        ({}, "logistic"),
        ({"sigmoid": 2.5}, "logistic"),
        ({"use_missing": False}, "logistic"),
        ({"zero_as_missing": True}, "logistic"),
        ({"objective": "cross_entropy"}, "logistic"),
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "logistic"),
        ({"boosting": "dart"}, "logistic"),
        ({"objective": "regression"}, "identity"),
        ({"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "identity"),
        ({"objective": "huber"}, "identity"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) or "default" if isinstance(value, dict) else "",
)
def test_parity(rows: Rows, params: dict[str, Any], output: str, convert: Convert, answers: Answers) -> None:
    booster = train(rows, **params)
    imported = check(booster, hard_rows(saved(booster), rows), convert, answers)
    assert imported.forest.output == output
    assert imported.program.startswith("LightGBM (text, v4), ")


def test_zeros_apart_are_looked_up() -> None:
    """Where zero is missing and goes elsewhere than the numbers beside it, no single cut says so."""
    imported = read(saved(train(zero_as_missing=True)), "model")
    assert imported.forest.lookups
    assert not read(saved(train()), "model").forest.lookups


def _cut_at(threshold: float, decision: int) -> bytes:
    """decision: 2 default left, 4 zero is missing, 8 NaN is."""
    return f"""tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=0
objective=regression
feature_names=x
feature_infos=none

Tree=0
num_leaves=2
num_cat=0
split_feature=0
split_gain=1
threshold={threshold!r}
decision_type={decision}
left_child=-1
right_child=-2
leaf_value=1 2
leaf_weight=1 1
leaf_count=1 1
internal_value=0
internal_weight=1
internal_count=2
is_linear=0
shrinkage=1


end of trees
""".encode()


NEAR_ZERO = [float(ZERO), 1e-35, 1e-36, 0.0, 1.1e-35, 3e38, 1e300, float("inf")]


@pytest.mark.parametrize("threshold", [sign * value for value in NEAR_ZERO for sign in (1, -1)])
@pytest.mark.parametrize("decision", [0, 2, 4, 6, 8, 10])
def test_every_kind_of_cut_beside_zero(threshold: float, decision: int, answers: Answers) -> None:
    content = _cut_at(threshold, decision)
    values = np.array([*SPECIAL, np.clip(threshold, -3e38, 3e38)]).astype(np.float32)
    rows = np.concatenate([values, np.nextafter(values, np.float32(1)), np.nextafter(values, np.float32(-1))])[:, None]
    expected = lightgbm.Booster(model_str=content.decode()).predict(rows)
    imported = read(content, "model")
    np.testing.assert_array_equal(imported.answer(rows), expected)
    np.testing.assert_array_equal(answers(imported, rows), expected)


@pytest.mark.parametrize("params", [{}, {"max_cat_to_onehot": 100}, {"zero_as_missing": True}, {"use_missing": False}])
def test_categories(params: dict[str, Any], convert: Convert, answers: Answers) -> None:
    """Also those that are none: C++ cuts decimals off, and what is in no set goes right, as NaN does."""
    booster = train(data={"categorical_feature": [2]}, **params)
    odd = np.repeat(X[:6], len(SPECIAL + NO_CATEGORY), axis=0)
    odd[:, 2] = np.tile(np.array(SPECIAL + NO_CATEGORY, dtype=np.float32), 6)
    imported = check(booster, np.concatenate([X, odd]), convert, answers)
    assert any(lookup.feature == 2 for lookup in imported.forest.lookups)


def test_pandas_categories_are_their_codes(answers: Answers, caplog: pytest.LogCaptureFixture) -> None:
    pandas = pytest.importorskip("pandas", reason="named categories come out of pandas")
    codes = RNG.integers(0, 4, len(X))
    frame = pandas.DataFrame({"a": X[:, 0], "kind": pandas.Categorical.from_codes(codes, ["z", "a", "q", "m"])})
    settings = {**SETTINGS, "min_data_per_group": 1, "max_cat_to_onehot": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(frame, codes % 2), 3)
    with caplog.at_level(logging.WARNING):
        imported = read(saved(booster), "model")
    assert "codes, not the categories" in caplog.text
    assert imported.feature_names == ("a", "kind")
    rows = np.column_stack([X[:, 0], codes]).astype(np.float32)
    assert np.abs(answers(imported, rows) - booster.predict(frame)).max() < 1e-6


def test_one_leaf_and_lines_of_windows(answers: Answers) -> None:
    booster = train(rounds=2, min_gain_to_split=1e9)
    content = saved(booster)
    assert b"num_leaves=1\n" in content
    for found in (read(content, "model"), read(content.replace(b"\n", b"\r\n"), "model")):
        assert np.abs(answers(found, X) - booster.predict(X)).max() < 1e-6


@pytest.mark.parametrize("sizes", [b"", b"tree_sizes=1 2 3\n"])
def test_the_sizes_of_trees_do_not_matter(sizes: bytes) -> None:
    lines = saved(train()).splitlines(keepends=True)
    content = b"".join(sizes if line.startswith(b"tree_sizes") else line for line in lines)
    assert read(content, "model").forest.n_trees == 8


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"objective": "multiclass", "num_class": 3}, "more than two classes"),
        ({"objective": "poisson"}, "objective 'poisson'"),
        ({"objective": "regression", "reg_sqrt": True}, "objective 'regression sqrt'"),
        ({"objective": "cross_entropy_lambda"}, "objective 'cross_entropy_lambda'"),
        ({"linear_tree": True}, "linear functions"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_what_has_no_exact_form_is_refused(params: dict[str, Any], told: str) -> None:
    with pytest.raises(MlbkgError, match=told):
        read(saved(train(COMPLETE, 2, **params)), "model")


class _Booby:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was loaded",))


PICKLE = pickle.dumps(_Booby())
HEAD = _cut_at(0, 0).partition(b"Tree=")[0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (PICKLE, "is a pickle, which can run code"),
        (gzip.compress(PICKLE, mtime=0), "compressed with gzip"),
        (b"", "is empty"),
        (b'{"name": "tree"}', "is JSON"),
        (b"trees\n", "first line is not 'tree'"),
        (b"tree\n" + b"\n" * 5_000_000, "lines"),
        (b"tree\n" + b"".join(b"a%d=\n" % i for i in range(1000)), "not LightGBM's"),
        (b"tree\nend of trees\n", "version is ''"),
        (HEAD, "ends before its trees do"),
        (HEAD + b"end of trees\n", "no trees"),
        (HEAD + b"Tree=0\nend of trees\n", "'num_leaves' has 0 numbers"),
        (HEAD + b"Tree=0\nnum_leaves=1000000000000\nend of trees\n", "leaves"),
        (HEAD + b"Tree=0\nnum_leaves=1\nleaf_value=" + b"1 " * 100_000 + b"\nend of trees\n", "not 1 numbers"),
        (HEAD + b"Tree=1\nend of trees\n", "tree 0 is not where it should be"),
        (HEAD.replace(b"idx=0", b"idx=20000") + b"Tree=0\nnum_leaves=1\nleaf_value=1\nend of trees\n", "20001 features"),
    ],
    ids=range(15),
)
def test_other_bytes_are_refused(content: bytes, told: str) -> None:
    with pytest.raises(MlbkgError, match=told):
        read(content, "model")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"left_child=-1", b"left_child=0", "children that do not exist"),
        (b"left_child=-1", b"left_child=-3", "children that do not exist"),
        (b"left_child=-1", b"left_child=-2", "two parents"),
        (b"left_child=-1", b"left_child=x", "could not convert"),
        (b"left_child=-1", b"left_child=0.5", "whole ones"),
        (b"split_feature=0", b"split_feature=1", "feature beyond the 1"),
        (b"decision_type=2", b"decision_type=12", "unknown kind"),
        (b"decision_type=2", b"decision_type=1", "no sets of categories"),
        (b"threshold=0.5", b"threshold=nan", "unknown kind"),
        (b"threshold=0.5", b"threshold=1_0", "not 1 numbers"),
        (b"leaf_value=1 2", b"leaf_value=1 inf", "not finite"),
        (b"leaf_value=1 2", b"leaf_value=1", "has 1 numbers, not 2"),
        (b"version=v4", b"version=v9", "version is 'v9'"),
        (b"objective=regression", b"objective=binary sigmoid:0", "slope"),
    ],
)
def test_damaged_lines_are_refused(old: bytes, new: bytes, told: str) -> None:
    content = _cut_at(0.5, 2)
    assert old in content
    with pytest.raises(MlbkgError, match=told):
        read(content.replace(old, new), "model")


def test_a_truncated_file_is_refused() -> None:
    content = saved(train(rounds=2))
    for end in range(0, content.index(b"end of trees"), 97):
        with pytest.raises(MlbkgError):
            read(content[:end], "model")


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Words and lines of the first trees are exchanged, dropped and replaced, and single bytes changed."""
    lines = content.split(b"\n")
    for _ in range(chance.choice([1, 1, 2, 5])):
        place, kind = chance.randrange(50), chance.randrange(6)
        if kind < 4:
            key, equals, value = lines[place].partition(b"=")
            words = value.split(b" ")
            words[chance.randrange(len(words))] = chance.choice(
                [b"-1", b"0", b"2", b"inf", b"1e40", b"4294967295", b"", b"x"]
            )
            lines[place] = key + equals + b" ".join(words)
        elif kind < 5:
            lines[place] = lines[chance.randrange(50)]
        elif lines[place]:
            changed = bytearray(lines[place])
            changed[chance.randrange(len(changed))] = chance.randrange(256)
            lines[place] = bytes(changed)
    return b"\n".join(lines)


@pytest.mark.parametrize("name", ["v2.3.1_categories.txt", "v3.3.5_zero_as_missing.txt", "v2.0.12.txt"])
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
            np.testing.assert_allclose(answers(imported, rows), imported.answer(rows), rtol=1e-6, atol=1e-6)
    assert 0 < models < 150


def test_it_is_registered() -> None:
    assert IMPORTERS["lightgbm"].read is read
