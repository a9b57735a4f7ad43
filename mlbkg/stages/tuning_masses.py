"""Punzi's figure over the masses of a scan, and the whole search again in every replica.

At the cuts that were found, the background of a replica would be quick to count. But how far a window reaches for its
background, and where it is cut, fluctuates too: in repeated experiments the difference of two classifiers varies by up to
twice as much as it does at fixed cuts.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import EmptySampleError
from mlbkg.evaluation.resampling import one_by_one, poisson_counts
from mlbkg.stages.training_scan import MassSearch
from mlbkg.tuning.measured import Measured

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
REPLICAS = 16
"""Of which each takes as long as the figure itself; the error is known to 18 %."""


def punzi_over_masses(search: MassSearch, score: Array, *, seed: int) -> Measured:
    """The mean over the hypotheses, fb. ``score``: as of :meth:`MassSearch.reached_by`."""
    event_index, splits = search.data.event_index, search.data.splits
    replicas = [
        _among(search, score, *one_by_one(count, event_index))
        for count in poisson_counts(int(event_index.max()) + 1, replicas=REPLICAS, seed=seed)
    ]
    by_fold = [
        _among(search, score, split.scored, event_index[split.scored], share=1 / len(splits)) for split in search.data.splits
    ]
    return Measured(search.reached_by(score).punzi_fb, np.array(replicas), tuple(by_fold))


def _among(search: MassSearch, score: Array, rows: Rows, event_index: NDArray[np.int64], *, share: float = 1.0) -> float:
    """The figure of some rows, which are from ``share`` of all events; NaN where a mass is missing among them."""
    data = replace(search.data, sample=search.data.sample.take(rows), event_index=event_index)
    signal = search.signal.part(rows, share=share)
    try:
        return replace(search, data=data, signal=signal, values=search.values[rows]).reached_by(score[rows]).punzi_fb
    except EmptySampleError:
        return math.nan
