"""Bayesian upper limits: a flat prior for the parameter of interest from 0, nuisance parameters marginalised."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from mlbkg.errors import LimitError
from mlbkg.fitting.base import Array
from mlbkg.limits.experiments import conditional, shifted
from mlbkg.limits.marginal import Marginal
from mlbkg.limits.profiling import Profiled, observed
from mlbkg.limits.result import Limit, Problem
from mlbkg.limits.scan import N_SIGMA, alpha_of, band

log = logging.getLogger(__name__)

GRID_POINTS = 33
"""Values of the parameter of interest at which the nuisance parameters are marginalised: Chebyshev's."""

FINE_POINTS = 10001
TAIL = 28.0
"""Rise of the profiled -2 ln L at which the posterior ends: 1e-6 of its height."""

NEGLIGIBLE = 1e-3
"""Of the posterior's height: below it the number of effective draws does not matter."""

ENOUGH_DRAWS = 50.0
FIRST_DRAWS, MOST_DRAWS = 128, 8192
"""Quasi-random: 128 give the limit to a few 1e-4 where the posterior is nearly normal."""

RATE_DRAWS = 2048
"""Where only rates move, which costs next to nothing: shapes are worked out draw by draw."""


@dataclass(frozen=True)
class Posterior:
    """``values`` of the parameter of interest, the posterior's ``density`` there and its integral up to there, ``(n,)``.

    effective_draws: of the importance sampling, the least of all values that matter; infinite without nuisance parameters.
    """

    values: Array
    density: Array
    cumulative: Array
    effective_draws: float

    def quantile(self, probability: float) -> float:
        return float(np.interp(probability, self.cumulative, self.values))


def bayesian_limit(problem: Problem, *, confidence_level: float, seed: int = 0) -> Limit:
    """Observed limit (None without data) and expected band.

    Priors: flat for the parameter of interest from 0 to its upper bound, flat for free parameters between their bounds, the
    constraints for the others. The band is that of Asimov sets with fluctuations of the background by 0, 1 and 2 standard
    deviations, see :func:`mlbkg.limits.experiments.shifted`: good to a few per cent from about ten candidates.
    ``seed``: of the draws. Raises :class:`LimitError` where the draws miss the posterior.
    """
    alpha_of(confidence_level)
    theta = conditional(problem, 0.0)
    expected = [
        _posterior(observed(shifted(problem, n_sigma, theta=theta)), seed).quantile(confidence_level) for n_sigma in N_SIGMA
    ]
    seen = None if problem.data is None else posterior(problem, seed=seed).quantile(confidence_level)
    return Limit("bayesian", confidence_level, observed=seen, expected=band(expected))


def posterior(problem: Problem, *, seed: int = 0) -> Posterior:
    """Of the parameter of interest. Raises :class:`LimitError` without data, and where draws miss it."""
    return _posterior(observed(problem), seed)


def _posterior(data: Profiled, seed: int) -> Posterior:
    low, high = _range(data)
    values = low + (high - low) * np.sin(np.linspace(0, np.pi / 2, GRID_POINTS)) ** 2
    draws = _first_draws(data)
    while True:
        marginal = Marginal(data, draws=draws, seed=seed)
        points = [marginal.at(float(value)) for value in values]
        logs = np.array([point.log_likelihood for point in points])
        matters = logs > logs.max() + np.log(NEGLIGIBLE)
        effective = float(min(point.effective_draws for point, counts in zip(points, matters, strict=True) if counts))
        if effective >= ENOUGH_DRAWS:
            break
        draws *= 4
        if draws > MOST_DRAWS:
            raise _missed(data, effective, draws // 4)
    log.info("posterior of '%s': %.0f effective of %d draws per value", data.parameter.name, effective, draws)
    return _interpolated(values, logs, effective)


def _first_draws(data: Profiled) -> int:
    model = data.model
    moving = (name for component in model.components for name in component.shape_parameters)
    return RATE_DRAWS if all(model.parameters[model.index(name)].fixed for name in moving) else FIRST_DRAWS


def _range(data: Profiled) -> tuple[float, float]:
    """Where the profile likelihood is not negligible, within values >= 0."""
    high = data.physical_rise_to(TAIL, side=+1)
    low = data.physical_rise_to(TAIL, side=-1) if data.best_value > 0 else 0.0
    return max(low, 0.0), high


def _interpolated(values: Array, logs: Array, effective: float) -> Posterior:
    """The polynomial through all of them: at Chebyshev points it converges as fast as a smooth posterior allows."""
    from numpy.polynomial import Chebyshev

    low, high = values[0], values[-1]
    polynomial = Chebyshev.fit(values, np.exp(logs - logs.max()), len(values) - 1, domain=[low, high])
    integral = polynomial.integ(lbnd=low)
    fine, total = np.linspace(low, high, FINE_POINTS), float(integral(high))
    cumulative = np.maximum.accumulate(integral(fine) / total)
    return Posterior(fine, np.maximum(polynomial(fine) / total, 0.0), cumulative, effective)


def _missed(data: Profiled, effective: float, draws: int) -> LimitError:
    return LimitError(
        f"only {effective:.0f} of {draws} draws per value of '{data.parameter.name}' count: the posterior of the nuisance "
        "parameters is far from the normal that they are drawn around",
        where=data.parameter.name,
        hint="Give free parameters bounds or constraints, or use the method cls.",
    )
