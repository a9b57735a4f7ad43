"""What is wrong with a config whose keys and types are right, as far as it can be seen without opening a file.

The parts of a config that are valid are checked even where others are not, so that all problems come at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import PurePosixPath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mlbkg.candidates.pairs import PAIRS
from mlbkg.candidates.table import known_columns
from mlbkg.classifiers.base import BACKENDS
from mlbkg.config.problems import problems_of, said, shown, value_at
from mlbkg.config.schema import Candidates, ClassifierConfig, FeatureConfig, FeatureEntry, SampleConfig
from mlbkg.config.source import KeyPath, Problem, Source
from mlbkg.errors import ConfigError, ExpressionError, did_you_mean
from mlbkg.features.base import FEATURES
from mlbkg.features.resolve import FeatureSpec, base_columns, resolve
from mlbkg.ntuples.expressions import Expression
from mlbkg.physics.beams import BEAMS
from mlbkg.simulation.base import PROCESSES

_PER = {"event": "event", "collection": "track or cluster of the event", "rest": "track or cluster of the rest"}


@dataclass(frozen=True)
class View:
    """The valid parts of a config; lists as index -> entry. ``broken``: sections in which something is not valid."""

    source: Source
    samples: Mapping[int, SampleConfig]
    features: Mapping[int, FeatureConfig]
    spectators: Mapping[int, FeatureConfig]
    preselection: Mapping[int, str]
    event_id: Mapping[int, str]
    branches: Mapping[int, str]
    classifiers: Mapping[int, ClassifierConfig]
    candidates: Candidates | None
    broken: frozenset[str]

    @property
    def listed(self) -> dict[KeyPath, FeatureConfig]:
        """Features and spectators by their path."""
        sections = (("features", self.features), ("spectators", self.spectators))
        return {(key, i): entry for key, entries in sections for i, entry in entries.items()}

    @property
    def expressions(self) -> dict[KeyPath, str]:
        """Every formula and cut by its path."""
        samples = [(i, key, getattr(entry, key)) for i, entry in self.samples.items() for key in ("cut", "weight")]
        return {
            **{("samples", i, key): text for i, key, text in samples if text is not None},
            **{("preselection", i): text for i, text in self.preselection.items()},
            **{(*path, "expression"): entry.expression for path, entry in self.listed.items() if entry.expression},
        }


def view_of(source: Source, *, taken: Iterable[Problem]) -> View:
    """The parts of ``source`` that are valid and that no problem in ``taken`` is about."""
    wrong = [problem.path for problem in taken]

    def entries(kind: Any, *path: str) -> dict[int, Any]:
        values = value_at(source.data, path)
        if not isinstance(values, list):
            return {}
        fine = (i for i in range(len(values)) if not any(bad[: len(path) + 1] == (*path, i) for bad in wrong))
        return {i: _valid(kind, values[i]) for i in fine}

    candidates = source.data.get("candidates")
    ok = candidates is not None and not any(bad[:1] == ("candidates",) for bad in wrong)
    return View(
        source=source,
        samples=entries(SampleConfig, "samples"),
        features=entries(FeatureEntry, "features"),
        spectators=entries(FeatureEntry, "spectators"),
        preselection=entries(str, "preselection"),
        event_id=entries(str, "ntuples", "event_id"),
        branches=entries(str, "selection", "branches"),
        classifiers=entries(ClassifierConfig, "training", "classifiers"),
        candidates=_valid(Candidates, candidates) if ok else None,
        broken=frozenset(str(bad[0]) for bad in wrong if bad),
    )


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
    )
    return list(chain.from_iterable(check(view) for check in checks))


def _names_twice(view: View) -> Iterator[Problem]:
    labels = {i: entry.label for i, entry in view.classifiers.items()}
    yield from _twice(view, {("samples", i): entry.name for i, entry in view.samples.items()})
    yield from _twice(view, {("features", i): entry.name for i, entry in view.features.items()})
    yield from _twice(view, {("spectators", i): entry.name for i, entry in view.spectators.items()})
    yield from _twice(
        view, {("training", "classifiers", i): label for i, label in labels.items()}, advice="; give it a name"
    )
    features = {entry.name: (i, entry) for i, entry in view.features.items()}
    for i, entry in view.spectators.items():
        j, feature = features.get(entry.name, (0, entry))
        if (feature.column, feature.expression) != (entry.column, entry.expression):
            first = shown(view.source.in_file(("features", j)))
            yield Problem(("spectators", i), f"'{entry.name}' is not the same as {first} of that name")


def _twice(view: View, names: Mapping[KeyPath, str], *, advice: str = "") -> Iterator[Problem]:
    first: dict[str, KeyPath] = {}
    for path, name in names.items():
        if name in first:
            yield Problem(path, f"'{name}' is there twice; first on line {view.source.line_of(first[name])}{advice}")
        first.setdefault(name, path)


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
            yield Problem(("samples", i, "simulate", "process"), _unknown("process", process, processes))
        wrong = _simulated_output(entry.files)
        if wrong:
            yield Problem(("samples", i, "files"), f"{wrong}; got {said(view.source, ('samples', i, 'files'))}")
        elif entry.files[0] in first:
            yield Problem(("samples", i, "files"), f"sample '{first[entry.files[0]]}' is simulated into the same file")
        first.setdefault(entry.files[0], entry.name)


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
                yield Problem(("candidates", key), _unknown(key, name, known))


def _classifiers(view: View) -> Iterator[Problem]:
    for i, entry in view.classifiers.items():
        path: KeyPath = ("training", "classifiers", i)
        backend = BACKENDS.find(entry.backend)
        if backend is None:
            yield Problem((*path, "backend"), _unknown("backend", entry.backend, BACKENDS.names()))
            continue
        try:
            backend.params.model_validate(entry.parameters)
        except ValidationError as error:
            yield from problems_of(error, backend.params, view.source, under=path)


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
    for path, entry in view.listed.items():
        if entry.column is None and entry.expression is None and entry.name not in FEATURES:
            yield Problem(path, f"{_unknown('feature', entry.name, FEATURES.names(), listed=False)}; see `mlbkg features`")


def _used_names(view: View) -> Iterator[Problem]:
    """Names inside formulae, where mlbkg builds the candidates and so knows the columns."""
    if view.candidates is None or view.broken & {"features", "spectators"}:
        return
    listed = {entry.name for entry in view.listed.values()}
    columns = {name: level for name, (level, _, _) in known_columns().items()}
    for path, name in _uses(view):
        if columns.get(name) in ("candidate", "constant") or (name in listed and path[-1] != "column"):
            continue
        if name in columns:
            yield Problem(path, f"'{name}' has no single value for a candidate (it is there for each {_PER[columns[name]]})")
        elif name in FEATURES:
            yield Problem(path, f"'{name}' is a feature that is not listed; add it to spectators")
        elif _only_simulated(view, path):
            yield Problem(path, _unknown("name", name, {*columns, *listed}, listed=False))


def _uses(view: View) -> Iterator[tuple[KeyPath, str]]:
    for path, text in view.expressions.items():
        yield from ((path, name) for name in _names_in(text))
    yield from (((*path, "column"), entry.column) for path, entry in view.listed.items() if entry.column)
    yield from ((("ntuples", "event_id", i), name) for i, name in view.event_id.items())
    yield from ((("selection", "branches", i), name) for i, name in view.branches.items())


def _only_simulated(view: View, path: KeyPath) -> bool:
    """Whether the files can hold no branches of the user's own."""
    if path[0] == "samples":
        return view.samples[int(path[1])].simulate is not None
    return "samples" not in view.broken and all(entry.simulate is not None for entry in view.samples.values())


def _circles(view: View) -> Iterator[Problem]:
    formulae = {path: entry for path, entry in view.listed.items() if entry.expression and _names_in(entry.expression)}
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


def _names_in(text: str) -> tuple[str, ...]:
    """Nothing for what cannot be parsed; that is reported elsewhere."""
    try:
        return Expression.parse(text).names
    except ExpressionError:
        return ()


def _unknown(kind: str, name: str, known: Iterable[str], *, listed: bool = True) -> str:
    names = sorted(known)
    others = f"; known: {', '.join(names)}" if listed else ""
    return f"unknown {kind} '{name}'{did_you_mean(name, names) or others}"


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _valid(kind: Any, value: Any) -> Any:
    return _adapter(kind).validate_python(value)
