"""The common form of a forest that an ONNX file is written from, and its readers.

Every reader goes through treelite but that of mlbkg's own arrays. A model that cannot be represented so that each float32
input takes exactly the branches that it takes in its own library is refused, with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.forest_arrays import ForestArrays
from mlbkg.errors import MlbkgError, did_you_mean

Op = Literal["<", "<="]
Precision = Literal["float32", "float64"]

_TREELITE_FIELDS = ("node_type", "cleft", "cright", "split_index", "threshold", "cmp", "default_left", "leaf_value")
_NUMERICAL, _CATEGORICAL = 1, 2
_OPS = {2: "<", 3: "<=", 4: ">", 5: ">="}  # treelite's numbers
_LIGHTGBM_CATEGORICAL, _LIGHTGBM_ZERO_IS_MISSING = 1, 1 << 2  # bits of LightGBM's decision_type


@dataclass(frozen=True, eq=False)
class Forest:
    """Binary trees whose leaf values add up to the log-odds, nodes of all trees one after the other.

    op: a row goes left where ``x op threshold``. base_margin: added before the first tree. precision: in which the trained
    library adds the leaf values. tree_offset: ``(n_trees + 1,)`` int64; tree ``t`` has nodes ``tree_offset[t]`` to
    ``tree_offset[t + 1] - 1``, root first. Per node: feature int32, -1 at a leaf; threshold float32; left, right int32, the
    child's index within its tree; missing_left bool, whether NaN goes left; value float64, of a leaf.
    """

    n_features: int
    op: Op
    base_margin: float
    precision: Precision
    tree_offset: NDArray[np.int64]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]

    @property
    def n_trees(self) -> int:
        return len(self.tree_offset) - 1

    @property
    def n_nodes(self) -> int:
        return len(self.feature)

    @property
    def depth(self) -> int:
        """Comparisons on the longest path."""
        return sum(1 for _ in self.levels())

    @property
    def tree(self) -> NDArray[np.int64]:
        """``(n_nodes,)``: the tree of each node."""
        return np.repeat(np.arange(self.n_trees), np.diff(self.tree_offset))

    def take(self, trees: NDArray[np.intp]) -> Forest:
        """The chosen trees, in that order."""
        size = np.diff(self.tree_offset)[trees]
        offset = np.concatenate([[0], np.cumsum(size)])
        nodes = np.arange(offset[-1]) + np.repeat(self.tree_offset[:-1][trees] - offset[:-1], size)
        return self._with_nodes(offset, nodes)

    def _with_nodes(self, tree_offset: NDArray[np.int64], nodes: NDArray[Any]) -> Forest:
        return replace(
            self,
            tree_offset=tree_offset,
            feature=self.feature[nodes],
            threshold=self.threshold[nodes],
            left=self.left[nodes],
            right=self.right[nodes],
            missing_left=self.missing_left[nodes],
            value=self.value[nodes],
        )

    def levels(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]]:
        """From the roots down, the splitting nodes of each level and their left and right children, over all trees."""
        start = np.repeat(self.tree_offset[:-1], np.diff(self.tree_offset))
        level = self.tree_offset[:-1]
        while len(level := level[self.feature[level] >= 0]):
            left, right = start[level] + self.left[level], start[level] + self.right[level]
            yield level.astype(np.intp), left.astype(np.intp), right.astype(np.intp)
            level = np.concatenate([left, right])


def load_forest(format: str, path: Path) -> Forest:
    """Read a model written by ``FittedClassifier.to_native_files``, or a checkpoint of treelite's (format ``treelite``).

    Raises :class:`MlbkgError` for an unknown format, an unreadable file, and whatever has no exact ONNX form.
    """
    if format not in READERS:
        raise MlbkgError(
            f"no export from '{format}'{did_you_mean(format, READERS)}", where=str(path), hint=f"Known: {', '.join(READERS)}"
        )
    try:
        forest = READERS[format](path)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise MlbkgError(f"{path} cannot be read as {format}: {error}", where=str(path)) from error
    return _checked(forest, path)


def round_threshold(threshold: NDArray[Any], op: Op) -> NDArray[np.float32]:
    """The float32 thresholds that send every float32 the way of the float64 ones.

    ``x <= t`` needs the largest float32 that is not above ``t``; ``x < t`` the smallest that is not below.
    """
    with np.errstate(over="ignore", under="ignore"):
        rounded = threshold.astype(np.float32)
        wrong = rounded > threshold if op == "<=" else rounded < threshold
        return np.where(wrong, np.nextafter(rounded, np.float32(-np.inf if op == "<=" else np.inf)), rounded)


def _read_xgboost(path: Path) -> Forest:
    import treelite

    learner = json.loads(path.read_text(encoding="utf-8"))["learner"]
    booster, objective = learner["gradient_booster"], learner["objective"]["name"]
    # XGBoost 3.4 calls a dart forest gbtree, too, and keeps the weights of its trees beside them
    if booster["name"] != "gbtree" or any(weight != 1 for weight in booster["model"].get("weight_drop", ())):
        raise _refused(path, "its booster (dart, gblinear) weighs or replaces trees; train with booster gbtree, no dropout")
    if objective not in ("binary:logistic", "reg:logistic"):
        raise _refused(path, f"objective '{objective}' does not give a probability; train with binary:logistic")
    score = json.loads(learner["learner_model_param"]["base_score"])
    probability = np.float32(score[0] if isinstance(score, list) else score)
    # XGBoost's own steps: the quotient in float32, the logarithm in float64. One bit here is one bit in every score.
    base = np.float32(-np.log(np.float64(np.float32(1) / probability - np.float32(1))))
    model = _by_treelite(path, lambda: treelite.frontend.load_xgboost_model(str(path), format_choice="json"))
    return _from_treelite(model, path, base_margin=float(base))


def _read_lightgbm(path: Path) -> Forest:
    import treelite

    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        if key == "is_linear" and value != "0":
            raise _refused(path, "its leaves hold linear functions; train with linear_tree=false")
        if key == "objective" and value.split()[0] != "binary":
            raise _refused(path, f"objective '{value}' is not binary log-loss; train with objective=binary")
        if key == "decision_type" and value:
            kinds = np.array(value.split(), dtype=np.int64)
            if (kinds & _LIGHTGBM_CATEGORICAL).any():
                raise _refused(path, "it has categorical splits; give the categories as numbers or as 0/1 features")
            if (kinds & _LIGHTGBM_ZERO_IS_MISSING).any():
                raise _refused(path, "it takes zero for missing; train with zero_as_missing=false")
    forest = _from_treelite(_by_treelite(path, lambda: treelite.frontend.load_lightgbm_model(str(path))), path)
    return replace(forest, threshold=_around_lightgbm_zero(forest.threshold))


def _read_treelite(path: Path) -> Forest:
    import treelite

    return _from_treelite(_by_treelite(path, lambda: treelite.Model.deserialize(path)), path)


def _read_arrays(path: Path) -> Forest:
    arrays = ForestArrays.load(path)
    return Forest(
        n_features=arrays.n_features,
        op="<=",
        base_margin=arrays.base_margin,
        precision="float64",
        tree_offset=arrays.tree_offset,
        feature=arrays.feature,
        threshold=round_threshold(arrays.threshold, "<="),
        left=arrays.left,
        right=arrays.right,
        missing_left=arrays.missing_left,
        value=arrays.value,
    )


def _around_lightgbm_zero(threshold: NDArray[np.float32]) -> NDArray[np.float32]:
    """LightGBM reads every value within ±1e-35 as zero before it compares: such values must go where zero goes."""
    zero = np.float32(1e-35)
    moved = np.where((threshold >= 0) & (threshold < zero), zero, threshold)
    below = np.nextafter(-zero, np.float32(-np.inf))
    return np.where((threshold < 0) & (threshold >= -zero), below, moved).astype(np.float32)


READERS: dict[str, Callable[[Path], Forest]] = {
    "xgboost-json": _read_xgboost,
    "lightgbm-text": _read_lightgbm,
    "forest-npz": _read_arrays,
    "treelite": _read_treelite,
}


def _by_treelite(path: Path, read: Callable[[], Any]) -> Any:
    import treelite

    try:
        return read()
    except treelite.TreeliteError as error:
        reason = str(error).strip().splitlines()[-1]
        raise MlbkgError(f"treelite cannot read {path}: {reason}", where=str(path)) from error


def _from_treelite(model: Any, path: Path, *, base_margin: float | None = None) -> Forest:
    """``base_margin`` replaces treelite's. The accessors' arrays are views into ``model`` and are copied."""
    header = model.get_header_accessor()
    _check_header(header, path)
    trees = [_tree_fields(model, tree) for tree in range(model.num_tree)]
    if not trees:
        raise _refused(path, "it has no trees")
    offset = np.cumsum([0, *(len(tree["cleft"]) for tree in trees)], dtype=np.int64)
    nodes = {name: np.concatenate([tree[name] for tree in trees]) for name in _TREELITE_FIELDS}
    if (nodes["node_type"] == _CATEGORICAL).any():
        raise _refused(path, "it has categorical splits")
    is_split = nodes["node_type"] == _NUMERICAL
    op, mirrored = _operator(nodes["cmp"][is_split], path)
    left, right = (nodes["cright"], nodes["cleft"]) if mirrored else (nodes["cleft"], nodes["cright"])
    forest = Forest(
        n_features=model.num_feature,
        op=op,
        base_margin=float(header.get_field("base_scores")[0]) if base_margin is None else base_margin,
        precision="float32" if nodes["leaf_value"].dtype == np.float32 else "float64",
        tree_offset=offset,
        feature=np.where(is_split, nodes["split_index"], -1).astype(np.int32),
        threshold=round_threshold(np.where(is_split, nodes["threshold"], 0), op),
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        missing_left=is_split & (nodes["default_left"].astype(bool) ^ mirrored),
        value=np.where(is_split, 0, nodes["leaf_value"]).astype(np.float64),
    )
    return _without_orphans(forest)


def _tree_fields(model: Any, tree: int) -> dict[str, NDArray[Any]]:
    accessor = model.get_tree_accessor(tree)
    return {name: accessor.get_field(name).copy() for name in _TREELITE_FIELDS}


def _check_header(header: Any, path: Path) -> None:
    def field(name: str) -> list[Any]:
        return list(header.get_field(name))

    if field("average_tree_output")[0]:
        raise _refused(path, "it averages its trees (random forest)")
    if field("num_target") != [1] or field("num_class") != [1] or field("leaf_vector_shape") != [1, 1]:
        raise _refused(path, "it has more than two classes or more than one target")
    transform, slope = header.get_field("postprocessor"), field("sigmoid_alpha")[0]
    if transform != "sigmoid" or slope != 1:
        raise _refused(path, f"its output is '{transform}' of slope {slope:g}, not the logistic function")


def _operator(found: NDArray[Any], path: Path) -> tuple[Op, bool]:
    """The forest's comparison, and whether ``x > t`` must become "not ``x <= t``", with the children exchanged."""
    kinds = {_OPS.get(int(kind), "=") for kind in np.unique(found)} or {"<="}
    if len(kinds) > 1 or "=" in kinds:
        raise _refused(path, f"its nodes compare with {' and '.join(sorted(kinds))}; one ordering for all is needed")
    kind = kinds.pop()
    return ("<" if kind in ("<", ">=") else "<="), kind in (">", ">=")


def _without_orphans(forest: Forest) -> Forest:
    """Pruned trees keep nodes that no path reaches; ONNX Runtime would take them for roots."""
    reached = np.zeros(forest.n_nodes, dtype=bool)
    reached[forest.tree_offset[:-1]] = True
    for _, left, right in forest.levels():
        reached[left] = reached[right] = True
    if reached.all():
        return forest
    before = np.concatenate([[0], np.cumsum(reached)])
    start = np.repeat(forest.tree_offset[:-1], np.diff(forest.tree_offset))
    is_split = forest.feature >= 0

    def child(index: NDArray[np.int32]) -> NDArray[np.int32]:
        moved = before[np.where(is_split, start + index, 0)] - before[start]
        return np.where(is_split, moved, -1)[reached].astype(np.int32)

    kept = forest._with_nodes(before[forest.tree_offset], reached)
    return replace(kept, left=child(forest.left), right=child(forest.right))


def _checked(forest: Forest, path: Path) -> Forest:
    if not np.isfinite(forest.value).all() or not np.isfinite(forest.base_margin):
        raise _refused(path, "it has leaves that are not finite numbers")
    if np.isnan(forest.threshold).any():
        raise _refused(path, "it has thresholds that are not numbers")
    if (forest.feature >= forest.n_features).any():
        raise _refused(path, "it cuts on a feature that does not exist")
    return forest


def _refused(path: Path, reason: str) -> MlbkgError:
    return MlbkgError(f"{path} has no exact ONNX form: {reason}", where=str(path))
