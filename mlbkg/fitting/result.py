"""What a fit found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from mlbkg.errors import FitError, did_you_mean
from mlbkg.fitting.base import Array


@dataclass(frozen=True)
class FittedParameter:
    """``error_low`` (negative) and ``error_high``: MINOS where asked for, else -/+ ``error``. A fixed one has no error.

    at_limit: whether the value lies at one of its bounds, where errors mean little.
    """

    name: str
    value: float
    error: float
    error_low: float
    error_high: float
    minos: bool
    fixed: bool
    at_limit: bool
    unit: str = ""


@dataclass(frozen=True)
class FittedYield:
    """Candidates of a component in the window; errors as of :class:`FittedParameter`, correlations counted."""

    name: str
    value: float
    error: float
    error_low: float
    error_high: float


@dataclass(frozen=True)
class FitResult:
    """``covariance``: ``(n, n)`` over all parameters, zero for fixed ones. ``minimum``: -2 ln L there, up to a constant.

    attempts: starting points that it took.
    """

    parameters: tuple[FittedParameter, ...]
    covariance: Array
    yields: tuple[FittedYield, ...]
    minimum: float
    converged: bool
    attempts: int

    @cached_property
    def values(self) -> Mapping[str, float]:
        return {parameter.name: parameter.value for parameter in self.parameters}

    @property
    def theta(self) -> tuple[float, ...]:
        return tuple(parameter.value for parameter in self.parameters)

    def __getitem__(self, name: str) -> FittedParameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise FitError(f"the fit has no parameter '{name}'{did_you_mean(name, self.values)}", where=name)


@dataclass(frozen=True)
class Goodness:
    """``edges``: ``(n_bins + 1,)``, merged so that every bin expects enough for a chi-square. ``pulls``: ``(n_bins,)``,
    (data - model) / error."""

    edges: Array
    counts: Array
    errors: Array
    expected: Array
    pulls: Array
    chi2: float
    ndf: int
    p_value: float

    @property
    def chi2_per_ndf(self) -> float:
        return self.chi2 / self.ndf if self.ndf > 0 else float("nan")
