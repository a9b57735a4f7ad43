"""Probabilities of a count with the background and the efficiency integrated over their log-normal uncertainties."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import logsumexp

from mlbkg.fitting.base import Array
from mlbkg.limits.counting import Count
from mlbkg.limits.poisson import log_cdf, log_pmf
from mlbkg.limits.roots import root

REACH = 9.0
"""Standard deviations of a nuisance parameter that integrals cover, on either side of where the integrand peaks."""

COARSE = 0.25
FINE = 0.4
"""Steps of the trapezoidal rule, in standard deviations of the nuisance, and in widths of the Poisson distribution. Its
error falls exponentially with the inverse step, and is below 1e-10 here."""

CHUNK = 1_000_000

NEGLIGIBLE = 45.0
"""Terms smaller by this in their logarithm than the largest are left out: a million of them make 1e-13."""


@dataclass(frozen=True)
class Nodes:
    """Factors ``exp(uncertainty * z)`` and the logarithms of their weights, which sum to one: ``(n,)`` each."""

    factor: Array
    log_weight: Array


def nodes(
    count: Count,
    signal: float,
    *,
    counts: int,
    background_centre: float = 0.0,
    efficiency_centre: float = 0.0,
    reach: float = REACH,
) -> tuple[Nodes, Nodes]:
    """Of the background, around ``background_centre``, and of the efficiency, whose measure is centred there as well.

    counts: up to how many the Poisson distributions matter that are averaged. One of the two grids is coarse: what is summed
    over the wider of the two uncertainties is smooth over the width of the other.
    """
    sigma_background, sigma_efficiency = count.background_uncertainty, count.efficiency_uncertainty
    background_wider = sigma_background * count.background >= sigma_efficiency * signal
    return (
        _grid(
            sigma_background,
            step=_fine_step(sigma_background, counts) if background_wider else COARSE,
            centre=background_centre,
            measure_centre=0.0,
            reach=reach,
        ),
        _grid(
            sigma_efficiency,
            step=COARSE if background_wider else _fine_step(sigma_efficiency, counts),
            centre=efficiency_centre,
            measure_centre=efficiency_centre,
            reach=reach,
        ),
    )


def _grid(uncertainty: float, *, step: float, centre: float, measure_centre: float, reach: float) -> Nodes:
    """A factor ``exp(uncertainty * z)`` on an even grid of ``z`` around ``centre``; ``z`` is normal around the measure's."""
    if uncertainty == 0:
        return Nodes(np.ones(1), np.zeros(1))
    half = math.ceil(reach / step)
    z = np.asarray(centre + step * np.arange(-half, half + 1), dtype=np.float64)
    return Nodes(np.exp(uncertainty * z), -0.5 * (z - measure_centre) ** 2 + math.log(step / math.sqrt(2 * math.pi)))


def _fine_step(uncertainty: float, counts: int) -> float:
    """For a nuisance that moves a Poisson distribution of that many counts by a relative ``uncertainty``."""
    return min(COARSE, FINE / max(uncertainty * math.sqrt(counts + 1.0), FINE))


@dataclass(frozen=True)
class MarginalCount:
    """Logarithm of P(N <= observed | signal), averaged over the nuisances.

    efficiency_centre: where the efficiency's nuisance is centred, in its standard deviations. An average with weights
    1 / efficiency is one around ``-efficiency_uncertainty``, up to a factor.
    """

    count: Count
    efficiency_centre: float = 0.0

    def log_cdf(self, signal: float) -> float:
        """ln of the average of P(N <= observed | efficiency * signal + background)."""
        count = self.count
        background, efficiency = nodes(
            count,
            signal,
            counts=count.observed,
            background_centre=self._background_pull,
            efficiency_centre=self.efficiency_centre,
        )
        per_chunk = max(1, CHUNK // len(efficiency.factor))
        return float(
            logsumexp(
                [
                    _log_average(
                        count.observed,
                        count.background * background.factor[rows, None] + signal * efficiency.factor,
                        background.log_weight[rows, None] + efficiency.log_weight,
                    )
                    for rows in _slices(len(background.factor), per_chunk)
                ]
            )
        )

    @cached_property
    def _background_pull(self) -> float:
        """The most probable pull of the background without signal: far below 0 where too little was counted."""
        count, sigma = self.count, self.count.background_uncertainty
        if sigma == 0:
            return 0.0

        def slope(z: float) -> float:
            mean = count.background * np.exp(sigma * z)
            hazard = np.exp(log_pmf(count.observed, mean) - log_cdf(count.observed, mean))
            return float(z + sigma * mean * hazard)

        lowest = -1.0
        while slope(lowest) > 0:
            lowest *= 2
        return root(slope, lowest, 0.0)


def count_quantile(count: Count, probability: float, *, signal: float = 0.0) -> int:
    """The smallest n with P(N <= n | signal) >= ``probability``, averaged over the nuisances."""

    def enough(n: int) -> bool:
        return MarginalCount(replace(count, observed=n)).log_cdf(signal) >= math.log(probability)

    low, high = -1, 1 + int(signal + count.background)
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _log_average(observed: int, mean: Array, log_weight: Array) -> float:
    """ln of the sum of P(N <= observed | mean) over nodes, without those that are negligible beside a single other one.

    Chernoff's bound, exp(-deviance) where the mean exceeds the count, says which: (mean - n)^2 / (2 mean) is less than the
    deviance there.
    """
    excess = np.maximum(mean - observed, 0.0)
    bound = log_weight - 0.5 * excess**2 / np.maximum(mean, np.finfo(float).tiny)
    one = np.unravel_index(np.argmax(bound), bound.shape)
    kept = bound > log_weight[one] + log_cdf(observed, mean[one]) - NEGLIGIBLE
    return float(logsumexp(log_cdf(observed, mean[kept]) + log_weight[kept]))


def _slices(length: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, length, size)]
