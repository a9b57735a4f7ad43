"""What a limit calculation found."""

from __future__ import annotations

from dataclasses import dataclass

from mlbkg.fitting.base import Array
from mlbkg.fitting.data import Data
from mlbkg.fitting.model import Model


@dataclass(frozen=True)
class Band:
    """Quantiles of a limit in background-only experiments: what is expected without a signal."""

    minus_2sigma: float
    minus_1sigma: float
    median: float
    plus_1sigma: float
    plus_2sigma: float


@dataclass(frozen=True)
class Scan:
    """p values over the parameter of interest. ``observed``: ``(n,)`` or None; ``expected``: ``(5, n)``, as in a band."""

    values: Array
    observed: Array | None
    expected: Array


@dataclass(frozen=True)
class Limit:
    """An upper limit on the parameter of interest. ``observed``: None without data. ``lower``: 0 for one-sided methods.

    toys: experiments behind it, 0 where asymptotic. ``scan``: None for methods without one. ``error``: of the observed limit
    from the number of toys.
    """

    method: str
    confidence_level: float
    observed: float | None
    expected: Band | None
    toys: int = 0
    lower: float = 0.0
    scan: Scan | None = None
    error: float | None = None


@dataclass(frozen=True)
class Impact:
    """How far the fitted parameter of interest moves when one nuisance goes up or down by its uncertainty and is held there.

    pull: (fitted - nominal) / uncertainty before the fit. ``constraint``: uncertainty after the fit over that before.
    """

    nuisance: str
    up: float
    down: float
    pull: float
    constraint: float

    @property
    def size(self) -> float:
        return max(abs(self.up), abs(self.down))


@dataclass(frozen=True)
class Problem:
    """A question for the limits: which parameter, in which model, given which data.

    data: None for a search that has not looked yet; then only what is expected is computed. ``edges``: bins of the
    experiments that are expected (Asimov and toys); unbinned data keep their likelihood.
    """

    model: Model
    poi: str
    edges: Array
    data: Data | None = None
