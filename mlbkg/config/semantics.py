"""What is wrong with a config whose keys and types are right, as far as it can be seen without opening a file.

The parts of a config that are valid are checked even where others are not, so that all problems come at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import PurePosixPath

from pydantic import ValidationError

from mlbkg.candidates.pairs import PAIRS
from mlbkg.candidates.table import known_columns
from mlbkg.classifiers.base import BACKENDS
from mlbkg.config.classifier import ClassifierConfig
from mlbkg.config.problems import problems_of, said, shown
from mlbkg.config.scan_semantics import scan_problems
from mlbkg.config.schema import FeatureConfig, SampleConfig, Simulate
from mlbkg.config.source import KeyPath, Problem
from mlbkg.config.statistics_semantics import statistics_problems
from mlbkg.config.training_semantics import training_problems
from mlbkg.config.tuning_semantics import tuning_problems
from mlbkg.config.view import COMPARED, CONTESTANTS, View, twice, unknown
from mlbkg.errors import ConfigError, ExpressionError
from mlbkg.features.base import FEATURES
from mlbkg.features.resolve import FeatureSpec, base_columns, resolve
from mlbkg.ntuples.expressions import Expression
from mlbkg.physics.beams import BEAMS
from mlbkg.simulation.base import PROCESSES

_PER = {"event": "event", "collection": "track or cluster of the event", "rest": "track or cluster of the rest"}


def meaning_problems(view: View) -> list[Problem]:
    """All of them; the order does not matter."""
    checks: tuple[Callable[[View], Iterator[Problem]], ...] = (
        _names_twice,
        _roles,
        _cross_sections,
        _simulations,
        _candidates,
        _classifiers,
        _expressions,
        _feature_names,
        _used_names,
        _circles,
        _hidden_by_compared,
        statistics_problems,
        scan_problems,
        training_problems,
        tuning_problems,
    )
    return list(chain.from_iterable(check(view) for check in checks))


def _names_twice(view: View) -> Iterator[Problem]:
    classifiers = {path: entry.label for path, entry in _every_classifier(view).items()}
    yield from twice(view, {("samples", i): entry.name for i, entry in view.samples.items()})
    yield from twice(view, {("features", i): entry.name for i, entry in view.features.items()})
    yield from twice(view, {("spectators", i): entry.name for i, entry in view.spectators.items()})
    yield from twice(view, classifiers, advice="; give it a name")
    yield from twice(view, {(*COMPARED, i): entry.name for i, entry in view.compared.items()})
    known: dict[str, tuple[KeyPath, FeatureConfig]] = {}
    for path, entry in view.every_feature.items():
        first, feature = known.setdefault(entry.name, (path, entry))
        if (feature.column, feature.expression) != (entry.column, entry.expression) and path[:-1] != first[:-1]:
            text = f"'{entry.name}' is not the same as {shown(view.source.in_file(first))} of that name"
            yield Problem(path, text)


def _roles(view: View) -> Iterator[Problem]:
    if "samples" in view.broken or not view.samples:
        return
    roles = {entry.role for entry in view.samples.values()}
    for role in ("signal", "background"):
        if role not in roles:
            yield Problem(("samples",), f"no sample has the role {role}; training needs one")
    of_category: dict[str, SampleConfig] = {}
    for i, entry in view.samples.items():
        first = of_category.setdefault(entry.category or entry.name, entry)
        if first.role != entry.role:
            text = f"category '{entry.category or entry.name}' holds {first.role} already (sample '{first.name}')"
            yield Problem(("samples", i), text)


def _cross_sections(view: View) -> Iterator[Problem]:
    without = view.source.data.get("luminosity_per_fb") is None
    for i, entry in view.samples.items():
        path = ("samples", i, "cross_section_nb")
        if entry.cross_section_nb is not None and entry.role == "data":
            yield Problem(path, "data have no cross section")
        elif entry.cross_section_nb is not None and without:
            yield Problem(path, "needs luminosity_per_fb, which is missing")


def _simulations(view: View) -> Iterator[Problem]:
    processes = PROCESSES.names()
    first: dict[str, str] = {}
    for i, entry in view.samples.items():
        if entry.simulate is None:
            continue
        process = entry.simulate.process
        if process not in processes:
            yield Problem(("samples", i, "simulate", "process"), unknown("process", process, processes))
        else:
            yield from _process_settings(view, i, entry.simulate)
        wrong = _simulated_output(entry.files)
        if wrong:
            yield Problem(("samples", i, "files"), f"{wrong}; got {said(view.source, ('samples', i, 'files'))}")
        elif entry.files[0] in first:
            yield Problem(("samples", i, "files"), f"sample '{first[entry.files[0]]}' is simulated into the same file")
        first.setdefault(entry.files[0], entry.name)


def _process_settings(view: View, i: int, simulate: Simulate) -> Iterator[Problem]:
    path: KeyPath = ("samples", i, "simulate")
    if simulate.beams is not None and simulate.beams not in BEAMS:
        yield Problem((*path, "beams"), unknown("beams", simulate.beams, BEAMS))
    params = PROCESSES[simulate.process].params
    try:
        params.model_validate(simulate.settings)
    except ValidationError as error:
        yield from problems_of(error, params, view.source, under=path)


def _simulated_output(files: tuple[str, ...]) -> str | None:
    """Why these cannot be what a simulated sample is written to: nothing may be written outside the working folder."""
    if len(files) != 1:
        return "a simulated sample needs exactly one path"
    path = PurePosixPath(files[0])
    if path.is_absolute() or ".." in path.parts or files[0].startswith("~") or "://" in files[0] or "\\" in files[0]:
        return "a simulated sample is written below the working folder: a relative path without '..'"
    if files[0].count("*") > 1 or "*" in str(path.parent) or any(sign in files[0] for sign in "?["):
        return "a simulated sample's path has at most one '*', in the file name"
    return None if path.suffix == ".root" else "a simulated sample's file must end in .root"


def _candidates(view: View) -> Iterator[Problem]:
    if view.candidates is not None:
        for key, known in (("pair", PAIRS.names()), ("beams", tuple(BEAMS))):
            name = getattr(view.candidates, key)
            if name not in known:
                yield Problem(("candidates", key), unknown(key, name, known))


def _classifiers(view: View) -> Iterator[Problem]:
    for path, entry in _every_classifier(view).items():
        backend = BACKENDS.find(entry.backend)
        if backend is None:
            yield Problem((*path, "backend"), unknown("backend", entry.backend, BACKENDS.names()))
            continue
        try:
            backend.params.model_validate(entry.parameters)
        except ValidationError as error:
            yield from problems_of(error, backend.params, view.source, under=path)


def _every_classifier(view: View) -> dict[KeyPath, ClassifierConfig]:
    """Those that are trained, and those that a tuned one is compared with."""
    sections: tuple[tuple[KeyPath, Mapping[int, ClassifierConfig]], ...] = (
        (("training", "classifiers"), view.classifiers),
        (CONTESTANTS, view.contestants),
    )
    return {(*path, i): entry for path, entries in sections for i, entry in entries.items()}


def _expressions(view: View) -> Iterator[Problem]:
    for path, text in view.expressions.items():
        try:
            Expression.parse(text)
        except ExpressionError as error:
            first = f"{error.what}; {error.hint}" if error.hint else error.what
            yield Problem(path, "\n".join([first, *error.details]))


def _feature_names(view: View) -> Iterator[Problem]:
    """Bare names must be registered where mlbkg builds the candidates; elsewhere they are branches."""
    if view.candidates is None:
        return
    for path, entry in view.every_feature.items():
        if entry.column is None and entry.expression is None and entry.name not in FEATURES:
            yield Problem(path, f"{unknown('feature', entry.name, FEATURES.names(), listed=False)}; see `mlbkg features`")


def _used_names(view: View) -> Iterator[Problem]:
    """Names inside formulae, where mlbkg builds the candidates and so knows the columns."""
    if view.candidates is None or view.broken & {"features", "spectators"}:
        return
    for_all, for_compared = ({entry.name for entry in entries.values()} for entries in (view.listed, view.every_feature))
    columns = {name: level for name, (level, _, _) in known_columns().items()}
    for path, name in _uses(view):
        compared = path[: len(COMPARED)] == COMPARED
        if compared and COMPARED[0] in view.broken:
            continue
        listed = for_compared if compared else for_all
        if columns.get(name) in ("candidate", "constant") or (name in listed and path[-1] != "column"):
            continue
        if name in columns:
            yield Problem(path, f"'{name}' has no single value for a candidate (it is there for each {_PER[columns[name]]})")
        elif name in FEATURES:
            yield Problem(path, f"'{name}' is a feature that is not listed; add it to spectators")
        elif _only_simulated(view, path):
            yield Problem(path, unknown("name", name, {*columns, *listed}, listed=False))


def _uses(view: View) -> Iterator[tuple[KeyPath, str]]:
    for path, text in view.expressions.items():
        yield from ((path, name) for name in _names_in(text))
    yield from (((*path, "column"), entry.column) for path, entry in view.every_feature.items() if entry.column)
    yield from ((("ntuples", "event_id", i), name) for i, name in view.event_id.items())
    yield from ((("selection", "branches", i), name) for i, name in view.branches.items())


def _only_simulated(view: View, path: KeyPath) -> bool:
    """Whether the files can hold no branches of the user's own."""
    if path[0] == "samples":
        return view.samples[int(path[1])].simulate is not None
    return "samples" not in view.broken and all(entry.simulate is not None for entry in view.samples.values())


def _circles(view: View) -> Iterator[Problem]:
    formulae = {
        path: entry for path, entry in view.every_feature.items() if entry.expression and _names_in(entry.expression)
    }
    specs = [FeatureSpec(entry.name, expression=entry.expression) for entry in formulae.values()]
    library = resolve(specs, registered=False)
    found = set()
    for path, entry in formulae.items():
        try:
            base_columns([entry.name], library)
        except ConfigError as error:
            members = frozenset(error.what.split(": ", 1)[-1].split(" -> "))
            if members not in found:
                yield Problem((*path, "expression"), error.what)
            found.add(members)


def _hidden_by_compared(view: View) -> Iterator[Problem]:
    """A feature that is only compared must not stand in for a column: training would then differ from selection."""
    listed = {entry.name for entry in view.listed.values()}
    used = {name: path for path, name in _uses(view) if path[: len(COMPARED)] != COMPARED}
    if view.candidates is not None:
        registered = {path: FEATURES.find(entry.name) for path, entry in view.listed.items()}
        used |= {need: path for path, feature in registered.items() if feature for need in feature.needs}
    for i, entry in view.compared.items():
        own = entry.column is not None or entry.expression is not None
        if own and entry.name not in listed and entry.name in used:
            text = f"'{entry.name}' is what {shown(view.source.in_file(used[entry.name]))} uses; give it another name"
            yield Problem((*COMPARED, i), text)


def _names_in(text: str) -> tuple[str, ...]:
    """Nothing for what cannot be parsed; that is reported elsewhere."""
    try:
        return Expression.parse(text).names
    except ExpressionError:
        return ()
