"""Where the parameters of each backend are searched: a file for each, and what a config puts in the place of single entries.

A file ``<backend>.yaml`` holds a :class:`~mlbkg.tuning.space.SearchSpace`; one folder with a file for each of mlbkg's own
backends is shipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from mlbkg.classifiers.base import BACKENDS, Backend
from mlbkg.config.load import in_order, read_text
from mlbkg.config.problems import problems_of, shown
from mlbkg.config.schema import Config
from mlbkg.config.source import KeyPath, Problem, Source, SourceError, parse
from mlbkg.config.space_semantics import Place, entry_problems, relation_problems
from mlbkg.errors import ConfigError
from mlbkg.tuning.space import Choice, Range, Scalar, SearchSpace

Search = Mapping[str, Range | Choice | Scalar]
"""Parameter -> what the config wants instead of the file's entry."""

_PACKAGE = Path(__file__).resolve().parents[1]


def search_spaces(config: Config) -> dict[str, SearchSpace]:
    """Of each backend that is searched, in order: those of ``tuning.backends``, or of ``training.classifiers``.

    What ``tuning.search`` holds takes the place of the file's entry: a range or choices vary a parameter, a value fixes it,
    and null leaves it at the backend's default. Raises :class:`ConfigError` with all problems of all files.
    """
    folder = shipped_spaces() if config.tuning.spaces is None else Path(config.tuning.spaces)
    if not folder.is_dir():
        raise ConfigError(f"tuning.spaces: no folder '{folder}'", where="tuning.spaces")
    spaces: dict[str, SearchSpace] = {}
    problems: list[str] = []
    for name in searched_backends(config):
        path, search = folder / f"{name}.yaml", config.tuning.search.get(name, {})
        space = SearchSpace(backend=name)
        found: list[str] = []
        if path.is_file():
            space, found = _in_file(path, BACKENDS[name])
        elif not any(isinstance(entry, Range | Choice) for entry in search.values()):
            found = [f"no search space of '{name}': write {path}, or give all of it in tuning.search.{name}"]
        spaces[name] = merged(space, search)
        problems += found or _in_config(spaces[name], search)
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise ConfigError(
            f"{count} in search spaces", details=problems, where="tuning", hint=f"How one is written: {_example()}"
        )
    return spaces


def searched_backends(config: Config) -> tuple[str, ...]:
    """Each once, in order."""
    return tuple(dict.fromkeys(config.tuning.backends or (entry.backend for entry in config.training.classifiers)))


def shipped_spaces() -> Path:
    """The folder in the repository, or its copy in an installed package."""
    packed = _PACKAGE / "search_spaces"
    return packed if packed.is_dir() else _PACKAGE.parent / "training" / "search_spaces"


def merged(space: SearchSpace, search: Search) -> SearchSpace:
    """``space`` with the entries of ``search`` instead of its own; those in both keep their place in the order."""
    fixed, vary = dict(space.fixed), dict(space.vary)
    for name, entry in search.items():
        if isinstance(entry, Range | Choice):
            fixed.pop(name, None)
            vary[name] = entry
            continue
        vary.pop(name, None)
        fixed.pop(name, None)
        field = BACKENDS[space.backend].params.model_fields[name]
        if entry is not None or not field.is_required():
            fixed[name] = field.default if entry is None else entry
    return SearchSpace(backend=space.backend, description=space.description, fixed=fixed, vary=vary)


def _in_file(path: Path, backend: Backend) -> tuple[SearchSpace, list[str]]:
    """The valid part of the file, and a line for each thing that is wrong with it."""
    try:
        source = parse(read_text(path))
    except SourceError as error:
        return SearchSpace(backend=backend.name), _listed(path, error.problems, None)
    problems: list[Problem] = []
    try:
        SearchSpace.model_validate(source.data)
    except ValidationError as error:
        problems += problems_of(error, SearchSpace, source)
    space = _valid_part(source, problems, backend)
    if source.data.get("backend") not in (None, backend.name):
        problems.append(
            Problem(("backend",), f"must be {backend.name}, as the file is called; got {source.data['backend']!r}")
        )
    if not any(problem.path[:1] in (("fixed",), ("vary",)) for problem in problems):
        problems += relation_problems(space, backend, ("vary",))
    entries: dict[KeyPath, Search] = {("fixed",): space.fixed, ("vary",): space.vary}
    for under, section in entries.items():
        for name, entry in section.items():
            problems += entry_problems(name, entry, backend, Place(source, under))
    return space, _listed(path, problems, source)


def _in_config(space: SearchSpace, search: Search) -> list[str]:
    """Of ``search``, what cannot be seen without the file that it adds to."""
    under = ("tuning", "search", space.backend)
    if not space.vary:
        return [f"{shown(under)}: leaves nothing of '{space.backend}' to search"]
    problems = relation_problems(space, BACKENDS[space.backend], under)
    return [f"{shown(problem.path)}: {problem.message}" for problem in problems if problem.path[len(under)] in search]


def _valid_part(source: Source, problems: Iterable[Problem], backend: Backend) -> SearchSpace:
    wrong = {problem.path[:2] for problem in problems}
    sections = {key: source.data.get(key) for key in ("fixed", "vary")}
    fine = {
        key: {name: entry for name, entry in section.items() if (key, name) not in wrong}
        for key, section in sections.items()
        if isinstance(section, dict)
    }
    return SearchSpace.model_validate({"backend": backend.name, **fine})


def _listed(path: Path, problems: Iterable[Problem], source: Source | None) -> list[str]:
    return [f"{path}:{line} {text}" for line, text in in_order(problems, source)]


def _example() -> Path:
    return shipped_spaces() / "xgboost.yaml"
