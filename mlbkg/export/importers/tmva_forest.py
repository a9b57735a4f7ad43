"""What a TMVA weight file means: which branch a row takes, what a leaf adds, what the answer is.

Everything is as ``TMVA::MethodBDT::GetMvaValue`` of ROOT 6 has it (tmva/tmva/src/MethodBDT.cxx, DecisionTree.cxx,
DecisionTreeNode.cxx):

- a row goes right at a cut where ``(value >= cut) == cType``, both in 32 bits. No comparison with NaN is true, so it goes
  where values below the cut go. (``TMVA::Reader`` returns -999 for rows with NaN before the trees see them.) TMVA 4.0, and
  the C++ classes that TMVA 4.1 wrote beside its weights, compare with ``>`` instead.
- a leaf holds its response where the trees are regression trees (``AnalysisType`` 1 of the weights, as with BoostType
  Grad), else its type, +1 or -1, with UseYesNoLeaf, else its purity.
- Grad: 2 / (1 + exp(-2 sum)) - 1. All others: the mean, weighted with the trees' boostWeight of 32 bits; 0 where these sum
  to nothing.
- with DoPreselection, cuts on single variables come first and answer +1 or -1; where several hold, the last.

Which of the classes is number 0 does not matter: the trees' types and purities are those of the signal already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlbkg.export.forest import Forest, refused, round_threshold
from mlbkg.export.importers.tmva_words import decimal, flag, integer, unreadable
from mlbkg.export.importers.tmva_xml import MAX_NODES, Nodes, WeightFile

_REGRESSION_TREES = 1
_ALWAYS_PURITY = ("RealAdaBoost", "AdaCost")
_BOOST_TYPES = ("AdaBoost", "Bagging", "Grad", *_ALWAYS_PURITY)
_UNCHANGED = ("", "I", "None", "Identity")
_CERTAIN = 64.0
"""A margin whose answer is 1 to the last bit of float64."""
_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class PreselectionCut:
    """Rows with the variable below (``is_low``) or above ``value`` get ``answer``, +1 or -1, of no tree."""

    variable: int
    is_low: bool
    value: float
    answer: float


@dataclass(frozen=True, eq=False)
class Model:
    """nodes: of trees that are sound. leaf: ``(n_nodes,)`` what ``DecisionTree::CheckEvent`` returns at a leaf.

    preselection: in the order in which TMVA tries them.
    """

    n_features: int
    boost: Literal["gradient", "mean"]
    nodes: Nodes
    leaf: NDArray[np.float64]
    preselection: tuple[PreselectionCut, ...]


def model_of(file: WeightFile, where: str) -> Model:
    """Raises :class:`mlbkg.errors.MlbkgError` for what is not a forest of cuts that tells two classes apart."""
    boost_type = file.options.get("BoostType", "AdaBoost").strip()
    _check_analysis(file, where)
    if boost_type not in _BOOST_TYPES:
        raise refused(where, f"BoostType '{boost_type[:60]}' is none of {', '.join(_BOOST_TYPES)}")
    _check_transformations(file, where)
    _check_weighting(file, boost_type, where)
    n_features = len(file.variables)
    _check_nodes(file.nodes, n_features, where)
    leaf = _leaf(file, boost_type, where)
    if not np.isfinite(leaf).all():
        raise refused(where, "it has leaves without a value")
    preselection = _preselection(file.weights, n_features, where) if _is_true(file.options, "DoPreselection") else ()
    if file.nodes.n_trees * 2 * len(preselection) + len(leaf) > MAX_NODES:
        raise refused(where, f"with its preselection in front of every tree it would have more than {MAX_NODES:,} nodes")
    return Model(
        n_features=n_features,
        boost="gradient" if boost_type == "Grad" else "mean",
        nodes=file.nodes,
        leaf=leaf,
        preselection=preselection,
    )


def forest_of(model: Model) -> Forest:
    nodes = model.nodes
    is_leaf = nodes.node_type != 0
    is_signal_cut = nodes.is_signal_cut
    forest = Forest(
        n_features=model.n_features,
        op="<",
        base_margin=0.0,
        precision="float64",
        tree_offset=nodes.tree_offset,
        feature=np.where(is_leaf, -1, nodes.variable).astype(np.int32),
        threshold=nodes.cut,
        left=np.where(is_signal_cut, nodes.left, nodes.right).astype(np.int32),
        right=np.where(is_signal_cut, nodes.right, nodes.left).astype(np.int32),
        missing_left=~is_leaf,
        value=np.where(is_leaf, _shares(model), 0),
        output="symmetric" if model.boost == "gradient" else "identity",
    )
    return _behind(model.preselection, forest) if model.preselection else forest


def answer(model: Model, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """TMVA's own steps, tree by tree: ``(n, n_features)`` -> ``(n,)``."""
    total, norm = np.zeros(len(X)), 0.0
    weights = np.ones(model.nodes.n_trees) if model.boost == "gradient" else model.nodes.boost_weight.astype(np.float64)
    for tree, weight in enumerate(weights):
        total += weight * _tree_answer(model, tree, X)
        norm += weight
    if model.boost == "gradient":
        with np.errstate(over="ignore"):
            answers = 2 / (1 + np.exp(-2 * total)) - 1
    else:
        answers = total / norm if norm > _EPSILON else np.zeros(len(X))
    for cut in model.preselection:
        value = X[:, cut.variable].astype(np.float64)
        answers[value < cut.value if cut.is_low else value > cut.value] = cut.answer
    return answers


def _tree_answer(model: Model, tree: int, X: NDArray[np.float32]) -> NDArray[np.float64]:
    nodes = model.nodes
    here = slice(nodes.tree_offset[tree], nodes.tree_offset[tree + 1])
    is_cut, variable, cut = nodes.node_type[here] == 0, nodes.variable[here], nodes.cut[here]
    is_signal_cut, left, right = nodes.is_signal_cut[here], nodes.left[here], nodes.right[here]
    at = np.zeros(len(X), dtype=np.intp)
    rows = np.arange(len(X)) if is_cut[0] else np.empty(0, dtype=np.intp)
    while len(rows):
        node = at[rows]
        goes_right = (X[rows, variable[node]] >= cut[node]) == is_signal_cut[node]
        at[rows] = node = np.where(goes_right, right[node], left[node])
        rows = rows[is_cut[node]]
    found: NDArray[np.float64] = model.leaf[here][at]
    return found


def _shares(model: Model) -> NDArray[np.float64]:
    """What each node would add to the margin."""
    if model.boost == "gradient":
        return 2 * model.leaf
    weights = model.nodes.boost_weight.astype(np.float64)
    norm = float(np.cumsum(weights)[-1])
    share = weights / norm if norm > _EPSILON else np.zeros(len(weights))
    shares: NDArray[np.float64] = np.repeat(share, np.diff(model.nodes.tree_offset)) * model.leaf
    return shares


def _behind(cuts: tuple[PreselectionCut, ...], forest: Forest) -> Forest:
    """``forest`` with the preselection in front of every tree: the first tree answers for it, the others add nothing.

    TMVA lets the last cut that holds win, so the last is asked first.
    """
    questions = _questions(cuts[::-1], _CERTAIN if forest.output == "symmetric" else 1.0)
    n_added = 2 * len(cuts)

    def joined(name: str) -> NDArray[Any]:
        ours, theirs = questions[name], getattr(forest, name)
        parts = []
        for first, last in pairwise(forest.tree_offset):
            tree = theirs[first:last]
            parts.append(np.zeros_like(ours) if name == "value" and first else ours)
            parts.append(tree + n_added if name in ("left", "right") else tree)
        return np.concatenate(parts).astype(theirs.dtype)

    offset = forest.tree_offset + n_added * np.arange(len(forest.tree_offset))
    return replace(
        forest,
        tree_offset=offset,
        feature=joined("feature"),
        threshold=joined("threshold"),
        left=joined("left"),
        right=joined("right"),
        missing_left=joined("missing_left"),
        value=joined("value"),
    )


def _questions(cuts: tuple[PreselectionCut, ...], certain: float) -> dict[str, NDArray[Any]]:
    """The columns of a chain of nodes: ``2 k`` asks for cut ``k`` and answers in ``2 k + 1``, or goes on to ``2 k + 2``.

    x > limit is "not x < the next float32 above"; NaN is neither below nor above.
    """
    limit, is_low = np.array([cut.value for cut in cuts]), np.array([cut.is_low for cut in cuts])
    with np.errstate(over="ignore"):
        above = np.nextafter(round_threshold(limit, "<="), np.float32(np.inf))
    ask = np.arange(0, 2 * len(cuts), 2)
    return {
        "feature": _alternating([cut.variable for cut in cuts], -1),
        "threshold": _alternating(np.where(is_low, round_threshold(limit, "<"), above), 0),
        "left": _alternating(np.where(is_low, ask + 1, ask + 2), 0),
        "right": _alternating(np.where(is_low, ask + 2, ask + 1), 0),
        "missing_left": _alternating(~is_low, False),
        "value": _alternating(0, [cut.answer * certain for cut in cuts]),
    }


def _alternating(split: ArrayLike, leaf: ArrayLike) -> NDArray[Any]:
    return np.column_stack(np.broadcast_arrays(split, leaf)).ravel()


def _check_analysis(file: WeightFile, where: str) -> None:
    analysis = file.info.get("AnalysisType", "Classification").strip()
    if analysis.casefold() != "classification":
        raise refused(where, f"its AnalysisType is '{analysis[:60]}'; only Classification gives one answer for two classes")
    if file.n_classes > 2 or file.n_targets > 0:
        raise refused(where, f"it has {file.n_classes} classes and {file.n_targets} regression targets, not just 2 classes")


def _check_transformations(file: WeightFile, where: str) -> None:
    """Even a normalisation is refused: it rounds to float32 in between, and ONNX's cuts are on the variables themselves."""
    asked = file.options.get("VarTransform", "").strip()
    changed = [name for name in (*file.transformations, asked) if name not in _UNCHANGED]
    changed += [name for name in ("Normalise", "D") if _is_true(file.options, name)]
    if changed:
        raise refused(
            where, f"it transforms its variables first ({', '.join(changed)[:200]}); train a BDT with VarTransform=None"
        )


def _check_weighting(file: WeightFile, boost_type: str, where: str) -> None:
    weights = file.nodes.boost_weight
    if boost_type == "Grad":
        return
    if not np.isfinite(weights).all():
        raise refused(where, "it has a boostWeight that is not a finite number")
    if not _is_true(file.options, "UseWeightedTrees", default=True) and len(np.unique(weights)) > 1:
        raise refused(where, "with UseWeightedTrees=False versions of ROOT disagree on its answer")


def _check_nodes(nodes: Nodes, n_features: int, where: str) -> None:
    if not nodes.n_trees:
        raise refused(where, "it has no trees")
    if not n_features:
        raise refused(where, "it has no variables")
    is_cut = nodes.node_type == 0
    if not np.isfinite(nodes.cut[is_cut]).all():
        raise refused(where, "it has cuts that are not finite numbers of 32 bits")
    unknown = is_cut & ((nodes.variable < 0) | (nodes.variable >= n_features))
    if unknown.any():
        raise unreadable(where, f"it cuts on variable {nodes.variable[unknown][0]} of {n_features}")


def _leaf(file: WeightFile, boost_type: str, where: str) -> NDArray[np.float64]:
    nodes = file.nodes
    by_type = (
        boost_type != "Grad" and boost_type not in _ALWAYS_PURITY and _is_true(file.options, "UseYesNoLeaf", default=True)
    )
    try:  # before TMVA 4.1 the attribute was called TreeType
        analysis = integer(file.weights, "TreeType" if "TreeType" in file.weights else "AnalysisType")
    except ValueError as error:
        raise unreadable(where, f"{error}, in its weights") from None
    value: NDArray[Any] = nodes.node_type if by_type else nodes.purity
    return np.where(nodes.node_type == 0, 0, nodes.response if analysis == _REGRESSION_TREES else value).astype(np.float64)


def _preselection(weights: Mapping[str, str], n_features: int, where: str) -> tuple[PreselectionCut, ...]:
    """In the order of ``MethodBDT::ApplyPreselectionCuts``."""
    cuts = []
    for variable in range(n_features):
        for side, kind, answer in (("Low", "Bkg", -1.0), ("Low", "Sig", 1.0), ("High", "Bkg", -1.0), ("High", "Sig", 1.0)):
            name = f"Preselection{side}{kind}Var{variable}"
            try:
                is_used, value = flag(weights, name), decimal(weights, f"{name}Value")
            except ValueError as error:
                raise unreadable(where, f"{error}, though it was trained with DoPreselection") from None
            if is_used and not np.isfinite(value):
                raise refused(where, f"{name} is not a finite number")
            if is_used:
                cuts.append(PreselectionCut(variable, side == "Low", value, answer))
    return tuple(cuts)


def _is_true(options: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """As ``TMVA::Option<Bool_t>::SetValueLocal`` reads it."""
    return options[name].strip().lower() in ("1", "true", "ktrue", "t") if name in options else default
