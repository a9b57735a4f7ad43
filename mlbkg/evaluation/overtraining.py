"""Does the classifier know its training events by heart? Scores by a model that saw an event against one that did not.

Both scores are of the same candidates, so the comparison is paired and sees far less than two separate samples would show.
Every boosted forest remembers a little; ``p_value`` says whether it can be seen at all, ``distance`` and the difference in
AUC say whether it matters. Nothing out-of-fold is biased by it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.distributions import score_edges
from mlbkg.evaluation.estimates import Array, Estimate, Events, check_weights
from mlbkg.evaluation.metrics import auc_influence, event_error
from mlbkg.evaluation.resampling import binned_sums, event_covariance
from mlbkg.evaluation.two_samples import ShapeTest, paired_test

HISTOGRAM_BINS = 40


@dataclass(frozen=True)
class ScorePair:
    """Shapes (unit sum) of one class on ``edges (n+1,)``; ``difference_error`` knows that the rows are the same."""

    test: ShapeTest
    out_of_fold: Array
    out_of_fold_error: Array
    train: Array
    train_error: Array
    difference_error: Array


@dataclass(frozen=True)
class Overtraining:
    """``auc_difference``: train minus out-of-fold, error of the difference itself. ``candidates``: rows with both scores."""

    auc_train: Estimate
    auc_out_of_fold: Estimate
    auc_difference: Estimate
    candidates: int
    edges: Array
    signal: ScorePair
    background: ScorePair


def overtraining(
    score: Array,
    train_score: Array,
    label: NDArray[np.int8],
    weight: Array,
    event_index: Events,
    *,
    seed: int,
) -> Overtraining:
    """``train_score (n,)``: by a model that trained on the row; NaN where none did, and such rows are left out."""
    rows = np.isfinite(train_score)
    score, train_score, label = score[rows], train_score[rows], label[rows]
    weight, event_index = weight[rows], event_index[rows]
    check_weights(weight, label)
    unseen, influence_unseen = auc_influence(score, label, weight)
    seen, influence_seen = auc_influence(train_score, label, weight)
    edges = score_edges(score, train_score, bins=HISTOGRAM_BINS)
    signal = label == 1
    pairs = [
        _pair(score[of], train_score[of], weight[of], event_index[of], edges=edges, seed=seed + number)
        for number, of in enumerate((signal, ~signal))
    ]
    return Overtraining(
        auc_train=Estimate(seen, event_error(influence_seen, event_index)),
        auc_out_of_fold=Estimate(unseen, event_error(influence_unseen, event_index)),
        auc_difference=Estimate(seen - unseen, event_error(influence_seen - influence_unseen, event_index)),
        candidates=len(score),
        edges=edges,
        signal=pairs[0],
        background=pairs[1],
    )


def _pair(score: Array, train_score: Array, weight: Array, event_index: Events, *, edges: Array, seed: int) -> ScorePair:
    n = len(edges) - 1
    cells = [np.searchsorted(edges[1:-1], values, side="right") for values in (score, train_score)]
    share = weight / weight.sum()
    covariance = event_covariance(
        np.concatenate([cells[0], cells[1] + n]),
        np.concatenate([share, share]),
        np.concatenate([event_index, event_index]),
        n_cells=2 * n,
    )
    variance, between = np.diag(covariance), np.diag(covariance[:n, n:])
    difference = np.clip(variance[:n] + variance[n:] - 2 * between, 0, None)
    return ScorePair(
        test=paired_test(score, train_score, weight, event_index, seed=seed),
        out_of_fold=binned_sums(cells[0], share, n),
        out_of_fold_error=np.sqrt(variance[:n]),
        train=binned_sums(cells[1], share, n),
        train_error=np.sqrt(variance[n:]),
        difference_error=np.sqrt(difference),
    )
