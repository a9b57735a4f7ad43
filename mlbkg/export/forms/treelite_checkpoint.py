"""A checkpoint that ``treelite.Model.deserialize`` reads, for what is built on treelite."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlbkg.export.forest import Forest, Output, refused
from mlbkg.export.forms.base import FORMS, Form, Request
from mlbkg.export.joined import joined

_POSTPROCESSORS: dict[Output, str] = {"logistic": "sigmoid", "identity": "identity"}


def write(request: Request) -> bytes:
    """The bytes. Raises :class:`mlbkg.errors.MlbkgError` for what treelite cannot hold."""
    from treelite.model_builder import Metadata, ModelBuilder, PostProcessorFunc, TreeAnnotation

    where = str(request.model.path)
    forest = joined(request.forests, where)
    if forest.output not in _POSTPROCESSORS:
        raise refused(where, "its answer is 2 p - 1, which treelite does not make")
    builder = ModelBuilder(
        threshold_type=forest.precision,
        leaf_output_type=forest.precision,
        metadata=Metadata(
            num_feature=forest.n_features,
            task_type="kBinaryClf" if forest.output == "logistic" else "kRegressor",
            average_tree_output=False,
            num_target=1,
            num_class=[1],
            leaf_vector_shape=(1, 1),
        ),
        tree_annotation=TreeAnnotation(
            num_tree=forest.n_trees, target_id=[0] * forest.n_trees, class_id=[0] * forest.n_trees
        ),
        postprocessor=PostProcessorFunc(name=_POSTPROCESSORS[forest.output]),
        base_scores=[0.0],
    )
    for first, last in zip(forest.tree_offset[:-1].tolist(), forest.tree_offset[1:].tolist(), strict=True):
        builder.start_tree()
        _add_tree(builder, forest, slice(first, last))
        builder.end_tree()
    return bytes(builder.commit().serialize_bytes())


def _add_tree(builder: Any, forest: Forest, here: slice) -> None:
    columns = (forest.feature, forest.threshold.astype(np.float64), forest.left, forest.right, forest.missing_left)
    nodes = zip(*(column[here].tolist() for column in (*columns, forest.value)), strict=True)
    for node, (feature, threshold, left, right, missing_left, value) in enumerate(nodes):
        builder.start_node(node)
        if feature < 0:
            builder.leaf(value)
        else:
            builder.numerical_test(
                feature_id=feature,
                threshold=threshold,
                default_left=missing_left,
                opname=forest.op,
                left_child_key=left,
                right_child_key=right,
            )
        builder.end_node()


FORMS.add("treelite", Form("treelite", ".treelite", "checkpoint of treelite's", write))
