"""Bayesian upper limits with a flat prior of the signal."""

from __future__ import annotations

import math

from mlbkg.limits.counting import COUNTING, Count, CountingInterval, CountingMethod
from mlbkg.limits.counting_marginal import MarginalCount
from mlbkg.limits.roots import crossing


def bayesian(count: Count, confidence_level: float) -> CountingInterval:
    """The posterior of the signal beyond the limit is 1 - confidence level.

    With a flat prior the integral over the signal is closed: the posterior beyond s is
    E[P(N <= n | efficiency s + background) / efficiency], over the same at s = 0. Without uncertainties this is Helene's
    formula, Nucl. Instrum. Meth. 212 (1983) 319; the nuisances are log-normal, so that the posterior is proper.
    """
    posterior = MarginalCount(count, efficiency_centre=-count.efficiency_uncertainty)
    level = posterior.log_cdf(0.0) + math.log1p(-confidence_level)
    upper = crossing(lambda signal: posterior.log_cdf(signal) - level, 0.0, step=1 + math.sqrt(count.observed))
    return CountingInterval(0.0, upper)


COUNTING.add("bayesian", CountingMethod("bayesian", "upper limit, flat prior of the signal", bayesian))
