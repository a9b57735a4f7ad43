"""pydantic's findings in people's words, each with the key it is about."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from mlbkg.config.source import KeyPath, Problem, Source
from mlbkg.config.statistics import NAME_PATTERN
from mlbkg.errors import did_you_mean

_MAX_SHOWN = 60

_EXPECTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "model": "a section of keys",
    "dict": "a section of keys",
}
_SCALARS = ("bool", "int", "float", "str")
_LIMITS = {
    "greater_than": (">", "gt"),
    "greater_than_equal": (">=", "ge"),
    "less_than": ("<", "lt"),
    "less_than_equal": ("<=", "le"),
}


def problems_of(error: ValidationError, model: type[BaseModel], source: Source, *, under: KeyPath = ()) -> list[Problem]:
    """One problem per key that ``error`` is about. ``under``: where in the config the validated part is."""
    data = value_at(source.data, under)
    groups: dict[tuple[KeyPath, bool], list[tuple[KeyPath, Mapping[str, Any]]]] = defaultdict(list)
    for found in error.errors(include_url=False, include_context=True):
        if _counts_only_valid(found):
            continue
        path, union_root = _in_data(found["loc"], data, keep_last=found["type"] in ("missing", "extra_forbidden"))
        is_union = union_root is not None
        groups[union_root if union_root is not None else path, is_union].append((path, dict(found)))
    problems = []
    for (root, is_union), members in groups.items():
        if is_union:
            problems += _of_union(root, members, model, source, under)
        else:
            problems += [Problem((*under, *path), _message(found, path, model, source, under)) for path, found in members]
    return list(dict.fromkeys(problems))


def _counts_only_valid(found: Mapping[str, Any]) -> bool:
    """Whether a list is called too short for entries that are there, but wrong, and told of anyway."""
    return bool(found["type"] == "too_short" and len(found["input"]) >= found["ctx"]["min_length"])


def value_at(data: Any, path: Iterable[str | int]) -> Any:
    """What is at ``path``; None where there is nothing."""
    for key in path:
        if not _has(data, key):
            return None
        data = data[key]
    return data


def known_keys(model: type[BaseModel], path: KeyPath) -> tuple[str, ...]:
    """The keys of the section at ``path`` of ``model``."""
    return tuple(_fields_at(model, path))


def shown(path: KeyPath) -> str:
    """``samples[0].role``"""
    return re.sub(r"^\.", "", "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)) or "the config"


def said(source: Source, path: KeyPath) -> str:
    """The value at ``path`` as it was typed, short enough for a line."""
    value = value_at(source.data, path)
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a section of keys"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]}…")
    return source.written.get(source.in_file(path), str(value))


def _fields_at(model: type[BaseModel], path: KeyPath) -> dict[str, FieldInfo]:
    """Of the section at ``path``, or of all that may be there. Keys that are no fields are those of a mapping."""
    fields = dict(model.model_fields)
    for key in path:
        if key in fields:
            models = list(_models_in(fields[str(key)].annotation))
            fields = {name: field for found in models for name, field in found.model_fields.items()}
    return fields


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _has(data: Any, key: str | int) -> bool:
    if isinstance(data, dict):
        return key in data
    return isinstance(data, list) and isinstance(key, int) and 0 <= key < len(data)


def _in_data(loc: Sequence[str | int], data: Any, *, keep_last: bool) -> tuple[KeyPath, KeyPath | None]:
    """The part of pydantic's location that people wrote, and where the first union on the way begins.

    pydantic puts the name of a union's member into the location, and keys that a validator made.
    """
    path: list[str | int] = []
    union_root: KeyPath | None = None
    for i, key in enumerate(loc):
        if _has(data, key):
            path.append(key)
            data = data[key]
        elif keep_last and i == len(loc) - 1:
            path.append(key)
        elif isinstance(key, str) and ("[" in key or key in _SCALARS) and union_root is None:
            union_root = tuple(path)
    return tuple(path), union_root


def _of_union(
    root: KeyPath,
    members: Sequence[tuple[KeyPath, Mapping[str, Any]]],
    model: type[BaseModel],
    source: Source,
    under: KeyPath,
) -> list[Problem]:
    deeper = [(path, found) for path, found in members if path != root]
    if deeper:
        return [Problem((*under, *path), _message(found, path, model, source, under)) for path, found in deeper]
    kinds = dict.fromkeys(_expected(found) for _, found in members)
    expected = " or ".join(kind for kind in kinds if kind != _EXPECTED["int"] or _EXPECTED["float"] not in kinds)
    return [Problem((*under, *root), f"must be {expected}; got {said(source, (*under, *root))}")]


def _expected(found: Mapping[str, Any]) -> str:
    if found["type"] == "literal_error":
        return str(found["ctx"]["expected"])
    return _EXPECTED.get(found["type"].split("_")[0], str(found["msg"]))


def _message(found: Mapping[str, Any], path: KeyPath, model: type[BaseModel], source: Source, under: KeyPath) -> str:
    kind, context = found["type"], found.get("ctx", {})
    got = said(source, (*under, *path))
    if kind == "missing":
        return "missing" + _description(model, path)
    if kind == "extra_forbidden":
        return unknown_key(str(path[-1]), known_keys(model, path[:-1]))
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        plain = _expected(found).replace("'", "")
        return f"must be {plain}; got {got}"
    if kind in _LIMITS:
        sign, key = _LIMITS[kind]
        return f"must be {sign} {context[key]:g}; got {got}"
    if kind in ("too_short", "string_too_short"):
        return f"must not be empty; got {got}" if context["min_length"] == 1 else f"needs {context['min_length']} entries"
    if kind in ("too_long", "string_too_long"):
        return f"must be at most {context['max_length']} long; got {context.get('actual_length', len(str(found['input'])))}"
    if kind == "string_pattern_mismatch":
        return _pattern(context["pattern"], got)
    if kind in ("finite_number", "int_from_float", "int_parsing_size"):
        return f"must be {'a whole number' if kind.startswith('int') else 'a finite number'}; got {got}"
    if kind == "string_type" and isinstance(found["input"], bool | int | float):
        return f"must be text; got {got} (put it in quotes)"
    return f"must be {_expected(found)}; got {got}"


def unknown_key(key: str, known: Sequence[str]) -> str:
    """With the nearest key, or all of them where none is near."""
    listed = f"; known: {', '.join(known)}" if known else ""
    return f"unknown key{did_you_mean(key, known) or listed}"


def _pattern(pattern: str, got: str) -> str:
    if pattern == NAME_PATTERN:
        return f"must be a letter, then letters, digits or _; got {got}"
    return f"must not hold spaces or control characters; got {got}"


def _description(model: type[BaseModel], path: KeyPath) -> str:
    """What the missing key means: the reader does not know it yet."""
    field = _fields_at(model, path[:-1]).get(str(path[-1]))
    return f" ({field.description})" if field is not None and field.description else ""
