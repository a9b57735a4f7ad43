"""The trees and settings in LightGBM's text files, checked, and what LightGBM does with them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mlbkg.export.forest import MAX_FEATURES, Forest, Output, refused, round_threshold
from mlbkg.export.importers.library_trees import MAX_NODES, Links, Lookups, check_counts, runs, to_forest
from mlbkg.export.importers.lightgbm_text import Block, TextModel, floats, integer, integers, unreadable
from mlbkg.export.safety.refusal import shown

ZERO = np.float32(1e-35)
"""LightGBM reads every value that is no farther from zero as zero."""
_VERSIONS = ("v2", "v3", "v4")
_NONE, _ZERO, _NAN = 0, 1, 2
_WORD = 32
_MAX_WORDS = 2**16
"""Of one set: two million categories."""
_Steps = tuple[NDArray[np.float32], NDArray[np.float32]]
_LOGISTIC = ("binary", "cross_entropy", "xentropy")
_IDENTITY = ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "")


@dataclass(frozen=True, eq=False)
class Tree:
    """threshold, is_category, default_left, missing: ``(n_nodes,)``; missing: what counts as that, ``_NONE`` to ``_NAN``.

    A set of categories are the bits of ``words[first_word[node] : first_word[node] + n_words[node]]``, uint32.
    """

    links: Links
    threshold: NDArray[np.float64]
    is_category: NDArray[np.bool_]
    default_left: NDArray[np.bool_]
    missing: NDArray[np.int64]
    words: NDArray[np.uint32]
    first_word: NDArray[np.int64]
    n_words: NDArray[np.int64]


@dataclass(frozen=True)
class Model:
    """The answer is ``output`` of ``slope`` times the sum over the trees, or their mean."""

    version: str
    objective: str
    output: Output
    slope: float
    is_mean: bool
    n_features: int
    feature_names: tuple[str, ...]
    trees: tuple[Tree, ...]


def answer(model: Model, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """``(n, n_features)`` -> ``(n,)``; LightGBM adds in float64."""
    values = np.where(np.abs(X) <= ZERO, np.float32(0), X).astype(np.float64)
    total = np.zeros(len(X))
    for tree in model.trees:
        total += tree.links.value[tree.links.reached(values, partial(_goes_left, tree))]
    if model.is_mean:
        total /= len(model.trees)
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-model.slope * total)) if model.output == "logistic" else total


def _goes_left(tree: Tree, node: NDArray[np.int64], x: NDArray[np.float64]) -> NDArray[np.bool_]:
    missing = tree.missing[node]
    number = np.where(np.isnan(x) & (missing != _NAN), 0, x)
    is_missing = np.where(missing == _NAN, np.isnan(x), (missing == _ZERO) & (number == 0))
    left: NDArray[np.bool_] = np.where(is_missing, tree.default_left[node], number <= tree.threshold[node])
    by_category = tree.is_category[node]
    if by_category.any():
        left = np.where(by_category, _is_member(tree, node, x), left)
    return left


def _is_member(tree: Tree, node: NDArray[np.int64], x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """C++ cuts the decimals off; what is beyond its numbers is in no set, and neither is NaN."""
    category = np.where((x > -1) & (x < _WORD * tree.n_words[node]), x, -1).astype(np.int64)
    word = tree.words[np.where(category < 0, 0, tree.first_word[node] + category // _WORD)]
    is_set: NDArray[np.bool_] = (word >> (category % _WORD).astype(np.uint32)) & 1 == 1
    return is_set & (category >= 0)


def forest_of(model: Model, where: str) -> Forest:
    factor = model.slope / len(model.trees) if model.is_mean else model.slope
    lookups = Lookups(model.n_features, where)
    links = [tree.links for tree in model.trees]
    with np.errstate(over="ignore"):
        links = [Links(one.is_leaf, one.feature, one.left, one.right, factor * one.value) for one in links]
    return to_forest(
        links,
        [_cuts(tree, lookups) for tree in model.trees],
        lookups,
        op="<=",
        precision="float64",
        base_margin=0.0,
        output=model.output,
    )


def _cuts(tree: Tree, lookups: Lookups) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
    feature, threshold = tree.links.feature.copy(), _around_zero(round_threshold(tree.threshold, "<="))
    zero_left = threshold >= 0
    missing_left = np.where(tree.missing == _NONE, zero_left, tree.default_left)
    is_split = ~tree.links.is_leaf
    steps: dict[tuple[int, int], _Steps] = {}
    for node in np.flatnonzero(is_split & tree.is_category):
        first, n_words = int(tree.first_word[node]), int(tree.n_words[node])
        if (first, n_words) not in steps:
            steps[first, n_words] = _steps(tree.words[first : first + n_words])
        feature[node] = lookups.number(int(feature[node]), *steps[first, n_words], missing=0.0)
        threshold[node] = -0.5
    apart = (tree.missing == _ZERO) & (zero_left != tree.default_left) & ~tree.is_category
    for node in np.flatnonzero(is_split & apart):
        feature[node] = _by_zero(int(feature[node]), threshold[node], lookups)
        threshold[node] = -0.5
    return feature, threshold, missing_left


def _around_zero(threshold: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is read as zero must go where zero goes."""
    moved = np.where((threshold >= 0) & (threshold < ZERO), ZERO, threshold)
    below = np.nextafter(-ZERO, np.float32(-np.inf))
    return np.where((threshold < 0) & (threshold >= -ZERO), below, moved).astype(np.float32)


def _by_zero(feature: int, threshold: np.float32, lookups: Lookups) -> int:
    """Left is -1, right 0: zero goes to the other side than its neighbours, and the threshold may be next to it."""
    up = np.float32(np.inf)
    with np.errstate(over="ignore"):
        cut, first, behind = np.nextafter(threshold, up), -ZERO, np.nextafter(ZERO, up)
    zero_left = threshold < 0
    edges = np.array([cut, first, behind] if zero_left else [first, behind, cut], dtype=np.float32)
    values = np.array([-1, 0, -1, 0], dtype=np.float32)
    last = np.concatenate([np.diff(edges) > 0, [threshold < up]])
    return lookups.number(feature, edges[last], values[np.concatenate([[True], last])], -1.0 if zero_left else 0.0)


def _steps(words: NDArray[np.uint32]) -> _Steps:
    """Edges and values: members of the set are -1, and go left; all else is 0."""
    bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
    members = np.flatnonzero(bits)
    if not len(members):
        return np.empty(0, dtype=np.float32), np.zeros(1, dtype=np.float32)
    starts, ends = runs(members)
    edges = np.column_stack([starts, ends + 1]).ravel().astype(np.float32)
    if members[0] == 0:
        edges[0] = np.nextafter(np.float32(-1), np.float32(0))
    return edges, -(np.arange(len(edges) + 1) % 2).astype(np.float32)


def model_of(text: TextModel, where: str) -> Model:
    """Raises :class:`mlbkg.errors.MlbkgError` for what is no model, and for what has no exact ONNX form."""
    try:
        return _model(text, where)
    except (ValueError, LookupError, ArithmeticError) as error:
        raise unreadable(where, str(error)[:200]) from error


def _model(text: TextModel, where: str) -> Model:
    head = text.head
    version = head.get(b"version", b"").decode()
    if version not in _VERSIONS:
        raise unreadable(where, f"its version is '{version[:20]}', not {', '.join(_VERSIONS)}")
    for key in (b"num_class", b"num_tree_per_iteration"):
        if integer(head, key, 1) != 1:
            raise refused(where, "it has more than two classes; one answer is needed")
    n_features = integer(head, b"max_feature_idx") + 1
    objective, output, slope = _objective(head, where)
    if not text.trees:
        raise unreadable(where, "it has no trees")
    trees, n_nodes = [], 0
    for number, block in enumerate(text.trees):
        trees.append(_tree(block, number, n_features, where))
        n_nodes += len(trees[-1].threshold)
        check_counts(len(trees), n_nodes, where)
    return Model(
        version=version,
        objective=objective,
        output=output,
        slope=slope,
        is_mean=b"average_output" in head,
        n_features=n_features,
        feature_names=_names(head.get(b"feature_names", b"")),
        trees=tuple(trees),
    )


def _names(text: bytes) -> tuple[str, ...]:
    if text.count(b" ") >= MAX_FEATURES:
        raise ValueError(f"it names more than {MAX_FEATURES:,} features")
    return tuple(text.decode("utf-8").split(" "))


def _objective(head: Block, where: str) -> tuple[str, Output, float]:
    """The objective, what it makes of the sum, and with which slope."""
    name, *settings = head.get(b"objective", b"").decode("utf-8").split() or [""]
    slope = 1.0
    if name == "binary":
        for setting in settings:
            key, _, value = setting.partition(":")
            slope = float(value) if key == "sigmoid" else slope
        if not 0 < slope < math.inf:
            raise ValueError(f"the slope {slope} of its logistic function")
    if name in _LOGISTIC:
        return name, "logistic", slope
    if name in _IDENTITY and "sqrt" not in settings:
        return name or "no objective", "identity", slope
    told = " ".join([name, *settings])[:60]
    raise refused(where, f"its objective '{told}' answers neither with a probability nor with the sum of its trees")


def _tree(block: Block, number: int, n_features: int, where: str) -> Tree:
    try:
        tree = _tree_of(block)
    except ValueError as error:
        raise unreadable(where, f"tree {number}: {shown(error)}") from error
    if integer(block, b"is_linear", 0) != 0:
        raise refused(where, "its leaves hold linear functions; train with linear_tree=false")
    problem = tree.links.problem(n_features)
    if problem:
        raise unreadable(where, f"tree {number} {problem}")
    return tree


def _tree_of(block: Block) -> Tree:
    """Splits first, then leaves; in the file, leaf ``k`` is the child ``-k - 1``."""
    n_leaves = integer(block, b"num_leaves")
    if not 0 < n_leaves < MAX_NODES:
        raise ValueError(f"it has {n_leaves} leaves")
    n = n_leaves - 1
    leaves = np.zeros(n_leaves, dtype=np.int64)
    left, right = (_children(block, key, n) for key in (b"left_child", b"right_child"))
    threshold = floats(block, b"threshold", n)
    kind = integers(block, b"decision_type", n)
    if np.isnan(threshold).any() or ((kind < 0) | (kind > 11)).any():
        raise ValueError("it has splits of an unknown kind")
    is_category = (kind & 1).astype(bool)
    words, first_word, n_words = _sets(block, threshold, is_category)

    def filled(splits: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.concatenate([splits, leaves])

    return Tree(
        links=Links(
            is_leaf=np.arange(n + n_leaves) >= n,
            feature=filled(integers(block, b"split_feature", n)),
            left=filled(left),
            right=filled(right),
            value=np.concatenate([np.zeros(n), floats(block, b"leaf_value", n_leaves)]),
        ),
        threshold=np.concatenate([np.where(is_category, 0, threshold), leaves]),
        is_category=filled(is_category).astype(bool),
        default_left=filled(kind & 2).astype(bool),
        missing=filled(kind >> 2),
        words=words,
        first_word=filled(first_word),
        n_words=filled(n_words),
    )


def _children(block: Block, key: bytes, n: int) -> NDArray[np.int64]:
    child = integers(block, key, n)
    return np.where(child < 0, n + ~child, child)


def _sets(
    block: Block, threshold: NDArray[np.float64], is_category: NDArray[np.bool_]
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
    """The words of all sets, and of each split where its own begin and how many they are; splits may share a set."""
    n_sets = integer(block, b"num_cat", 0)
    if not is_category.any() or n_sets < 1:
        if is_category.any():
            raise ValueError("it has no sets of categories")
        none = np.zeros(len(threshold), dtype=np.int64)
        return np.zeros(1, dtype=np.uint32), none, none
    bounds = integers(block, b"cat_boundaries", n_sets + 1)
    if bounds[0] != 0 or (np.diff(bounds) < 0).any():
        raise ValueError("its sets of categories are not one after the other")
    words = integers(block, b"cat_threshold", int(bounds[-1]))
    if np.diff(bounds).max() > _MAX_WORDS:
        raise ValueError("its sets of categories are too large")
    if len(words) == 0 or words.min() < 0 or words.max() >= 2**_WORD:
        raise ValueError("its sets of categories are not made of bits")
    place = np.where(is_category, threshold, 0)
    if not ((place >= 0) & (place < n_sets) & (place == np.trunc(place))).all():
        raise ValueError("it has no such set of categories")
    index = place.astype(np.int64)
    return words.astype(np.uint32), bounds[index], np.diff(bounds)[index] * is_category
