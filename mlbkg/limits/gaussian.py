"""Limits on a mean that cannot be negative, from one Gaussian measurement of it."""

from __future__ import annotations

import math

from scipy.special import log_ndtr, ndtr, ndtri_exp

from mlbkg.limits.counting import CountingInterval, check_confidence_level, positive
from mlbkg.limits.roots import root


def truncated_upper_limit(measured: float, sigma: float, *, confidence_level: float) -> float:
    """Bayesian with a flat prior from 0 on, which is also the CLs limit.

    measured + sigma Phi^-1(1 - alpha Phi(measured / sigma)); good however far below 0 was measured.
    """
    check_confidence_level(confidence_level)
    positive(sigma, "sigma")
    log_tail = math.log1p(-confidence_level) + float(log_ndtr(measured / sigma))
    return measured - sigma * float(ndtri_exp(log_tail))


def feldman_cousins(measured: float, sigma: float, *, confidence_level: float) -> CountingInterval:
    """Unified interval, Sec. IV B of physics/9711021.

    The likelihood ratio of x is that to the best mean, max(0, x); the interval holds the means for which less than the
    confidence level lies at x of better ratio than the measured one.
    """
    check_confidence_level(confidence_level)
    positive(sigma, "sigma")
    x = measured / sigma

    def better(mean: float) -> float:
        """Probability of a better ratio than that of x, less the confidence level."""
        low, high = sorted((x, _equally_good(x, mean)))
        return float(ndtr(high - mean) - ndtr(low - mean)) - confidence_level

    far = max(0.0, x) + 2.0
    while better(far) < 0:
        far *= 2
    upper = root(better, max(0.0, x), far)
    lower = 0.0 if ndtr(x) <= confidence_level else root(better, min(1e-12, x), x)
    return CountingInterval(sigma * lower, sigma * upper)


def _equally_good(x: float, mean: float) -> float:
    """The value on the other side of ``mean`` with the ratio of ``x``: exp(-(x - mean)^2 / 2), or exp(x mean - mean^2 / 2)
    for x below 0."""
    if x < 0:
        return mean + math.sqrt(mean**2 - 2 * x * mean)
    mirrored = 2 * mean - x
    return mirrored if mirrored >= 0 or mean == 0 else x * mirrored / (2 * mean)
