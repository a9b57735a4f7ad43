"""What is wrong with a training over a range of masses, in a config whose keys and types are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from mlbkg.candidates.table import known_columns
from mlbkg.config.problems import shown, value_at
from mlbkg.config.source import KeyPath, Problem
from mlbkg.config.view import View, twice, unknown
from mlbkg.errors import ExpressionError, did_you_mean
from mlbkg.ntuples.expressions import Expression

FLATTEN: KeyPath = ("training", "flatten")
PUNZI: KeyPath = ("selection", "working_point", "punzi")
CUTS: KeyPath = ("evaluation", "compare_cuts")


def training_problems(view: View) -> Iterator[Problem]:
    """The order does not matter."""
    checks: tuple[Callable[[View], Iterator[Problem]], ...] = (
        _flattened_twice,
        _truth_seen,
        _truth_unknown,
        _window_of_what,
        _needs_scan,
        _cuts_on_what,
    )
    return chain.from_iterable(check(view) for check in checks)


def _flattened_twice(view: View) -> Iterator[Problem]:
    yield from twice(view, {(*FLATTEN, i): name for i, name in view.flatten.items()})


def _truth_seen(view: View) -> Iterator[Problem]:
    """A classifier that sees the true mass has learned nothing that data could tell it."""
    inputs = {path: entry for path, entry in view.every_feature.items() if path[0] != "spectators"}
    reader: dict[str, KeyPath] = {}
    for path, entry in inputs.items():
        for name in _names_in(entry.expression) if entry.expression else (entry.column or entry.name,):
            reader.setdefault(name, path)
    for path, name in _truth(view).items():
        if name in reader:
            by = shown(view.source.in_file(reader[name]))
            yield Problem(path, f"'{name}' is what {by} reads; no classifier may see the true mass")


def _truth_unknown(view: View) -> Iterator[Problem]:
    """Where mlbkg makes the signal itself, and so knows its branches."""
    signals = [entry for entry in view.samples.values() if entry.role == "signal"]
    if view.candidates is None or "samples" in view.broken or any(entry.simulate is None for entry in signals):
        return
    known = {name for name, (level, _, _) in known_columns().items() if level == "candidate"}
    for i, name in view.flatten.items():
        if name not in known:
            yield Problem((*FLATTEN, i), unknown("branch", name, known, listed=False))


def _window_of_what(view: View) -> Iterator[Problem]:
    if view.scan is None or not _per_window(view):
        return
    if len(view.scan.axes) > 1:
        text = (
            "window is for a scan of one axis, this one has two; use per: selection, one cut for all, where Punzi's figure "
            "is the mean over the masses"
        )
        yield Problem((*PUNZI, "per"), text)


def _needs_scan(view: View) -> Iterator[Problem]:
    if "scan" in view.source.data:
        return
    if value_at(view.source.data, ("training", "champion")) == "punzi":
        yield Problem(("training", "champion"), "punzi is the mean over the masses of the section scan, which is missing")
    if _per_window(view):
        yield Problem((*PUNZI, "per"), "window needs the section scan, which is missing")
    if view.compared_cuts is not None:
        yield Problem(CUTS, "compares mass by mass; it needs the section scan, which is missing")


def _cuts_on_what(view: View) -> Iterator[Problem]:
    cuts = view.compared_cuts
    if cuts is None:
        return
    if view.scan is not None and len(view.scan.axes) > 1:
        yield Problem(CUTS, "compares mass by mass; it needs a scan of one axis, this one has two")
    if view.broken & {"features", "spectators"}:
        return
    listed = {entry.name for entry in view.listed.values()}
    used: dict[KeyPath, str] = {(*CUTS, "line", i): name for i, name in enumerate(cuts.line)}
    used |= {(*CUTS, "above", i): name for i, name in enumerate(cuts.above)}
    for path, name in used.items():
        yield from _listed(path, name, listed)
    for i, text in enumerate(cuts.requires):
        try:
            names = Expression.parse(text).names
        except ExpressionError as error:
            yield Problem((*CUTS, "requires", i), error.what)
            continue
        for name in names:
            yield from _listed((*CUTS, "requires", i), name, listed)


def _listed(path: KeyPath, name: str, listed: set[str]) -> Iterator[Problem]:
    if name not in listed:
        advice = did_you_mean(name, listed) or "; add it to spectators"
        yield Problem(path, f"'{name}' is neither a feature nor a spectator{advice}")


def _per_window(view: View) -> bool:
    punzi = view.working_point.punzi if view.working_point else None
    return punzi is not None and punzi.per == "window"


def _truth(view: View) -> dict[KeyPath, str]:
    of_axes = view.scan.axes if view.scan else ()
    return {
        **{(*FLATTEN, i): name for i, name in view.flatten.items()},
        **{("scan", "axes", i, "truth"): axis.truth for i, axis in enumerate(of_axes)},
    }


def _names_in(text: str) -> tuple[str, ...]:
    try:
        return Expression.parse(text).names
    except ExpressionError:
        return ()
