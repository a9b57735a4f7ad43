"""What the metadata of a model file may say: values of the right kind, and names that a terminal shows as they are."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from mlbkg.errors import is_plain
from mlbkg.export.forest import MAX_FEATURES
from mlbkg.export.safety.refusal import shown

MAX_FOLDS = 1_000
MAX_WORKING_POINTS = 1_000
_Check = Callable[[Any], bool]


def parsed_json(text: str) -> Any:
    """Raises :class:`ValueError` for what is no JSON, also for NaN and for brackets without end."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number")


def check_plain(values: Mapping[str, Any]) -> None:
    """``values``: field of :class:`mlbkg.export.metadata.ModelMetadata` -> plain value. Raises :class:`ValueError`."""
    for name, is_right in _FIELDS.items():
        if name in values and not is_right(values[name]):
            raise ValueError(
                f"{name}, of the wrong kind or with letters that cannot be printed: {shown(repr(values[name]))}"
            )


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and is_plain(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and is_plain(value, lines=True)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and math.isfinite(value)


def _or_none(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _list_of(check: _Check, at_most: int = MAX_FEATURES) -> _Check:
    return lambda value: isinstance(value, list | tuple) and len(value) <= at_most and all(map(check, value))


def _table_of(check: _Check) -> _Check:
    return lambda value: isinstance(value, Mapping) and all(_is_text(key) and check(entry) for key, entry in value.items())


def _fields(fields: Mapping[str, _Check], *required: str) -> _Check:
    """A table with these entries and no others."""

    def check(value: Any) -> bool:
        return (
            isinstance(value, Mapping)
            and set(required) <= set(value) <= set(fields)
            and all(fields[name](entry) for name, entry in value.items())
        )

    return check


_FEATURE = {
    "name": lambda value: _is_name(value) and bool(value),
    "unit": _is_name,
    "needs": _list_of(_is_name),
    "description": _is_text,
    "basf2": _is_text,
    "column": _or_none(_is_name),
    "expression": _or_none(_is_text),
}
_CURVE = {"variable": _is_name, "at": _list_of(_is_number), "threshold": _list_of(_is_number)}
_WORKING_POINT = {
    "name": _is_text,
    "threshold": _is_number,
    "signal_efficiency": _is_number,
    "background_efficiency": _is_number,
    "curve": _fields(_CURVE, *_CURVE),
}
_FIELDS: dict[str, _Check] = {
    "analysis": _is_text,
    "title": _is_text,
    "backend": _is_name,
    "salt": _is_name,
    "origin": _is_text,
    "output": lambda value: value in ("logistic", "symmetric", "identity"),
    "features": _list_of(_fields(_FEATURE, "name")),
    "n_folds": lambda value: isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_FOLDS,
    "event_id": _list_of(_is_name),
    "working_points": _list_of(
        _fields(_WORKING_POINT, *(name for name in _WORKING_POINT if name != "curve")), MAX_WORKING_POINTS
    ),
    "class_prior": _or_none(lambda value: _is_number(value) and 0 <= value <= 1),
    "config": lambda value: isinstance(value, Mapping),
    "data_fingerprints": _table_of(_is_text),
    "versions": _table_of(_is_text),
}
