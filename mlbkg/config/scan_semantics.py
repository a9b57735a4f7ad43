"""What is wrong with the section ``scan`` of a config, and with what belongs to it, where keys and types are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from mlbkg.candidates.table import known_columns
from mlbkg.config.scan import Scan
from mlbkg.config.source import KeyPath, Problem
from mlbkg.config.statistics import Beside, LimitConfig
from mlbkg.config.view import View, twice, unknown
from mlbkg.errors import did_you_mean
from mlbkg.physics.coupling import COUPLINGS

METHODS = ("cls", "bayesian")
"""Of the limits of many hypotheses."""


def scan_problems(view: View) -> Iterator[Problem]:
    """The order does not matter."""
    if view.scan is not None:
        scan = view.scan
        checks: tuple[Callable[[View, Scan], Iterator[Problem]], ...] = (
            _beside_fit,
            _variables,
            _truths,
            _one_axis,
            _injected,
            _normalised,
            _couplings_of_axes,
        )
        yield from chain.from_iterable(check(view, scan) for check in checks)
    if "scan" in view.source.data:
        yield from _limit(view)
    else:
        yield from _needs_scan(view)
    yield from _systematics(view)


def _beside_fit(view: View, scan: Scan) -> Iterator[Problem]:
    if "fit" in view.source.data:
        yield Problem(("scan",), "a config has fit or scan, not both")
    if view.working_point is not None and view.working_point.expected_limit is not None:
        text = "is of a fit; of a scan, use punzi: {per: window}"
        yield Problem(("selection", "working_point", "expected_limit"), text)


def _variables(view: View, scan: Scan) -> Iterator[Problem]:
    names = {entry.name for entry in view.listed.values()}
    paths: dict[KeyPath, str] = {("scan", "axes", i, "variable"): axis.variable for i, axis in enumerate(scan.axes)}
    yield from twice(view, paths)
    if view.broken & {"features", "spectators"}:
        return
    for path, name in paths.items():
        if name not in names:
            advice = did_you_mean(name, names) or "; add it to spectators"
            yield Problem(path, f"'{name}' is neither a feature nor a spectator{advice}")


def _truths(view: View, scan: Scan) -> Iterator[Problem]:
    """Names of branches can be checked only where all of the signal is simulated here."""
    paths: dict[KeyPath, str] = {("scan", "axes", i, "truth"): axis.truth for i, axis in enumerate(scan.axes)}
    yield from twice(view, paths)
    signals = [entry for entry in view.samples.values() if entry.role == "signal"]
    if "samples" in view.broken or any(entry.simulate is None for entry in signals):
        return
    columns = [name for name, (level, _, _) in known_columns().items() if level == "candidate"]
    for path, name in paths.items():
        if name not in columns:
            yield Problem(path, unknown("branch", name, columns, listed=False))


def _one_axis(view: View, scan: Scan) -> Iterator[Problem]:
    if len(scan.axes) == 1:
        if scan.ordered:
            yield Problem(("scan", "ordered"), "needs two axes")
    elif scan.method == "local_fits":
        yield Problem(("scan", "method"), "local_fits needs one axis; two have counting")


def _injected(view: View, scan: Scan) -> Iterator[Problem]:
    if scan.pseudo_data is None:
        return
    for i, signal in enumerate(scan.pseudo_data.inject):
        if len(signal.masses) != len(scan.axes):
            text = f"needs one mass for each of the {len(scan.axes)} axes; got {len(signal.masses)}"
            yield Problem(("scan", "pseudo_data", "inject", i, "masses"), text)


def _normalised(view: View, scan: Scan) -> Iterator[Problem]:
    if view.source.data.get("luminosity_per_fb") is None:
        yield Problem(("scan",), "needs luminosity_per_fb, which is missing")


def _limit(view: View) -> Iterator[Problem]:
    """Whatever is wrong with the section scan itself."""
    if "limit" in view.broken:
        return
    limit = view.limit or LimitConfig()
    if limit.quantity != "cross_section":
        yield Problem(("limit", "quantity"), f"limits of a scan are on a cross_section; got {limit.quantity}")
    for i, method in enumerate(limit.methods):
        if method not in METHODS:
            yield Problem(("limit", "methods", i), f"a scan has {' and '.join(METHODS)}; got {method}")
    couplings: dict[KeyPath, str] = {("limit", "couplings", i): name for i, name in enumerate(limit.couplings)}
    yield from twice(view, couplings)
    for path, name in couplings.items():
        if name not in COUPLINGS:
            yield Problem(path, unknown("coupling", name, COUPLINGS.names()))
    if couplings and view.source.data.get("candidates") is None:
        yield Problem(("limit", "couplings"), "need candidates.beams, which tells the energy of the collisions")


def _couplings_of_axes(view: View, scan: Scan) -> Iterator[Problem]:
    if view.limit is None:
        return
    for i, name in enumerate(view.limit.couplings):
        found = COUPLINGS.find(name)
        if found is not None and found.axes != len(scan.axes):
            text = f"'{name}' depends on {_masses(found.axes)}; the scan has {len(scan.axes)}"
            yield Problem(("limit", "couplings", i), text)
    for i, other in enumerate(view.limit.beside):
        yield from _beside(("limit", "beside", i), other, scan, view.limit)


def _beside(path: KeyPath, other: Beside, scan: Scan, limit: LimitConfig) -> Iterator[Problem]:
    if other.value is not None:
        yield Problem((*path, "value"), "the limits of a scan change with the mass: give points")
    elif len(scan.axes) > 1:
        yield Problem((*path, "points"), "belong to a scan of one axis")
    elif other.coupling not in limit.couplings:
        advice = did_you_mean(str(other.coupling), limit.couplings) or "; add it there"
        yield Problem((*path, "coupling"), f"'{other.coupling}' is not in limit.couplings{advice}")


def _masses(number: int) -> str:
    return f"{number} mass" if number == 1 else f"{number} masses"


def _needs_scan(view: View) -> Iterator[Problem]:
    if view.limit is None:
        return
    if view.limit.couplings:
        yield Problem(("limit", "couplings"), "need the section scan, which is missing")
    for i, other in enumerate(view.limit.beside):
        if other.points:
            yield Problem(("limit", "beside", i, "points"), "need the section scan, which is missing")


def _systematics(view: View) -> Iterator[Problem]:
    """Effects on rates are all that a scan knows; backgrounds and their samples are of a scan alone."""
    of_scan = "scan" in view.source.data
    background = [entry.name for entry in view.samples.values() if entry.role == "background"]
    for i, entry in view.systematics.items():
        path: KeyPath = ("systematics", i)
        if not of_scan:
            if "background" in entry.on:
                yield Problem((*path, "on"), "background needs the section scan, which is missing")
            if entry.samples:
                yield Problem((*path, "samples"), "need the section scan, which is missing")
            continue
        for key in ("mean", "width"):
            if getattr(entry, key) is not None:
                yield Problem((*path, key), "is of a fit; a scan has effects on rates alone")
        if "peaking" in entry.on:
            yield Problem((*path, "on"), "peaking is of a fit; a scan has signal and background")
        if entry.samples and "background" not in entry.on:
            yield Problem((*path, "samples"), "are of the background, which `on` does not have")
        for number, name in enumerate(entry.samples if "samples" not in view.broken else ()):
            if name not in background:
                yield Problem((*path, "samples", number), unknown("background sample", name, background))
