"""The gate before an imported model: its ONNX form must answer as the numbers in the original file do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import ParityError
from mlbkg.export.adversarial import SEED, hard_rows, probe_rows
from mlbkg.export.forest import Forest
from mlbkg.export.importers.base import Imported
from mlbkg.export.session import open_checked_session

MAX_DIFFERENCE = 1e-6
"""Of max(1, |answer|)."""
RANDOM_ROWS = 20_000
MAX_CELLS = 2**24
"""Rows times features of what is compared, and nodes times features where every split is probed."""
_BLOCK = 4096


def compare(imported: Imported, content: bytes) -> tuple[int, float]:
    """The rows compared, and the largest difference. ``content``: the ONNX file that was made of ``imported.forest``.

    Raises :class:`ParityError` where a difference is larger than ``MAX_DIFFERENCE``, and
    :class:`mlbkg.errors.MlbkgError` for a file that would not be opened again.
    """
    rows = _rows(imported.forest)
    session = open_checked_session(content, imported.program)
    found = np.concatenate([_block(imported, session, rows[i : i + _BLOCK]) for i in range(0, len(rows), _BLOCK)])
    mine, theirs = found.T
    difference = np.where(np.isnan(mine) & np.isnan(theirs), 0, np.abs(mine - theirs))
    wrong = ~(difference <= MAX_DIFFERENCE * np.maximum(1, np.abs(theirs)))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ParityError(
            f"the ONNX model differs from {imported.program} in {int(wrong.sum())} of {len(rows)} rows",
            details=[f"first: ONNX {mine[row]!r}, original {theirs[row]!r}, for the row {rows[row].tolist()}"],
            hint="Nothing was written. Keep the file, and report this as a bug of mlbkg.",
        )
    return len(rows), float(difference.max())


def _block(imported: Imported, session: object, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """``(n, 2)``: the ONNX model's answers and the original's."""
    (output,) = session.run(["output"], {"input": rows})  # type: ignore[attr-defined]
    return np.column_stack([output[:, 0].astype(np.float64), imported.answer(rows)])


def _rows(forest: Forest) -> NDArray[np.float32]:
    """``(n, n_features)``: mixtures of what each feature is cut at, and each split's both sides."""
    rng = np.random.default_rng(SEED)
    n_rows = min(RANDOM_ROWS, MAX_CELLS // forest.n_features)
    sample = np.column_stack([_values(forest, feature, n_rows, rng) for feature in range(forest.n_features)])
    rows = [sample, hard_rows([forest], sample[:1000])]
    if not forest.lookups and forest.n_nodes * forest.n_features < MAX_CELLS:
        rows.append(probe_rows(forest, sample)[0])
    return np.concatenate(rows)[: 4 * n_rows]


def _values(forest: Forest, feature: int, n_rows: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Around and between the cuts, some missing."""
    edges = [lookup.edges for lookup in forest.lookups if lookup.feature == feature]
    cuts = np.unique(np.concatenate([forest.threshold[forest.feature == feature], *edges]))
    cuts = cuts[np.isfinite(cuts)] if np.isfinite(cuts).any() else np.zeros(1, dtype=np.float32)
    with np.errstate(over="ignore"):
        spread = np.float32(np.std(cuts.astype(np.float64)) or 1)
        between = rng.choice(cuts, n_rows) + rng.normal(size=n_rows).astype(np.float32) * spread
    kind = rng.integers(10, size=n_rows)
    at_cut = rng.choice(cuts, n_rows)
    choices = [np.full(n_rows, np.float32(np.nan)), at_cut, np.nextafter(at_cut, np.float32(-np.inf)), np.trunc(between)]
    values: NDArray[np.float32] = np.select([kind == i for i in range(len(choices))], choices, between).astype(np.float32)
    return values


def reordered(imported: Imported, names: tuple[str, ...]) -> Imported:
    """The same model with its features in the order of ``names``, which are ``imported.feature_names`` in another."""
    assert imported.feature_names is not None
    forest = imported.forest
    position = np.array([names.index(name) for name in imported.feature_names])
    moved = np.concatenate([position, np.arange(len(forest.lookups)) + forest.n_features])
    lookups = tuple(replace(lookup, feature=int(position[lookup.feature])) for lookup in forest.lookups)
    feature = np.where(forest.feature < 0, -1, moved[forest.feature]).astype(np.int32)

    def answer(X: NDArray[np.float32]) -> NDArray[np.float64]:
        return imported.answer(X[:, position])

    return replace(imported, forest=replace(forest, feature=feature, lookups=lookups), feature_names=names, answer=answer)
