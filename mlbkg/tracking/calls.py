"""What a run is told, as data: each call can be kept as a line of JSON and be told later, word for word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from mlbkg.errors import MlbkgError
from mlbkg.registry import Params
from mlbkg.tracking.base import NestedRun

MAX_KEY = 250
MAX_PARAMETER = 6000
MAX_TAG = 8000

Status = Literal["FINISHED", "FAILED", "KILLED"]


class _Call(Params, allow_inf_nan=True, ser_json_inf_nan="constants"):
    """Figures may be infinite or not a number; JSON has no such thing, and Python writes and reads them all the same."""


class Begin(_Call):
    """The first of a record. id: of the record; a run on a server bears it. run_id: of the run that goes on; times in ms."""

    call: Literal["begin"] = "begin"
    version: Literal[1] = 1
    id: str
    uri: str
    experiment: str
    run_name: str
    description: str
    experiment_description: str
    run_id: str | None
    began_ms: int


class Began(_Call):
    """The id that the server gave."""

    call: Literal["began"] = "began"
    run_id: str


class Parameters(_Call):
    call: Literal["parameters"] = "parameters"
    values: Mapping[str, str]


class Metrics(_Call):
    """Each is name, value, step and time in ms."""

    call: Literal["metrics"] = "metrics"
    values: tuple[tuple[str, float, int, int], ...]


class Tags(_Call):
    call: Literal["tags"] = "tags"
    values: Mapping[str, str]


class Dataset(_Call):
    call: Literal["dataset"] = "dataset"
    name: str
    fingerprint: str
    source: str
    rows: int


class Nested(_Call):
    call: Literal["nested"] = "nested"
    run: NestedRun


class Model(_Call):
    """file, card: their paths within the record."""

    call: Literal["model"] = "model"
    file: str
    card: str | None
    name: str
    alias: str | None
    description: str
    tags: Mapping[str, str]


class End(_Call):
    call: Literal["end"] = "end"
    status: Status
    ended_ms: int


Call = Begin | Began | Parameters | Metrics | Tags | Dataset | Nested | Model | End
_KINDS: Mapping[str, type[Call]] = {
    "begin": Begin,
    "began": Began,
    "parameters": Parameters,
    "metrics": Metrics,
    "tags": Tags,
    "dataset": Dataset,
    "nested": Nested,
    "model": Model,
    "end": End,
}
_KIND = re.compile(rb'\{"call":"(\w+)"')


def to_line(call: Call) -> bytes:
    return call.model_dump_json().encode() + b"\n"


def from_line(line: bytes, *, where: str) -> Call:
    """Raises :class:`MlbkgError` for what :func:`to_line` does not write; ``where``: file and line, for its text."""
    found = _KIND.match(line)
    kind = _KINDS.get(found[1].decode()) if found else None
    if kind is None:
        raise MlbkgError(
            f"{where}: not a call that a record holds: {line[:60].decode(errors='replace').strip()}", where=where
        )
    try:
        return kind.model_validate_json(line)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise MlbkgError(f"{where}: not a whole call '{kind.__name__}': {reason}", where=where) from None


def clean(run: NestedRun) -> NestedRun:
    """``run`` with keys and lengths that MLflow takes."""
    return NestedRun(
        name=run.name,
        parameters={key(name): short(value, MAX_PARAMETER) for name, value in run.parameters.items()},
        metrics={key(name): float(value) for name, value in run.metrics.items()},
        tags={key(name): short(value, MAX_TAG) for name, value in run.tags.items()},
        began=run.began,
        ended=run.ended,
        status=run.status,
        description=short(run.description, MAX_TAG),
        curves={key(name): tuple(map(float, values)) for name, values in run.curves.items()},
    )


def key(text: str) -> str:
    """MLflow takes letters, digits and ``_-./ :`` in keys, and no path that leads elsewhere."""
    allowed = re.sub(r"[^\w\-./ :]", "_", text, flags=re.ASCII)
    return re.sub(r"(^|/)[./]+", r"\1_", allowed)[:MAX_KEY] or "_"


def short(value: object, limit: int) -> str:
    text = str(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
