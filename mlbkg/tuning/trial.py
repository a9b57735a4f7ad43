"""What a search tries, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Start:
    """A point that is tried before the sampler chooses any: the config's own classifiers, the best of earlier studies."""

    name: str
    backend: str
    parameters: Mapping[str, Any]


class PrunedError(Exception):
    """Ends a trial that will not be among the best; raised by :class:`Attempt`."""


class Attempt(Protocol):
    """A trial while it runs. ``start``: name of the start that it is; None where the sampler chose it."""

    @property
    def number(self) -> int: ...

    @property
    def backend(self) -> str: ...

    @property
    def parameters(self) -> Mapping[str, Any]: ...

    @property
    def start(self) -> str | None: ...

    def round(self, fold: int, time: float, loss: float) -> None:
        """After a boosting round: ``time`` is shrinkage times rounds, at which fits of different shrinkage compare.

        Raises :class:`PrunedError` where other trials had a clearly smaller validation ``loss`` at that time of that fold,
        and whatever ends the search early.
        """
        ...

    def fold(self, fold: int, cost: float) -> None:
        """After a fold: ``cost`` is the smaller the better. Raises :class:`PrunedError` where others did better on it."""
        ...


@dataclass(frozen=True)
class Outcome:
    """values: one for each goal, in their order. violation: above zero for each constraint that does not hold.

    record: plain JSON that is kept with the trial: errors, values by fold, cost, replicas.
    """

    values: tuple[float, ...]
    violation: tuple[float, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """A finished trial. values: None unless complete. began, ended: seconds since 1970.

    losses: (fold, time) -> validation loss that was told. fold_costs: fold -> cost that was told. reason: why it failed, or
    where it was pruned.
    """

    number: int
    state: State
    backend: str
    parameters: Mapping[str, Any]
    start: str | None
    values: tuple[float, ...] | None
    violation: tuple[float, ...]
    record: Mapping[str, Any]
    losses: Mapping[tuple[int, float], float]
    fold_costs: Mapping[int, float]
    began: float
    ended: float
    reason: str | None

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def feasible(self) -> bool:
        return all(value <= 0 for value in self.violation)
