"""What a graph with features in it takes, as its file says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from mlbkg.errors import MlbkgError
from mlbkg.export.metadata import PREFIX
from mlbkg.export.metadata_checks import parsed_json

PROPERTY = PREFIX + "raw_inputs"
Made = Literal["computed", "branch", "input"]


@dataclass(frozen=True)
class RawInput:
    """A float32 tensor ``[None, 1]``. feature: whether it is a feature that the graph cannot compute, not a branch.

    reason: why it cannot; empty for a branch.
    """

    name: str
    unit: str
    feature: bool = False
    reason: str = ""


@dataclass(frozen=True)
class FeatureSource:
    """made: ``computed`` in the graph, one ``branch`` as it is, or an ``input`` of the feature's own name.

    inputs: those that it comes from.
    """

    name: str
    made: Made
    inputs: tuple[str, ...]


def property_of(inputs: Sequence[RawInput], features: Sequence[FeatureSource]) -> str:
    plain = {"inputs": [asdict(one) for one in inputs], "features": [asdict(one) for one in features]}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def raw_inputs_of(props: Mapping[str, str]) -> tuple[RawInput, ...]:
    """Empty where the file's inputs are its features. Raises :class:`MlbkgError` for a property that makes no sense."""
    return tuple(RawInput(**entry) for entry in _entries(props, "inputs", RawInput))


def feature_sources_of(props: Mapping[str, str]) -> tuple[FeatureSource, ...]:
    """In the order of the forest's columns. Raises as :func:`raw_inputs_of`."""
    entries = _entries(props, "features", FeatureSource)
    return tuple(FeatureSource(**{**entry, "inputs": tuple(entry["inputs"])}) for entry in entries)


def _entries(props: Mapping[str, str], key: str, kind: type) -> list[dict[str, Any]]:
    if PROPERTY not in props:
        return []
    try:
        entries = parsed_json(props[PROPERTY])[key]
        if not isinstance(entries, list) or not all(_is_right(entry, kind) for entry in entries):
            raise ValueError(f"its {key} are of the wrong kind")
    except (KeyError, TypeError, ValueError) as error:
        raise MlbkgError(f"the metadata property {PROPERTY} makes no sense", hint="Export the file anew.") from error
    return entries


def _is_right(entry: Any, kind: type) -> bool:
    if not isinstance(entry, dict) or set(entry) != {field.name for field in fields(kind)}:
        return False
    texts = [value for name, value in entry.items() if name not in ("feature", "inputs")]
    inputs = entry.get("inputs", [])
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(entry.get("feature", False), bool)
        and isinstance(inputs, list)
        and all(isinstance(name, str) for name in inputs)
        and entry.get("made", "input") in get_args(Made)
    )
