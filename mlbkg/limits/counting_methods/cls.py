"""CLs and CLs+b upper limits with the count itself as the test statistic."""

from __future__ import annotations

import math

import numpy as np

from mlbkg.errors import LimitError
from mlbkg.fitting.base import Array
from mlbkg.limits.counting import COUNTING, Count, CountingInterval, CountingMethod
from mlbkg.limits.counting_marginal import MarginalCount
from mlbkg.limits.roots import crossing


def cls(count: Count, confidence_level: float) -> CountingInterval:
    """P(N <= n | s + b) / P(N <= n | b) = 1 - confidence level, both averaged over the nuisances (hybrid).

    Read, J. Phys. G 28 (2002) 2693. The same as the Bayesian limit where the efficiency is known.
    """
    probability = MarginalCount(count)
    return _upper(probability, level=math.log1p(-confidence_level) + probability.log_cdf(0.0))


def clsb(count: Count, confidence_level: float) -> CountingInterval:
    """P(N <= n | s + b) = 1 - confidence level. 0 where the count is so low that it excludes every signal."""
    return _upper(MarginalCount(count), level=math.log1p(-confidence_level))


def _upper(probability: MarginalCount, *, level: float) -> CountingInterval:
    if probability.log_cdf(0.0) <= level:
        return CountingInterval(0.0, 0.0)
    step = 1 + math.sqrt(probability.count.observed)
    return CountingInterval(0.0, crossing(lambda signal: probability.log_cdf(signal) - level, 0.0, step=step))


def cls_by_toys(count: Count, confidence_level: float, toys: int, generator: np.random.Generator) -> CountingInterval:
    """As :func:`cls`, by toys. Raises :class:`LimitError` where no toy of the background counts as few."""
    signals = _signals_that_count_as_few(count, toys, generator)
    of_background = signals[signals > 0]
    if not len(of_background):
        raise LimitError(
            f"none of {toys} toy experiments of the background counts as few as {count.observed}",
            hint="Ask for more toys, or for none: the integral has an answer.",
        )
    return _quantile(of_background, confidence_level)


def clsb_by_toys(count: Count, confidence_level: float, toys: int, generator: np.random.Generator) -> CountingInterval:
    """As :func:`clsb`, by toys."""
    return _quantile(np.maximum(_signals_that_count_as_few(count, toys, generator), 0.0), confidence_level)


def _signals_that_count_as_few(count: Count, toys: int, generator: np.random.Generator) -> Array:
    """``(toys,)``: the largest signal with which each toy experiment still counts at most what was observed.

    A toy is a Poisson process of unit rate: it counts at most n up to a mean exactly when its (n + 1)-th event comes later.
    The same toys so serve every signal.
    """
    arrival = generator.gamma(count.observed + 1.0, size=toys)
    background = count.background * np.exp(count.background_uncertainty * generator.standard_normal(toys))
    efficiency = np.exp(count.efficiency_uncertainty * generator.standard_normal(toys))
    return np.asarray((arrival - background) / efficiency)


def _quantile(signals: Array, confidence_level: float) -> CountingInterval:
    """The quantile, and its error: half the distance of the quantiles one binomial standard deviation to either side."""
    spread = math.sqrt(confidence_level * (1 - confidence_level) / len(signals))
    levels = np.clip([confidence_level - spread, confidence_level, confidence_level + spread], 0, 1)
    low, upper, high = (float(value) for value in np.quantile(signals, levels))
    return CountingInterval(0.0, upper, upper_error=(high - low) / 2)


COUNTING.add("cls", CountingMethod("cls", "upper limit by CLs, hybrid with uncertainties", cls, cls_by_toys))
COUNTING.add("clsb", CountingMethod("clsb", "upper limit by CLs+b, hybrid with uncertainties", clsb, clsb_by_toys))
