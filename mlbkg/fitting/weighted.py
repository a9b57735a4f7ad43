"""Plain estimates from weighted candidates, from which fits start."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbkg.errors import WeightError
from mlbkg.fitting.base import Array, Sampled, Window


def inside(x: Array, weight: Array, window: Window) -> Sampled:
    """The candidates in the window. Raises :class:`WeightError` where the sum of their weights is not positive."""
    kept = window.holds(x)
    total = float(weight[kept].sum())
    if not total > 0:
        raise WeightError(
            f"{kept.sum()} of {len(x)} candidates are in the fit window [{window.low:g}, {window.high:g}], "
            f"and the sum of their weights is {total:g}",
            hint="A fit starts from candidates of positive weight: change fit.window, or look at the samples' weights.",
        )
    return x[kept], weight[kept]


def quantiles(x: Array, weight: Array, probabilities: Sequence[float]) -> Array:
    """``(n_probabilities,)`` values of x. Every candidate counts half to its left; the sum of weights must be positive."""
    order = np.argsort(x)
    ordered = weight[order]
    reached = np.maximum.accumulate(np.cumsum(ordered) - ordered / 2)
    return np.asarray(np.interp(np.asarray(probabilities) * ordered.sum(), reached, x[order]))
