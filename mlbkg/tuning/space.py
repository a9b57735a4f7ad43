"""What a search varies: ranges and choices of a backend's parameters, some only where another has a certain value."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Protocol

from mlbkg.classifiers.base import BACKENDS
from mlbkg.registry import Discriminator, Field, Params, Tag

log = logging.getLogger(__name__)

Scalar = bool | int | float | str | None
When = Mapping[str, Scalar | tuple[Scalar, ...]]
_WHEN = "varied only where that parameter has that value or one of these; else the backend's default"


class Range(Params):
    """Numbers from ``low`` to ``high``, both included; integers where both are."""

    low: int | float = Field(description="smallest value; where both ends are whole numbers, all are")
    high: int | float = Field(description="largest value")
    log: bool = Field(False, description="even in the logarithm")
    step: int | float | None = Field(None, gt=0, description="only low, low + step, ...")
    when: When = Field({}, description=_WHEN)

    @property
    def is_integer(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


class Choice(Params):
    """One of ``choices``."""

    choices: tuple[Scalar, ...] = Field(min_length=1, description="each trial has one")
    when: When = Field({}, description=_WHEN)


def kind_of(value: object) -> str | None:
    """What an entry of a space is meant to be, by its keys; None where it is nothing known."""
    if isinstance(value, Range | Choice):
        return "range" if isinstance(value, Range) else "choice"
    if isinstance(value, Mapping):
        keys = value.keys()
        return "choice" if "choices" in keys else "range" if keys & {"low", "high", "log", "step"} else None
    return "value" if value is None or isinstance(value, bool | int | float | str) else None


Varied = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choice, Tag("choice")],
    Discriminator(
        kind_of,
        custom_error_type="not_varied",
        custom_error_message="a range {low: 1, high: 8} or choices {choices: [a, b]}",
    ),
]


class SearchSpace(Params):
    """Of one backend. ``vary``: parameter -> where it is looked for. ``fixed``: parameter -> value in every trial."""

    backend: str = Field(description="whose parameters these are, as in `mlbkg backends`")
    description: str = Field("", description="what kind of classifier is searched, for people")
    fixed: Mapping[str, Scalar] = Field({}, description="parameters with one value in every trial")
    vary: Mapping[str, Varied] = Field({}, description="parameters that are looked for")


class Suggests(Protocol):
    """What is asked of an Optuna trial."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = ..., log: bool = ...) -> int: ...

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = ..., log: bool = ...) -> float: ...

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


def suggest(space: SearchSpace, trial: Suggests, *, prefix: str) -> dict[str, Any]:
    """Parameters of one trial, the fixed ones among them; those whose ``when`` does not hold are left out.

    ``trial`` knows a parameter as ``prefix`` and its name, so that spaces of several backends share a study.
    """
    found: dict[str, Any] = dict(space.fixed)
    for name in parents_first(space):
        if holds(space.vary[name].when, found):
            found[name] = _asked(trial, f"{prefix}{name}", space.vary[name])
    return found


def as_fixed(space: SearchSpace, parameters: Mapping[str, Any], *, prefix: str) -> dict[str, Any]:
    """``parameters`` of a backend as the point of the space that is nearest, under the names that a trial knows.

    Only what is varied, and varied there. What ``parameters`` leaves out has the backend's default; numbers outside a range
    are moved to its nearest value, and a choice that is not one is left to the sampler.
    """
    complete = BACKENDS[space.backend].params.model_validate(dict(parameters)).model_dump()
    found: dict[str, Any] = dict(space.fixed)
    known: dict[str, Any] = {}
    for name in parents_first(space):
        entry = space.vary[name]
        if not holds(entry.when, found):
            continue
        inside = list(_nearest(entry, complete[name]))
        if not inside or not same(inside[0], complete[name]):
            log.info("%s %s = %s is outside the search space", space.backend, name, complete[name])
        for value in inside:
            found[name] = known[f"{prefix}{name}"] = value
    return known


def holds(when: When, found: Mapping[str, Any]) -> bool:
    """Whether every parameter in ``when`` was found with one of its values."""
    return all(name in found and any(same(found[name], value) for value in values_of(when[name])) for name in when)


def values_of(wanted: Scalar | tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return wanted if isinstance(wanted, tuple) else (wanted,)


def same(one: Scalar, other: Scalar) -> bool:
    """Equal, and not true for 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def parents_first(space: SearchSpace) -> list[str]:
    """What is varied, each parameter behind those that its ``when`` names; else in the order of the space.

    Members of a circle are left out.
    """
    order: list[str] = []
    left = list(space.vary)
    while left:
        free = [name for name in left if not any(parent in left for parent in space.vary[name].when)]
        if not free:
            return order
        order += free
        left = [name for name in left if name not in free]
    return order


def _asked(trial: Suggests, name: str, entry: Range | Choice) -> Any:
    if isinstance(entry, Choice):
        return trial.suggest_categorical(name, entry.choices)
    if entry.is_integer:
        return trial.suggest_int(name, int(entry.low), int(entry.high), step=int(entry.step or 1), log=entry.log)
    return trial.suggest_float(name, float(entry.low), float(entry.high), step=entry.step, log=entry.log)


def _nearest(entry: Range | Choice, value: Any) -> Iterator[Scalar]:
    """The value of ``entry`` nearest to ``value``; none where there is no telling."""
    if isinstance(entry, Choice):
        yield from (choice for choice in entry.choices if same(choice, value))
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        inside = min(max(value, entry.low), entry.high)
        if entry.step is not None or entry.is_integer:
            step = entry.step or 1
            inside = entry.low + round((inside - entry.low) / step) * step
        yield int(inside) if entry.is_integer else float(inside)
