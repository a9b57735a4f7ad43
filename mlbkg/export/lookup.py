"""Step functions of one feature, for what trees cannot say in one cut: sets of categories, bins in another order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Lookup:
    """``values[k]`` where ``edges[k - 1] <= x < edges[k]``, ``missing`` where x is NaN; x: column ``feature`` of the input.

    edges: ``(n,)`` float32, strictly increasing, not NaN. values: ``(n + 1,)`` float32. missing may be NaN.
    """

    feature: int
    edges: NDArray[np.float32]
    values: NDArray[np.float32]
    missing: float

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(n,)`` -> ``(n,)``"""
        found = self.values[np.searchsorted(self.edges, x, side="right")]
        return np.where(np.isnan(x), np.float32(self.missing), found)
