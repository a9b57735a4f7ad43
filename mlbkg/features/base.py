"""What a feature is, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.registry import Registry

Columns = Mapping[str, Any]
"""Column name to array: flat numpy ``(n_candidates,)``, or awkward where the column is a collection."""

Compute = Callable[[Columns], NDArray[Any]]


@dataclass(frozen=True)
class Feature:
    """One number per candidate.

    ``needs`` are the columns that ``compute`` reads (see ``mlbkg.candidates.table`` for those of built candidates).
    ``compute`` is pure; its result has shape ``(n_candidates,)`` and is converted to float32. NaN means "does not exist for
    this candidate". ``basf2`` is the name of the same quantity in Belle II's variable manager, empty where it has none.
    ``of_branches``: ``needs`` are branches, also where a feature has the name of one.
    """

    name: str
    unit: str
    needs: tuple[str, ...]
    description: str
    basf2: str
    compute: Compute
    of_branches: bool = False

    def __call__(self, columns: Columns) -> NDArray[np.float32]:
        # What float32 cannot hold becomes infinite, and is told as such by whoever cannot take it.
        with np.errstate(over="ignore"):
            return np.asarray(self.compute(columns), dtype=np.float32)


FEATURES: Registry[Feature] = Registry("feature", package="mlbkg.features")


def feature(
    name: str, *, unit: str = "", needs: tuple[str, ...], description: str, basf2: str = ""
) -> Callable[[Compute], Compute]:
    """Register the decorated function as the ``compute`` of a feature."""

    def decorate(compute: Compute) -> Compute:
        FEATURES.add(name, Feature(name, unit, needs, description, basf2, compute))
        return compute

    return decorate
