"""A fit model as a HistFactory workspace (JSON of pyhf's schema 1.0.0), for pyhf, cabinetry, ROOT and others to read.

One channel with the bins of the problem, one sample per component:

- a rate that a free parameter scales has a ``normfactor`` of the parameter's name, in units of its nominal value;
- a relative effect (1 + e)^nuisance is a ``normsys`` with hi = 1 + e and lo = 1 / (1 + e), which interpolation code 4 reads
  as the same exponential: exactly beyond one standard deviation, to a few 1e-5 within;
- a rate that is itself a constrained parameter, and a parameter of a shape, are a ``histosys`` with the templates at plus
  and minus one standard deviation, linear in between. A free shape parameter has them at :data:`FREE_SIGMAS` times its
  uncertainty in the fit, so that the unit constraint that HistFactory puts on it says next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mlbkg.errors import LimitError
from mlbkg.fitting.base import Array
from mlbkg.fitting.data import Binned, binned
from mlbkg.fitting.fit import fit
from mlbkg.fitting.model import Component, Model, Parameter
from mlbkg.limits.experiments import asimov_problem, conditional, nominal
from mlbkg.limits.result import Problem

Document = dict[str, Any]

CHANNEL = "fit_window"

FREE_SIGMAS = 5.0
"""Templates of a free shape parameter; its constraint adds 1 / 25 of the data's own information."""

FREE_RATE = 10.0
"""A free rate may grow to so many times its nominal value, where the model itself sets no bound."""

EMPTY_BIN = 1e-9
"""Expected candidates that stand for none: a Poisson likelihood has no logarithm where a bin expects nothing."""


def workspace(problem: Problem, *, reference: float = 1.0) -> Document:
    """The workspace of the problem's data, or of its Asimov set without signal where there are none.

    reference: value of the parameter of interest that the signal's sample is written for. The workspace counts its own
    parameter in units of it, between 0 and 10: the expected limit is a good choice. Raises :class:`LimitError` for a
    parameter of interest that is not the rate of any component, and for a reference that is not positive.
    """
    if not reference > 0:
        raise LimitError(f"the signal's reference must be positive; got {reference:g}", hint="Give the expected limit.")
    if all(component.rate.parameter != problem.poi for component in problem.model.components):
        raise LimitError(
            f"no component's rate is '{problem.poi}': it has no place in a HistFactory workspace",
            where=problem.poi,
            hint="Make the parameter of interest the rate parameter of the signal.",
        )
    counts = _counts(problem)
    return _Writer(replace(problem, data=counts), _nominal_point(problem, reference)).document(counts)


def _counts(problem: Problem) -> Binned:
    data = asimov_problem(problem, 0.0).data if problem.data is None else problem.data
    assert data is not None
    return data if isinstance(data, Binned) else binned(data, problem.edges)


def _nominal_point(problem: Problem, reference: float) -> Array:
    """``(n_parameters,)``: constrained ones where they were measured, free ones at their fit to the data without signal."""
    model = problem.model
    measured = [p.constraint is not None and not p.fixed for p in model.parameters]
    theta = np.where(measured, nominal(model), conditional(problem, 0.0))
    theta[model.index(problem.poi)] = reference
    for component in model.components:
        if (own := component.rate.parameter) is not None and theta[model.index(own)] == 0:
            theta[model.index(own)] = model.parameters[model.index(own)].step
    return theta


@dataclass(frozen=True)
class _Writer:
    """``theta``: the point that the samples are written for."""

    problem: Problem
    theta: Array

    def document(self, counts: Binned) -> Document:
        samples = [self._sample(position, component) for position, component in enumerate(self._model.components)]
        config = {"poi": self.problem.poi, "parameters": list(self._rate_parameters())}
        return {
            "version": "1.0.0",
            "channels": [{"name": CHANNEL, "samples": samples}],
            "observations": [{"name": CHANNEL, "data": counts.counts.tolist()}],
            "measurements": [{"name": "limit", "config": config}],
        }

    @property
    def _model(self) -> Model:
        return self.problem.model

    def _parameter(self, name: str) -> Parameter:
        return self._model.parameters[self._model.index(name)]

    def _sample(self, position: int, component: Component) -> Document:
        rate = component.rate
        modifiers: list[Document] = []
        if rate.parameter is not None and self._is_factor(rate.parameter):
            modifiers.append({"name": rate.parameter, "type": "normfactor", "data": None})
        for name, effect in rate.effects.items():
            if not self._parameter(name).fixed:
                modifiers.append(self._norm_sys(name, effect))
        for name in self._template_parameters(component):
            width = self._widths[name]
            up, down = self._expected(position, {name: +width}), self._expected(position, {name: -width})
            modifiers.append({"name": name, "type": "histosys", "data": {"hi_data": up, "lo_data": down}})
        return {"name": component.name, "data": self._expected(position, {}), "modifiers": modifiers}

    def _expected(self, position: int, moved: Mapping[str, float]) -> list[float]:
        theta = self.theta.copy()
        for name, distance in moved.items():
            theta[self._model.index(name)] += distance
        expected = self._model.expected(self.problem.edges, theta.tolist())[position]
        return [float(count) for count in np.maximum(expected, EMPTY_BIN)]

    def _is_factor(self, name: str) -> bool:
        parameter = self._parameter(name)
        return not parameter.fixed and (parameter.constraint is None or name == self.problem.poi)

    def _norm_sys(self, name: str, effect: float) -> Document:
        constraint = self._parameter(name).constraint
        high = (1 + effect) ** (1.0 if constraint is None else constraint.sigma)
        return {"name": name, "type": "normsys", "data": {"hi": high, "lo": 1 / high}}

    def _template_parameters(self, component: Component) -> tuple[str, ...]:
        own = component.rate.parameter
        names = dict.fromkeys(component.shape_parameters)
        if own is not None and not self._is_factor(own):
            names[own] = None
        return tuple(name for name in names if not self._parameter(name).fixed)

    @cached_property
    def _widths(self) -> dict[str, float]:
        """Parameter -> distance of its templates from the nominal one; the same either way."""
        names = {name for component in self._model.components for name in self._template_parameters(component)}
        widths = {}
        for name in names:
            parameter = self._parameter(name)
            widths[name] = self._free_width(parameter) if parameter.constraint is None else parameter.constraint.sigma
        return widths

    def _free_width(self, parameter: Parameter) -> float:
        value = self.theta[self._model.index(parameter.name)]
        room = min(parameter.high - value, value - parameter.low)
        return float(min(FREE_SIGMAS * self._errors[parameter.name], room))

    @cached_property
    def _errors(self) -> dict[str, float]:
        assert self.problem.data is not None
        background = self._model.starting_at(self.theta.tolist()).fixing({self.problem.poi: 0.0})
        return {parameter.name: parameter.error for parameter in fit(background, self.problem.data).parameters}

    def _rate_parameters(self) -> Iterator[Document]:
        own = dict.fromkeys(component.rate.parameter for component in self._model.components)
        for name in own:
            if name is None or not self._is_factor(name):
                continue
            parameter, unit = self._parameter(name), self.theta[self._model.index(name)]
            low = 0.0 if name == self.problem.poi else max(parameter.low / unit, -FREE_RATE)
            high = min(parameter.high / unit, FREE_RATE)
            yield {"name": name, "inits": [1.0], "bounds": [[float(low), float(high)]]}
