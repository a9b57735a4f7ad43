"""Limits of many counting experiments, from how many of the counted candidates may be background.

With a flat prior the posterior of the signal s is a mixture: with the probability that k of the n counts are background,
P(N_b = k) / P(N_b <= n), it is a gamma distribution with n - k + 1 counts, divided by the efficiency. Its tail beyond s is

    T(s) = E_e[H(e s)],    H(d) = sum_j Pois(j | d) P(N_b <= n - j) / P(N_b <= n),

without differences of large numbers. For CLs, P(N <= n | s + b) / P(N <= n | b), the same holds with the efficiency's
log-normal centred at 1; Bayesian, its weights are 1 / e, and the nuisance is centred one spread below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, ndtri

from mlbkg.errors import LimitError
from mlbkg.limits.hypotheses import Array, Counts

REACH = 6.0
"""Standard deviations of the efficiency's nuisance that the average covers."""

STEP = 0.7
"""Of the trapezoidal rule, in standard deviations of the nuisance or in widths of the counts' distribution."""

IMPOSSIBLE = 1e-12
"""Probabilities of a number of background candidates below this are left out."""

TERMS_AT_ONCE = 400_000
MOST_STEPS = 100
PRECISION = 1e-9


@dataclass(frozen=True)
class Counted:
    """One count. signal_at_most: ``(m,)`` P(N_b <= n - j) / P(N_b <= n) for j = 0, 1, ... signal candidates.

    ``log_shift``: the centre of the logarithm of the efficiency. ``spread``: its relative uncertainty.
    """

    signal_at_most: Array
    spread: float
    log_shift: float

    @classmethod
    def of(cls, log_probability: Array, observed: int, *, spread: float, log_shift: float) -> Counted:
        """``log_probability``: ``(k,)`` ln P(N_b = 0, 1, ...), up to ``observed`` at least."""
        logs = log_probability[: observed + 1]
        relative = np.exp(logs - logs.max())
        at_most = np.cumsum(relative) / relative.sum()
        return cls(at_most[np.searchsorted(at_most, IMPOSSIBLE) :][::-1], spread, log_shift)

    def guess(self) -> tuple[float, float]:
        """Mean and standard deviation of the signal, for an efficiency of 1."""
        probability = -np.diff(self.signal_at_most, append=0.0)
        shape = np.arange(1, len(probability) + 1)
        mean = float(probability @ shape)
        return mean, float(np.sqrt(probability @ (shape * (shape + 1.0)) - mean**2))


def solve(counted: list[Counted], confidence_level: float) -> Array:
    """``(n,)`` signals with T(s) = 1 - confidence_level, in counts for an efficiency of 1."""
    moments = np.array([count.guess() for count in counted]).reshape(-1, 2)
    spread = np.array([count.spread for count in counted])
    terms = np.array([len(count.signal_at_most) for count in counted])
    nodes = _nodes(terms, spread)
    width = np.hypot(moments[:, 1], spread * moments[:, 0])
    start = (moments[:, 0] + max(0.0, ndtri(confidence_level)) * width) * np.exp(
        -np.array([count.log_shift for count in counted])
    )
    result = np.empty(len(counted))
    for rows in _portions(nodes, terms):
        tails = _Tails.of([counted[row] for row in rows], int(nodes[rows].max()))
        result[rows] = _solved(tails, start[rows], float(np.log1p(-confidence_level)))
    return result


def _nodes(terms: Counts, spread: Array) -> Counts:
    """``(n,)``: odd numbers of them, rounded up to few different ones so that rows of one number are many.

    A signal of m counts is spread by 1 / sqrt(m), and the tail does not fall within less.
    """
    step = STEP / np.maximum(1.0, spread * np.sqrt(terms))
    half = np.ceil(REACH / step)
    rounded = np.ceil(2 ** (np.ceil(4 * np.log2(half)) / 4))
    return np.where(spread > 0, 2 * rounded + 1, 1).astype(np.int64)


def _portions(nodes: Counts, terms: Counts) -> list[Counts]:
    """Rows of like size, so many at a time that their terms stay in the processor's cache."""
    order = np.lexsort((terms, nodes))
    portions, end = [], len(order)
    while end > 0:
        last = order[end - 1]
        fitting = max(1, TERMS_AT_ONCE // int(nodes[last] * terms[last]))
        alike = np.flatnonzero(nodes[order[:end]] != nodes[last])
        start = max(0, end - fitting, int(alike[-1]) + 1 if len(alike) else 0)
        portions.append(order[start:end])
        end = start
    return portions


@dataclass(frozen=True)
class _Tails:
    """at_most, exactly: ``(n, m)``. pulls, weights: ``(n_nodes,)``; ``spread``, ``shift``: ``(n,)``."""

    at_most: Array
    exactly: Array
    pulls: Array
    weights: Array
    spread: Array
    shift: Array

    @classmethod
    def of(cls, counted: list[Counted], nodes: int) -> _Tails:
        at_most = np.zeros((len(counted), max(len(count.signal_at_most) for count in counted)))
        for row, count in enumerate(counted):
            at_most[row, : len(count.signal_at_most)] = count.signal_at_most
        pulls = np.linspace(-REACH, REACH, nodes) if nodes > 1 else np.zeros(1)
        weights = np.exp(-(pulls**2) / 2)
        return cls(
            at_most,
            -np.diff(at_most, axis=1, append=0.0),
            pulls,
            weights / weights.sum(),
            np.array([count.spread for count in counted]),
            np.array([count.log_shift for count in counted]),
        )

    def at(self, signal: Array, rows: Counts) -> tuple[Array, Array]:
        """T and -s dT/ds at ``(n,)`` signals of the ``rows``."""
        log_mean = np.log(signal)[:, None] + self.shift[rows, None] + self.spread[rows, None] * self.pulls
        mean = np.exp(log_mean)
        j = np.arange(self.at_most.shape[1])
        terms = j * log_mean[:, :, None]
        terms -= mean[:, :, None]
        terms -= gammaln(j + 1.0)
        np.exp(terms, out=terms)
        tail = (terms @ self.at_most[rows, :, None])[:, :, 0]
        density = (terms @ self.exactly[rows, :, None])[:, :, 0] * mean
        return tail @ self.weights, density @ self.weights


def _solved(tails: _Tails, start: Array, log_level: float) -> Array:
    """Newton's method on ln T(ln s), which is concave but for the efficiency's tails; else the middle of the bracket."""
    log_signal = np.log(start)
    low, high = np.full(len(start), -np.inf), np.full(len(start), np.inf)
    rows = np.arange(len(start))
    for _ in range(MOST_STEPS):
        tail, falling = tails.at(np.exp(log_signal[rows]), rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.log(tail) - log_level
            step = distance * tail / falling
        here = log_signal[rows]
        low[rows] = np.where(distance > 0, here, low[rows])
        high[rows] = np.where(distance > 0, high[rows], here)
        log_signal[rows] = _inside(here, step, low[rows], high[rows])
        rows = rows[~(np.abs(step) < PRECISION)]
        if not len(rows):
            return np.asarray(np.exp(log_signal))
    raise LimitError(f"{len(rows)} of {len(start)} upper limits do not settle", hint="Look for backgrounds that are huge.")


def _inside(here: Array, step: Array, low: Array, high: Array) -> Array:
    """``here + step`` where that is a step of less than a factor e^2 into the bracket."""
    step = np.clip(np.where(np.isfinite(step), step, -1.0), -2.0, 2.0)
    moved = here + step
    inside = (moved >= low) & (moved <= high)
    known = np.isfinite(low) & np.isfinite(high)
    with np.errstate(invalid="ignore"):
        middle = np.where(known, (low + high) / 2, moved)
    return np.where(inside, moved, middle)
