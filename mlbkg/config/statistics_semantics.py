"""What is wrong with the sections ``fit``, ``systematics`` and ``limit`` of a config whose keys and types are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from pydantic import ValidationError

from mlbkg.config.control_semantics import control_problems
from mlbkg.config.problems import problems_of
from mlbkg.config.source import KeyPath, Problem
from mlbkg.config.statistics import Fit
from mlbkg.config.view import View, twice, unknown
from mlbkg.errors import did_you_mean
from mlbkg.fitting.base import SHAPES
from mlbkg.fitting.peaking import BRANCHING_FRACTION, CONTROL, SIMULATION

TAKEN = (
    "yield", "branching_fraction", "cross_section", "background", "signal_simulation", "peaking_yield", "peak_shift",
    "peak_width", CONTROL, SIMULATION,
)  # fmt: skip
TAKEN_PREFIXES = ("background_", BRANCHING_FRACTION)
"""Parameters that a fit model has anyway."""


def statistics_problems(view: View) -> Iterator[Problem]:
    """The order does not matter."""
    checks: tuple[Callable[[View, Fit], Iterator[Problem]], ...] = (_variable, _shapes, _blind, _peaking)
    if view.fit is not None:
        fit = view.fit
        yield from chain.from_iterable(check(view, fit) for check in checks)
    yield from control_problems(view)
    yield from _systematics(view)
    yield from _needs_of_limit(view)
    yield from _needs_fit(view)


def _variable(view: View, fit: Fit) -> Iterator[Problem]:
    names = {entry.name for entry in view.listed.values()}
    if fit.variable not in names and not view.broken & {"features", "spectators"}:
        advice = did_you_mean(fit.variable, names) or "; add it to spectators"
        yield Problem(("fit", "variable"), f"'{fit.variable}' is neither a feature nor a spectator{advice}")


def _shapes(view: View, fit: Fit) -> Iterator[Problem]:
    for key, entry in (("signal", fit.signal), ("background", fit.background)):
        path: KeyPath = ("fit", key)
        family = SHAPES.find(entry.shape)
        if family is None:
            yield Problem((*path, "shape"), unknown("shape", entry.shape, SHAPES.names()))
            continue
        try:
            family.params.model_validate(entry.settings)
        except ValidationError as error:
            yield from problems_of(error, family.params, view.source, under=path)
        sample = entry.settings.get("sample")
        if "sample" in family.params.model_fields and isinstance(sample, str):
            yield from _of_role(view, {(*path, "sample"): sample}, "simulated", "signal", "background")


def _blind(view: View, fit: Fit) -> Iterator[Problem]:
    if fit.blind is None:
        return
    (low, high), (first, last) = fit.window, fit.blind
    if first < low or last > high:
        yield Problem(("fit", "blind"), f"[{first:g}, {last:g}] is not within the window [{low:g}, {high:g}]")
    elif (first, last) == (low, high):
        yield Problem(("fit", "blind"), "leaves nothing of the window to normalise the background to")


def _peaking(view: View, fit: Fit) -> Iterator[Problem]:
    if fit.peaking is None:
        return
    path: KeyPath = ("fit", "peaking")
    yield from _of_role(
        view, {(*path, "samples", i): name for i, name in enumerate(fit.peaking.samples)}, "background", "background"
    )
    yield from twice(view, {(*path, "samples", i): name for i, name in enumerate(fit.peaking.samples)})
    if fit.peaking.control is not None:
        data = {(*path, "control", "data", i): name for i, name in enumerate(fit.peaking.control.data)}
        yield from _of_role(view, data, "data", "data")


def _of_role(view: View, names: dict[KeyPath, str], kind: str, *roles: str) -> Iterator[Problem]:
    """Names that are no samples, or samples of another role."""
    if "samples" in view.broken:
        return
    role_of = {entry.name: entry.role for entry in view.samples.values()}
    fitting = [name for name, role in role_of.items() if role in roles]
    for path, name in names.items():
        if name not in role_of:
            yield Problem(path, unknown(f"{kind} sample", name, fitting))
        elif role_of[name] not in roles:
            yield Problem(path, f"sample '{name}' has the role {role_of[name]}; a {kind} sample is needed")


def _systematics(view: View) -> Iterator[Problem]:
    names: dict[KeyPath, str] = {("systematics", i): entry.name for i, entry in view.systematics.items()}
    peaking = view.fit.peaking if view.fit else None
    if peaking is not None and peaking.control is not None:
        path: KeyPath = ("fit", "peaking", "control", "uncertainties")
        names |= {(*path, i): entry.name for i, entry in enumerate(peaking.control.uncertainties)}
    yield from twice(view, names)
    for i, entry in view.systematics.items() if "scan" not in view.source.data else ():
        if entry.name in TAKEN or entry.name.startswith(TAKEN_PREFIXES):
            text = f"'{entry.name}' is the name of a parameter that the fit has anyway; choose another"
            yield Problem(("systematics", i, "name"), text)
    if view.fit is not None and peaking is None:
        for i, entry in view.systematics.items():
            if "peaking" in entry.on:
                yield Problem(("systematics", i, "on"), "peaking needs the section fit.peaking")


def _needs_of_limit(view: View) -> Iterator[Problem]:
    if view.limit is not None and view.limit.quantity != "yield" and view.source.data.get("luminosity_per_fb") is None:
        yield Problem(("limit", "quantity"), f"{view.limit.quantity} needs luminosity_per_fb, which is missing")


def _needs_fit(view: View) -> Iterator[Problem]:
    if view.source.data.keys() & {"fit", "scan"}:
        return
    if view.systematics:
        yield Problem(("systematics",), "need the section fit or scan, which is missing")
    if view.working_point is not None and view.working_point.expected_limit is not None:
        yield Problem(("selection", "working_point", "expected_limit"), "needs the section fit, which is missing")
