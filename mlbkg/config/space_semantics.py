"""What is wrong with a search space whose keys and types are right; of those of files and of ``tuning.search`` alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from mlbkg.classifiers.base import Backend
from mlbkg.config.problems import problems_of
from mlbkg.config.source import KeyPath, Problem, Source
from mlbkg.config.view import unknown
from mlbkg.tuning.space import Choice, Range, Scalar, SearchSpace, parents_first, same, values_of


@dataclass(frozen=True)
class Place:
    """Where entries of a space are written: each at its parameter's name below ``under``."""

    source: Source
    under: KeyPath

    def of(self, name: str) -> KeyPath:
        return (*self.under, name)


def entry_problems(name: str, entry: Range | Choice | Scalar, backend: Backend, place: Place) -> Iterator[Problem]:
    """Of one parameter, whatever else is varied."""
    path = place.of(name)
    if name not in backend.params.model_fields:
        yield Problem(path, unknown("parameter", name, backend.params.model_fields))
    elif isinstance(entry, Range):
        yield from _range(name, entry, backend, place)
    elif isinstance(entry, Choice):
        yield from _choices(name, entry, backend, place)
    else:
        yield from _refused(name, entry, backend, place, path)


def relation_problems(space: SearchSpace, backend: Backend, under: KeyPath) -> Iterator[Problem]:
    """Of each ``when``: it must name what is in the space, a value that it can have, and go round in no circle."""
    in_order = parents_first(space)
    for name, entry in space.vary.items():
        path = (*under, name)
        if name in space.fixed:
            yield Problem(path, "is among the fixed parameters, too; give one of the two")
        for parent, wanted in entry.when.items():
            text = _parent(space, backend, name, parent, values_of(wanted))
            if text:
                yield Problem((*path, "when", parent), text)
        circle = [] if name in in_order else _circle(space, name)
        if len(circle) > 2:
            yield Problem((*path, "when"), f"varied only when others are, in a circle: {' -> '.join(circle)}")


def _range(name: str, entry: Range, backend: Backend, place: Place) -> Iterator[Problem]:
    path = place.of(name)
    low, high, step = entry.low, entry.high, entry.step
    if not low < high:
        yield Problem(path, f"low must be < high; got {low:g} and {high:g}")
        return
    if entry.log and step is not None:
        yield Problem((*path, "step"), "cannot be with log: the values are even in the logarithm, or so far apart")
    elif step is not None:
        yield from _step(entry, step, path)
    ends = (("low", low), ("high", high))
    refused = [problem for key, end in ends for problem in _refused(name, end, backend, place, (*path, key))]
    yield from refused
    if not refused:
        yield from _whole_numbers(name, entry, backend, path)
        if entry.log and low <= 0:
            yield Problem((*path, "low"), f"must be > 0 where log is true; got {low:g}")


def _step(entry: Range, step: int | float, path: KeyPath) -> Iterator[Problem]:
    if entry.is_integer and not isinstance(step, int):
        yield Problem((*path, "step"), f"must be a whole number, as low and high are; got {step:g}")
        return
    low, high, by = (Decimal(str(number)) for number in (entry.low, entry.high, step))
    if (high - low) % by:
        inside = low + (high - low) // by * by
        near = " or ".join(str(value) for value in (inside, inside + by) if value > low)
        yield Problem((*path, "step"), f"steps of {step:g} from {entry.low:g} miss high, {entry.high:g}; nearest: {near}")


def _whole_numbers(name: str, entry: Range, backend: Backend, path: KeyPath) -> Iterator[Problem]:
    """A range of whole numbers where any would do, or the other way round, is hardly what was meant."""
    if entry.is_integer:
        between_is_fine = not list(_reasons(name, entry.low + 0.5, backend))
        if between_is_fine and entry.step is None:
            text = (
                f"whole numbers only, as low and high are: write {entry.low}.0 for what lies between, or step: 1 for these"
            )
            yield Problem(path, text)
    elif list(_reasons(name, entry.low + (entry.high - entry.low) / math.pi, backend)):
        yield Problem(
            path, f"only whole numbers are possible: write low and high without '.'; got {entry.low} and {entry.high}"
        )


def _choices(name: str, entry: Choice, backend: Backend, place: Place) -> Iterator[Problem]:
    for i, value in enumerate(entry.choices):
        path = (*place.of(name), "choices", i)
        if any(same(value, earlier) for earlier in entry.choices[:i]):
            yield Problem(path, f"{_written(value)} is there twice")
        else:
            yield from _refused(name, value, backend, place, path)


def _refused(name: str, value: Scalar, backend: Backend, place: Place, path: KeyPath) -> Iterator[Problem]:
    """What the backend says of the value, which is written at ``path``."""
    for reason in _reasons(name, value, backend, written=place.source.written.get(path)):
        yield Problem(path, reason)


def _reasons(name: str, value: Scalar, backend: Backend, *, written: str | None = None) -> Iterator[str]:
    """Why the backend does not take the value; nothing where it does."""
    source = Source({name: value}, lines={}, written={(name,): written} if written is not None else {})
    try:
        backend.params.model_validate({name: value})
    except ValidationError as error:
        for problem in problems_of(error, backend.params, source):
            if problem.path == (name,):
                yield problem.message


def _parent(space: SearchSpace, backend: Backend, name: str, parent: str, wanted: tuple[Scalar, ...]) -> str | None:
    """What is wrong with varying ``name`` only when ``parent`` has one of the values ``wanted``."""
    if parent == name:
        return "a parameter cannot wait for itself"
    if parent in space.fixed:
        return _never(parent, wanted, [space.fixed[parent]])
    entry = space.vary.get(parent)
    if isinstance(entry, Choice):
        return _never(parent, wanted, list(entry.choices))
    if entry is not None:
        return _never_within(parent, wanted, entry)
    if parent in backend.params.model_fields:
        return f"'{parent}' is neither varied nor fixed"
    return unknown("parameter", parent, [other for other in (*space.fixed, *space.vary) if other != name])


def _never(parent: str, wanted: tuple[Scalar, ...], possible: list[Scalar]) -> str | None:
    for value in wanted:
        if not any(same(value, other) for other in possible):
            listed = ", ".join(_written(other) for other in possible)
            return f"'{parent}' is never {_written(value)}; it is {'one of ' if len(possible) > 1 else ''}{listed}"
    return None


def _never_within(parent: str, wanted: tuple[Scalar, ...], entry: Range) -> str | None:
    if not entry.is_integer:
        return f"'{parent}' is varied without steps; only choices, whole numbers and fixed parameters can be waited for"
    for value in wanted:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or value not in range(int(entry.low), int(entry.high) + 1, int(entry.step or 1)):
            steps = f" in steps of {entry.step}" if entry.step else ""
            return f"'{parent}' is never {_written(value)}; it is a whole number from {entry.low} to {entry.high}{steps}"
    return None


def _circle(space: SearchSpace, name: str) -> list[str]:
    """The way from ``name`` back to it over what each waits for; shorter than three where there is none."""
    way: dict[str, list[str]] = {name: [name]}
    left = [name]
    while left:
        here = left.pop(0)
        for parent in space.vary[here].when:
            if parent == name:
                return [*way[here], name]
            if parent in space.vary and parent not in way:
                way[parent] = [*way[here], parent]
                left.append(parent)
    return []


def _written(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if isinstance(value, str) else f"{value:g}"
