"""Reading back what a selection wrote."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.ntuples.read import Ntuple, iterate

SCORE = "score"


def skims_of(samples: Collection[str], cutflow: Mapping[str, Any], folder: Path) -> list[Path]:
    """The skims of these samples, in ``folder``, which may have been moved since ``cutflow`` was written."""
    return [folder / Path(file["skim"]).name for file in cutflow["files"] if file["sample"] in samples]


def read_selected(skims: Sequence[Ntuple], names: Collection[str], *, threshold: float) -> dict[str, NDArray[Any]]:
    """Columns of the candidates at or above ``threshold``, of all skims together, which may be without rows.

    A skim may hold every candidate; those below are dropped chunk by chunk.
    """
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    wanted = sorted({*names, SCORE})
    for chunk in iterate(skims, wanted, scalars=wanted, allow_empty=True):
        rows = chunk.columns[SCORE] >= np.float32(threshold)
        for name in names:
            parts[name].append(chunk.columns[name][rows])
    return {name: np.concatenate(arrays) if arrays else np.empty(0) for name, arrays in parts.items()}
