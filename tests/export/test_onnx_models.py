"""The two files are what any ONNX runtime takes, and answer as the trained classifiers, bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from mlbkg.classifiers.forest_arrays import ForestArrays
from mlbkg.errors import MlbkgError
from mlbkg.export.forest import Forest
from mlbkg.export.onnx import build_model, build_models


def run(model: bytes, *, threads: int = 1, **feed: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    output, margin = session.run(["output", "margin"], feed)
    return output, margin


def every_fold(rows: int, n_folds: int = 3) -> NDArray[np.int64]:
    return np.arange(rows, dtype=np.int64) % n_folds


def native_by_fold(trained: Any, fold: NDArray[np.int64]) -> NDArray[np.float64]:
    margins = np.stack([fitted.predict_margin(trained.X[: len(fold)]) for fitted in trained.fitted])
    return margins[fold, np.arange(len(fold))]


def test_the_checker_accepts_both(trained) -> None:
    import onnx

    for content in (trained.models.model, trained.models.folds):
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model, full_check=True)
        assert model.ir_version <= 8
        assert {entry.domain: entry.version for entry in model.opset_import} == {"": 15, "ai.onnx.ml": 3}


def test_five_lines_of_plain_onnxruntime(trained, tmp_path) -> None:
    (tmp_path / "model.onnx").write_bytes(trained.models.model)
    X = trained.X[:5]
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    score, margin = session.run(["output", "margin"], {"input": X})
    assert score.shape == margin.shape == (5, 1)
    mean = np.mean([fitted.predict_margin(X) for fitted in trained.fitted], axis=0)
    assert margin[:, 0] == pytest.approx(mean, abs=1e-6)
    assert score[:, 0] == pytest.approx(expit(mean), abs=1e-6)


def test_what_basf2_asks_of_a_model(trained) -> None:
    """Belle II's ONNX method: one float input "input", an output "output" (?, 1), one thread, one event per call."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    session = onnxruntime.InferenceSession(trained.models.model, options)
    (only,) = session.get_inputs()
    assert (only.name, only.type, only.shape[1]) == ("input", "tensor(float)", trained.X.shape[1])
    outputs = {entry.name: (entry.type, entry.shape[1]) for entry in session.get_outputs()}
    assert outputs["output"] == ("tensor(float)", 1)
    together = session.run(["output"], {"input": trained.X[:50]})[0]
    one_by_one = [session.run(["output"], {"input": trained.X[i : i + 1]})[0][0] for i in range(50)]
    assert np.array_equal(together, one_by_one)


def test_each_row_sees_its_fold_only(trained) -> None:
    fold = every_fold(len(trained.X))
    output, margin = run(trained.models.folds, input=trained.X, fold=fold)
    native = native_by_fold(trained, fold)
    assert np.array_equal(margin[:, 0], native.astype(np.float32)), "bit by bit"
    assert np.abs(output[:, 0] - expit(native)).max() <= 1e-6


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_rows(trained, rows: int, threads: int) -> None:
    X, fold = trained.X[:rows], np.zeros(rows, dtype=np.int64)
    for content, feed in ((trained.models.model, {}), (trained.models.folds, {"fold": fold})):
        output, margin = run(content, threads=threads, input=X, **feed)
        assert output.shape == margin.shape == (rows, 1)
        assert np.isfinite(margin).all()


def test_a_fold_that_does_not_exist_gives_nan(trained) -> None:
    fold = np.array([0, 3, -1, 2, 2**40], dtype=np.int64)
    output, margin = run(trained.models.folds, input=trained.X[:5], fold=fold)
    assert np.isnan(output[:, 0]).tolist() == np.isnan(margin[:, 0]).tolist() == [False, True, True, False, True]


def test_too_few_folds_give_nan_and_too_many_an_error(trained) -> None:
    output, _ = run(trained.models.folds, input=trained.X[:3], fold=np.zeros(2, dtype=np.int64))
    assert np.isnan(output[:, 0]).tolist() == [False, False, True]
    with pytest.raises(Exception, match=r"indices|out of"):
        run(trained.models.folds, input=trained.X[:2], fold=np.zeros(3, dtype=np.int64))


def test_the_reference_evaluator_agrees(trained) -> None:
    """ONNX's own evaluator shares no code with ONNX Runtime. It does not know the float64 form of an ensemble's numbers, so
    that form is rewritten as float32 for it: every threshold is a float32 already, only the sums lose digits."""
    from onnx.reference import ReferenceEvaluator

    X, fold = trained.X[:40], every_fold(40)
    for content, feed in ((trained.models.model, {}), (trained.models.folds, {"fold": fold})):
        expected = ReferenceEvaluator(in_float32(content)).run(["output", "margin"], {"input": X, **feed})
        for mine, theirs in zip(run(content, input=X, **feed), expected, strict=True):
            assert np.abs(mine - theirs).max() < 2e-6


def in_float32(content: bytes) -> Any:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_model_from_string(content)
    for node in model.graph.node:
        for attribute in list(node.attribute):
            if attribute.name.endswith("_as_tensor"):
                values = numpy_helper.to_array(attribute.t)
                if attribute.name.startswith("nodes_"):
                    assert np.array_equal(values, values.astype(np.float32))
                node.attribute.remove(attribute)
                node.attribute.append(helper.make_attribute(attribute.name.removesuffix("_as_tensor"), values.tolist()))
            elif node.op_type == "Cast" and node.output[0].endswith("_input"):
                attribute.i = TensorProto.FLOAT
    return model


def test_the_same_forest_gives_the_same_bytes(trained) -> None:
    again = build_models(trained.forests, trained.metadata)
    assert again == trained.models
    assert build_models(trained.forests[::-1], trained.metadata) != trained.models


def test_metadata_travels(trained) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(trained.models.model)
    props = session.get_modelmeta().custom_metadata_map
    assert props["mlbkg.kind"] == "mean"
    assert props["mlbkg.backend"] == trained.backend
    assert trained.metadata.from_props(props, where="model.onnx") == trained.metadata


def test_nothing_of_the_machine_is_in_the_file(trained) -> None:
    for content in (trained.models.model, trained.models.folds):
        assert b"/tmp" not in content
        assert b"/home" not in content


def test_the_margin_orders_candidates_whose_probabilities_are_equal(make_metadata: Callable[..., Any]) -> None:
    """Beyond 17 float32 probabilities are all 1: 1 - 1/(1 + e^17) = 1 - 4e-8 rounds to 1."""
    steps = np.arange(17.5, 30, 0.5)
    forest = staircase(steps)
    model = build_model([forest], make_metadata(features=make_metadata().features[:1], n_folds=1))
    X = np.arange(len(steps), dtype=np.float32)[:, None]
    output, margin = run(model, input=X)
    assert np.unique(output).tolist() == [1.0]
    assert (np.diff(margin[:, 0]) > 0).all()
    low, margin = run(
        build_model([replace(forest, value=-forest.value)], make_metadata(features=make_metadata().features[:1], n_folds=1)),
        input=X,
    )
    assert (np.diff(margin[:, 0]) < 0).all()
    assert (low < 1e-7).all()


def staircase(values: NDArray[np.float64]) -> Forest:
    """One tree of one feature: leaf ``values[i]`` for ``i - 0.5 < x <= i + 0.5``."""
    n = len(values) - 1
    nodes = np.arange(2 * n + 1)
    is_split = nodes % 2 == 0
    is_split[-1] = False
    return Forest(
        n_features=1,
        op="<=",
        base_margin=0.0,
        precision="float64",
        tree_offset=np.array([0, 2 * n + 1]),
        feature=np.where(is_split, 0, -1).astype(np.int32),
        threshold=np.where(is_split, nodes / 2 + 0.5, 0).astype(np.float32),
        left=np.where(is_split, nodes + 1, -1).astype(np.int32),
        right=np.where(is_split, nodes + 2, -1).astype(np.int32),
        missing_left=is_split,
        value=np.where(is_split, 0, np.append(np.repeat(values[:-1], 2), values[-1])),
    )


def test_a_forest_without_splits_is_its_prior(tmp_path, make_metadata) -> None:
    zero, none = np.zeros(2), np.full(2, -1, dtype=np.int32)
    arrays = ForestArrays(
        1, -0.5, np.arange(3), none, zero, none, none, np.zeros(2, dtype=bool), np.array([0.25, 0.125]), zero
    )
    forest = Forest(
        1, "<=", -0.5, "float64", arrays.tree_offset, none, zero.astype(np.float32), none, none, zero > 0, arrays.value
    )
    assert forest.depth == 0
    models = build_models([forest], make_metadata(features=make_metadata().features[:1], n_folds=1))
    X = np.array([[0], [np.nan]], dtype=np.float32)
    for margin in (run(models.model, input=X)[1], run(models.folds, input=X, fold=np.zeros(2, dtype=np.int64))[1]):
        assert margin[:, 0].tolist() == [-0.125, -0.125]


def test_forests_must_fit_the_metadata(trained, make_metadata) -> None:
    with pytest.raises(MlbkgError, match="2 forests of"):
        build_models(trained.forests[:2], trained.metadata)
    with pytest.raises(MlbkgError, match=r"of \[5, 6\] features"):
        build_models(trained.forests, make_metadata(features=trained.metadata.features[:5]))
