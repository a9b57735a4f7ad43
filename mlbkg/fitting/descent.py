"""A quick way down -2 ln L: Fisher scoring with Levenberg and Marquardt's damping, for thousands of toys and scans.

The curvature that it steps by is exact for rates and right on average for shapes, so that few steps are enough. Where the
data have none to offer, damping adds that of the experiments that are expected: an empty bin is reached in one step. It may
give up where the likelihood is far from parabolic; Minuit then takes over (:mod:`mlbkg.fitting.fit`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.fitting.base import Array
from mlbkg.fitting.likelihood import Likelihood

MAX_STEPS = 60
GOAL = 1e-7
"""Distance to the minimum, in units of -2 ln L, that counts as there."""

FIRST_DAMPING = 1e-3
MOST_DAMPING = 1e8


@dataclass(frozen=True)
class Descent:
    """``theta``: ``(n_free,)``. ``value``: -2 ln L there."""

    theta: Array
    value: float
    converged: bool


def descend(likelihood: Likelihood, start: Array) -> Descent:
    """From ``start``, ``(n_free,)``, within the parameters' bounds."""
    low, high = likelihood.bounds
    theta = np.clip(start, low, high)
    value, damping = likelihood.value(theta), 0.0
    for _ in range(MAX_STEPS):
        gradient, information = likelihood.gradient(theta), likelihood.information(theta)
        moving = ~((theta <= low) & (gradient > 0) | (theta >= high) & (gradient < 0))
        while True:
            curvature = information + damping * likelihood.expected_information(theta) if damping else information
            step = _step(gradient, curvature, moving)
            if step is not None:
                if -gradient @ step / 2 < GOAL:
                    return Descent(theta, value, damping == 0.0)
                tried = np.clip(theta + step, low, high)
                reached = likelihood.value(tried)
                if reached < value:
                    break
            damping = max(10 * damping, FIRST_DAMPING)
            if damping > MOST_DAMPING:
                return Descent(theta, value, False)
        theta, value = tried, reached
        damping = damping / 10 if damping > FIRST_DAMPING else 0.0
    return Descent(theta, value, False)


def _step(gradient: Array, curvature: Array, moving: NDArray[np.bool_]) -> Array | None:
    """``(n_free,)``; None where the curvature does not say where to go."""
    try:
        solved = np.linalg.solve(curvature[np.ix_(moving, moving)], -gradient[moving] / 2)
    except np.linalg.LinAlgError:
        return None
    step = np.zeros(len(gradient))
    step[moving] = solved
    return step if np.isfinite(solved).all() and gradient @ step <= 0 else None
