"""What FastBDT does with the numbers of a weight file, and the common forest that does the same.

A value that is missing ends the way through a tree, at the node that wanted it. In the forest every cut on a feature that
the path has not cut on yet is therefore guarded: nothing is below -inf, so that only NaN goes left there, to a leaf.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlbkg.export.forest import Forest, checked, refused, round_threshold
from mlbkg.export.importers.fastbdt_text import Column, TextModel, TextTree
from mlbkg.export.lookup import Lookup

_NEVER = np.float32(np.nan)
"""A threshold that nothing reaches: every value goes left."""


def evaluate(model: TextModel, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """``(n, n_features)`` -> ``(n,)``: what FastBDT answers."""
    forest, values = model.forest, _columns(model, X)
    total = np.full(len(X), forest.f0 if model.adds_products else forest.f0 / forest.shrinkage)
    for tree in forest.trees:
        reached = tree.value[_reached(tree, values)]
        total += forest.shrinkage * reached if model.adds_products else reached
    margin = total if model.adds_products else total * forest.shrinkage
    if forest.transform:
        with np.errstate(over="ignore"):
            margin = 1 / (1 + np.exp(-2 * margin))
    with np.errstate(over="ignore"):
        return margin.astype(np.float32).astype(np.float64) if model.is_single else margin


def _columns(model: TextModel, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """``(n, n_columns)``: values or bins, NaN where they are missing."""
    if model.binnings is None:
        return X.astype(np.float64)
    values = np.empty((len(X), len(model.columns)))
    for place, column in enumerate(model.columns):
        bins = _bin(model.binnings[column.feature], X[:, column.feature])
        bins = bins if column.purity is None else column.purity[bins]
        values[:, place] = np.where(bins == 0, np.nan, bins)
    return values


def _bin(boundaries: NDArray[np.float64], x: NDArray[np.float32]) -> NDArray[np.int64]:
    """``(n,)``: 0 for NaN, else 1 more than the boundaries that are not above x, by way of the search tree."""
    n_bins = len(boundaries) - 1
    place = np.ones(len(x), dtype=np.int64)
    for _ in range(n_bins.bit_length() - 1):
        place = 2 * place + (x >= boundaries[place])
    return np.where(np.isnan(x), 0, place - n_bins + 1)


def _reached(tree: TextTree, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """``(n,)``: the node where each row stops."""
    rows, node = np.arange(len(values)), np.zeros(len(values), dtype=np.int64)
    for _ in range(len(tree.feature).bit_length()):
        cut = np.minimum(node, len(tree.feature) - 1)
        value = values[rows, np.where(tree.is_valid[cut], tree.feature[cut], 0)]
        goes_on = (node < tree.n_tested) & tree.is_valid[cut] & ~np.isnan(value)
        node = np.where(goes_on, 2 * node + 1 + (value >= tree.cut[cut]), node)
    return node


def to_forest(model: TextModel, where: str) -> Forest:
    """Raises :class:`mlbkg.errors.MlbkgError` for numbers that have no exact ONNX form."""
    inner = None if model.binnings is None else [_in_order(boundaries, where) for boundaries in model.binnings]
    used = sorted({int(feature) for tree in model.forest.trees for feature in tree.feature[tree.is_valid]})
    by_purity = [place for place in used if model.columns[place].purity is not None]
    nodes = _Nodes(model.columns, {place: model.n_features + i for i, place in enumerate(by_purity)})
    for tree in model.forest.trees:
        nodes.add_tree(tree, _thresholds(tree, model.columns, inner))
    if not model.forest.trees:
        nodes.add_constant()
    offset = np.array(nodes.tree_offset, dtype=np.int64)
    start = np.repeat(offset[:-1], np.diff(offset))
    factor = 2 if model.forest.transform else 1
    with np.errstate(over="ignore", invalid="ignore"):
        value = factor * model.forest.shrinkage * np.array(nodes.value, dtype=np.float64)
    forest = Forest(
        n_features=model.n_features,
        op="<",
        base_margin=factor * model.forest.f0,
        precision="float64",
        tree_offset=offset,
        feature=np.array(nodes.feature, dtype=np.int32),
        threshold=np.array(nodes.threshold, dtype=np.float32),
        left=(np.array(nodes.left) - start).astype(np.int32),
        right=(np.array(nodes.right) - start).astype(np.int32),
        missing_left=np.array(nodes.is_guard, dtype=bool),
        value=value,
        lookups=tuple(_lookup(model.columns[place], inner) for place in by_purity) if inner else (),
        output="logistic" if model.forest.transform else "identity",
    )
    return checked(forest, where)


def _in_order(boundaries: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    """``(n_bins - 1,)``: the search tree's boundaries from the lowest to the highest."""
    n_bins = len(boundaries) - 1
    place = np.arange(1, n_bins)
    width = 2 ** np.floor(np.log2(place)).astype(np.int64)
    ordered = np.empty(n_bins - 1)
    ordered[(2 * (place - width) + 1) * (n_bins // (2 * width)) - 1] = boundaries[1:-1]
    if np.isnan(ordered).any() or (ordered[1:] < ordered[:-1]).any():
        raise refused(where, "it has bins that are not in order")
    return ordered


def moves_bins(model: TextModel) -> bool:
    """Whether FastBDT up to 5.4 answers differently once it has read the file.

    It bins the boundaries again as if they were data, and counts values only once where there are fewer than bins. Up to 2.x
    basf2 does. As they are written, the training took them, and takes them FastBDT 5.6.
    """
    return any(_moves_bins(model.binnings[column.feature]) for column in model.columns) if model.binnings else False


def _moves_bins(boundaries: NDArray[np.float64]) -> bool:
    distinct, n_inner = np.unique(boundaries), len(boundaries) - 2
    again = np.concatenate([distinct, np.full(n_inner, distinct[-1])])[:n_inner]
    return len(distinct) <= n_inner and not np.array_equal(again, np.sort(boundaries[1:-1]))


def _thresholds(tree: TextTree, columns: tuple[Column, ...], inner: list[NDArray[np.float64]] | None) -> NDArray[np.float32]:
    """``(n_cuts,)``: of what each column is in the common forest: values go left below it, and all do where it is NaN."""
    if inner is None:
        return round_threshold(tree.cut, "<")
    thresholds = np.full(len(tree.cut), _NEVER)
    for cut in np.flatnonzero(tree.is_valid):
        column, first_bin = columns[tree.feature[cut]], int(tree.cut[cut])
        if column.purity is not None:
            thresholds[cut] = first_bin
        elif first_bin < 2:
            thresholds[cut] = -np.inf
        elif first_bin - 2 < len(inner[column.feature]):
            thresholds[cut] = round_threshold(inner[column.feature][first_bin - 2 : first_bin - 1], "<")[0]
    return thresholds


def _lookup(column: Column, inner: list[NDArray[np.float64]]) -> Lookup:
    """Where boundaries are equal, the bins between them are empty, and passed over."""
    assert column.purity is not None
    edges, counts = np.unique(round_threshold(inner[column.feature], "<"), return_counts=True)
    values = column.purity[1 + np.cumsum([0, *counts])]
    return Lookup(column.feature, edges, values.astype(np.float32), missing=0.0)


@dataclass
class _Nodes:
    """The columns of a forest, as they grow; ``left`` and ``right`` count over all trees.

    lookups: place of a column by purity -> its number in the common forest.
    """

    columns: tuple[Column, ...]
    lookups: dict[int, int]
    tree_offset: list[int] = field(default_factory=lambda: [0])
    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    is_guard: list[bool] = field(default_factory=list)
    value: list[float] = field(default_factory=list)

    def add_tree(self, tree: TextTree, thresholds: NDArray[np.float32]) -> None:
        self._add_node(tree, thresholds.tolist(), 0, frozenset())
        self.tree_offset.append(len(self.feature))

    def add_constant(self) -> None:
        """A forest without trees answers with F0."""
        self._add(0.0)
        self.tree_offset.append(len(self.feature))

    def _add_node(self, tree: TextTree, thresholds: list[float], node: int, exist: frozenset[int]) -> int:
        """The first node added. exist: features that are not NaN, or the row would have stopped above."""
        if node >= tree.n_tested or not tree.is_valid[node]:
            return self._add(float(tree.value[node]))
        feature = self.columns[tree.feature[node]].feature
        if feature in exist:
            return self._add_cut(tree, thresholds, node, exist)
        guard = self._add(0.0, feature, -math.inf, is_guard=True)
        self.left[guard] = self._add(float(tree.value[node]))
        self.right[guard] = self._add_cut(tree, thresholds, node, exist | {feature})
        return guard

    def _add_cut(self, tree: TextTree, thresholds: list[float], node: int, exist: frozenset[int]) -> int:
        """A cut that sends every value the same way is left out."""
        left, right, threshold = 2 * node + 1, 2 * node + 2, thresholds[node]
        if math.isnan(threshold):
            return self._add_node(tree, thresholds, left, exist)
        if threshold == -math.inf:
            return self._add_node(tree, thresholds, right, exist)
        place = int(tree.feature[node])
        cut = self._add(0.0, self.lookups.get(place, self.columns[place].feature), threshold)
        self.left[cut] = self._add_node(tree, thresholds, left, exist)
        self.right[cut] = self._add_node(tree, thresholds, right, exist)
        return cut

    def _add(self, value: float, feature: int = -1, threshold: float = 0.0, *, is_guard: bool = False) -> int:
        here = len(self.feature)
        self.feature.append(feature)
        self.threshold.append(threshold)
        self.left.append(here)
        self.right.append(here)
        self.is_guard.append(is_guard)
        self.value.append(value)
        return here
