"""Intervals, upper limits and significances from the profile likelihood alone: -2 delta ln L against its chi-square law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlbkg.errors import LimitError
from mlbkg.fitting.base import Array
from mlbkg.limits.experiments import conditional, shifted
from mlbkg.limits.profiling import Profiled, observed
from mlbkg.limits.result import Limit, Problem
from mlbkg.limits.scan import N_SIGMA, alpha_of, band


@dataclass(frozen=True)
class Interval:
    """``low`` and ``high`` are the parameter's bounds where -2 delta ln L does not reach its level before them."""

    confidence_level: float
    low: float
    best: float
    high: float


@dataclass(frozen=True)
class LikelihoodScan:
    """``values`` of the parameter of interest and -2 delta ln L there, both ``(n,)``; ``best``: where it is 0."""

    values: Array
    rise: Array
    best: float


@dataclass(frozen=True)
class Discovery:
    """Test of "no signal": statistic q0, significance in standard deviations, one-sided p value."""

    q0: float
    significance: float
    p_value: float


def profile_limit(problem: Problem, *, confidence_level: float) -> Limit:
    """Upper limit where -2 ln [L / L(best within >= 0)] reaches the square of the normal's one-sided quantile.

    It undercovers after downward fluctuations: quote it beside CLs, not instead. The band is that of Asimov sets with
    fluctuations of the background, see :func:`mlbkg.limits.experiments.shifted`.
    """
    alpha = alpha_of(confidence_level)
    theta = conditional(problem, 0.0)
    expected = [_upper(observed(shifted(problem, n_sigma, theta=theta)), alpha) for n_sigma in N_SIGMA]
    seen = None if problem.data is None else _upper(observed(problem), alpha)
    return Limit("profile", confidence_level, observed=seen, expected=band(expected))


def profile_interval(problem: Problem, *, confidence_level: float) -> Interval:
    """Two-sided: -2 delta ln L is below the chi-square quantile of one degree of freedom; negative values are allowed for as
    far as the parameter's bounds do. Raises :class:`LimitError` without data."""
    from scipy.stats import chi2

    if not 0 < confidence_level < 1:
        raise LimitError(f"the confidence level must be between 0 and 1; got {confidence_level:g}")
    data, level = observed(problem), float(chi2.ppf(confidence_level, 1))
    return Interval(
        confidence_level,
        low=data.rise_to(level, side=-1),
        best=data.best_value,
        high=data.rise_to(level, side=+1),
    )


def likelihood_scan(problem: Problem, *, points: int = 41, n_sigma: float = 3.0) -> LikelihoodScan:
    """-2 delta ln L between the values where it reaches ``n_sigma`` squared. Raises :class:`LimitError` without data."""
    data = observed(problem)
    low, high = (data.rise_to(n_sigma**2, side=side) for side in (-1, +1))
    values = np.linspace(low, high, points)
    return LikelihoodScan(values, np.array([data.rise(float(value)) for value in values]), data.best_value)


def discovery(problem: Problem) -> Discovery:
    """q0 and its asymptotic p value, Eqs. (12), (52), (53), arXiv:1007.1727. Raises :class:`LimitError` without data.

    What is expected: give it :func:`mlbkg.limits.experiments.asimov_problem` with a signal.
    """
    from scipy.stats import norm

    data = observed(problem)
    q0 = data.rise(0.0) if data.best_value > 0 else 0.0
    return Discovery(q0, float(np.sqrt(q0)), float(norm.sf(np.sqrt(q0))))


def _upper(data: Profiled, alpha: float) -> float:
    from scipy.stats import norm

    return data.physical_rise_to(float(norm.isf(alpha)) ** 2, side=+1)
