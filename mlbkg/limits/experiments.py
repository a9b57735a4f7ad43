"""Experiments that stand for what is expected: Asimov sets without signal, and their typical fluctuations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlbkg.errors import LimitError
from mlbkg.fitting.base import Array
from mlbkg.fitting.data import Binned
from mlbkg.fitting.model import Model
from mlbkg.fitting.toys import asimov
from mlbkg.limits.profiling import Profiled, observed
from mlbkg.limits.result import Problem

SHIFT_STEPS = 8
SHIFT_PRECISION = 0.01
"""Of the significance of a shifted set, in standard deviations."""


def nominal(model: Model) -> Array:
    """``(n_parameters,)``: constrained parameters where they were measured, the others at their starts."""
    return np.array(
        [p.start if p.fixed or p.constraint is None else p.constraint.mean for p in model.parameters], dtype=np.float64
    )


def conditional(problem: Problem, value: float) -> Array:
    """``(n_parameters,)`` with the parameter of interest at ``value``.

    The others are at their best fit to the data, nominal where there are none.
    """
    if problem.data is not None:
        return np.array(observed(problem).at(value).theta)
    theta = nominal(problem.model)
    theta[problem.model.index(problem.poi)] = value
    return theta


def measured_at(model: Model, theta: Array) -> Model:
    """The model of an experiment that measures every constrained parameter at its value in ``theta``."""
    centres = {
        parameter.name: float(value)
        for parameter, value in zip(model.parameters, theta, strict=True)
        if parameter.constraint is not None and not parameter.fixed
    }
    return model.with_centres(centres).starting_at(theta.tolist())


def asimov_problem(problem: Problem, value: float, *, theta: Array | None = None) -> Problem:
    """The problem with its data replaced by what is expected with the parameter of interest at ``value``.

    theta: ``(n_parameters,)`` the other parameters; without it, those of :func:`conditional` without a signal. The
    constraints are centred on them, Sec. 3.2 of arXiv:1007.1727. A bin that would hold less than nothing is empty.
    """
    truth = np.array(conditional(problem, 0.0) if theta is None else theta)
    truth[problem.model.index(problem.poi)] = value
    experiment = asimov(problem.model, truth.tolist(), problem.edges)
    filled = Binned(experiment.edges, np.maximum(experiment.counts, 0.0))
    return replace(problem, model=measured_at(problem.model, truth), data=filled)


def asimov_profile(problem: Problem, value: float = 0.0, *, theta: Array | None = None) -> Profiled:
    return observed(asimov_problem(problem, value, theta=theta))


def typical_sigma(background: Profiled) -> float:
    """Standard deviation of the parameter of interest without signal, from its Asimov set; Eq. (31), arXiv:1007.1727.

    Raises :class:`LimitError` where the likelihood does not depend on the parameter.
    """
    parameter = background.parameter
    value = min(parameter.step, parameter.high)
    for _ in range(SHIFT_STEPS):
        q = background.q_tilde(value)
        if 0.25 < q < 25 or (q > 0 and value >= parameter.high):
            return float(value / np.sqrt(q))
        value = min(value / np.sqrt(q) if q > 1e-8 else 1e3 * value, parameter.high)
    raise LimitError(
        f"the likelihood hardly depends on '{parameter.name}': -2 ln L rises by {q:.3g} from 0 to {value:g}",
        where=parameter.name,
        hint="Give the parameter a step of about its uncertainty, and see that the signal's rate is not zero.",
    )


def shifted(problem: Problem, n_sigma: float, *, theta: Array | None = None) -> Problem:
    """The problem with data as they would be without signal, but fluctuated by ``n_sigma`` in the parameter of interest.

    An Asimov set with so much signal, or so little, that -2 ln [L(0) / L(best)] is n_sigma^2: as large as a fluctuation of
    the background makes it, Eq. (12) of arXiv:1007.1727. Where even empty bins are not as far away, they are taken.
    """
    truth = conditional(problem, 0.0) if theta is None else theta
    background = asimov_problem(problem, 0.0, theta=truth)
    if n_sigma == 0:
        return background
    value = n_sigma * typical_sigma(observed(background))
    for _ in range(SHIFT_STEPS):
        experiment = asimov_problem(problem, value, theta=truth)
        reached = np.sqrt(observed(_without_lower_bound(experiment)).rise(0.0))
        if abs(reached - abs(n_sigma)) < SHIFT_PRECISION:
            break
        value *= abs(n_sigma) / reached
    return experiment


def _without_lower_bound(problem: Problem) -> Problem:
    parameters = tuple(replace(p, low=-np.inf) if p.name == problem.poi else p for p in problem.model.parameters)
    return replace(problem, model=replace(problem.model, parameters=parameters))
