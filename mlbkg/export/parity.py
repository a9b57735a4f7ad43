"""The gate before an ONNX file: it must answer as the trained classifiers do, on every decision path.

The files' own nodes are run in ONNX Runtime with node numbers for leaf values, and the leaves that rows reach are compared,
tree by tree, with those that the library says they reach: the two numberings must be in one-to-one correspondence. Then
probabilities and log-odds are compared. The rows are a part of the training sample and those of
:mod:`mlbkg.export.adversarial`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.base import FittedClassifier
from mlbkg.errors import ParityError
from mlbkg.export.adversarial import hard_rows, probe_rows
from mlbkg.export.ensemble import is_forest
from mlbkg.export.forest import Forest
from mlbkg.export.onnx import Models, build_leaf_model
from mlbkg.export.session import open_session

SAMPLE_ROWS = 2_000
"""Rows of the training sample that are compared, evenly spaced."""
MAX_DP = 1e-6
MAX_RELATIVE_DMARGIN = 1e-5
"""Of max(1, |margin|). Where probabilities saturate at 0 and 1 they agree whatever the margins do."""
_BLOCK = 4096
_HINT = "Nothing was written. Keep the config and the native model files, and report this as a bug of mlbkg."


@dataclass(frozen=True)
class ParityReport:
    """rows: compared, per model and fold. adversarial_rows: those not from the training sample.

    splits_probed: of ``splits``, those decided on either side of their threshold and by NaN. leaves_reached: of ``leaves``.
    paths_checked: rows times trees. different_paths: of these; a report with any is never returned but raised.
    """

    rows: int
    adversarial_rows: int
    max_abs_dp: float
    max_abs_dmargin: float
    paths_checked: int
    different_paths: int
    splits: int
    splits_probed: int
    leaves: int
    leaves_reached: int


@dataclass(frozen=True)
class _FoldCheck:
    rows: int
    splits_probed: int
    leaves_reached: int
    paths: int
    dp: float
    dmargin: float


def check_parity(
    fitted: Sequence[FittedClassifier], forests: Sequence[Forest], models: Models, X: NDArray[np.float32]
) -> ParityReport:
    """Compare ``fitted[k]`` with fold ``k`` of ``models``. ``X (n, n_features)``: the training sample, n >= 1.

    Raises :class:`ParityError` where a decision path differs, a probability by more than ``MAX_DP``, or a margin by more
    than ``MAX_RELATIVE_DMARGIN``.
    """
    _check_sizes(fitted, forests)
    ensembles = _ensembles(models)
    sample = X[np.unique(np.linspace(0, len(X) - 1, SAMPLE_ROWS).astype(np.intp))]
    common = np.concatenate([sample, hard_rows(forests, sample)])
    folds_session, native = open_session(models.folds), []
    checks = []
    for fold, (classifier, forest, ensemble) in enumerate(zip(fitted, forests, ensembles, strict=True)):
        probes, splits_probed = probe_rows(forest, sample)
        rows = np.concatenate([common, probes])
        reached = _check_paths(classifier, ensemble, rows, fold=fold)
        margin = classifier.predict_margin(rows)
        dp, dmargin = _check_answers(folds_session, rows, margin, fold=fold, name=f"folds.onnx, fold {fold}")
        checks.append(_FoldCheck(len(rows), splits_probed, reached, len(rows) * forest.n_trees, dp, dmargin))
        native.append(margin[: len(common)])
    mean = np.mean(native, axis=0)
    dp, dmargin = _check_answers(open_session(models.model), common, mean, fold=None, name="model.onnx")
    rows_checked = sum(check.rows for check in checks) + len(common)
    return ParityReport(
        rows=rows_checked,
        adversarial_rows=rows_checked - (len(checks) + 1) * len(sample),
        max_abs_dp=max(dp, *(check.dp for check in checks)),
        max_abs_dmargin=max(dmargin, *(check.dmargin for check in checks)),
        paths_checked=sum(check.paths for check in checks),
        different_paths=0,
        splits=sum(int((forest.feature >= 0).sum()) for forest in forests),
        splits_probed=sum(check.splits_probed for check in checks),
        leaves=sum(int((forest.feature < 0).sum()) for forest in forests),
        leaves_reached=sum(check.leaves_reached for check in checks),
    )


def _check_sizes(fitted: Sequence[FittedClassifier], forests: Sequence[Forest]) -> None:
    mine = [(classifier.n_features, classifier.n_trees) for classifier in fitted]
    theirs = [(forest.n_features, forest.n_trees) for forest in forests]
    if mine != theirs:
        raise ParityError(
            "the native files do not hold the trained forests",
            details=[f"trained: {mine} (features, trees) per fold", f"read back: {theirs}"],
            hint=_HINT,
        )


def _ensembles(models: Models) -> list[Any]:
    """The ensemble nodes of ``model.onnx``, once it is sure that ``folds.onnx`` has the same."""
    import onnx

    found = [
        [node for node in onnx.load_model_from_string(model).graph.node if is_forest(node)]
        for model in (models.model, models.folds)
    ]
    first, second = ([[entry.SerializeToString() for entry in node.attribute] for node in nodes] for nodes in found)
    if first != second:
        raise ParityError("model.onnx and folds.onnx do not hold the same forests", hint=_HINT)
    return found[0]


def _check_paths(classifier: FittedClassifier, ensemble: Any, rows: NDArray[np.float32], *, fold: int) -> int:
    """The number of leaves reached. Raises :class:`ParityError` where the two sides' leaves do not correspond."""
    session = open_session(build_leaf_model(ensemble, n_features=classifier.n_features))

    def leaves() -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            yield classifier.predict_leaves(block), session.run(None, {"input": block})[0].astype(np.int32)

    found = _Map(leaves())
    broken = found
    if not found.n_broken and not found.is_one_to_one:
        broken = _Map((exported, trained) for trained, exported in leaves())
    if broken.n_broken:
        row, tree = broken.first_broken
        raise ParityError(
            f"fold {fold}: {broken.n_broken} of {len(rows) * classifier.n_trees} decision paths in the ONNX model differ",
            details=[f"first in tree {tree}, for the row {rows[row].tolist()}"],
            where=f"fold {fold}",
            hint=_HINT,
        )
    return found.size


class _Map:
    """For each tree, leaf here -> leaf there; ``n_broken`` pairs contradict it, the first at ``(row, tree)``."""

    def __init__(self, leaves: Iterable[tuple[NDArray[np.int32], NDArray[np.int32]]]) -> None:
        self.n_broken, self.first_broken = 0, (-1, -1)
        self._there = np.empty((0, 0), dtype=np.int32)
        rows = 0
        for here, there in leaves:
            self._learn(here, there, first_row=rows)
            rows += len(here)

    @property
    def size(self) -> int:
        return int((self._there >= 0).sum())

    @property
    def is_one_to_one(self) -> bool:
        tree, here = np.nonzero(self._there >= 0)
        return len(np.unique(np.column_stack([tree, self._there[tree, here]]), axis=0)) == len(tree)

    def _learn(self, here: NDArray[np.int32], there: NDArray[np.int32], *, first_row: int) -> None:
        trees, leaves = here.shape[1], int(here.max(initial=-1)) + 1
        if self._there.shape[1] < leaves:
            grown = np.full((trees, leaves), -1, dtype=np.int32)
            grown[: len(self._there), : self._there.shape[1]] = self._there
            self._there = grown
        table = self._there.reshape(-1)
        entry = here + np.arange(trees) * self._there.shape[1]
        unknown = np.nonzero(table[entry] < 0)
        table[entry[unknown]] = there[unknown]
        row, tree = np.nonzero(table[entry] != there)
        if len(row) and not self.n_broken:
            self.first_broken = first_row + int(row[0]), int(tree[0])
        self.n_broken += len(row)


def _check_answers(
    session: Any, rows: NDArray[np.float32], native: NDArray[np.float64], *, fold: int | None, name: str
) -> tuple[float, float]:
    """Largest differences of probability and margin. ``native``: log-odds ``(n,)``."""
    feed: dict[str, NDArray[Any]] = {"input": rows}
    if fold is not None:
        feed["fold"] = np.full(len(rows), fold, dtype=np.int64)
    output, margin = (answer[:, 0].astype(np.float64) for answer in session.run(["output", "margin"], feed))
    with np.errstate(over="ignore"):
        dp = np.abs(output - 1 / (1 + np.exp(-native)))
    dmargin = np.abs(margin - native)
    wrong = ~(dp <= MAX_DP) | ~(dmargin <= MAX_RELATIVE_DMARGIN * np.maximum(1, np.abs(native)))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ParityError(
            f"{name}: {int(wrong.sum())} of {len(rows)} answers differ from the trained classifiers'",
            details=[
                f"largest difference: {np.max(dp):.3g} in probability (allowed {MAX_DP:g}), {np.max(dmargin):.3g} in margin",
                f"first: ONNX {margin[row]!r}, trained {native[row]!r}, for the row {rows[row].tolist()}",
            ],
            where=name,
            hint=_HINT,
        )
    return float(np.max(dp)), float(np.max(dmargin))
