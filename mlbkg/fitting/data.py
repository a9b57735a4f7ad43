"""What a model is fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlbkg.errors import EmptySampleError, WeightError
from mlbkg.fitting.base import Array, Window


@dataclass(frozen=True)
class Binned:
    """Candidates per bin. ``edges``: ``(n_bins + 1,)``. ``counts``: ``(n_bins,)``, whole or not.

    variances: ``(n_bins,)`` sums of squared weights, for weighted candidates; None where the counts are Poisson.
    """

    edges: Array
    counts: Array
    variances: Array | None = None

    @property
    def total(self) -> float:
        return float(self.counts.sum())


@dataclass(frozen=True)
class Unbinned:
    """``x``: ``(n,)`` within the window. ``weight``: ``(n,)``, None where every candidate counts 1."""

    x: Array
    weight: Array | None = None

    @property
    def total(self) -> float:
        return float(len(self.x) if self.weight is None else self.weight.sum())


Data = Binned | Unbinned


def within(x: Array, weight: Array | None, window: Window, *, name: str) -> Unbinned:
    """The candidates inside ``window``. ``name``: what they are, for messages.

    Raises :class:`EmptySampleError` where there are none, and :class:`WeightError` where their weights are all zero.
    """
    x = np.asarray(x, dtype=np.float64)
    inside = window.holds(x)
    if not inside.any():
        seen = f"they lie in {np.nanmin(x):g} .. {np.nanmax(x):g}" if np.isfinite(x).any() else "there are none at all"
        raise EmptySampleError(
            f"no candidates of {name} in the fit window [{window.low:g}, {window.high:g}]; {seen}",
            where=name,
            hint="Change fit.window, or loosen selection.working_point.",
        )
    kept = None if weight is None else np.asarray(weight, dtype=np.float64)[inside]
    if kept is not None and not kept.any():
        raise WeightError(
            f"all {inside.sum()} candidates of {name} in the fit window have weight zero",
            where=name,
            hint="Look at the sample's weight and cross_section_nb in the config.",
        )
    return Unbinned(x[inside], kept)


def binned(data: Unbinned, edges: Array) -> Binned:
    counts = np.histogram(data.x, edges, weights=data.weight)[0].astype(np.float64)
    if data.weight is None:
        return Binned(edges, counts)
    return Binned(edges, counts, np.histogram(data.x, edges, weights=data.weight**2)[0])
