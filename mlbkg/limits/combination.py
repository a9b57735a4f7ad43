"""One parameter from several data sets: Bayesian upper limits by their joint likelihood, for many hypotheses at once.

L(mu) is the product over data sets of Pois(n_i | mu p_i e_i + b_i f_i), with log-normal e and f. Effects of one name are one
nuisance in signal and background of all data sets; the statistical errors of background and efficiency are independent. The
prior of mu is flat from 0 on. Limits are never averaged: without counts and background the combined one is
-ln(1 - confidence level) / sum_i p_i.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.polynomial.legendre import leggauss, legval, legvander

from mlbkg.errors import LimitError
from mlbkg.limits.combination_expected import expected_counts
from mlbkg.limits.combination_likelihood import Points, Rates, best_fit, log_marginal
from mlbkg.limits.counting import LARGEST_UNCERTAINTY, check_confidence_level
from mlbkg.limits.hypotheses import Array, Counts, Experiments, UpperLimits
from mlbkg.limits.many_background import check

NODES = 32
"""Of the integral over mu: ten standard deviations of a normal posterior, to 1e-9."""

SCANNED = 16
ZOOMS = 3
"""Of the search for where the posterior is: values of mu, and how often it is repeated closer."""

FALL = 16.0
"""Of ln L from its highest point, beyond which the posterior is left out: 1e-7 of it."""

BISECTIONS = 50
ROWS_AT_ONCE = 24
"""Whose points fit into the processor's cache or nearly so."""


def combine(
    experiments: Sequence[Experiments],
    per_unit: Sequence[Array],
    *,
    confidence_level: float,
    draws: int = 128,
    toys: int = 2048,
    seed: int = 0,
) -> UpperLimits:
    """Upper limits on mu for the ``n`` hypotheses that all ``experiments`` share.

    per_unit: for each data set ``(n,)`` candidates that mu = 1 leaves in the window; where that is 0 the data set is left
    out, and limits are infinite where it is 0 for all. draws: half of the points that nuisances are integrated with, a power
    of 2. toys: a power of 2, experiments behind the expected limits, see
    :func:`~mlbkg.limits.combination_expected.expected_counts`. Observed limits are None unless all data sets were looked at.
    Raises :class:`LimitError` for data sets of different hypotheses and for numbers that cannot be.
    """
    check_confidence_level(confidence_level)
    _check(experiments, per_unit)
    rates = Rates.of(experiments, np.stack([np.asarray(one, dtype=float) for one in per_unit], axis=1))
    counts = expected_counts(rates, confidence_level=confidence_level, toys=toys, seed=seed)
    looked = [one.observed for one in experiments if one.observed is not None]
    if len(looked) == len(experiments):
        counts = np.concatenate([counts, np.stack(looked, axis=1)[None]])
    counts = np.where(rates.per_unit > 0, counts, 0)
    limits = _limits(rates, counts, confidence_level, Points.draw(draws, rates.root.shape[1], seed))
    return UpperLimits("bayesian", confidence_level, limits[5] if len(limits) > 5 else None, limits[:5])


def _check(experiments: Sequence[Experiments], per_unit: Sequence[Array]) -> None:
    if not experiments or len(experiments) != len(per_unit):
        raise LimitError(f"{len(experiments)} data sets and {len(per_unit)} signals per unit do not belong together")
    first = experiments[0]
    for number, (one, signal) in enumerate(zip(experiments, per_unit, strict=True), start=1):
        if one.masses.shape != first.masses.shape or not np.allclose(one.masses, first.masses):
            raise LimitError(
                f"data set {number} has other hypotheses than the first: {len(one)} and {len(first)}, or other masses",
                hint="Scan all data sets with the same axes, ranges and resolutions.",
            )
        check(one, "signal per unit", np.asarray(signal, dtype=float))
        check(one, "signal's relative uncertainty", one.signal_uncertainty, most=LARGEST_UNCERTAINTY)


def _limits(rates: Rates, counts: Counts, confidence_level: float, points: Points) -> Array:
    """``(c, n)`` of ``(c, n, k)`` counts; the same counts of a hypothesis are computed once."""
    cases, n, _ = counts.shape
    hypothesis = np.tile(np.arange(n), cases)
    asked = np.concatenate([hypothesis[:, None], counts.reshape(cases * n, -1)], axis=1)
    different, number = np.unique(asked, axis=0, return_inverse=True)
    limits = np.full(len(different), np.inf)
    possible = np.flatnonzero(rates.per_unit[different[:, 0]].any(axis=1))
    for first in range(0, len(possible), ROWS_AT_ONCE):
        rows = possible[first : first + ROWS_AT_ONCE]
        own, seen = rates.take(different[rows, 0]), different[rows, 1:].astype(float)
        low, high = _range(own, seen)
        limits[rows] = _quantile(own, seen, low, high, confidence_level, points)
    return np.asarray(limits[number.ravel()].reshape(cases, n))


def _range(rates: Rates, counts: Array) -> tuple[Array, Array]:
    """``(n,)`` values of mu between which the posterior lies, in Laplace's approximation of the integral over nuisances.

    It ends at the latest where the data set that allows the largest mu excludes it by far.
    """
    with np.errstate(divide="ignore"):
        most = (counts + 6 * np.sqrt(counts + 1) + FALL) / rates.per_unit
    useful = np.isfinite(most)
    spread = np.sqrt((rates.root @ rates.root).diagonal(axis1=1, axis2=2)[:, : counts.shape[1]])
    high = np.where(useful, most * np.exp(6 * spread), 0.0).max(axis=1)
    low = 1e-3 * np.where(useful, most, np.inf).min(axis=1)
    mu = np.geomspace(low, high, SCANNED, axis=1)
    for zoom in range(ZOOMS):
        value = best_fit(rates, counts, mu).laplace
        inside = value > value.max(axis=1, keepdims=True) - FALL
        first = np.argmax(inside, axis=1)
        last = SCANNED - 1 - np.argmax(inside[:, ::-1], axis=1)
        rows = np.arange(len(mu))
        below = mu[rows, np.maximum(first - 1, 0)]
        low = np.where(first > 0, below, 0.0 if zoom == 0 else low)
        high = mu[rows, np.minimum(last + 1, SCANNED - 1)]
        mu = low[:, None] + (high - low)[:, None] * (np.arange(SCANNED) + 0.5) / (SCANNED - 0.5)
    return low, high


def _quantile(rates: Rates, counts: Array, low: Array, high: Array, confidence_level: float, points: Points) -> Array:
    """``(n,)`` of the posterior, by its expansion in Legendre polynomials, whose integrals are known."""
    x, weight = leggauss(NODES)
    mu = low[:, None] + (high - low)[:, None] * (x + 1) / 2
    log_posterior = log_marginal(rates, counts, mu, points)
    posterior = np.exp(log_posterior - log_posterior.max(axis=1, keepdims=True))
    order = np.arange(NODES)
    series = (order + 0.5)[:, None] * (legvander(x, NODES - 1).T @ (posterior * weight).T)
    integral = _integral(series)
    target = confidence_level * 2 * series[0]
    left, right = np.full(len(mu), -1.0), np.ones(len(mu))
    for _ in range(BISECTIONS):
        middle = (left + right) / 2
        below = legval(middle, integral, tensor=False) < target
        left, right = np.where(below, middle, left), np.where(below, right, middle)
    return np.asarray(low + (high - low) * (left + right + 2) / 4)


def _integral(series: Array) -> Array:
    """Coefficients ``(m + 1, n)`` of the integral from -1 on of ``(m, n)``: P_l integrates to (P_l+1 - P_l-1) / (2l + 1)."""
    scaled = series / (2 * np.arange(len(series)) + 1)[:, None]
    result = np.zeros((len(series) + 1, series.shape[1]))
    result[1:] += scaled
    result[:-2] -= scaled[1:]
    result[0] += scaled[0]
    return result
