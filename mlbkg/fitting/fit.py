"""Maximum-likelihood fits of a model to data.

A quick descent leads to the minimum; Minuit confirms it, finds it where the descent cannot, and looks for the MINOS errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlbkg.errors import FitError
from mlbkg.fitting.base import Array
from mlbkg.fitting.checks import at_limits, check_not_empty, check_positive
from mlbkg.fitting.covariance import covariance
from mlbkg.fitting.data import Data
from mlbkg.fitting.descent import descend
from mlbkg.fitting.likelihood import Likelihood, likelihood
from mlbkg.fitting.model import Model, Parameter
from mlbkg.fitting.result import FitResult, FittedParameter, FittedYield

SPREAD = 3.0
"""Growth of the random distance from the start, in the parameters' steps, with every attempt."""


@dataclass(frozen=True)
class Minimum:
    """``theta``: ``(n_parameters,)``. ``minimum``: -2 ln L there. ``attempts``: starting points that it took."""

    theta: tuple[float, ...]
    minimum: float
    attempts: int


def minimise(model: Model, data: Data, *, attempts: int = 5, seed: int = 0) -> Minimum:
    """The best parameters without their errors, in a fraction of the time of :func:`fit`, and with data that may be none.

    Raises :class:`FitError` where ``attempts`` starting points lead nowhere.
    """
    below = likelihood(model, data)
    if not below.names:
        return Minimum(tuple(model.starts.tolist()), below.value(np.empty(0)), 1)
    for attempt, start in enumerate(_starts(below, attempts, seed), 1):
        found = descend(below, start)
        if found.converged:
            return Minimum(tuple(below.full(found.theta).tolist()), found.value, attempt)
        minuit = _migrad(below, found.theta)
        if minuit.valid:
            return Minimum(tuple(below.full(np.array(minuit.values)).tolist()), float(minuit.fval), attempt)
    raise _not_converged(below, minuit, attempts)


def fit(model: Model, data: Data, *, minos: Sequence[str] = (), attempts: int = 5, seed: int = 0) -> FitResult:
    """The best parameters with their covariance.

    minos: names of the parameters whose errors are where -2 ln L, minimised over all others, rises by 1. ``seed``: of the
    starting points after the first, which is the model's.

    Weighted data count as many candidates as they are worth, (sum w)^2 / (sum w^2). Their covariance is H^-1 C H^-1, with H
    the second derivative of -ln L and C the sum over candidates of w^2 (d ln f) (d ln f)^T: asymptotically right for any
    weights (Langenbruch, arXiv:1911.01303; in bins, w^2 summed over each). MINOS errors are stretched alike.

    Raises :class:`FitError` where there are no data, where no attempt converges, where the best model is negative, and where
    the data do not determine all parameters.
    """
    check_not_empty(data, model)
    for name in minos:
        if model.parameters[model.index(name)].fixed:
            raise FitError(f"parameter '{name}' is fixed: it has no error", where=name, hint="Leave it out of minos.")
    below = likelihood(model, data)
    if not below.names:
        return _result(below, np.empty(0), np.empty((0, 0)), {}, 1)
    for attempt, start in enumerate(_starts(below, attempts, seed), 1):
        minuit = _migrad(below, descend(below, start).theta)
        if not minuit.valid:
            continue
        theta = np.array(minuit.values)
        check_positive(model, below.full(theta).tolist())
        errors = covariance(below, theta, data)
        if errors is None:
            continue
        ranges = _minos(below, minuit, errors.stretch, minos)
        if ranges is not None:
            return _result(below, theta, errors.matrix, ranges, attempt)
    raise _not_converged(below, minuit, attempts)


def _starts(below: Likelihood, attempts: int, seed: int) -> Iterator[Array]:
    yield below.starts
    low, high = below.bounds
    for attempt in range(1, attempts):
        away = np.random.default_rng([seed, attempt]).normal(size=len(below.names))
        yield np.clip(below.starts + SPREAD**attempt * below.steps * away, low, high)


def _migrad(below: Likelihood, start: Array) -> Any:
    from iminuit import Minuit

    minuit = Minuit(below.value, start, grad=below.gradient, name=below.names)
    minuit.errordef = 1.0
    minuit.errors = below.steps
    minuit.limits = below.bounds.T
    minuit.print_level = -1  # at 0 it complains on stdout, which may carry JSON
    return minuit.migrad()


def _minos(below: Likelihood, minuit: Any, stretch: Array, names: Sequence[str]) -> dict[str, tuple[float, float]] | None:
    """Low (negative) and high error, up to the bound where it lies within; None where one was not found."""
    if names:
        minuit.minos(*names)
    errors = {}
    for name in names:
        index, found, value = below.names.index(name), minuit.merrors[name], minuit.values[name]
        at_low, at_high = at_limits(below, np.array(minuit.values))[:, index] | (found.at_lower_limit, found.at_upper_limit)
        if not ((found.lower_valid or at_low) and (found.upper_valid or at_high)):
            return None
        low, high = below.bounds[:, index]
        errors[name] = (
            float(low - value if at_low else stretch[index] * found.lower),
            float(high - value if at_high else stretch[index] * found.upper),
        )
    return errors


def _result(
    below: Likelihood, theta: Array, matrix: Array, minos: Mapping[str, tuple[float, float]], attempts: int
) -> FitResult:
    """theta: ``(n_free,)``. matrix: ``(n_free, n_free)`` covariance."""
    free = _free_parameters(below, theta, np.sqrt(np.diag(matrix)), minos)
    parameters = tuple(free.get(p.name) or _fixed(p) for p in below.model.parameters)
    everywhere = np.zeros((len(parameters), len(parameters)))
    everywhere[np.ix_(below.free, below.free)] = matrix
    return FitResult(
        parameters=parameters,
        covariance=everywhere,
        yields=_yields(below, theta, everywhere, parameters),
        minimum=below.value(theta),
        converged=True,
        attempts=attempts,
    )


def _free_parameters(
    below: Likelihood, theta: Array, errors: Array, minos: Mapping[str, tuple[float, float]]
) -> dict[str, FittedParameter]:
    found = {}
    touched = at_limits(below, theta)
    for index, (name, value, error) in enumerate(zip(below.names, theta.tolist(), errors.tolist(), strict=True)):
        error_low, error_high = minos.get(name, (-error, error))
        found[name] = FittedParameter(
            name,
            value,
            error,
            error_low,
            error_high,
            minos=name in minos,
            fixed=False,
            at_limit=bool(touched[:, index].any()),
            unit=below.model.parameters[below.free[index]].unit,
        )
    return found


def _fixed(parameter: Parameter) -> FittedParameter:
    return FittedParameter(
        parameter.name, parameter.start, 0.0, 0.0, 0.0, minos=False, fixed=True, at_limit=False, unit=parameter.unit
    )


def _yields(
    below: Likelihood, theta: Array, matrix: Array, parameters: Sequence[FittedParameter]
) -> tuple[FittedYield, ...]:
    rates, derivatives = below.rates(theta)
    errors = np.sqrt(np.maximum(np.einsum("ci,ij,cj->c", derivatives, matrix, derivatives), 0.0))
    yields = []
    for component, rate, error in zip(below.model.components, rates.tolist(), errors.tolist(), strict=True):
        name = component.rate.parameter
        down, up = _asymmetry(parameters[below.model.index(name)]) if name else (1.0, 1.0)
        yields.append(FittedYield(component.name, rate, error, -down * error, up * error))
    return tuple(yields)


def _asymmetry(parameter: FittedParameter) -> tuple[float, float]:
    """MINOS errors over the symmetric one."""
    if not parameter.error > 0:
        return 1.0, 1.0
    return -parameter.error_low / parameter.error, parameter.error_high / parameter.error


def _not_converged(below: Likelihood, minuit: Any, attempts: int) -> FitError:
    touched = at_limits(below, np.array(minuit.values)).T
    details = [
        f"'{name}' is at its limit {limit:g}"
        for name, limits, sides in zip(below.names, below.bounds.T, touched, strict=True)
        for limit in limits[sides]
    ]
    missing = f"distance to the minimum {minuit.fmin.edm:.2g}, below {minuit.fmin.edm_goal:.2g} needed"
    return FitError(
        f"the fit did not converge from {attempts} starting points; {'no errors found' if minuit.valid else missing}",
        details=details,
        hint="Start nearer the answer, move the limits, fix or constrain a parameter, or lower the order of the background.",
    )
