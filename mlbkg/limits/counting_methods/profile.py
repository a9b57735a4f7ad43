"""Upper limits and intervals straight from the profile likelihood: -2 delta ln L against its chi-square law."""

from __future__ import annotations

from mlbkg.limits.counting import COUNTING, Count, CountingInterval, CountingMethod
from mlbkg.limits.counting_likelihood import CountingLikelihood
from mlbkg.limits.roots import crossing, root
from mlbkg.limits.significance import z_of_p_value


def profile(count: Count, confidence_level: float) -> CountingInterval:
    """Upper limit: -2 delta ln L reaches the square of the normal's one-sided quantile. Asymptotic.

    0 for confidence levels up to one half where the best signal is 0.
    """
    likelihood = CountingLikelihood.of(count)
    z = max(0.0, z_of_p_value(1 - confidence_level))
    return CountingInterval(0.0, _rise_above(likelihood, z**2))


def minos(count: Count, confidence_level: float) -> CountingInterval:
    """Two-sided interval: -2 delta ln L is below the quantile of chi-square with one degree of freedom. Asymptotic.

    The signal stays physical: where the likelihood of no signal is high enough, the interval begins at 0.
    """
    likelihood = CountingLikelihood.of(count)
    level = z_of_p_value((1 - confidence_level) / 2) ** 2
    lower = 0.0
    if likelihood.rise(0.0) > level:
        lower = root(lambda signal: likelihood.rise(signal) - level, 0.0, likelihood.best_signal)
    return CountingInterval(lower, _rise_above(likelihood, level))


def _rise_above(likelihood: CountingLikelihood, level: float) -> float:
    best = likelihood.best_signal
    return crossing(lambda signal: level - likelihood.rise(signal), best, step=1 + best**0.5)


COUNTING.add("profile", CountingMethod("profile", "upper limit, profile likelihood, asymptotic", profile))
COUNTING.add("minos", CountingMethod("minos", "two-sided interval, profile likelihood, asymptotic", minos))
