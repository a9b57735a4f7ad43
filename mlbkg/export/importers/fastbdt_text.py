"""The text files of FastBDT, in every layout that it has had.

============= ======================================================================================================
first line    file
============= ======================================================================================================
``1``         5.x: options, binnings, purity maps, a forest that cuts on values and one that cuts on bins
two numbers   1.x, 2.x: binnings, then a forest that cuts on bins; trees of 1.x have two lists of numbers, of 2.x three
one number    3.x, 4.x: a forest that cuts on values. 4.x may add one that cuts on bins, binnings, purity maps and
              whether these replace (1) or follow (2) the features
============= ======================================================================================================

``F0 shrinkage [transform2probability] n_trees`` begins each forest; 2.x also wrote forests that cut on values, without the
third. Numbers of 9 decimals or fewer were float32 and are read as such, longer ones float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.importers.fastbdt_tokens import Tokens

MAX_DEPTH = 20
MAX_LEVELS = 20
"""2^20 bins: as many as basf2 allows."""
MAX_FEATURES = 10_000
_MANY = 2**31


@dataclass(frozen=True, eq=False)
class TextTree:
    """Node ``k`` has the children ``2k + 1``, where the value is below the cut, and ``2k + 2``.

    feature, cut, is_valid: ``(n_cuts,)``. value: ``(2 n_cuts + 1,)``, of every node. A row stops at a node that has no valid
    cut, or whose feature it does not have, and takes that node's value. n_tested: only so many cuts are looked at.
    """

    feature: NDArray[np.int64]
    cut: NDArray[np.float64]
    is_valid: NDArray[np.bool_]
    value: NDArray[np.float64]
    n_tested: int


@dataclass(frozen=True)
class TextForest:
    """transform: whether the answer is a probability; anything but 0 or 1 in a forest that nobody uses."""

    f0: float
    shrinkage: float
    transform: int
    trees: tuple[TextTree, ...]


@dataclass(frozen=True, eq=False)
class Column:
    """What a forest cuts on: a feature's value or bin, or, with ``purity (n_bins + 1,)``, ``purity[bin]``; bin 0 is NaN."""

    feature: int
    purity: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class TextModel:
    """binnings: of each feature its boundaries ``(2^levels + 1,)``, of which those from 1 to -2 are a search tree in the
    order of a heap; None where the forest cuts on values. has_width: whether the file says how many features there are;
    there may be more than ``n_features`` where it does not.

    adds_products: whether the program adds ``shrinkage * value`` to F0 (1.x), or values to ``F0 / shrinkage``. is_single:
    whether it answers with a float32.
    """

    program: str
    n_features: int
    has_width: bool
    forest: TextForest
    columns: tuple[Column, ...]
    binnings: tuple[NDArray[np.float64], ...] | None
    adds_products: bool = False
    is_single: bool = False


def parse_text(content: bytes, where: str) -> TextModel:
    """Raises :class:`MlbkgError` for what is not a weight file of FastBDT: what is wrong with it in the likeliest layout."""
    problems: list[MlbkgError] = []
    for layout in _layouts(content):
        tokens = Tokens(content, where)
        try:
            model = layout(tokens)
            tokens.must_be_empty()
        except MlbkgError as error:
            problems.append(error)
        else:
            return model
    raise problems[0]


def _layouts(content: bytes) -> list[Callable[[Tokens], TextModel]]:
    """Those that the first line allows, the likeliest first."""
    version_5: list[Callable[[Tokens], TextModel]] = [_version_5]
    binned: list[Callable[[Tokens], TextModel]] = [partial(_binnings_first, n_lists=3), partial(_binnings_first, n_lists=2)]
    forests = [partial(_forest_first, has_transform=True), partial(_forest_first, has_transform=False)]
    words = content[:4096].lstrip()[:200].split(b"\n", 1)[0].split()
    if len(words) == 2:
        return binned
    if len(words) == 1:
        return [*version_5, *forests] if words[0] == b"1" else [*forests]
    return [*version_5, *binned, *forests]


def _version_5(tokens: Tokens) -> TextModel:
    if (version := tokens.whole(_MANY, "the version")) != 1:
        raise tokens.error(f"it is of version {version}, and only version 1 is known")
    for option in ("the number of trees", "the depth"):
        tokens.whole(_MANY, option)
    for _ in range(tokens.whole(2 * MAX_FEATURES, "the number of binning levels")):
        tokens.whole(_MANY, "a binning level")
    for option in ("the shrinkage", "the subsample", "sPlot", "the flatness loss"):
        tokens.number(option)
    n_flags = tokens.whole(MAX_FEATURES, "the number of purity transformations")
    has_purity = [tokens.flag("a purity transformation") for _ in range(n_flags)]
    tokens.flag("transform2probability")
    binnings, maps = _binnings(tokens), _purity_maps(tokens)
    n_features, n_columns, n_flat = (
        tokens.whole(2 * MAX_FEATURES, f"the number of {kind} features") for kind in ("all", "final", "flatness")
    )
    is_fast = tokens.flag("can_use_fast_forest")
    fast, binned = _forest(tokens), _forest(tokens, cuts_on_bins=True)
    if not n_features:
        raise tokens.error("it has no features: it was saved before it was trained")
    expected = (n_features, n_features + len(maps), sum(has_purity), not any(has_purity))
    if (n_flags, n_columns, len(maps), is_fast) != expected or len(binnings) not in (n_features, n_features + n_flat):
        raise tokens.error("its numbers of features, binnings and purity transformations contradict each other")
    left = iter(maps)
    columns = [
        column
        for feature in range(n_features)
        for column in (Column(feature), *([Column(feature, next(left))] if has_purity[feature] else []))
    ]
    return TextModel(
        program="FastBDT 5",
        n_features=n_features,
        has_width=True,
        forest=_used(tokens, fast if is_fast else binned, n_columns),
        columns=_with_bins(tokens, columns, binnings),
        binnings=None if is_fast else binnings,
        is_single=True,
    )


def _binnings_first(tokens: Tokens, *, n_lists: int) -> TextModel:
    binnings = _binnings(tokens)
    forest = _forest(tokens, cuts_on_bins=True, has_transform=False, n_lists=n_lists)
    if not binnings:
        raise tokens.error("it has no features")
    return TextModel(
        program="FastBDT 2" if n_lists == 3 else "FastBDT 1",
        n_features=len(binnings),
        has_width=True,
        forest=_used(tokens, forest, len(binnings)),
        columns=tuple(map(Column, range(len(binnings)))),
        binnings=binnings,
        adds_products=n_lists == 2,
    )


def _forest_first(tokens: Tokens, *, has_transform: bool) -> TextModel:
    forest = _forest(tokens, has_transform=has_transform)
    if tokens.is_empty():
        n_features = 1 + max((int(tree.feature[tree.is_valid].max(initial=0)) for tree in forest.trees), default=0)
        columns = tuple(map(Column, range(n_features)))
        program = "FastBDT 3 or 4" if has_transform else "FastBDT 2"
        return TextModel(program, n_features, False, _used(tokens, forest, n_features), columns, None)
    binned, binnings, maps = _forest(tokens, cuts_on_bins=True), _binnings(tokens), _purity_maps(tokens)
    mode = tokens.whole(2, "the purity transformation")
    if not binnings or (mode and len(maps) != len(binnings)):
        raise tokens.error(f"it has {len(binnings)} binnings and {len(maps)} purity transformations")
    plain = [Column(feature) for feature in range(len(binnings))]
    by_purity = [Column(feature, purity) for feature, purity in enumerate(maps)]
    columns = _with_bins(tokens, (plain, by_purity, plain + by_purity)[mode], binnings)
    used = _used(tokens, binned if mode else forest, len(columns))
    return TextModel("FastBDT 4", len(binnings), True, used, columns, binnings if mode else None)


def _forest(tokens: Tokens, *, cuts_on_bins: bool = False, has_transform: bool = True, n_lists: int = 3) -> TextForest:
    f0, shrinkage = tokens.number("F0"), tokens.number("the shrinkage of a forest")
    transform = tokens.whole(255, "transform2probability of a forest") if has_transform else 1
    n_trees = tokens.whole(_MANY, "the number of trees of a forest")
    trees = tuple(_tree(tokens, cuts_on_bins=cuts_on_bins, n_lists=n_lists) for _ in range(n_trees))
    return TextForest(f0, shrinkage, transform, trees)


def _tree(tokens: Tokens, *, cuts_on_bins: bool, n_lists: int) -> TextTree:
    """FastBDT 1.x stops before the last cut of a tree."""
    n_cuts = tokens.whole(2**MAX_DEPTH - 1, "the number of cuts")
    if n_cuts & (n_cuts + 1):
        raise tokens.error(f"it has a tree of {n_cuts} cuts, and none of 2^depth - 1")
    feature, cut, is_valid = [], [], []
    for _ in range(n_cuts):
        feature.append(tokens.whole(2 * MAX_FEATURES - 1, "the feature of a cut"))
        cut.append(float(tokens.whole(2**32 - 1, "the bin of a cut")) if cuts_on_bins else tokens.single("a cut"))
        is_valid.append(tokens.flag("whether a cut is valid"))
        tokens.number("the gain of a cut")
    value, *_ = [
        tokens.singles(2 * n_cuts + 1, f"{what} of a tree") for what in ("weights", "purities", "entries")[:n_lists]
    ]
    return TextTree(
        feature=np.array(feature, dtype=np.int64),
        cut=np.array(cut, dtype=np.float64),
        is_valid=np.array(is_valid, dtype=bool),
        value=value,
        n_tested=n_cuts if n_lists == 3 else n_cuts - 1,
    )


def _binnings(tokens: Tokens) -> tuple[NDArray[np.float64], ...]:
    return tuple(_binning(tokens) for _ in range(tokens.whole(MAX_FEATURES, "the number of binnings")))


def _binning(tokens: Tokens) -> NDArray[np.float64]:
    levels = tokens.whole(MAX_LEVELS, "the levels of a binning")
    return tokens.singles(2**levels + 1, "boundaries")


def _purity_maps(tokens: Tokens) -> tuple[NDArray[np.int64], ...]:
    return tuple(_purity_map(tokens) for _ in range(tokens.whole(MAX_FEATURES, "the number of purity maps")))


def _purity_map(tokens: Tokens) -> NDArray[np.int64]:
    size = tokens.whole(2**MAX_LEVELS + 1, "the length of a purity map")
    purity = np.fromiter((tokens.whole(size - 1, "a bin") for _ in range(size)), np.int64)
    if not np.array_equal(np.sort(purity), np.arange(size)) or purity[:1].any():
        raise tokens.error("it has a purity map that does not put bins into another order")
    return purity


def _with_bins(tokens: Tokens, columns: list[Column], binnings: tuple[NDArray[np.float64], ...]) -> tuple[Column, ...]:
    if any(column.purity is not None and len(column.purity) != len(binnings[column.feature]) for column in columns):
        raise tokens.error("it has a purity map that does not fit the binning")
    return tuple(columns)


def _used(tokens: Tokens, forest: TextForest, n_columns: int) -> TextForest:
    if not np.isfinite([forest.f0, forest.shrinkage]).all() or forest.shrinkage == 0 or forest.transform > 1:
        raise tokens.error(
            f"its forest has F0 {forest.f0:g} and shrinkage {forest.shrinkage:g}, of which no answer can come"
        )
    largest = max((int(tree.feature[tree.is_valid].max(initial=0)) for tree in forest.trees), default=0)
    if largest >= n_columns:
        raise tokens.error(f"it cuts on feature {largest}, and has {n_columns}")
    return forest
