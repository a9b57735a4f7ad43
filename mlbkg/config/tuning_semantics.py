"""What is wrong with the section ``tuning`` of a config whose keys and types are right, without its search spaces' files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain

from mlbkg.classifiers.base import BACKENDS
from mlbkg.config.problems import value_at
from mlbkg.config.schema import Training
from mlbkg.config.source import KeyPath, Problem
from mlbkg.config.space_semantics import Place, entry_problems
from mlbkg.config.tuning import Tuning
from mlbkg.config.view import View, twice, unknown

OBJECTIVE: KeyPath = ("tuning", "objective")
SEARCH: KeyPath = ("tuning", "search")
STORAGE: KeyPath = ("tuning", "storage")

DATABASES = ("sqlite", "postgresql", "mysql", "mariadb", "oracle", "mssql")
"""What a storage's URL may begin with; a driver may follow, as in postgresql+psycopg2."""

BESIDE_A_MERIT = ("cost", "sculpting")
"""Best for a classifier that tells nothing from nothing."""


def tuning_problems(view: View) -> Iterator[Problem]:
    """The order does not matter."""
    checks: tuple[Callable[[View, Tuning], Iterator[Problem]], ...] = (
        _backends,
        _search,
        _objectives,
        _needs_of_objectives,
        _parts,
        _storage,
        _warm_start,
    )
    if view.tuning is not None:
        tuning = view.tuning
        yield from chain.from_iterable(check(view, tuning) for check in checks)


def _backends(view: View, tuning: Tuning) -> Iterator[Problem]:
    paths: dict[KeyPath, str] = {("tuning", "backends", i): name for i, name in enumerate(tuning.backends)}
    yield from twice(view, paths)
    for path, name in paths.items():
        if name not in BACKENDS:
            yield Problem(path, unknown("backend", name, BACKENDS.names()))


def _search(view: View, tuning: Tuning) -> Iterator[Problem]:
    classifiers = tuple(view.classifiers.values()) or Training().classifiers
    searched = tuning.backends or tuple(entry.backend for entry in classifiers)
    is_known = bool(tuning.backends) or "training" not in view.broken
    for name, entries in tuning.search.items():
        backend = BACKENDS.find(name)
        if backend is None:
            yield Problem((*SEARCH, name), unknown("backend", name, BACKENDS.names()))
            continue
        if is_known and name not in searched:
            yield Problem((*SEARCH, name), f"'{name}' is not searched; add it to tuning.backends")
        for parameter, entry in entries.items():
            if entry is not None or parameter not in backend.params.model_fields:
                yield from entry_problems(parameter, entry, backend, Place(view.source, (*SEARCH, name)))


def _objectives(view: View, tuning: Tuning) -> Iterator[Problem]:
    yield from twice(view, dict(_named(view, tuning)))
    path, first = next(_named(view, tuning))
    if first in BESIDE_A_MERIT:
        text = (
            f"the best by the first is trained, and {first} is best for a classifier that knows nothing; put another before"
        )
        yield Problem(path, text)


def _needs_of_objectives(view: View, tuning: Tuning) -> Iterator[Problem]:
    without_spectators = not view.source.data.get("spectators")
    for path, name in _named(view, tuning):
        if name == "expected_limit" and "fit" not in view.source.data:
            instead = "punzi" if "scan" in view.source.data else "counting_limit"
            yield Problem(path, f"expected_limit is of the section fit, which is missing; without it: {instead}")
        elif name == "sculpting" and without_spectators:
            yield Problem(path, "sculpting is of spectators, and there are none")
    if tuning.constraints.sculpting is not None and without_spectators:
        yield Problem(("tuning", "constraints", "sculpting"), "is of spectators, and there are none")


def _parts(view: View, tuning: Tuning) -> Iterator[Problem]:
    if tuning.searches > tuning.outer_folds:
        text = f"must be <= outer_folds, {tuning.outer_folds}, as each holds out another part; got {tuning.searches}"
        yield Problem(("tuning", "searches"), text)


def _storage(view: View, tuning: Tuning) -> Iterator[Problem]:
    if tuning.storage is None:
        return
    kind, is_url, rest = tuning.storage.partition("://")
    if not is_url:
        if not tuning.storage.strip() or tuning.storage.endswith(("/", "\\")):
            yield Problem(STORAGE, "must be a file's path or a database's URL")
        elif tuning.storage.startswith("~"):
            yield Problem(STORAGE, "'~' is no folder here; write its path")
    elif kind.partition("+")[0] not in DATABASES:
        yield Problem(STORAGE, unknown("kind of database", kind, DATABASES))
    elif re.match(r"[^/@]*:[^/]*@", rest):
        text = "holds a password, and a config is copied into results and models; leave it to the database's own file for it"
        yield Problem(STORAGE, text)


def _warm_start(view: View, tuning: Tuning) -> Iterator[Problem]:
    paths: dict[KeyPath, str] = {("tuning", "warm_start", i): name for i, name in enumerate(tuning.warm_start)}
    yield from twice(view, paths)
    for path, name in paths.items():
        if not re.fullmatch(r"\w[\w.-]*", name):
            yield Problem(path, f"'{name}' is no name of a study: letters, digits, _, - and '.'")
        elif name == tuning.study:
            yield Problem(path, f"'{name}' is this study itself")


def _named(view: View, tuning: Tuning) -> Iterator[tuple[KeyPath, str]]:
    """The objectives, each at its place in the file."""
    is_list = isinstance(value_at(view.source.data, OBJECTIVE), list)
    yield from (((*OBJECTIVE, i) if is_list else OBJECTIVE, name) for i, name in enumerate(tuning.objective))
