"""The likelihood of a common signal in several counting experiments, its nuisance parameters integrated out.

Of data set i the mean count is mu p_i exp(u_i) + b_i exp(w_i). The exponents (u, w) are normal; their covariance holds what
the data sets share. So there are two nuisances for each data set, however many effects there are. They are integrated by
importance sampling for each value of mu, with the same quasi-random points for all, so that what they miss cancels: half of
the points lie around the conditional best fit, as wide as its curvature says, and half where the prior is (a defensive
mixture), which leaves no room for tails and second maxima that the first half misses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logsumexp, ndtri

from mlbkg.limits.hypotheses import Array, Counts, Experiments
from mlbkg.limits.many_background import Backgrounds

Mask = NDArray[np.bool_]

MOST_STEPS = 30
LONGEST_STEP = 2.0
SETTLED = 1e-3
"""Of Newton's method: steps of the pulls, in standard deviations."""

FARTHEST_PULL = 35.0
LEAST_MEAN = 1e-300


@dataclass(frozen=True)
class Rates:
    """Of ``n`` hypotheses in ``k`` data sets. per_unit: ``(n, k)`` signal for mu = 1.

    log_background: ``(n, k)`` of the median, or where the background is ``exponential`` of its mean. root: ``(n, 2k, 2k)``
    takes independent standard normal pulls to the exponents of signals and backgrounds.
    """

    per_unit: Array
    log_background: Array
    exponential: Mask
    root: Array

    @classmethod
    def of(cls, experiments: Sequence[Experiments], per_unit: Array) -> Rates:
        """``per_unit``: ``(n, k)``. A data set in which no signal would be seen is left out where that is so."""
        backgrounds = [Backgrounds.of(one) for one in experiments]
        useful = per_unit > 0
        median = np.stack([one.median for one in backgrounds], axis=1)
        weight = np.stack([one.weight for one in backgrounds], axis=1)
        exponential = useful & (weight > 0)
        with np.errstate(divide="ignore"):
            log_background = np.where(useful, np.log(np.where(exponential, weight, median)), -np.inf)
        root = _root(_covariance(experiments, useful, exponential))
        return cls(per_unit, log_background, exponential, root)

    def take(self, rows: Counts) -> Rates:
        return Rates(self.per_unit[rows], self.log_background[rows], self.exponential[rows], self.root[rows])

    def means(self, mu: Array, pulls: Array) -> tuple[Array, Array]:
        """Signals and backgrounds ``(n, m, ..., k)`` for ``(n, m)`` values of mu and ``(n, m, ..., 2k)`` pulls."""
        extra = (1,) * (pulls.ndim - 3)
        exponents = pulls.reshape(len(pulls), -1, pulls.shape[-1]) @ np.swapaxes(self.root, 1, 2)
        exponents = exponents.reshape(pulls.shape)
        k = self.per_unit.shape[1]
        over = (len(pulls), 1, *extra, k)
        signal = mu.reshape(*mu.shape, *extra, 1) * self.per_unit.reshape(over) * np.exp(exponents[..., :k])
        own = exponents[..., k:]
        if self.exponential.any():
            own = np.where(self.exponential.reshape(over), _log_exponential(own), own)
        return signal, np.exp(self.log_background.reshape(over) + own)

    def steepness(self, pulls: Array) -> Array:
        """``(n, m, k)`` derivative of the logarithm of the background with respect to its exponent: 1 if log-normal."""
        if not self.exponential.any():
            return np.ones((*pulls.shape[:-1], self.per_unit.shape[1]))
        own = (pulls @ np.swapaxes(self.root, 1, 2))[..., self.per_unit.shape[1] :]
        return np.where(self.exponential[:, None, :], _exponential_steepness(own), 1.0)


def _covariance(experiments: Sequence[Experiments], useful: Mask, exponential: Mask) -> Array:
    """``(n, 2k, 2k)`` of the exponents; the exponent of an exponential background is a pull of its own."""
    n, k = useful.shape
    effects: dict[str, Array] = {}
    covariance = np.zeros((n, 2 * k, 2 * k))
    for i, one in enumerate(experiments):
        own_signal, own_background = one.signal_uncertainty**2, one.background_uncertainty**2
        for effect in one.effects:
            shared = effects.setdefault(effect.name, np.zeros((n, 2 * k)))
            shared[:, i] += effect.signal
            shared[:, k + i] += effect.background
            own_signal, own_background = own_signal - effect.signal**2, own_background - effect.background**2
        covariance[:, i, i] = np.maximum(own_signal, 0.0)
        covariance[:, k + i, k + i] = np.maximum(own_background, 0.0)
    for shared in effects.values():
        covariance += shared[:, :, None] * shared[:, None, :]
    present = np.concatenate([useful, useful & ~exponential], axis=1)
    covariance *= present[:, :, None] & present[:, None, :]
    covariance[:, range(k, 2 * k), range(k, 2 * k)] += exponential
    return covariance


def _root(covariance: Array) -> Array:
    """Symmetric; of matrices that may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]) @ np.swapaxes(vectors, 1, 2))


def _log_exponential(pull: Array) -> Array:
    """ln of an exponential variable of mean 1, as a function of a standard normal one."""
    return np.asarray(np.log(-log_ndtr(-np.clip(pull, -FARTHEST_PULL, FARTHEST_PULL))))


def _exponential_steepness(pull: Array) -> Array:
    pull = np.clip(pull, -FARTHEST_PULL, FARTHEST_PULL)
    log_tail = log_ndtr(-pull)
    return np.asarray(np.exp(-(pull**2) / 2 - np.log(2 * np.pi) / 2 - log_tail) / -log_tail)


@dataclass(frozen=True)
class BestFit:
    """pulls: ``(n, m, d)``. root: ``(n, m, d, d)`` lower triangular, of the curvature of -ln L there. log_likelihood:
    ``(n, m)``, the pulls' normal density included; constants in mu are left out."""

    pulls: Array
    root: Array
    log_likelihood: Array

    @property
    def laplace(self) -> Array:
        """``(n, m)`` ln of the integral over the pulls, approximately."""
        return np.asarray(self.log_likelihood - np.log(np.diagonal(self.root, axis1=2, axis2=3)).sum(axis=2))


def best_fit(rates: Rates, counts: Array, mu: Array) -> BestFit:
    """Of the pulls for ``(n, m)`` values of mu. ``counts``: ``(n, k)``.

    Newton's method with the curvature kept positive. It need not have settled: sampling corrects for that.
    """
    pulls = np.zeros((*mu.shape, rates.root.shape[1]))
    for _ in range(MOST_STEPS):
        slope, curvature = _derivatives(rates, counts, mu, pulls)
        step = np.linalg.solve(curvature, slope[..., None])[..., 0]
        step *= np.minimum(1.0, LONGEST_STEP / np.maximum(np.abs(step).max(axis=-1, keepdims=True), LEAST_MEAN))
        pulls = pulls + step
        if np.abs(step).max() < SETTLED:
            break
    curvature = _derivatives(rates, counts, mu, pulls)[1]
    value = log_counts(rates, counts, mu, pulls) - (pulls**2).sum(axis=-1) / 2
    return BestFit(pulls, np.asarray(np.linalg.cholesky(curvature), dtype=np.float64), value)


def log_counts(rates: Rates, counts: Array, mu: Array, pulls: Array) -> Array:
    """``(n, m, ...)`` ln of the product of the Poisson probabilities, without the counts' factorials."""
    signal, background = rates.means(mu, pulls)
    mean = np.maximum(signal + background, LEAST_MEAN)
    counts = counts.reshape(len(counts), *(1,) * (pulls.ndim - 2), counts.shape[1])
    return np.asarray((counts * np.log(mean) - mean).sum(axis=-1))


def _derivatives(rates: Rates, counts: Array, mu: Array, pulls: Array) -> tuple[Array, Array]:
    """Slope ``(n, m, d)`` of ln L in the pulls, and a positive curvature ``(n, m, d, d)`` of -ln L."""
    signal, background = rates.means(mu, pulls)
    mean = np.maximum(signal + background, LEAST_MEAN)
    ratio = counts[:, None, :] / mean
    parts = np.concatenate([signal, background * rates.steepness(pulls)], axis=-1)
    excess = np.concatenate([ratio - 1, ratio - 1], axis=-1)
    root = rates.root[:, None, :, :]
    slope = ((parts * excess)[..., None, :] @ root)[..., 0, :] - pulls
    k = counts.shape[1]
    along = parts[..., None] * root
    both = (along[..., :k, :] + along[..., k:, :]) * (np.sqrt(counts[:, None, :]) / mean)[..., None]
    own = along * (np.maximum(-excess, 0.0) / np.maximum(parts, LEAST_MEAN))[..., None]
    curvature = np.swapaxes(both, -1, -2) @ both + np.swapaxes(own, -1, -2) @ along
    return slope, curvature + np.eye(root.shape[-1])


@dataclass(frozen=True)
class Points:
    """``(draws, d)`` quasi-random standard normal."""

    normal: Array

    @classmethod
    def draw(cls, draws: int, dimensions: int, seed: int) -> Points:
        """``draws``: a power of 2."""
        from scipy.stats import qmc

        uniform = qmc.Sobol(dimensions, seed=seed).random(draws)
        return cls(np.asarray(ndtri(np.clip(uniform, 1e-12, 1 - 1e-12))))


def log_marginal(rates: Rates, counts: Array, mu: Array, points: Points) -> Array:
    """``(n, m)`` ln of the likelihood at ``(n, m)`` values of mu, the pulls integrated out; up to a constant of each row."""
    best = best_fit(rates, counts, mu)
    inverse = np.linalg.inv(best.root)
    around = best.pulls[:, :, None, :] + points.normal @ inverse
    prior = np.broadcast_to(points.normal, around.shape)
    pulls = np.concatenate([around, prior], axis=2)
    log_prior = -(pulls**2).sum(axis=-1) / 2
    log_around = _log_density(best, pulls)
    log_proposal = np.logaddexp(log_around, log_prior)
    return np.asarray(logsumexp(log_counts(rates, counts, mu, pulls) + log_prior - log_proposal, axis=-1))


def _log_density(best: BestFit, pulls: Array) -> Array:
    """ln of the normal density around the best fit, relative to the prior's normalisation."""
    standard = (pulls - best.pulls[:, :, None, :]) @ best.root
    log_scale = np.log(np.diagonal(best.root, axis1=2, axis2=3)).sum(axis=2)
    return np.asarray(log_scale[:, :, None] - (standard**2).sum(axis=-1) / 2)
