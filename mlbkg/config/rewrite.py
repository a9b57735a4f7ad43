"""A config file's text with other classifiers, its comments kept where that can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from mlbkg.config.source import dump, parse

KEYS = ("training", "classifiers")


def with_classifiers(text: str, classifiers: Sequence[Mapping[str, Any]], *, header: str) -> str:
    """``text``: a valid config. header: a line of comment to begin with."""
    wanted = [dict(classifier) for classifier in classifiers]
    data = parse(text).data
    data[KEYS[0]] = {**(data.get(KEYS[0]) or {}), KEYS[1]: wanted}
    entry = _entry(yaml.compose(text, Loader=yaml.SafeLoader), KEYS)
    if entry is None:
        return f"# {header}\n{dump(data)}"
    key, value = entry
    begin, end = key.end_mark.index, value.end_mark.index
    end = begin + len(text[begin:end].rstrip())
    return f"# {header}\n{text[:begin]}: {dump(wanted, flow=True).strip()}{text[end:]}"


def _entry(node: yaml.Node | None, keys: Sequence[str]) -> tuple[yaml.Node, yaml.Node] | None:
    """Key and value of the innermost of ``keys``."""
    entry = None
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            return None
        entry = next((pair for pair in node.value if pair[0].value == key), None)
        node = entry[1] if entry else None
    return entry
