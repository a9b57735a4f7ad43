"""YAML text to plain data that remembers the line of every key.

Stricter and plainer than YAML 1.1: scalars follow the core schema of YAML 1.2 (``no`` and ``on`` are text, ``1e-3`` is a
number, ``12:30`` and dates are text), a key given twice is an error, tags that make objects are refused, and aliases may not
unfold into more than ``MAX_NODES`` values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

KeyPath = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_NODES = 50_000
MAX_DIGITS = 40

_TAG = "tag:yaml.org,2002:"
_SCALARS: tuple[tuple[str, str, list[str | None]], ...] = (
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", list("-+.0123456789")),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.")),
    ("int", r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", "", None]),
)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the value at ``path``; ``line`` where the path has none of its own."""

    path: KeyPath
    message: str
    line: int | None = None


class SourceError(Exception):
    """The text is not a config at all; ``problems`` have their lines."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


@dataclass(frozen=True)
class Source:
    """A config as it is in the file.

    data: dicts, lists and scalars. lines: line (from 1) of each key and list entry. written: scalars as they were typed.
    origins: where list entries in ``data`` that stand for one entry of the file came from; the rest is where it was.
    """

    data: dict[str, Any]
    lines: Mapping[KeyPath, int]
    written: Mapping[KeyPath, str]
    origins: Mapping[KeyPath, KeyPath] = field(default_factory=dict)

    def line_of(self, path: KeyPath) -> int:
        """Line of the key at ``path``, or of the nearest thing around it that is in the file."""
        path = self.in_file(path)
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)

    def in_file(self, path: KeyPath) -> KeyPath:
        """The path in the file of what is at ``path`` in ``data``."""
        for n in range(len(path), 0, -1):
            if path[:n] in self.origins:
                return (*self.origins[path[:n]], *path[n:])
        return path


def parse(text: str) -> Source:
    """Raises :class:`SourceError` with every duplicate key and forbidden tag, or the one syntax error."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise SourceError([_syntax_problem(error)]) from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        problem = Problem((), f"not valid YAML: the character {error.character!r} is not allowed", line)
        raise SourceError([problem]) from error
    except RecursionError as error:
        raise SourceError([Problem((), "nested too deeply")]) from error
    if root is None:
        raise SourceError([Problem((), "the file is empty")])
    builder = _Builder()
    data = builder.build(root, ())
    if not builder.problems and not isinstance(data, dict):
        builder.problems.append(Problem((), "must be keys and values (`analysis: my_analysis`)", 1))
    if builder.problems:
        raise SourceError(builder.problems)
    return Source(data, builder.lines, builder.written)


def dump(data: object, *, flow: bool = False) -> str:
    """YAML that :func:`parse` reads back to the same data; ``flow``: in one line, with brackets."""
    style, width = (True, 10_000) if flow else (None, 120)
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width, default_flow_style=style)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  (PyYAML's own way)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Line breaks that only YAML 1.1 knows are folded into spaces by PyYAML unless they are escaped.
    return dumper.represent_scalar(f"{_TAG}str", text, style='"' if re.search("[\x85\u2028\u2029]", text) else None)


_Dumper.add_representer(str, _represent_text)
for _name, _pattern, _first in _SCALARS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _first)


@dataclass
class _Builder:
    lines: dict[KeyPath, int] = field(default_factory=dict)
    written: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _nodes: int = 0
    _open: list[yaml.Node] = field(default_factory=list)

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines.setdefault(path, _line(node))
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise SourceError([Problem((), f"aliases unfold into more than {MAX_NODES} values", _line(node))])
        if any(node is parent for parent in self._open):
            self.problems.append(Problem(path, "an alias that holds itself", _line(node)))
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
                return dict(self._entries(node, path))
            if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
                return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
            if isinstance(node, yaml.ScalarNode):
                self.written[path] = node.value
                return self._scalar(node, path)
        finally:
            self._open.pop()
        return self._refuse_tag(node, path)

    def _entries(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, Any]]:
        first_line: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem(path, "a key must be one word, not a list or a section", line))
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key in first_line:
                self.problems.append(Problem(here, f"given twice; first on line {first_line[key]}", line))
                continue
            first_line[key] = line
            self.lines[here] = line
            yield key, self.build(value_node, here)

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "str":
                return text
            case "null":
                return None
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int" if _is("int", text):
                digits = text.replace("_", "")
                if len(digits) > MAX_DIGITS:
                    return float(digits)
                return int(digits, 0) if digits[:2] in ("0o", "0x") else int(digits)
            case "float" if _is("float", text) or _is("int", text):
                return float(re.sub(r"\.(?=inf|nan)", "", text.lower()).replace("_", ""))
        return self._refuse_tag(node, path)

    def _refuse_tag(self, node: yaml.Node, path: KeyPath) -> None:
        tag = node.tag.replace(_TAG, "!!")
        self.problems.append(Problem(path, f"the tag '{tag}' is not allowed here", _line(node)))


def _is(kind: str, text: str) -> bool:
    return any(re.fullmatch(pattern, text) for name, pattern, _ in _SCALARS if name == kind)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    said = error.problem or error.context or "cannot be read"
    if "'\\t'" in said:
        said = "a tab cannot indent; use spaces"
    elif "mapping values are not allowed" in said:
        said = "a second ':' in one line, or wrong indentation; put text that holds ': ' in quotes"
    elif "document" in said:
        said = "more than one document in the file ('---')"
    return Problem((), f"not valid YAML: {said}", int(mark.line) + 1 if mark else 1)
