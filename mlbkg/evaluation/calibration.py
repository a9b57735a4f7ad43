"""Is a score of 0.8 right in four cases of five? Reliability curve, calibration error, and the step to another prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Array, Estimate, Events, balanced, check_weights, efficiency
from mlbkg.evaluation.resampling import binned_sums, draw_null, event_covariance

BINS = 20
DRAWS = 2000


@dataclass(frozen=True)
class ReliabilityBin:
    """Candidates of similar score: their mean score, and the share of signal among them in balanced weights."""

    mean_score: float
    signal_fraction: float
    error: float
    low: float
    high: float
    candidates: int


@dataclass(frozen=True)
class Calibration:
    """Classes weigh the same here, as in training (``training_prior`` 0.5), and the score is a probability for that mix.

    ``physical_prior``: the signal's share of the physics weights; :func:`correct_prior` carries a score over to it.
    ``expected_error``: weighted mean of |signal fraction - mean score|. ``expected_error_if_perfect``: what statistics alone
    make of it.
    """

    bins: tuple[ReliabilityBin, ...]
    expected_error: Estimate
    expected_error_if_perfect: float
    training_prior: float
    physical_prior: float


def calibration(score: Array, label: NDArray[np.int8], weight: Array, event_index: Events, *, seed: int) -> Calibration:
    """Reliability in 20 even bins of the score; empty ones are left out. Raises :class:`WeightError` as others do."""
    check_weights(weight, label)
    share = balanced(weight, label)
    signal = label == 1
    bins = np.clip((score * BINS).astype(np.intp), 0, BINS - 1)
    miss = share * (signal - score)
    sums = binned_sums(bins, miss, BINS)
    drawn = draw_null(event_covariance(bins, miss, event_index, n_cells=BINS), draws=DRAWS, seed=seed)
    rows_of = [np.flatnonzero(bins == number) for number in range(BINS)]
    return Calibration(
        bins=tuple(
            _reliability(score[rows], signal[rows], share[rows], event_index[rows])
            for rows in rows_of
            if len(rows) and share[rows].sum() > 0
        ),
        expected_error=Estimate(float(np.abs(sums).sum()), float(np.abs(sums + drawn).sum(axis=1).std())),
        expected_error_if_perfect=float(np.abs(drawn).sum(axis=1).mean()),
        training_prior=0.5,
        physical_prior=float(weight[signal].sum() / weight.sum()),
    )


def correct_prior(score: Array, *, training_prior: float, physical_prior: float) -> Array:
    """Probability for a mix with ``physical_prior`` of signal, from one learned at ``training_prior``.

    The odds scale with the ratio of the priors' odds (Saerens, Latinne, Decaestecker, Neural Comput. 14 (2002) 21). The
    order of the scores does not change.
    """
    gain = physical_prior / training_prior
    loss = (1 - physical_prior) / (1 - training_prior)
    return gain * score / (gain * score + loss * (1 - score))


def _reliability(score: Array, signal: NDArray[np.bool_], share: Array, event_index: Events) -> ReliabilityBin:
    fraction = efficiency(signal, share, event_index)
    return ReliabilityBin(
        mean_score=float(np.average(score, weights=share)),
        signal_fraction=fraction.value,
        error=fraction.error,
        low=fraction.low,
        high=fraction.high,
        candidates=len(score),
    )
