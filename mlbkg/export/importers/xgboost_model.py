"""The trees and settings in XGBoost's model files, checked, and what XGBoost does with them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.export.answer import answer as answer_of
from mlbkg.export.forest import Forest, Output, refused
from mlbkg.export.importers.library_trees import MAX_NODES, Links, Lookups, check_counts, runs, to_forest
from mlbkg.export.importers.xgboost_document import unreadable

MAX_CATEGORY = 2**24
"""XGBoost takes a category from here on for one that it does not know, as float32 cannot count them."""
_LOGISTIC = ("binary:logistic", "reg:logistic")
_LOGIT_RAW = "binary:logitraw"
_RANKS = ("rank:pairwise", "rank:ndcg", "rank:map")
_REGRESSIONS = ("squarederror", "linear", "absoluteerror", "pseudohubererror", "squaredlogerror", "quantileerror")
_IDENTITY = (_LOGIT_RAW, *_RANKS, *(f"reg:{name}" for name in _REGRESSIONS))
_NUMBER, _CATEGORY = 0, 1
_SKLEARN = "scikit_learn"
_MAX_SETTINGS = 2**16
_MAX_NUMBER = 50
"""Letters of a number that is written as text."""


@dataclass(frozen=True, eq=False)
class Tree:
    """threshold float32, default_left, is_category: ``(n_nodes,)``. members: sorted ``node * MAX_CATEGORY + category``."""

    links: Links
    threshold: NDArray[np.float32]
    default_left: NDArray[np.bool_]
    is_category: NDArray[np.bool_]
    members: NDArray[np.int64]


@dataclass(frozen=True)
class Model:
    """best_iteration: where the trees end, if there are more in the file. missing: what was, besides NaN."""

    version: str
    objective: str
    output: Output
    n_features: int
    feature_names: tuple[str, ...]
    base_margin: np.float32
    trees: tuple[Tree, ...]
    best_iteration: int | None
    missing: float
    has_category_names: bool


def answer(model: Model, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """``(n, n_features)`` -> ``(n,)``; XGBoost adds in float32, one tree after the other."""
    margin = np.full(len(X), model.base_margin, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for tree in model.trees:
            leaf = tree.links.reached(X, partial(_goes_left, tree))
            margin += tree.links.value[leaf].astype(np.float32)
    return answer_of(margin, model.output).astype(np.float64)


def _goes_left(tree: Tree, node: NDArray[np.int64], x: NDArray[np.float32]) -> NDArray[np.bool_]:
    left = x < tree.threshold[node]
    by_category = tree.is_category[node]
    if by_category.any():
        known = (x >= 0) & (x < MAX_CATEGORY)
        key = node * MAX_CATEGORY + np.where(known, x, 0).astype(np.int64)
        place = np.minimum(np.searchsorted(tree.members, key), len(tree.members) - 1)
        left = np.where(by_category, ~(known & (tree.members[place] == key)), left)
    return np.where(np.isnan(x), tree.default_left[node], left)


def forest_of(model: Model, where: str) -> Forest:
    lookups = Lookups(model.n_features, where)
    return to_forest(
        [tree.links for tree in model.trees],
        [_cuts(tree, lookups) for tree in model.trees],
        lookups,
        op="<",
        precision="float32",
        base_margin=float(model.base_margin),
        output=model.output,
    )


def _cuts(tree: Tree, lookups: Lookups) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
    """A set of categories is looked up as 1, and goes right; anything else is 0."""
    feature, threshold = tree.links.feature.copy(), tree.threshold.copy()
    for node in np.flatnonzero(tree.is_category):
        first, last = np.searchsorted(tree.members, [node * MAX_CATEGORY, (node + 1) * MAX_CATEGORY])
        starts, ends = runs(tree.members[first:last] - node * MAX_CATEGORY)
        edges = np.column_stack([starts, ends + 1]).ravel().astype(np.float32)
        values = (np.arange(len(edges) + 1) % 2).astype(np.float32)
        feature[node] = lookups.number(int(feature[node]), edges, values, math.nan)
        threshold[node] = 0.5
    return feature, threshold, tree.default_left


def model_of(document: Mapping[str, Any], where: str) -> Model:
    """Raises :class:`mlbkg.errors.MlbkgError` for what is no model, and for what has no exact ONNX form."""
    try:
        return _Reader(document, where).model()
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise unreadable(where, problem[:200]) from error


class _Reader:
    def __init__(self, document: Mapping[str, Any], where: str) -> None:
        self._document, self._where = document, where
        self._learner = _object(document, "learner")
        self._param = _object(self._learner, "learner_model_param")
        self._attributes = _object(self._learner, "attributes") if self._learner.get("attributes") else {}
        self._version = tuple(_integers(document["version"])[:3].tolist())

    def model(self) -> Model:
        objective = str(_object(self._learner, "objective")["name"])
        output = self._output(objective)
        for name, meaning in (("num_class", "classes"), ("num_target", "targets")):
            if _integer(self._param.get(name, 0)) > 1:
                raise refused(self._where, f"it has {self._param[name]} {meaning}; one answer is needed")
        n_features = _integer(self._param["num_feature"])
        booster, weights = self._booster()
        trees = self._trees(booster, weights, n_features)
        used, best_iteration = self._used(booster, len(trees))
        return Model(
            version=".".join(map(str, self._version)),
            objective=objective,
            output=output,
            n_features=n_features,
            feature_names=tuple(name for name in self._learner.get("feature_names") or () if isinstance(name, str)),
            base_margin=self._base_margin(objective),
            trees=trees[:used],
            best_iteration=best_iteration,
            missing=self._missing(),
            has_category_names=_names_categories(booster),
        )

    def _output(self, objective: str) -> Output:
        if objective in _LOGISTIC:
            return "logistic"
        if objective in _IDENTITY:
            return "identity"
        raise refused(
            self._where, f"its objective '{objective[:60]}' answers neither with a probability nor with the sum of its trees"
        )

    def _base_margin(self, objective: str) -> np.float32:
        """XGBoost's own steps: the quotient in float32, the logarithm in float64."""
        score = self._param["base_score"]
        found = json.loads(score[:_MAX_NUMBER]) if isinstance(score, str) else score
        values = _singles(found if isinstance(found, list) else [found])
        if len(values) != 1:
            raise refused(self._where, f"it has {len(values)} base scores; one answer is needed")
        is_probability = objective in _LOGISTIC or (objective == _LOGIT_RAW and self._version < (1, 3))
        if not is_probability:
            return np.float32(values[0])
        if not 0 < values[0] < 1:
            raise unreadable(self._where, f"its base score {values[0]} is no probability")
        return np.float32(-np.log(np.float64(np.float32(1) / values[0] - np.float32(1))))

    def _booster(self) -> tuple[Mapping[str, Any], NDArray[np.float32] | None]:
        """Where the trees are, and by what the booster dart multiplies them."""
        booster = _object(self._learner, "gradient_booster")
        name, weights = booster["name"], booster.get("weight_drop")
        if name == "dart" and "gbtree" in booster:
            booster = _object(booster, "gbtree")
        elif name != "gbtree":
            raise refused(self._where, f"its booster '{str(name)[:60]}' is not made of trees; train with booster gbtree")
        model = _object(booster, "model")
        weights = model.get("weight_drop", weights)
        return model, None if weights is None else _singles(weights)

    def _trees(self, booster: Mapping[str, Any], weights: NDArray[np.float32] | None, n_features: int) -> tuple[Tree, ...]:
        found = booster["trees"]
        if not isinstance(found, list) or not found:
            raise unreadable(self._where, "it has no trees")
        announced = _integer(_object(booster, "gbtree_model_param")["num_trees"])
        if announced != len(found):
            raise unreadable(self._where, f"it announces {announced} trees and holds {len(found)}")
        if (_integers(booster.get("tree_info", ())) != 0).any():
            raise refused(self._where, "its trees are of more than one class")
        check_counts(len(found), sum(len(tree["left_children"]) for tree in found), self._where)
        weights = np.ones(len(found), dtype=np.float32) if weights is None else weights
        if len(weights) != len(found):
            raise unreadable(self._where, f"it has {len(weights)} weights for {len(found)} trees")
        return tuple(self._tree(tree, number, weights[number], n_features) for number, tree in enumerate(found))

    def _tree(self, tree: Mapping[str, Any], number: int, weight: np.float32, n_features: int) -> Tree:
        if _integer(_object(tree, "tree_param").get("size_leaf_vector", 0)) > 1:
            raise refused(self._where, "its leaves hold several values; one answer is needed")
        left = _integers(tree["left_children"])
        threshold = _singles(tree["split_conditions"])
        with np.errstate(over="ignore", invalid="ignore"):
            value = (weight * threshold).astype(np.float64)
        links = Links(
            is_leaf=left == -1,
            feature=_integers(tree["split_indices"]),
            left=left,
            right=_integers(tree["right_children"]),
            value=value,
        )
        default_left = _integers(tree["default_left"]) != 0
        kinds = _integers(tree["split_type"]) if "split_type" in tree else np.zeros(len(left), dtype=np.int64)
        if len({len(left), len(links.right), len(links.feature), len(threshold), len(default_left), len(kinds)}) > 1:
            raise unreadable(self._where, f"the columns of tree {number} are not equally long")
        problem = links.problem(n_features) if len(left) else "has no node"
        if not np.isin(kinds, (_NUMBER, _CATEGORY)).all():
            problem = "has a split of an unknown kind"
        if problem:
            raise unreadable(self._where, f"tree {number} {problem}")
        is_category = (kinds == _CATEGORY) & ~links.is_leaf
        if is_category.any() and self._version[:2] == (1, 6):
            reason = "XGBoost 1.6 takes categories for missing that other versions do not; save it anew with a later one"
            raise refused(self._where, reason)
        members = self._members(tree, is_category) if is_category.any() else np.empty(0, dtype=np.int64)
        return Tree(links, threshold, default_left, is_category, members)

    def _members(self, tree: Mapping[str, Any], is_category: NDArray[np.bool_]) -> NDArray[np.int64]:
        nodes, sizes = _integers(tree["categories_nodes"]), _integers(tree["categories_sizes"])
        begins, categories = _integers(tree["categories_segments"]), _integers(tree["categories"])
        if not np.array_equal(np.sort(nodes), np.flatnonzero(is_category)) or not len(nodes) == len(sizes) == len(begins):
            raise ValueError("its sets of categories are not those of its splits")
        if (sizes < 1).any() or not np.array_equal(begins, np.cumsum([0, *sizes[:-1]])) or sizes.sum() != len(categories):
            raise ValueError("its sets of categories do not follow one another")
        if categories.min() < 0 or categories.max() >= MAX_CATEGORY:
            raise ValueError("it has categories that cannot be")
        return np.unique(np.repeat(nodes, sizes) * MAX_CATEGORY + categories)

    def _used(self, booster: Mapping[str, Any], n_trees: int) -> tuple[int, int | None]:
        """How many trees predict uses: XGBoost's scikit-learn classes stop at the best iteration, and leave their name."""
        if not {"best_iteration", _SKLEARN} <= set(self._attributes):
            return n_trees, None
        best = _integer(self._attributes["best_iteration"])
        ends = booster.get("iteration_indptr")
        per_iteration = max(1, _integer(_object(booster, "gbtree_model_param").get("num_parallel_tree", 1)))
        used = (best + 1) * per_iteration if ends is None else int(_integers(ends)[max(-1, best) + 1])
        if not 0 < used <= n_trees:
            raise ValueError("its best iteration is not one of its iterations")
        return used, best if used < n_trees else None

    def _missing(self) -> float:
        """The scikit-learn classes left their settings in the file, up to XGBoost 1.7."""
        try:
            settings = json.loads(str(self._attributes.get(_SKLEARN, "{}"))[:_MAX_SETTINGS])
            return float(settings["missing"])
        except (ValueError, TypeError, LookupError, RecursionError):
            return math.nan


def _names_categories(booster: Mapping[str, Any]) -> bool:
    """Whether it holds what the categories were called, which XGBoost 3.1 began to write for every feature."""
    named = _object(booster, "cats").get("enc", ()) if "cats" in booster else ()
    return any(isinstance(entry, dict) and len(entry.get("values", ())) for entry in named)


def _object(owner: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = owner[name]
    if not isinstance(found, dict):
        raise TypeError(f"'{name}' is no object")
    return found


def _floats(values: Any) -> NDArray[np.float64]:
    """``(n,)``"""
    if not isinstance(values, list | np.ndarray | tuple):
        raise TypeError("there is something else where numbers should be in a row")
    if len(values) > MAX_NODES:
        raise ValueError(f"there are more than {MAX_NODES:,} numbers in a row")
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1:
        raise TypeError("numbers in a row are nested")
    return found


def _singles(values: Any) -> NDArray[np.float32]:
    """``(n,)``, infinite beyond what float32 can hold."""
    with np.errstate(over="ignore"):
        return _floats(values).astype(np.float32)


def _integers(values: Any) -> NDArray[np.int64]:
    found = _floats(values)
    if not (np.isfinite(found) & (np.abs(found) < 2**53)).all() or (found != np.trunc(found)).any():
        raise ValueError("there are other numbers where whole ones should be")
    return found.astype(np.int64)


def _integer(value: Any) -> int:
    """XGBoost writes its parameters as texts."""
    return int(value[:_MAX_NUMBER]) if isinstance(value, str) else int(_integers([value])[0])
