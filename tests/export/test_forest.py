"""Forests are read exactly, or refused with the reason. What is expected comes from the libraries themselves."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from mlbkg.classifiers.forest_arrays import ForestArrays
from mlbkg.errors import MlbkgError
from mlbkg.export.forest import round_threshold
from mlbkg.export.native import load_forest

FLOAT_MAX = float(np.finfo(np.float32).max)
SUBNORMAL = float(np.finfo(np.float32).smallest_subnormal)


@pytest.mark.parametrize(
    ("threshold", "at_most", "below"),
    [
        (0.1, np.float32(0.099999994), np.float32(0.1)),  # 0.1f is 0.100000001490116, IEEE 754
        (0.5, np.float32(0.5), np.float32(0.5)),
        (1e300, np.float32(FLOAT_MAX), np.float32(np.inf)),
        (-1e300, np.float32(-np.inf), np.float32(-FLOAT_MAX)),
        (np.inf, np.float32(np.inf), np.float32(np.inf)),
        (1e-300, np.float32(0), np.float32(SUBNORMAL)),
        (-1e-300, np.float32(-SUBNORMAL), np.float32(0)),
    ],
)
def test_thresholds_round_to_the_safe_side(threshold: float, at_most: np.float32, below: np.float32) -> None:
    assert round_threshold(np.array([threshold]), "<=")[0] == at_most
    assert round_threshold(np.array([threshold]), "<")[0] == below


def test_rounded_thresholds_decide_as_the_exact_ones() -> None:
    rng = np.random.default_rng(1)
    threshold = np.concatenate([rng.normal(size=500), rng.normal(size=500) * 10.0 ** rng.uniform(-50, 40, 500)])
    with np.errstate(over="ignore"):
        near = threshold.astype(np.float32)
        x = np.stack([np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))])
    assert np.array_equal(x.astype(np.float64) <= threshold, x <= round_threshold(threshold, "<="))
    assert np.array_equal(x.astype(np.float64) < threshold, x < round_threshold(threshold, "<"))


def test_sizes_are_the_trained_ones(trained) -> None:
    for fitted, forest in zip(trained.fitted, trained.forests, strict=True):
        assert (forest.n_trees, forest.n_features) == (fitted.n_trees, fitted.n_features)
        assert forest.n_trees < 40, "early stopping has cut"
        assert (forest.feature < 0).sum() == (forest.feature >= 0).sum() + forest.n_trees, "binary trees"


def test_arithmetic_is_the_library_s(trained) -> None:
    expected = {"xgboost": ("<", "float32"), "lightgbm": ("<=", "float64"), "hist_gradient_boosting": ("<=", "float64")}
    assert {(forest.op, forest.precision) for forest in trained.forests} == {expected[trained.backend]}


def test_lightgbm_takes_the_values_around_zero_for_zero(tmp_path: Path, make_candidates, make_fit, make_forest) -> None:
    """LightGBM's kZeroThreshold: its own splits at zero lie at ±1e-35f, and values up to there are zero to it."""
    train = make_candidates(3000, seed=1)
    forest = make_forest(make_fit("lightgbm", train), tmp_path)
    zero = np.float32(1e-35)
    near_zero = forest.threshold[(forest.feature >= 0) & (np.abs(forest.threshold) < 2 * zero)]
    assert set(near_zero.tolist()) <= {float(zero), float(np.nextafter(-zero, np.float32(-1)))}
    assert len(near_zero)


def test_part_of_a_forest(trained) -> None:
    forest = trained.forests[0]
    part = forest.take(np.array([3, 1]))
    assert part.n_trees == 2
    for place, tree in enumerate((3, 1)):
        mine = slice(part.tree_offset[place], part.tree_offset[place + 1])
        theirs = slice(forest.tree_offset[tree], forest.tree_offset[tree + 1])
        assert np.array_equal(part.threshold[mine], forest.threshold[theirs])
        assert np.array_equal(part.left[mine], forest.left[theirs])


def test_two_thousand_trees_are_read_quickly(tmp_path: Path) -> None:
    import lightgbm

    rng = np.random.default_rng(1)
    X = rng.normal(size=(500, 5)).astype(np.float32)
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 16, "learning_rate": 0.01}
    booster = lightgbm.train(settings, lightgbm.Dataset(X, label=rng.integers(0, 2, 500)), 2000)
    booster.save_model(tmp_path / "model.txt")
    begin = time.process_time()
    forest = load_forest("lightgbm-text", tmp_path / "model.txt")
    assert forest.n_trees == 2000
    assert time.process_time() - begin < 2


def lightgbm_model(path: Path, *, categorical: bool = False, **params: object) -> Path:
    import lightgbm

    rng = np.random.default_rng(1)
    X = np.column_stack([rng.integers(0, 8, 600), rng.normal(size=600)]).astype(np.float64)
    y = (np.isin(X[:, 0], [1, 4, 6]) ^ (X[:, 1] > 1)).astype(int)
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, **params}
    data = lightgbm.Dataset(X, label=y, params=settings, categorical_feature=[0] if categorical else [])
    lightgbm.train(settings, data, 3).save_model(path)
    return path


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"categorical": True}, "categorical"),
        ({"linear_tree": True}, "linear"),
        ({"zero_as_missing": True}, "zero for missing"),
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "averages"),
        ({"objective": "regression"}, "not binary"),
        ({"objective": "multiclass", "num_class": 2}, "not binary"),
        ({"sigmoid": 2.0}, "slope 2"),
    ],
)
def test_lightgbm_models_without_exact_form_are_refused(tmp_path: Path, settings, reason: str) -> None:
    path = lightgbm_model(tmp_path / "model.txt", **settings)
    with pytest.raises(MlbkgError, match=reason):
        load_forest("lightgbm-text", path)


@pytest.mark.filterwarnings("ignore:.*dart. is deprecated", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"booster": "dart", "rate_drop": 0.5, "one_drop": True}, "dart"),
        ({"objective": "reg:squarederror"}, "squarederror"),
        ({"objective": "multi:softprob", "num_class": 2}, "softprob"),
    ],
)
def test_xgboost_models_without_exact_form_are_refused(tmp_path: Path, settings, reason: str) -> None:
    import xgboost

    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, 2)).astype(np.float32)
    params = {"objective": "binary:logistic", "nthread": 1, **settings}
    xgboost.train(params, xgboost.DMatrix(X, (X[:, 0] > 0).astype(int)), 3).save_model(tmp_path / "model.json")
    with pytest.raises(MlbkgError, match=reason):
        load_forest("xgboost-json", tmp_path / "model.json")


def test_xgboost_s_categorical_splits_are_refused(tmp_path: Path) -> None:
    import xgboost

    rng = np.random.default_rng(1)
    X = rng.integers(0, 6, size=(600, 1)).astype(np.float32)
    data = xgboost.DMatrix(X, np.isin(X[:, 0], [1, 4]).astype(int), feature_types=["c"], enable_categorical=True)
    params = {"objective": "binary:logistic", "nthread": 1, "max_cat_to_onehot": 1}
    xgboost.train(params, data, 2).save_model(tmp_path / "model.json")
    with pytest.raises(MlbkgError, match=r"categorical|treelite cannot read"):
        load_forest("xgboost-json", tmp_path / "model.json")


def test_treelite_s_checkpoints_are_read(tmp_path: Path) -> None:
    """Through treelite from scikit-learn's older gradient boosting, which mlbkg does not train."""
    import treelite
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

    rng = np.random.default_rng(1)
    X = rng.normal(size=(400, 3)).astype(np.float32)
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    boosted = GradientBoostingClassifier(n_estimators=7, random_state=1).fit(X, y)
    treelite.sklearn.import_model(boosted).serialize(tmp_path / "boosted.bin")
    forest = load_forest("treelite", tmp_path / "boosted.bin")
    assert (forest.n_trees, forest.op, forest.precision) == (7, "<=", "float64")
    averaged = RandomForestClassifier(n_estimators=3, random_state=1).fit(X, y)
    treelite.sklearn.import_model(averaged).serialize(tmp_path / "averaged.bin")
    with pytest.raises(MlbkgError, match=r"averages|more than two"):
        load_forest("treelite", tmp_path / "averaged.bin")


def built_by_hand(path: Path, *, ops: tuple[str, str]) -> Path:
    """x0 op 0.1, NaN left; on the left x1 op 0.3, NaN right; leaves 10 | 20 | 30 in the order of the children."""
    import treelite
    from treelite.model_builder import Metadata, ModelBuilder, PostProcessorFunc, TreeAnnotation

    builder = ModelBuilder(
        threshold_type="float64",
        leaf_output_type="float64",
        metadata=Metadata(2, "kBinaryClf", False, 1, [1], (1, 1)),
        tree_annotation=TreeAnnotation(1, [0], [0]),
        postprocessor=PostProcessorFunc("sigmoid"),
        base_scores=[0.25],
    )
    builder.start_tree()
    for key, feature, threshold, default_left, op, children in [
        (0, 0, 0.1, True, ops[0], (1, 2)),
        (1, 1, 0.3, False, ops[1], (3, 4)),
    ]:
        builder.start_node(key)
        left, right = children
        builder.numerical_test(
            feature, threshold, default_left=default_left, opname=op, left_child_key=left, right_child_key=right
        )
        builder.end_node()
    for key, value in ((2, 30.0), (3, 10.0), (4, 20.0)):
        builder.start_node(key)
        builder.leaf(value)
        builder.end_node()
    builder.end_tree()
    model: treelite.Model = builder.commit()
    model.serialize(path)
    return path


@pytest.mark.parametrize(("op", "mirrored"), [(">", "<="), (">=", "<")])
def test_greater_becomes_not_less(tmp_path: Path, op: str, mirrored: str) -> None:
    forest = load_forest("treelite", built_by_hand(tmp_path / "m.bin", ops=(op, op)))
    assert forest.op == mirrored
    assert forest.base_margin == 0.25
    root = 0
    assert forest.value[forest.left[root]] == 30, "the children have changed places"
    assert not forest.missing_left[root], "and NaN goes with them"


def test_mixed_comparisons_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MlbkgError, match="< and <="):
        load_forest("treelite", built_by_hand(tmp_path / "m.bin", ops=("<", "<=")))


def test_pruned_nodes_are_left_out(tmp_path: Path) -> None:
    """XGBoost's exact trees are grown, then pruned by gamma; what is cut off stays in the file."""
    import xgboost

    rng = np.random.default_rng(1)
    X = rng.normal(size=(500, 3)).astype(np.float32)
    y = (X[:, 0] + rng.normal(size=500) > 0).astype(int)
    params = {"objective": "binary:logistic", "tree_method": "exact", "gamma": 4, "max_depth": 6, "nthread": 1}
    booster = xgboost.train(params, xgboost.DMatrix(X, y), 10)
    booster.save_model(tmp_path / "model.json")
    forest = load_forest("xgboost-json", tmp_path / "model.json")
    leaves_in_use = sum(tree.count("leaf=") for tree in booster.get_dump())
    assert (forest.feature < 0).sum() == leaves_in_use
    reached = np.concatenate([np.concatenate(level[1:]) for level in forest.levels()])
    assert len(np.unique(reached)) == len(reached) == forest.n_nodes - forest.n_trees


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_leaves_must_be_numbers(tmp_path: Path, value: float) -> None:
    one = np.ones(1)
    ForestArrays(
        n_features=1,
        base_margin=0.0,
        tree_offset=np.array([0, 1]),
        feature=np.array([-1], dtype=np.int32),
        threshold=0 * one,
        left=np.zeros(1, dtype=np.int32),
        right=np.zeros(1, dtype=np.int32),
        missing_left=np.zeros(1, dtype=bool),
        value=value * one,
        gain=0 * one,
    ).save(tmp_path / "forest.npz")
    with pytest.raises(MlbkgError, match="not finite"):
        load_forest("forest-npz", tmp_path / "forest.npz")


def test_unknown_formats_and_files(tmp_path: Path) -> None:
    with pytest.raises(MlbkgError, match=r"no export from 'lightgbm'; did you mean 'lightgbm-text'\?"):
        load_forest("lightgbm", tmp_path / "model.txt")
    for format in ("xgboost-json", "lightgbm-text", "treelite", "forest-npz"):
        with pytest.raises(MlbkgError, match="nowhere"):
            load_forest(format, tmp_path / "nowhere")
        for text in ("rubbish\n", "[]", "objective=\n", '{"learner": 3}'):
            (tmp_path / "rubbish").write_text(text)
            with pytest.raises(MlbkgError, match="rubbish"):
                load_forest(format, tmp_path / "rubbish")
