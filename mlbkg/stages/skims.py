"""Reading back what a selection wrote."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.threshold_curve import ThresholdCurve
from mlbkg.ntuples.read import Ntuple, iterate

SCORE = "score"


def skims_of(samples: Collection[str], cutflow: Mapping[str, Any], folder: Path) -> list[Path]:
    """The skims of these samples, in ``folder``, which may have been moved since ``cutflow`` was written."""
    return [folder / Path(file["skim"]).name for file in cutflow["files"] if file["sample"] in samples]


def read_selected(
    skims: Sequence[Ntuple], names: Collection[str], *, threshold: float | Mapping[str, Any]
) -> dict[str, NDArray[Any]]:
    """Columns of the candidates at or above ``threshold``, of all skims together, which may be without rows.

    A skim may hold every candidate; those below are dropped chunk by chunk. ``threshold``: as the cutflow tells it, a number
    or the fields of a :class:`~mlbkg.evaluation.threshold_curve.ThresholdCurve`.
    """
    cut = ThresholdCurve.from_plain(threshold) if isinstance(threshold, Mapping) else np.float32(threshold)
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    wanted = sorted({*names, SCORE, *([cut.variable] if isinstance(cut, ThresholdCurve) else [])})
    for chunk in iterate(skims, wanted, scalars=wanted, allow_empty=True):
        least = cut(chunk.columns[cut.variable]) if isinstance(cut, ThresholdCurve) else cut
        rows = chunk.columns[SCORE] >= least
        for name in names:
            parts[name].append(chunk.columns[name][rows])
    return {name: np.concatenate(arrays) if arrays else np.empty(0) for name, arrays in parts.items()}
