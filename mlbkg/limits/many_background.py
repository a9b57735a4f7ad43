"""How many candidates backgrounds give that are not known exactly, for many of them at once.

A background is log-normal, exp(spread * z) times its median for a standard normal z, as in :mod:`mlbkg.limits.counting`.
Where the prediction is 0 because no simulated candidate is left, its error says what one would have weighed: with a flat
prior, none left makes the background exponential with that weight as its mean. Then the counts are geometric.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammainc, ndtr

from mlbkg.errors import LimitError
from mlbkg.limits.counting import LARGEST_UNCERTAINTY
from mlbkg.limits.hypotheses import Array, Counts, Experiments
from mlbkg.limits.poisson import log_pmf

NEGLIGIBLE = 20.0
"""Integrands end where their logarithm is this much below the peak."""

FARTHEST = float(np.sqrt(2 * NEGLIGIBLE))
"""Standard deviations of a nuisance where that is so at the latest."""

STEP = 0.8
"""Of the trapezoidal rule, in widths of the integrand's peak: its error is exp(-2 pi^2 / STEP^2) for a Gaussian."""

CLIFF_STEP = 0.5
"""Of the same in units of 1 / spread, over which exp(-median * exp(spread * z)) falls."""

NODES_AT_ONCE = 1_000_000
MOST_NEWTON_STEPS = 60
NEWTON_DONE = 1e-8

QUANTILE_REACH = 2.2
"""A log-normal is higher with probability 1.4 %, so that the highest quantile of a band, 97.7 %, lies below."""

TINIEST = float(np.finfo(float).tiny)


@dataclass(frozen=True)
class Backgrounds:
    """median, spread, weight: ``(n,)``. ``weight``: mean of the exponential where ``median`` is 0, and 0 elsewhere."""

    median: Array
    spread: Array
    weight: Array

    @classmethod
    def of(cls, experiments: Experiments) -> Backgrounds:
        """Raises :class:`LimitError` for what is negative, not finite, or too uncertain for a log-normal."""
        check(experiments, "background", experiments.background)
        check(experiments, "background_error", experiments.background_error)
        nothing_left = experiments.background == 0
        spread = np.where(nothing_left, 0.0, experiments.background_uncertainty)
        check(experiments, "background's relative uncertainty", spread, most=LARGEST_UNCERTAINTY)
        return cls(experiments.background, spread, np.where(nothing_left, experiments.background_error, 0.0))

    def __len__(self) -> int:
        return len(self.median)

    def take(self, index: Counts) -> Backgrounds:
        return Backgrounds(self.median[index], self.spread[index], self.weight[index])

    def enough(self) -> Counts:
        """``(n,)`` counts below which every quantile of an expected band lies."""
        high = self.median * np.exp(QUANTILE_REACH * self.spread) + 2 * QUANTILE_REACH * self.weight
        return np.asarray(np.ceil(high + 3 * np.sqrt(high) + 10), dtype=np.int64)


def check(experiments: Experiments, words: str, values: Array, *, most: float = np.inf) -> None:
    """Raises :class:`LimitError` that names the first hypothesis with a value outside [0, most]."""
    wrong = np.flatnonzero(~((values >= 0) & (values <= most) & np.isfinite(values)))
    if len(wrong):
        masses = ", ".join(f"{mass:g}" for mass in experiments.masses[wrong[0]])
        allowed = "a number that is not negative" if most == np.inf else f"between 0 and {most:g}"
        raise LimitError(
            f"the {words} of {len(wrong)} of {len(experiments)} hypotheses is not {allowed}; "
            f"got {values[wrong[0]]:g} for the mass {masses} GeV",
            hint="Look at the weights and the number of simulated candidates there: wider windows hold more.",
        )


def log_probabilities(backgrounds: Backgrounds, counts: Counts) -> Array:
    """``(n,)`` ln P(N = count) for each background with its own count."""
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = backgrounds.weight
        geometric = np.where(counts > 0, counts * np.log(weight / (1 + weight)), 0.0) - np.log1p(weight)
    result = np.where(weight > 0, geometric, log_pmf(counts, backgrounds.median))
    uncertain = np.flatnonzero(backgrounds.spread > 0)
    chosen = backgrounds.take(uncertain)
    result[uncertain] = _log_marginal(chosen.median, chosen.spread, counts[uncertain].astype(float))
    return result


def tail_probabilities(backgrounds: Backgrounds, counts: Counts) -> Array:
    """``(n,)`` P(N >= count) for each background with its own count; never below the smallest float."""
    n = counts.astype(float)
    weight = backgrounds.weight
    result = np.where(weight > 0, (weight / (1 + weight)) ** n, gammainc(np.maximum(n, 1.0), backgrounds.median))
    uncertain = np.flatnonzero((backgrounds.spread > 0) & (counts > 0))
    chosen = backgrounds.take(uncertain)
    result[uncertain] = _marginal_tail(chosen.median, chosen.spread, n[uncertain])
    return np.where(counts > 0, np.clip(result, TINIEST, 1.0), 1.0)


def quantiles(log_probability: Array, n_sigma: tuple[int, ...]) -> Counts:
    """The smallest counts with P(N <= count) >= Phi(n_sigma), from ``(k,)`` ln P(N = 0, 1, ...)."""
    return np.asarray(np.searchsorted(np.cumsum(np.exp(log_probability)), ndtr(np.array(n_sigma, dtype=float))))


def _peak(median: Array, spread: Array, counts: Array) -> Array:
    """The pull where P(N = count | pull) times its normal density is largest.

    Newton's method on the slope, which is concave and falls, from above: it never overshoots.
    """
    with np.errstate(divide="ignore"):
        z = np.clip(np.log(counts / median) / spread, 0.0, counts * spread)
    for _ in range(MOST_NEWTON_STEPS):
        pushed = spread * median * np.exp(spread * z)
        step = (counts * spread - z - pushed) / (1 + spread * pushed)
        z = z + step
        if np.all(np.abs(step) < NEWTON_DONE):
            break
    return np.asarray(z)


def _log_marginal(median: Array, spread: Array, counts: Array) -> Array:
    """ln of the average of P(N = count) over the log-normal background, around the peak of the integrand."""
    z = _peak(median, spread, counts)
    mean = median * np.exp(spread * z)
    right = FARTHEST / np.sqrt(1 + mean * spread**2)
    left = _reach_to_the_left(mean, spread)
    step = np.minimum(STEP * right / FARTHEST, CLIFF_STEP / spread)
    total = np.empty(len(z))
    for rows, nodes in _portions(np.ceil((left + right) / step).astype(np.int64) + 1):
        t = -left[rows, None] + step[rows, None] * np.arange(nodes)
        moved = spread[rows, None] * t
        fall = mean[rows, None] * (np.expm1(moved) - moved) + t**2 / 2
        total[rows] = np.exp(-fall).sum(axis=1)
    return np.asarray(log_pmf(counts, mean) - z**2 / 2 + np.log(total * step / np.sqrt(2 * np.pi)))


def _reach_to_the_left(mean: Array, spread: Array) -> Array:
    """Where mean (exp(-spread t) - 1 + spread t) + t^2 / 2 is large; convex, so that Newton's steps stay beyond it."""
    t = np.full(len(mean), FARTHEST)
    for _ in range(4):
        moved = spread * t
        value = mean * (np.expm1(-moved) + moved) + t**2 / 2 - NEGLIGIBLE
        t = t - value / (t - spread * mean * np.expm1(-moved))
    return t


def _marginal_tail(median: Array, spread: Array, counts: Array) -> Array:
    """The average of P(N >= count): the integrand is widest where counts are typical, narrow where they are many."""
    centre = np.maximum(_peak(median, spread, counts), 0.0)
    width = 1 / np.sqrt(1 + median * np.exp(spread * centre) * spread**2)
    step = np.minimum(STEP * width, CLIFF_STEP / spread)
    result = np.empty(len(median))
    for rows, nodes in _portions(np.ceil(2 * FARTHEST / step).astype(np.int64) + 1):
        z = centre[rows, None] - FARTHEST + step[rows, None] * np.arange(nodes)
        tail = gammainc(counts[rows, None], median[rows, None] * np.exp(spread[rows, None] * z))
        result[rows] = (tail * np.exp(-(z**2) / 2)).sum(axis=1) * step[rows] / np.sqrt(2 * np.pi)
    return result


def _portions(nodes: Counts) -> list[tuple[Counts, int]]:
    """Rows of about as many nodes, and the most of them, so many at a time that they fit into memory."""
    order = np.argsort(nodes, kind="stable")
    portions, end = [], len(order)
    while end > 0:
        most = int(nodes[order[end - 1]])
        start = max(0, end - max(1, NODES_AT_ONCE // most))
        while most > 2 * nodes[order[start]]:
            start = (start + end) // 2
        portions.append((order[start:end], most))
        end = start
    return portions
