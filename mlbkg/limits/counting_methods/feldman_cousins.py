"""The unified interval of Feldman and Cousins, with its published correction."""

from __future__ import annotations

from mlbkg.limits.counting import COUNTING, Count, CountingInterval, CountingMethod
from mlbkg.limits.feldman_cousins import lower_limit, upper_limit
from mlbkg.limits.feldman_cousins_hybrid import hybrid_interval


def feldman_cousins(count: Count, confidence_level: float) -> CountingInterval:
    """With uncertainties: see :mod:`mlbkg.limits.feldman_cousins_hybrid`."""
    if not count.certain:
        return hybrid_interval(count, confidence_level=confidence_level)
    n, b = count.observed, count.background
    return CountingInterval(
        lower_limit(n, b, confidence_level=confidence_level), upper_limit(n, b, confidence_level=confidence_level)
    )


COUNTING.add("feldman-cousins", CountingMethod("feldman-cousins", "unified interval", feldman_cousins))
