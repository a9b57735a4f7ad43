"""Unified intervals of Feldman and Cousins (Phys. Rev. D 57 (1998) 3873, physics/9711021) for a Poisson count.

No grid of signals: where two counts change their rank is known in closed form, and between such points the probability of
all counts of better rank has one maximum. Everything below is in the mean ``y = signal + background``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import gammaincc, gammaln

from mlbkg.fitting.base import Array
from mlbkg.limits.roots import root

TAIL = 12.0
"""Standard deviations of the Poisson distribution beyond which nothing is counted."""

BISECTIONS = 80
MORE_BACKGROUNDS = 64


def upper_limit(observed: int, background: float, *, confidence_level: float) -> float:
    """As published: the largest of the raw limits for this and every larger background.

    The raw limit is a falling function of the background but for jumps; the published tables replace it by the smallest
    function that never rises (Sec. IV A). The largest value after a jump is found from where the jumps are.
    """
    raw = raw_upper_limit(observed, background, confidence_level=confidence_level)
    return max(raw, _largest_after_jumps(observed, background, confidence_level=confidence_level))


def raw_upper_limit(observed: int, background: float, *, confidence_level: float) -> float:
    """The largest signal whose acceptance region holds ``observed``, as constructed: it may rise with the background.

    0 where it is that of no signal alone, in which all counts up to the background have the same rank.
    """
    best = max(float(observed), background)
    # 1 - confidence level is less than twice the likelihood ratio at any accepted signal (Chernoff's bound for both tails).
    reach = np.log(2 / (1 - confidence_level))
    highest = best + reach + np.sqrt(reach**2 + 2 * best * reach)
    last = np.arange(int(best), int(highest + TAIL * np.sqrt(highest) + TAIL))
    ends = np.minimum(equal_rank(observed, last + 1, background), highest)
    starts = np.concatenate([[best], ends[:-1]])

    def excess(mean: Any, upto: Any) -> Array:
        """Probability of the counts of better rank, observed + 1 .. ``upto``, less the confidence level."""
        return np.asarray(_cdf(upto, mean) - _cdf(observed, mean) - confidence_level)

    at_start, at_end = excess(starts, last), excess(ends, last)
    # A segment accepts where one of its ends does: in between the excess is larger than at the lower of the two.
    accepting = np.flatnonzero((at_start < 0) | (at_end < 0))
    if not len(accepting):
        return 0.0
    segment = int(accepting[-1])
    if at_end[segment] < 0:
        return float(ends[segment] - background)
    upto = int(last[segment])
    return root(lambda mean: float(excess(mean, upto)), float(starts[segment]), float(ends[segment])) - background


def lower_limit(observed: int, background: float, *, confidence_level: float) -> float:
    """The smallest signal whose acceptance region holds ``observed``: 0 up to a count of the background, and beyond."""
    if observed <= background:
        return 0.0
    reach = np.log(2 / (1 - confidence_level))
    lowest = max(background, observed - np.sqrt(2 * reach * observed))
    first = np.arange(max(0, int(lowest - TAIL * np.sqrt(lowest) - TAIL)), observed + 1)
    ends = np.append(equal_rank(first[:-1], observed, background), float(observed))
    starts = np.concatenate([[lowest], ends[:-1]])
    starts, ends = np.maximum(starts, lowest), np.maximum(ends, lowest)

    def excess(mean: Any, since: Any) -> Array:
        """Probability of the counts of better rank, ``since`` .. observed - 1, less the confidence level."""
        return np.asarray(_cdf(observed - 1, mean) - _cdf(np.subtract(since, 1), mean) - confidence_level)

    at_start, at_end = excess(starts, first), excess(ends, first)
    segment = int(np.flatnonzero((ends > starts) & ((at_start < 0) | (at_end < 0)))[0])
    if at_start[segment] < 0:
        return float(starts[segment] - background)
    since = int(first[segment])
    return root(lambda mean: float(excess(mean, since)), float(starts[segment]), float(ends[segment])) - background


def equal_rank(low: Any, high: Any, background: Any) -> Array:
    """Mean at which the counts ``low`` < ``high`` have the same likelihood ratio; the higher is better above it.

    The ratio of n is y^n exp(-y) over the same at its best mean, the larger of n and the background.
    """
    best_low, best_high = np.maximum(low, background), np.maximum(high, background)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        logarithm = np.where(np.equal(low, 0), 0.0, low * np.log1p((best_high - best_low) / best_low))
    return np.asarray(best_high * np.exp((logarithm - (best_high - best_low)) / np.subtract(high, low)))


def _largest_after_jumps(observed: int, background: float, *, confidence_level: float) -> float:
    """The largest raw limit that a larger background jumps up to, or 0.

    The limit jumps where the end of a segment, at which the count ``last + 1`` becomes the better one, moves past the mean
    at which the counts observed + 1 .. last have fallen to the confidence level. Jumps shrink with the background.
    """
    best = max(float(observed), background)
    last = np.arange(int(best) + (int(best) == observed), int(best) + MORE_BACKGROUNDS + int(4 * np.sqrt(best)))

    def excess(mean: Any) -> Array:
        return np.asarray(_cdf(last, mean) - _cdf(observed, mean) - confidence_level)

    peak = np.exp((gammaln(last + 1.0) - gammaln(observed + 1.0)) / (last - observed))
    falls = (excess(peak) >= 0) & (excess(last + 1.0) < 0)
    if not falls.any():
        return 0.0
    mean = _bisected(excess, peak, last + 1.0)

    def too_high(larger_background: Array) -> Array:
        return mean - equal_rank(observed, last + 1, larger_background)

    jump = _bisected(too_high, np.full(len(last), best), last + 1.0)
    real = falls & (too_high(np.full(len(last), best)) >= 0)
    return float(np.max((mean - jump)[real], initial=0.0))


def _bisected(function: Callable[[Array], Array], low: Any, high: Any) -> Array:
    """Where each of the functions falls through zero between its ``low`` and ``high``: ``(n,)`` all."""
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = function(middle) >= 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray(low)


def _cdf(count: Any, mean: Any) -> Array:
    return np.asarray(np.where(np.less(count, 0), 0.0, gammaincc(np.maximum(count, 0) + 1.0, mean)))
