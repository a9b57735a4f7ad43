"""Counts of several data sets together that stand for the quantiles of their combined limit without signal."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from mlbkg.limits.combination_likelihood import Points, Rates
from mlbkg.limits.counting_expected import N_SIGMA
from mlbkg.limits.hypotheses import Array, Counts

TYPICAL = 1.5
"""Standard deviations of the background that a limit allows on top of what it allows without background."""

LARGEST_EXPONENT = 50.0
LEAST = 1e-12
HYPOTHESES_AT_ONCE = 200


def expected_counts(rates: Rates, *, confidence_level: float, toys: int, seed: int) -> Counts:
    """``(5, n, k)``: of the toy experiments at the quantiles of a weighted sum of counts.

    Toys are drawn with the nuisances fluctuating together as they are correlated. They are ordered by the sum whose weights
    measure a signal of about the limit's size best, p^T V^-1 N with V the covariance of the counts N: the limit of one data
    set rises with its count, that of several, to a good approximation, with this sum.
    """
    pulls = Points.draw(toys, rates.root.shape[1], seed).normal
    rng = np.random.default_rng(seed)
    weights = _weights(rates, confidence_level)
    ranks = np.ceil(ndtr(np.array(N_SIGMA, dtype=float)) * toys).astype(np.int64) - 1
    result = np.empty((len(N_SIGMA), *rates.per_unit.shape), dtype=np.int64)
    for first in range(0, len(rates.per_unit), HYPOTHESES_AT_ONCE):
        rows = np.arange(first, min(first + HYPOTHESES_AT_ONCE, len(rates.per_unit)))
        some = np.broadcast_to(pulls, (len(rows), 1, *pulls.shape))
        counts = rng.poisson(rates.take(rows).means(np.zeros((len(rows), 1)), some)[1][:, 0])
        order = np.argsort((counts * weights[rows, None, :]).sum(axis=-1), axis=1, kind="stable")[:, ranks]
        result[:, rows] = np.swapaxes(np.take_along_axis(counts, order[:, :, None], axis=1), 0, 1)
    return result


def _weights(rates: Rates, confidence_level: float) -> Array:
    """``(n, k)``; 0 for data sets in which no signal would be seen."""
    shares = rates.per_unit / np.maximum(rates.per_unit.sum(axis=1, keepdims=True), LEAST)
    background, own = _covariance(rates), np.arange(shares.shape[1])

    def weights(signal: Array) -> Array:
        total = background.copy()
        total[:, own, own] += signal[:, None] * shares + LEAST
        return np.asarray(np.linalg.solve(total, shares[:, :, None])[:, :, 0])

    without_background = np.full(len(shares), -np.log1p(-confidence_level))
    information = np.maximum((weights(without_background) * shares).sum(axis=1), LEAST)
    return weights(without_background + TYPICAL / np.sqrt(information))


def _covariance(rates: Rates) -> Array:
    """``(n, k, k)`` of the counts without signal."""
    n_sets = rates.per_unit.shape[1]
    of_exponents = (rates.root @ rates.root)[:, n_sets:, n_sets:]
    variance = np.diagonal(of_exponents, axis1=1, axis2=2)
    log_mean = rates.log_background + np.where(rates.exponential, 0.0, variance / 2)
    mean = np.exp(np.minimum(log_mean, LARGEST_EXPONENT))
    relative = np.expm1(np.minimum(of_exponents, LARGEST_EXPONENT))
    own = np.arange(n_sets)
    relative[:, own, own] = np.where(rates.exponential, 1.0, relative[:, own, own])
    covariance = relative * mean[:, :, None] * mean[:, None, :]
    covariance[:, own, own] += mean
    return covariance
