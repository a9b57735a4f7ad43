"""Read the trained libraries' own files as forests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.forest_arrays import ForestArrays
from mlbkg.errors import MlbkgError, did_you_mean
from mlbkg.export.forest import Forest, Op, checked, refused, round_threshold, without_orphans

_TREELITE_FIELDS = ("node_type", "cleft", "cright", "split_index", "threshold", "cmp", "default_left", "leaf_value")
_NUMERICAL, _CATEGORICAL = 1, 2
_OPS = {2: "<", 3: "<=", 4: ">", 5: ">="}  # treelite's numbers
_LIGHTGBM_CATEGORICAL, _LIGHTGBM_ZERO_IS_MISSING = 1, 1 << 2  # bits of LightGBM's decision_type


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
    return checked(forest, str(path))


def _read_xgboost(path: Path) -> Forest:
    import treelite

    learner = json.loads(path.read_text(encoding="utf-8"))["learner"]
    booster, objective = learner["gradient_booster"], learner["objective"]["name"]
    # XGBoost 3.4 calls a dart forest gbtree, too, and keeps the weights of its trees beside them
    if booster["name"] != "gbtree" or any(weight != 1 for weight in booster["model"].get("weight_drop", ())):
        raise refused(
            str(path), "its booster (dart, gblinear) weighs or replaces trees; train with booster gbtree, no dropout"
        )
    if objective not in ("binary:logistic", "reg:logistic"):
        raise refused(str(path), f"objective '{objective}' does not give a probability; train with binary:logistic")
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
            raise refused(str(path), "its leaves hold linear functions; train with linear_tree=false")
        if key == "objective" and value.split()[0] != "binary":
            raise refused(str(path), f"objective '{value}' is not binary log-loss; train with objective=binary")
        if key == "decision_type" and value:
            kinds = np.array(value.split(), dtype=np.int64)
            if (kinds & _LIGHTGBM_CATEGORICAL).any():
                raise refused(str(path), "it has categorical splits; give the categories as numbers or as 0/1 features")
            if (kinds & _LIGHTGBM_ZERO_IS_MISSING).any():
                raise refused(str(path), "it takes zero for missing; train with zero_as_missing=false")
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
        raise refused(str(path), "it has no trees")
    offset = np.cumsum([0, *(len(tree["cleft"]) for tree in trees)], dtype=np.int64)
    nodes = {name: np.concatenate([tree[name] for tree in trees]) for name in _TREELITE_FIELDS}
    if (nodes["node_type"] == _CATEGORICAL).any():
        raise refused(str(path), "it has categorical splits")
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
    return without_orphans(forest)


def _tree_fields(model: Any, tree: int) -> dict[str, NDArray[Any]]:
    accessor = model.get_tree_accessor(tree)
    return {name: accessor.get_field(name).copy() for name in _TREELITE_FIELDS}


def _check_header(header: Any, path: Path) -> None:
    def field(name: str) -> list[Any]:
        return list(header.get_field(name))

    if field("average_tree_output")[0]:
        raise refused(str(path), "it averages its trees (random forest)")
    if field("num_target") != [1] or field("num_class") != [1] or field("leaf_vector_shape") != [1, 1]:
        raise refused(str(path), "it has more than two classes or more than one target")
    transform, slope = header.get_field("postprocessor"), field("sigmoid_alpha")[0]
    if transform != "sigmoid" or slope != 1:
        raise refused(str(path), f"its output is '{transform}' of slope {slope:g}, not the logistic function")


def _operator(found: NDArray[Any], path: Path) -> tuple[Op, bool]:
    """The forest's comparison, and whether ``x > t`` must become "not ``x <= t``", with the children exchanged."""
    kinds = {_OPS.get(int(kind), "=") for kind in np.unique(found)} or {"<="}
    if len(kinds) > 1 or "=" in kinds:
        raise refused(str(path), f"its nodes compare with {' and '.join(sorted(kinds))}; one ordering for all is needed")
    kind = kinds.pop()
    return ("<" if kind in ("<", ">=") else "<="), kind in (">", ">=")
