"""A likelihood with its nuisance parameters integrated out, by importance sampling for each value of interest.

Draws come from a multivariate t distribution around the conditional best fit, as wide as the likelihood's second derivative
says. They are the same quasi-random points (Sobol, scrambled) for every value, so that what they miss cancels in ratios.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlbkg.errors import LimitError
from mlbkg.fitting.base import Array
from mlbkg.fitting.batch import Batch
from mlbkg.fitting.likelihood import likelihood
from mlbkg.limits.profiling import Profiled

DEGREES_OF_FREEDOM = 8
"""Of the t distribution: tails heavier than any posterior here, with few draws lost to them."""

UNKNOWN_STEPS = 3.0
"""Width, in its step, of the draws of a parameter that the data say nothing about."""


@dataclass(frozen=True)
class Marginalised:
    """``log_likelihood``: up to a constant that is the same for all values. ``effective_draws``: (sum w)^2 / sum w^2."""

    log_likelihood: float
    effective_draws: float


class Marginal:
    """``draws``: a power of 2."""

    def __init__(self, data: Profiled, *, draws: int, seed: int) -> None:
        self._data = data
        self._batch = Batch(data.model, data.data)
        free = [i for i, parameter in enumerate(data.model.parameters) if not parameter.fixed and i != data.index]
        self._free = np.array(free, dtype=np.intp)
        self._points, self._log_density = _student(draws, len(free), seed)

    def at(self, value: float) -> Marginalised:
        """Raises :class:`LimitError` where the parameter's value makes the data impossible."""
        from scipy.special import logsumexp

        theta = np.array(self._data.at(value).theta)
        if not len(self._free):
            return Marginalised(float(-self._batch(theta[None, :])[0] / 2), np.inf)
        root = self._root(value, theta)
        drawn = np.tile(theta, (len(self._points), 1))
        drawn[:, self._free] += self._points @ root.T
        log_weight = -self._batch(drawn) / 2 - self._log_density
        if not np.isfinite(log_weight).any():
            raise LimitError(
                f"no draw of the nuisance parameters is possible at {self._data.parameter.name} = {value:g}",
                where=self._data.parameter.name,
                hint="Look at the bounds of the fit's parameters: the best fit seems to lie at several of them.",
            )
        total = logsumexp(log_weight)
        return Marginalised(float(total + np.log(np.diag(root)).sum()), float(np.exp(2 * total - logsumexp(2 * log_weight))))

    def _root(self, value: float, theta: Array) -> Array:
        """``(n_free, n_free)`` lower triangular root of the covariance around ``theta``."""
        model = self._data.model.fixing({self._data.parameter.name: value})
        information = likelihood(model, self._data.data).information(theta[self._free])
        try:
            return _inverse_root(information)
        except np.linalg.LinAlgError:
            steps = np.array([self._data.model.parameters[i].step for i in self._free])
            return _inverse_root(information + np.diag((UNKNOWN_STEPS * steps) ** -2.0))


def _inverse_root(information: Array) -> Array:
    """Raises :class:`numpy.linalg.LinAlgError` where a direction has no information."""
    scale = 1 / np.sqrt(np.maximum(np.diag(information), 1e-300))
    covariance = np.linalg.inv(information * np.outer(scale, scale))
    root: Array = scale[:, None] * np.linalg.cholesky((covariance + covariance.T) / 2)
    return root


def _student(draws: int, dimensions: int, seed: int) -> tuple[Array, Array]:
    """``(draws, dimensions)`` points of a unit t distribution, and the logarithm of its density up to a constant."""
    from scipy.stats import chi2, norm, qmc

    uniform = qmc.Sobol(dimensions + 1, seed=seed).random(draws)
    uniform = np.clip(uniform, 1e-12, 1 - 1e-12)
    radius = np.sqrt(DEGREES_OF_FREEDOM / chi2.ppf(uniform[:, :1], DEGREES_OF_FREEDOM))
    points = norm.ppf(uniform[:, 1:]) * radius
    squared = (points**2).sum(axis=1)
    return points, -(DEGREES_OF_FREEDOM + dimensions) / 2 * np.log1p(squared / DEGREES_OF_FREEDOM)
