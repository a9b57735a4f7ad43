"""A config file to a :class:`~mlbkg.config.schema.Config`, or one error that lists everything wrong with it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mlbkg.classifiers.base import BACKENDS
from mlbkg.config.classifier import ClassifierConfig
from mlbkg.config.problems import problems_of, shown, value_at
from mlbkg.config.scale import scaled
from mlbkg.config.schema import Config, FeatureConfig
from mlbkg.config.semantics import meaning_problems
from mlbkg.config.source import MAX_BYTES, KeyPath, Problem, Source, SourceError, dump, parse
from mlbkg.config.statistics import ShapeConfig
from mlbkg.config.view import COMPARED, view_of
from mlbkg.errors import ConfigError, UnknownNameError, did_you_mean
from mlbkg.features.sets import PREFIX, expand
from mlbkg.fitting.base import SHAPES
from mlbkg.registry import Params

log = logging.getLogger(__name__)

LISTS_OF_FEATURES: tuple[tuple[str, ...], ...] = (("features",), ("spectators",), COMPARED)


@dataclass(frozen=True)
class LoadedConfig:
    """A valid config and the file that it came from. Feature sets are expanded in ``config``, and simulated samples scaled.

    scale: of the number of simulated events, relative to the file.
    """

    config: Config
    path: Path
    text: str
    source: Source
    scale: float = 1.0

    def line_of(self, key_path: KeyPath) -> int:
        """Line of the key (``("samples", 0, "role")``), or of the nearest thing around it that is in the file."""
        return self.source.line_of(key_path)

    @cached_property
    def sha256(self) -> str:
        """Of the text of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def load(path: Path, *, scale: float = 1.0) -> LoadedConfig:
    """Raises :class:`ConfigError` with every problem that can be seen without opening another file.

    ``scale``: multiplies the events of every simulated sample, whose files are then those of another folder: see
    :func:`~mlbkg.config.scale.scaled`.
    """
    path = Path(path)
    _check_there(path)
    try:
        text = read_text(path)
        source, problems = _expand_sets(parse(text))
    except SourceError as error:
        raise config_error(path, error.problems) from error
    config: Config | None = None
    try:
        config = Config.model_validate(source.data)
    except ValidationError as error:
        problems += problems_of(error, Config, source)
    problems += meaning_problems(view_of(source, taken=problems))
    if problems or config is None:
        raise config_error(path, problems, source)
    for name in sorted({entry.name for entry in config.features} & {entry.name for entry in config.spectators}):
        log.warning("%s: '%s' is a spectator, but also a feature: the classifiers see it", path, name)
    return LoadedConfig(scaled(config, scale, where=path), path, text, source, scale)


def config_error(path: Path, problems: Iterable[Problem], source: Source | None = None) -> ConfigError:
    """The error that people read: one line per problem, in the order of the file."""
    ordered = in_order(problems, source)
    width = max(len(str(line)) for line, _ in ordered)
    details = []
    for line, text in ordered:
        first, *more = text.split("\n")
        details += [f":{line:<{width}} {first}", *(" " * (width + 4) + rest for rest in more)]
    return ConfigError(
        f"{path}: {len(ordered)} problem{'s' if len(ordered) != 1 else ''}, no file was opened",
        details=details,
        where=f"{path}:{ordered[0][0]}",
        hint=f"Check again: mlbkg check {path}",
    )


def in_order(problems: Iterable[Problem], source: Source | None) -> list[tuple[int, str]]:
    """Line and text of each problem, in the order of the file."""
    ordered = sorted(problems, key=lambda problem: (_line(problem, source), _sortable(problem.path)))
    return list(dict.fromkeys((_line(problem, source), _text(problem, source)) for problem in ordered))


def resolved_yaml(config: Config) -> str:
    """The config with every default written out, those of backends and shapes too; the same config gives the same text."""
    return dump(_plain(config))


def json_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of a config file, for editors; each backend's and each shape's own settings included."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    _add_settings(schema, "ClassifierConfig", "backend", {name: BACKENDS[name].params for name in BACKENDS})
    _add_settings(schema, "ShapeConfig", "shape", {name: SHAPES[name].params for name in SHAPES})
    return schema


def _add_settings(schema: dict[str, Any], section: str, key: str, families: Mapping[str, type[Params]]) -> None:
    """Let ``section`` hold, beside its own keys, the settings of what ``key`` names, and no others."""
    found = schema["$defs"][section]
    found["properties"][key]["enum"] = list(families)
    own = list(found["properties"])
    found["allOf"] = []
    for name, params in families.items():
        settings = params.model_json_schema()
        schema["$defs"].update(settings.pop("$defs", {}))
        properties = {**dict.fromkeys(own, True), **settings.get("properties", {})}
        found["allOf"].append(
            {
                "if": {"properties": {key: {"const": name}}},
                "then": {"properties": properties, "additionalProperties": False},
            }
        )


def read_text(path: Path) -> str:
    """Raises :class:`ConfigError` for what cannot be read or is too long, :class:`SourceError` for what is no UTF-8."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", where=str(path)) from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path} has {len(raw)} bytes; a config has at most {MAX_BYTES}", where=str(path))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SourceError([Problem((), "not UTF-8 text; save the file as UTF-8", line)]) from error


def _check_there(path: Path) -> None:
    if path.is_dir():
        raise ConfigError(f"{path} is a folder, not a config", where=str(path))
    if not path.exists():
        there = [str(found) for found in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise ConfigError(
            f"no config '{path}'{did_you_mean(str(path), there)}",
            where=str(path),
            hint=f"Write a new one: mlbkg init {path}",
        )


def _line(problem: Problem, source: Source | None) -> int:
    if problem.line is not None or source is None:
        return problem.line or 1
    return source.line_of(problem.path)


def _sortable(path: KeyPath) -> list[tuple[int, str]]:
    return [(key, "") if isinstance(key, int) else (-1, key) for key in path]


def _text(problem: Problem, source: Source | None) -> str:
    path = source.in_file(problem.path) if source else problem.path
    return f"{shown(path)}: {problem.message}" if path else problem.message


def _expand_sets(source: Source) -> tuple[Source, list[Problem]]:
    """``set:NAME`` entries of lists of features replaced by what they stand for."""
    data, problems = dict(source.data), []
    origins: dict[KeyPath, KeyPath] = {}
    for path in LISTS_OF_FEATURES:
        *sections, key = path
        holder = value_at(data, sections)
        if not isinstance(holder, dict) or not isinstance(holder.get(key), list):
            continue
        expanded: list[Any] = []
        for i, entry in enumerate(holder[key]):
            members: Iterable[Any] = [entry]
            if isinstance(entry, str) and entry.startswith(PREFIX):
                try:
                    members = expand([entry])
                except UnknownNameError as error:
                    known = "" if "did you mean" in error.what else f"; {error.hint[:1].lower()}{error.hint[1:]}"
                    problems.append(Problem((*path, len(expanded)), error.what + known))
            for member in members:
                origins[*path, len(expanded)] = (*path, i)
                expanded.append(member)
        data |= {sections[0]: {**holder, key: expanded}} if sections else {key: expanded}
    return replace(source, data=data, origins=origins), problems


def _plain(value: Any) -> Any:
    """Models to dicts in the order of the schema, without keys whose value and default are both nothing."""
    if isinstance(value, ClassifierConfig):
        parameters = BACKENDS[value.backend].params.model_validate(value.parameters)
        return {"backend": value.backend, "name": value.label, **parameters.model_dump()}
    if isinstance(value, ShapeConfig):
        return {"shape": value.shape, **SHAPES[value.shape].params.model_validate(value.settings).model_dump()}
    if isinstance(value, FeatureConfig) and value == FeatureConfig(name=value.name):
        return value.name
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        given = {name: getattr(value, name) for name in fields}
        return {name: _plain(item) for name, item in given.items() if item is not None or fields[name].default is not None}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
