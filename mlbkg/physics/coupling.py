"""From a cross section to the parameter of a model, and the registry of all models that a limit can be on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.registry import Registry

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FavouredBand:
    """Where in the parameter another measurement points to. ``limits``: masses ``(n,)`` GeV -> lower and upper edge."""

    label: str
    limits: Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Coupling:
    """One parameter of one model.

    ``cross_section_fb``: ``(masses, sqrt_s)`` -> production cross section times branching fraction to the searched-for final
    state in fb where the parameter is 1; ``masses`` is ``(n, n_axes)`` GeV in the order of the scan's axes, the result
    ``(n,)``, 0 where the process is closed. ``power``: the cross section is that times ``parameter ** power``.
    ``assumption``: what of the model was assumed, for legends. ``axes``: of a scan for it, the number of masses.
    """

    name: str
    symbol: str
    assumption: str
    power: int
    cross_section_fb: Callable[[Array, float], Array]
    favoured: FavouredBand | None = None
    axes: int = 1

    def parameter(self, cross_section_fb: Array, masses: Array, sqrt_s: float) -> Array:
        """``(..., n)`` values of the parameter that make ``cross_section_fb`` ``(..., n)``; infinite where nothing does."""
        at_one = self.cross_section_fb(masses, sqrt_s)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(at_one > 0, cross_section_fb / at_one, np.inf)
        return np.asarray(ratio ** (1.0 / self.power))


COUPLINGS: Registry[Coupling] = Registry("coupling", package="mlbkg.physics.couplings")
