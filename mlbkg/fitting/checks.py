"""What data must have before a fit, and a minimum after it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import FitError
from mlbkg.fitting.base import Array
from mlbkg.fitting.data import Binned, Data, Unbinned
from mlbkg.fitting.likelihood import GUARDS, Likelihood
from mlbkg.fitting.model import Model

ROUNDING = 1e-9
"""Expected candidates between two points, or share of a shape, that may be missing."""

AT_LIMIT = 0.01
"""Distance from a bound, in the parameter's steps, that counts as lying at it."""

HINT = "Choose a shape that is positive everywhere (bernstein, exponential), a lower order, or a narrower fit.window."


def check_positive(model: Model, theta: Sequence[float]) -> None:
    """Raises :class:`FitError` with the component, the place and the value where a shape, or the sum, is negative."""
    x = model.window.edges(GUARDS - 1)
    rates, densities = model.rates(theta), model.densities(x, theta)
    for component, rate, density in zip(model.components, rates, densities, strict=True):
        lowest = int(np.argmin(density * np.sign(rate)))
        value = density[lowest] / rate if rate else 0.0
        if value * model.window.width < -ROUNDING:
            raise FitError(
                f"the shape of component '{component.name}' is negative: {value:.3g} at x = {x[lowest]:g}; "
                f"its mean over the fit window is {1 / model.window.width:.3g}",
                where=component.name,
                hint=HINT,
            )
    total = densities.sum(axis=0)
    lowest = int(np.argmin(total))
    if total[lowest] * model.window.width < -ROUNDING * GUARDS:
        worst = int(np.argmin(densities[:, lowest]))
        name = model.components[worst].name
        raise FitError(
            f"the fitted model is negative: {total[lowest]:.3g} at x = {x[lowest]:g}, mostly by component '{name}', "
            f"whose yield is {rates[worst]:.4g}",
            where=name,
            hint=f"Give the yield of '{name}' a lower bound of 0, or fit more data.",
        )


def at_limits(below: Likelihood, theta: Array) -> NDArray[np.bool_]:
    """``(2, n_free)``: whether the parameters lie at their lower and upper bounds."""
    return np.asarray(np.abs(below.bounds - theta) < AT_LIMIT * below.steps)


def check_not_empty(data: Data, model: Model) -> None:
    """Raises :class:`FitError` where there are no candidates, or where they weigh nothing."""
    window = f"the fit window [{model.window.low:g}, {model.window.high:g}]"
    if isinstance(data, Unbinned) and not len(data.x):
        raise FitError(f"there are no candidates in {window}", hint="Change fit.window, or loosen selection.working_point.")
    if isinstance(data, Unbinned) and data.weight is not None and not data.weight.sum() > 0:
        raise FitError(
            f"the weights of the {len(data.x)} candidates in {window} sum to {data.weight.sum():g}",
            hint="Look at the samples' weights and cross_section_nb in the config.",
        )
    if isinstance(data, Binned) and not data.counts.any():
        raise FitError(
            f"all {len(data.counts)} bins in {window} are empty, or their weights are zero",
            hint="Change fit.window, loosen selection.working_point, or look at the samples' weights.",
        )
