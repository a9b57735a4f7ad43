"""What is wrong with ``fit.peaking.control`` of a config whose keys and types are right."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from mlbkg.candidates.table import known_columns
from mlbkg.config.source import KeyPath, Problem
from mlbkg.config.statistics import Control
from mlbkg.config.view import View, twice, unknown
from mlbkg.errors import ExpressionError
from mlbkg.features.base import FEATURES
from mlbkg.fitting.peaking import BRANCHING_FRACTION, CONTROL, SIMULATION
from mlbkg.ntuples.expressions import Expression
from mlbkg.simulation.events import EVENT

SECTION: KeyPath = ("fit", "peaking", "control")


def control_problems(view: View) -> Iterator[Problem]:
    """The order does not matter."""
    peaking = view.fit.peaking if view.fit else None
    if peaking is None or peaking.control is None:
        return
    control = peaking.control
    yield from _names(view, control)
    yield from _modes_named(control)
    yield from _lost(view, control)
    yield from _cuts(view, control)


def _names(view: View, control: Control) -> Iterator[Problem]:
    yield from twice(view, {(*SECTION, "modes", i): name for i, name in enumerate(control.names)})
    for i, entry in enumerate(control.uncertainties):
        if entry.name in (CONTROL, SIMULATION) or entry.name.startswith(BRANCHING_FRACTION):
            text = f"'{entry.name}' is the name of a nuisance parameter that is there anyway; choose another"
            yield Problem((*SECTION, "uncertainties", i, "name"), text)


def _modes_named(control: Control) -> Iterator[Problem]:
    """Modes that uncertainties and the reference are said to belong to."""
    for i, entry in enumerate(control.uncertainties):
        able = [mode.name for mode in control.modes if mode.seen or entry.of == "lost"]
        path: KeyPath = (*SECTION, "uncertainties", i, "modes")
        for j, name in enumerate(entry.modes or ()):
            if name not in control.names:
                yield Problem((*path, j), unknown("mode", name, control.names))
            elif name not in able:
                yield Problem((*path, j), f"'{name}' has no control sample, so nothing of it is seen")
    for name in control.reference.yields if control.reference else ():
        if name not in control.names:
            yield Problem((*SECTION, "reference", "yields", name), unknown("mode", name, control.names))


def _lost(view: View, control: Control) -> Iterator[Problem]:
    """What picks the modes is looked for in the skims."""
    kept = view.source.data.get("selection", {}).get("branches", "all") if "selection" not in view.broken else "all"
    for i, mode in enumerate(control.modes):
        path: KeyPath = (*SECTION, "modes", i, "lost")
        problem, names = _parsed(path, mode.lost)
        yield from problem
        if not isinstance(kept, str):
            missing = [name for name in names if name not in kept]
            yield from (Problem(path, f"'{name}' is not in the skims; add it to selection.branches") for name in missing)
        else:
            yield from _unknown_names(view, path, names, others={*EVENT, "__candidate__"})


def _cuts(view: View, control: Control) -> Iterator[Problem]:
    """A cut may name any registered feature, listed or not."""
    cuts: Iterable[tuple[KeyPath, str]] = chain(
        (((*SECTION, "preselection", i), cut) for i, cut in enumerate(control.preselection or ())),
        (
            ((*SECTION, "modes", i, "seen", j), cut)
            for i, mode in enumerate(control.modes)
            for j, cut in enumerate(mode.seen)
        ),
    )
    columns = {name for name, (level, _, _) in known_columns().items() if level in ("candidate", "constant")}
    for path, cut in cuts:
        problem, names = _parsed(path, cut)
        yield from problem
        yield from _unknown_names(view, path, names, others={*columns, *FEATURES.names()})


def _parsed(path: KeyPath, text: str) -> tuple[list[Problem], tuple[str, ...]]:
    try:
        return [], Expression.parse(text).names
    except ExpressionError as error:
        first = f"{error.what}; {error.hint}" if error.hint else error.what
        return [Problem(path, "\n".join([first, *error.details]))], ()


def _unknown_names(view: View, path: KeyPath, names: Iterable[str], *, others: Collection[str]) -> Iterator[Problem]:
    """Names that are neither listed nor among ``others``, where all samples are simulated, so that nobody has more."""
    if view.candidates is None or view.broken & {"features", "spectators", "samples"}:
        return
    if any(entry.simulate is None for entry in view.samples.values()):
        return
    known = {entry.name for entry in view.listed.values()} | set(others)
    yield from (Problem(path, unknown("name", name, known, listed=False)) for name in names if name not in known)
