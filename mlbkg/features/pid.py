"""Features of what the pair's two tracks look like."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlbkg.features.base import Compute, feature


def _extreme(of_two: Any, name: str) -> Compute:
    return lambda columns: np.asarray(of_two(columns[f"daughter0_{name}"], columns[f"daughter1_{name}"]))


for _hypothesis in ("pion", "electron", "muon"):
    for _end, _of_two in (("Min", np.minimum), ("Max", np.maximum)):
        _column, _basf2 = f"{_hypothesis}_id", f"{_hypothesis}ID"
        feature(
            f"{_hypothesis}ID{_end}",
            needs=(f"daughter0_{_column}", f"daughter1_{_column}"),
            description=f"{'smaller' if _end == 'Min' else 'larger'} {_hypothesis} likelihood ratio of the two tracks",
            basf2=f"{_end.lower()}(daughter(0,{_basf2}),daughter(1,{_basf2}))",
        )(_extreme(_of_two, _column))
