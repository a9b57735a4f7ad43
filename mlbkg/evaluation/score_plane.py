"""Scores over the variable that is scanned: a picture of why the cut on the score is where it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.distributions import score_edges
from mlbkg.evaluation.estimates import Array
from mlbkg.evaluation.signal_shares import SignalShares
from mlbkg.evaluation.window_search import Candidates

VARIABLE_BINS, SCORE_BINS = 60, 40
SHARES = (0.8413, 0.5, 0.1587)


@dataclass(frozen=True)
class ScorePlane:
    """edges: of the variable ``(n_x + 1,)``. score_edges: ``(n_y + 1,)``. background: ``(n_x, n_y)`` events.

    at: ``(k,)`` where simulated signals peak. signal: ``(3, k)`` scores above which 84, 50 and 16 % of such a signal are.
    """

    edges: Array
    score_edges: Array
    background: Array
    at: Array
    signal: Array


def score_plane(signal: Candidates, other: Candidates, shares: SignalShares, *, low: float, high: float) -> ScorePlane:
    """Of one variable from ``low`` to ``high``; ``other`` candidates, the background, beyond it are left out."""
    edges = np.linspace(low, high, VARIABLE_BINS + 1)
    within = (other.values[:, 0] >= low) & (other.values[:, 0] <= high)
    shown = other.where(within)
    levels = score_edges(signal.score, shown.score, bins=SCORE_BINS)
    column = np.minimum(np.searchsorted(edges, shown.values[:, 0], side="right") - 1, VARIABLE_BINS - 1)
    row = _bins(levels, shown.score)
    events = np.bincount(column * SCORE_BINS + row, weights=shown.weight, minlength=VARIABLE_BINS * SCORE_BINS)
    quantiles = [shares.threshold_at(shares.at, np.full(len(shares.at), share)) for share in SHARES]
    background = np.asarray(events, dtype=np.float64).reshape(VARIABLE_BINS, SCORE_BINS)
    return ScorePlane(edges, levels, background, shares.at, np.stack(quantiles))


def _bins(edges: Array, values: Array) -> NDArray[np.intp]:
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
