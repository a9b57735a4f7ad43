"""The Poisson distribution as limits need it: logarithms that hold far out in the tails and for a million counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import gammainc, gammaincc, gammaln

from mlbkg.fitting.base import Array

TINY = 1e-280
"""Below it, tails are computed by continued fraction and series, as logarithms."""

CERTAIN = 12.0
"""Standard deviations above the mean up to which counts are certain to stay."""

MAX_TERMS = 100_000
SERIES_BELOW = 0.1
SERIES_TERMS = 9


def deviance(count: Any, mean: Any) -> Array:
    """count ln(count / mean) - count + mean, half of -2 ln of the ratio to the best mean; exact where the two are close.

    ``count`` >= 0 need not be whole. 0 where both are 0, infinite for a mean of 0 alone.
    """
    count, mean = np.broadcast_arrays(np.asarray(count, dtype=float), np.asarray(mean, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (count - mean) / (count + mean)
        direct = np.where(count > 0, count * (np.log(count) - np.log(mean)) - count + mean, mean)
    # With count = mean (1 + t) / (1 - t), the logarithm is 2 atanh(t), and the linear terms cancel by hand.
    odd = sum(t ** (2 * k + 1) / (2 * k + 1) for k in range(1, SERIES_TERMS))
    series = (count - mean) * t + 2 * count * odd
    return np.asarray(np.where(count == mean, 0.0, np.where(np.abs(t) < SERIES_BELOW, series, direct)))


def log_pmf(count: Any, mean: Any) -> Array:
    """ln P(N = count | mean)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        stirling = np.where(count > 0, count * np.log(count) - count - gammaln(np.add(count, 1.0)), 0.0)
    return np.asarray(stirling - deviance(count, mean))


def log_cdf(count: int, mean: Any) -> Array:
    """ln P(N <= count | mean) for an array of means. Negative counts have probability 0."""
    mean = np.asarray(mean, dtype=float)
    if count < 0:
        return np.full(mean.shape, -np.inf)
    direct = np.ones(mean.shape)
    open_question = mean > count - CERTAIN * np.sqrt(count)
    direct[open_question] = gammaincc(count + 1.0, mean[open_question])
    far = direct < TINY
    result = np.array(np.log(np.where(far, 1.0, direct)))
    if far.any():
        result[far] = _log_cdf_far(count, mean[far])
    return result


def log_sf(count: int, mean: Any) -> Array:
    """ln P(N >= count | mean) for an array of means."""
    mean = np.asarray(mean, dtype=float)
    if count <= 0:
        return np.zeros(mean.shape)
    direct = np.asarray(gammainc(float(count), mean))
    far = direct < TINY
    result = np.array(np.log(np.where(far, 1.0, direct)))
    if far.any():
        result[far] = _log_sf_far(count, mean[far])
    return result


def _log_cdf_far(count: int, mean: Array) -> Array:
    """Legendre's continued fraction of the upper incomplete gamma function by Lentz's method, for means far above."""
    a = count + 1.0
    b = mean + 1 - a
    d = 1 / b
    c, fraction = np.full(mean.shape, np.inf), d.copy()
    for i in range(1, MAX_TERMS):
        numerator = -i * (i - a)
        b = b + 2
        d = 1 / (numerator * d + b)
        c = b + numerator / c
        change = c * d
        fraction *= change
        if np.all(np.abs(change - 1) < 1e-15):
            break
    return np.asarray(log_pmf(count, mean) + np.log(mean) + np.log(fraction))


def _log_sf_far(count: int, mean: Array) -> Array:
    """P(N = count) (1 + mean / (count + 1) + ...), for means far below."""
    term = np.ones(mean.shape)
    total = term.copy()
    for k in range(1, MAX_TERMS):
        term = term * mean / (count + k)
        total += term
        if np.all(term < 1e-17 * total):
            break
    return np.asarray(log_pmf(count, mean) + np.log(total))
