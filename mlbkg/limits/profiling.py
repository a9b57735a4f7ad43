"""The profile likelihood of the parameter of interest: -2 ln L minimised over everything else."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from mlbkg.errors import LimitError
from mlbkg.fitting.data import Data
from mlbkg.fitting.fit import Minimum, minimise
from mlbkg.fitting.model import Model
from mlbkg.limits.result import Problem

PRECISION = 1e-6
"""Of a root, relative to its distance from the best fit."""

MAX_DOUBLINGS = 60


class Profiled:
    """-2 ln L of ``data`` over the parameter of interest, all others at their best. Fits once made are kept."""

    def __init__(self, model: Model, poi: str, data: Data) -> None:
        self.model, self.data = model, data
        self.index = model.index(poi)
        self.parameter = model.parameters[self.index]
        self._at: dict[float, Minimum] = {}

    @cached_property
    def best(self) -> Minimum:
        """Minimum over all parameters, within their bounds."""
        return minimise(self.model, self.data)

    @property
    def best_value(self) -> float:
        return float(self.best.theta[self.index])

    def at(self, value: float) -> Minimum:
        """Minimum with the parameter of interest held at ``value``."""
        if value not in self._at:
            self._at[value] = minimise(self._started_near(value).fixing({self.parameter.name: value}), self.data)
        return self._at[value]

    def rise(self, value: float) -> float:
        """-2 ln [L(value) / L(best)], at least 0."""
        return max(0.0, self.at(value).minimum - self.best.minimum)

    @cached_property
    def physical_minimum(self) -> float:
        """-2 ln L of the best fit among values >= 0."""
        return self.best.minimum if self.best_value >= 0 else self.at(0.0).minimum

    def q_tilde(self, value: float) -> float:
        """Test statistic of upper limits for a parameter >= 0. Eq. (16), arXiv:1007.1727."""
        return 0.0 if self.best_value > value else max(0.0, self.at(value).minimum - self.physical_minimum)

    def rise_to(self, level: float, *, side: int) -> float:
        """Value below (``side`` -1) or above (+1) the best at which -2 delta ln L reaches ``level``, or the bound before it.

        Raises :class:`LimitError` where it never does.
        """
        from scipy.optimize import brentq

        inner, outer = self._around(level, side)
        if self.rise(outer) < level:
            return outer
        found = brentq(
            lambda value: np.sqrt(self.rise(float(value))) - np.sqrt(level),
            inner,
            outer,
            xtol=PRECISION * abs(outer - self.best_value),
        )
        return float(found)

    def physical_rise_to(self, level: float, *, side: int) -> float:
        """The same, with -2 ln L relative to the best fit among values >= 0."""
        return self.rise_to(level + max(0.0, self.physical_minimum - self.best.minimum), side=side)

    def _around(self, level: float, side: int) -> tuple[float, float]:
        """Values on either side of where -2 delta ln L reaches ``level``; the second is at most the bound."""
        bound = self.parameter.high if side > 0 else self.parameter.low
        inner, step = self.best_value, self.parameter.step
        for _ in range(MAX_DOUBLINGS):
            outer = self.best_value + side * step
            if side * (outer - bound) >= 0:
                return inner, bound
            if self.rise(outer) >= level:
                return inner, outer
            inner, step = outer, 2 * step
        raise LimitError(
            f"-2 ln L of '{self.parameter.name}' does not rise to {level:.3g} up to {outer:g}",
            where=self.parameter.name,
            hint="Look at the signal's scale: the model seems not to feel this parameter.",
        )

    def _started_near(self, value: float) -> Model:
        fits = [(abs(known - value), minimum) for known, minimum in self._at.items()]
        if "best" in self.__dict__:
            fits.append((abs(self.best_value - value), self.best))
        if not fits:
            return self.model
        return self.model.starting_at(min(fits, key=lambda fit: fit[0])[1].theta)


def observed(problem: Problem) -> Profiled:
    """The profile likelihood of the observed data. Raises :class:`LimitError` where there are none."""
    if problem.data is None:
        raise LimitError(
            "there are no data to compute this from", hint="Give Problem(data=...), or ask for what is expected."
        )
    return Profiled(problem.model, problem.poi, problem.data)
