"""What each systematic uncertainty does: to the fitted parameter of interest, and to the expected limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlbkg.fitting.fit import fit, minimise
from mlbkg.fitting.model import Model, Parameter
from mlbkg.limits.asymptotic import expected_median
from mlbkg.limits.experiments import asimov_problem, conditional
from mlbkg.limits.result import Impact, Problem


def nuisances(model: Model) -> tuple[Parameter, ...]:
    """The constrained parameters that are not fixed: the systematic uncertainties."""
    return tuple(parameter for parameter in model.parameters if parameter.constraint is not None and not parameter.fixed)


def impacts(problem: Problem, *, signal: float = 0.0) -> tuple[Impact, ...]:
    """Largest first. Without data, of the Asimov set with ``signal`` as the parameter of interest.

    A nuisance is held at its fitted value plus or minus its uncertainty after the fit, and everything else is fitted again.
    """
    looked_at = asimov_problem(problem, signal) if problem.data is None else problem
    data = looked_at.data
    assert data is not None
    fitted = fit(looked_at.model, data)
    started = looked_at.model.starting_at(fitted.theta)
    index = started.index(problem.poi)

    def moved(name: str, value: float) -> float:
        refitted = minimise(started.fixing({name: value}), data)
        return float(refitted.theta[index]) - fitted.values[problem.poi]

    found = []
    for parameter in nuisances(problem.model):
        assert parameter.constraint is not None
        after, before = fitted[parameter.name], parameter.constraint
        found.append(
            Impact(
                parameter.name,
                up=moved(parameter.name, after.value + after.error),
                down=moved(parameter.name, after.value - after.error),
                pull=(after.value - before.mean) / before.sigma,
                constraint=after.error / before.sigma,
            )
        )
    return tuple(sorted(found, key=lambda impact: -impact.size))


def statistical(problem: Problem) -> Problem:
    """The problem without systematic uncertainties: constrained parameters fixed at their best fit to the data without
    signal, nominal where there are no data. Free parameters, such as the background's rate and shape, stay free."""
    return _holding(problem, tuple(parameter.name for parameter in nuisances(problem.model)))


def expected_without(problem: Problem, *, confidence_level: float) -> Mapping[str, float]:
    """Nuisance -> expected median CLs limit when it is exactly known; compare with the limit with all of them."""
    return {
        parameter.name: expected_median(_holding(problem, (parameter.name,)), confidence_level=confidence_level)
        for parameter in nuisances(problem.model)
    }


def _holding(problem: Problem, names: tuple[str, ...]) -> Problem:
    theta = conditional(problem, 0.0)
    values = {name: float(theta[problem.model.index(name)]) for name in names}
    return replace(problem, model=problem.model.starting_at(theta.tolist()).fixing(values))
