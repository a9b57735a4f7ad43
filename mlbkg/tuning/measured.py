"""A figure of merit of one trial with what it takes to compare it with another's on the same events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Estimate
from mlbkg.evaluation.resampling import spread

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """``replicas``: ``(r,)``, the figure in bootstrap replicas that are the same for everything measured on these events.

    by_fold: the figure on the events of each fold alone; empty where nobody asked.
    """

    value: float
    replicas: Array
    by_fold: tuple[float, ...] = ()

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.value, spread(self.replicas - self.value))

    def minus(self, other: Measured) -> Estimate:
        """The difference to ``other``, measured on the same events: what both share cancels in its error."""
        return Estimate(self.value - other.value, spread(self.replicas - other.replicas))
