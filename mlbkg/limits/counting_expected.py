"""What a counting method gives without a signal, and how often its intervals hold a signal that is there."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from scipy.special import ndtr

from mlbkg.errors import ConfigError
from mlbkg.limits.counting import Count, CountingInterval, counting_interval, not_negative
from mlbkg.limits.counting_marginal import count_quantile
from mlbkg.limits.poisson import log_pmf
from mlbkg.limits.result import Band

N_SIGMA = (-2, -1, 0, 1, 2)
UNLIKELY = 1e-9
MOST_COUNTS = 20_000
FEWEST_EXPERIMENTS = 2


@dataclass(frozen=True)
class Coverage:
    """Share of experiments whose interval holds the true signal. ``error``: statistical, 0 where all counts were gone
    through."""

    value: float
    error: float = 0.0


def expected_band(count: Count, *, method: str, confidence_level: float, toys: int = 0, seed: int = 0) -> Band:
    """Upper limits at the quantiles of the count in background-only experiments; ``count.observed`` is not used.

    Limits rise with the count, so that its quantiles give those of the limit: exactly, in the steps in which limits come. An
    uncertain background is averaged over. Raises as :func:`~mlbkg.limits.counting.counting_interval`.
    """
    counts = [count_quantile(count, float(ndtr(n_sigma))) for n_sigma in N_SIGMA]
    limits = {
        n: counting_interval(
            replace(count, observed=n), method=method, confidence_level=confidence_level, toys=toys, seed=seed
        ).upper
        for n in set(counts)
    }
    return Band(*(limits[n] for n in counts))


def coverage(count: Count, *, signal: float, method: str, confidence_level: float) -> Coverage:
    """Exact, for nuisances at their nominal values: the sum over all counts. ``count.observed`` is not used.

    Raises :class:`ConfigError` where so many counts are possible that :func:`coverage_by_toys` is the way.
    """
    not_negative(signal, "the signal")
    known = Count(0, count.background)
    first = count_quantile(known, UNLIKELY, signal=signal)
    last = count_quantile(known, 1 - UNLIKELY, signal=signal)
    if last - first > MOST_COUNTS:
        raise ConfigError(f"{last - first} counts are too many to go through", hint="Take coverage_by_toys.")
    held = [
        n
        for n in range(first, last + 1)
        if _holds(counting_interval(replace(count, observed=n), method=method, confidence_level=confidence_level), signal)
    ]
    return Coverage(float(np.exp(log_pmf(np.array(held), signal + count.background)).sum()))


def coverage_by_toys(
    count: Count, *, signal: float, method: str, confidence_level: float, experiments: int, seed: int = 0
) -> Coverage:
    """In each experiment the count fluctuates, and so do the measurements of the background and of the efficiency.

    The true background and efficiency are ``count.background`` and 1; what was measured of them is log-normal around, with
    the relative uncertainties of ``count``. ``count.observed`` is not used.
    """
    not_negative(signal, "the signal")
    if experiments < FEWEST_EXPERIMENTS:
        raise ConfigError(f"at least {FEWEST_EXPERIMENTS} experiments are needed; got {experiments}")
    generator = np.random.default_rng(seed)
    counts = generator.poisson(signal + count.background, size=experiments)
    backgrounds = count.background * np.exp(count.background_uncertainty * generator.standard_normal(experiments))
    efficiencies = np.exp(count.efficiency_uncertainty * generator.standard_normal(experiments))
    interval = cache(partial(counting_interval, method=method, confidence_level=confidence_level))
    held = [
        _holds(interval(replace(count, observed=int(n), background=float(background))), signal * float(efficiency))
        for n, background, efficiency in zip(counts, backgrounds, efficiencies, strict=True)
    ]
    share = float(np.mean(held))
    return Coverage(share, math.sqrt(share * (1 - share) / experiments))


def _holds(interval: CountingInterval, signal: float) -> bool:
    return interval.lower <= signal <= interval.upper
