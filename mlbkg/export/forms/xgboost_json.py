"""XGBoost's model file in JSON, for XGBoost itself and for ROOT's RBDT.

Rows take the very branches that they take in ONNX Runtime. XGBoost adds leaves in float32: the margin of one forest of
XGBoost has the same bits, that of others and of means of folds is rounded differently, and a warning says by how much.
RBDT knows no missing values: by its source (``RBDT::EvaluateBinary``) it sends NaN to the right at every cut.
"""

from __future__ import annotations

import json
import logging
from itertools import pairwise
from typing import Any

import numpy as np

from mlbkg.export.forest import Forest, Output, refused
from mlbkg.export.forms.base import FORMS, Form, Request
from mlbkg.export.joined import joined
from mlbkg.export.node_order import level_order

_VERSION = (2, 1, 4)
"""Whose layout this is. Versions before and after it read it, too."""
_ROOT_PARENT = 2**31 - 1
_OBJECTIVES: dict[Output, tuple[str, str]] = {
    "logistic": ("binary:logistic", "5E-1"),
    "identity": ("reg:squarederror", "0E0"),
}
"""Objective and base score, of which XGBoost makes a margin of 0."""
_FORBIDDEN = set("[]<")
_log = logging.getLogger(__name__)


def write(request: Request) -> bytes:
    """The JSON. Raises :class:`mlbkg.errors.MlbkgError` for what XGBoost has no objective or no number for."""
    where = str(request.model.path)
    forest = level_order(_below(joined(request.forests, where)))
    if forest.output not in _OBJECTIVES:
        raise refused(where, "its answer is 2 p - 1, which is that of no objective of XGBoost")
    if not np.isfinite(forest.threshold[forest.feature >= 0]).all():
        raise refused(
            where, "it cuts at infinity, as imported models do that stop at missing values; JSON has no such number"
        )
    _warn_of_rounding(forest, where)
    objective, base_score = _OBJECTIVES[forest.output]
    metadata = request.model.metadata
    names = metadata.feature_names if metadata else ()
    names = () if any(_FORBIDDEN & set(name) for name in names) else names
    trees = [_tree(forest, tree) for tree in range(forest.n_trees)]
    learner = {
        "attributes": {"mlbkg_sha256": request.model.sha256},
        "feature_names": list(names),
        "feature_types": ["float"] * len(names),
        "gradient_booster": {
            "model": {
                "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
                "iteration_indptr": list(range(len(trees) + 1)),
                "tree_info": [0] * len(trees),
                "trees": trees,
            },
            "name": "gbtree",
        },
        "learner_model_param": {
            "base_score": base_score,
            "boost_from_average": "1",
            "num_class": "0",
            "num_feature": str(forest.n_features),
            "num_target": "1",
        },
        "objective": {"name": objective, "reg_loss_param": {"scale_pos_weight": "1"}},
    }
    return json.dumps({"learner": learner, "version": _VERSION}, separators=(",", ":"), allow_nan=False).encode()


def _warn_of_rounding(forest: Forest, where: str) -> None:
    """What float32 does to the margin, at most: each leaf is rounded, and each of the sums."""
    if forest.precision == "float32":
        return
    first = forest.tree_offset[:-1]
    largest = np.maximum.reduceat(np.abs(forest.value), first)
    lost = np.maximum.reduceat(np.abs(forest.value - forest.value.astype(np.float32)), first).sum()
    lost += forest.n_trees * np.finfo(np.float32).eps / 2 * largest.sum()
    _log.warning("XGBoost adds leaves in float32: margins differ by up to %.1g from those of %s", lost, where)


def _below(forest: Forest) -> Forest:
    """With ``x < threshold`` in place of ``x <= threshold``."""
    if forest.op == "<":
        return forest
    with np.errstate(over="ignore"):
        above = np.nextafter(forest.threshold, np.float32(np.inf))
    return Forest(**{**vars(forest), "op": "<", "threshold": above})


def _tree(forest: Forest, tree: int) -> dict[str, Any]:
    first, last = list(pairwise(forest.tree_offset))[tree]
    here = slice(int(first), int(last))
    feature, left, right = forest.feature[here], forest.left[here], forest.right[here]
    is_leaf = feature < 0
    parents = np.full(len(feature), _ROOT_PARENT)
    parents[left[~is_leaf]] = parents[right[~is_leaf]] = np.flatnonzero(~is_leaf)
    value = forest.value[here].astype(np.float32)
    zeros = [0.0] * len(feature)
    return {
        "base_weights": _singles(np.where(is_leaf, value, 0)),
        "categories": [],
        "categories_nodes": [],
        "categories_segments": [],
        "categories_sizes": [],
        "default_left": forest.missing_left[here].astype(int).tolist(),
        "id": tree,
        "left_children": np.where(is_leaf, -1, left).tolist(),
        "loss_changes": zeros,
        "parents": parents.tolist(),
        "right_children": np.where(is_leaf, -1, right).tolist(),
        "split_conditions": _singles(np.where(is_leaf, value, forest.threshold[here])),
        "split_indices": np.where(is_leaf, 0, feature).tolist(),
        "split_type": [0] * len(feature),
        "sum_hessian": zeros,
        "tree_param": {
            "num_deleted": "0",
            "num_feature": str(forest.n_features),
            "num_nodes": str(len(feature)),
            "size_leaf_vector": "1",
        },
    }


def _singles(values: Any) -> list[float]:
    """Nine digits: enough to find each float32 again."""
    return [float(f"{value:.9g}") for value in values.tolist()]


FORMS.add("xgboost-json", Form("xgboost-json", ".json", "XGBoost's model file, for XGBoost and ROOT's RBDT", write))
