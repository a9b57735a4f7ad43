"""The covariance of fitted parameters, from exact gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlbkg.errors import FitError
from mlbkg.fitting.base import Array
from mlbkg.fitting.checks import at_limits
from mlbkg.fitting.data import Binned, Data
from mlbkg.fitting.likelihood import Likelihood

STEP = 1e-3
"""Of a parameter's error with all others fixed: the distance over which the gradient's change is taken."""

SAME = 1e-9
"""Smallest eigenvalue of the normalised information: below it two parameters do the same, to all digits of the errors."""


@dataclass(frozen=True)
class Covariance:
    """``matrix``: ``(n_free, n_free)``. ``stretch``: ``(n_free,)`` errors over those of the likelihood's curvature alone, 1
    without weights."""

    matrix: Array
    stretch: Array


def covariance(below: Likelihood, theta: Array, data: Data) -> Covariance | None:
    """At the minimum ``theta``, ``(n_free,)``; None where it is not one.

    The inverse H^-1 of half the second derivative of -2 ln L; of weighted data H^-1 C H^-1, with C the covariance of the
    first derivative of -ln L (Langenbruch, arXiv:1911.01303).

    Raises :class:`FitError` with the parameters that the data cannot tell apart, or do not feel. Not where a parameter lies
    at a limit: there others often lose their meaning (the second width of a single Gaussian) and get a huge error.
    """
    information = below.information(theta)
    size = np.sqrt(np.diag(information))
    at_limit = bool(at_limits(below, theta).any())
    if not at_limit:
        _check_determined(below, information, size)
    size = np.where(size > 0, size, 1 / below.steps)
    eigenvalues, vectors = np.linalg.eigh(_second_derivative(below, theta, STEP / size) / np.outer(size, size))
    if eigenvalues[0] <= 0 and not at_limit:
        return None
    inverse: Array = (vectors / np.maximum(eigenvalues, SAME)) @ vectors.T / np.outer(size, size)
    weighted = data.variances is not None if isinstance(data, Binned) else data.weight is not None
    matrix = inverse @ below.score_covariance(theta) @ inverse if weighted else inverse
    return Covariance(matrix, np.sqrt(np.diag(matrix) / np.diag(inverse)))


def _second_derivative(below: Likelihood, theta: Array, steps: Array) -> Array:
    """``(n_free, n_free)`` half of that of -2 ln L; at a bound, from the inner side."""
    low, high = below.bounds
    above, below_it = np.minimum(theta + steps, high), np.maximum(theta - steps, low)
    rows = []
    for index, width in enumerate(above - below_it):
        up, down = theta.copy(), theta.copy()
        up[index], down[index] = above[index], below_it[index]
        rows.append((below.gradient(up) - below.gradient(down)) / (2 * width))
    return np.asarray((np.array(rows) + np.array(rows).T) / 2)


def _check_determined(below: Likelihood, information: Array, size: Array) -> None:
    if not size.all():
        name = below.names[int(np.argmin(size))]
        raise FitError(
            f"the data do not depend on parameter '{name}' where the fit ends",
            where=name,
            hint=f"Fix or constrain '{name}', or leave out what it belongs to.",
        )
    eigenvalues, vectors = np.linalg.eigh(information / np.outer(size, size))
    if eigenvalues[0] < SAME:
        first, second = (below.names[i] for i in np.argsort(-np.abs(vectors[:, 0]))[:2])
        raise FitError(
            f"the data cannot tell the parameters '{first}' and '{second}' apart",
            where=first,
            hint="Fix or constrain one of them, or give the components different shapes.",
        )
