"""Weightfiles of basf2's MVA package: what one holds of FastBDT, out of XML, or of a ROOT file that holds the XML.

The XML has no root element, and is flat: one element for each option, and for each file, in base64 without padding.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from xml.parsers import expat

from mlbkg.errors import MlbkgError, NtupleError
from mlbkg.ntuples.weightfile import read_weightfile

METHOD = "FastBDT"
TEXT = "FastBDT_Weightfile"
VERSION = "FastBDT_version"
MAX_VERSION = 2
_DECLARATION = re.compile(rb"\s*(\xef\xbb\xbf)?\s*<\?xml[^<>]{0,200}\?>")
_NUMBER, _VARIABLE = "number_feature_variables", re.compile(r"variable(0|[1-9]\d{0,4})")
_BLOCK = 2**20


@dataclass(frozen=True)
class Weightfile:
    """text: FastBDT's own file. variables: the features' names in basf2, in the order of the input."""

    text: bytes
    variables: tuple[str, ...]


def is_weightfile(content: bytes) -> bool:
    return _is_root(content) or content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def unpack(content: bytes, where: str) -> Weightfile:
    """Raises :class:`MlbkgError` for what is no weightfile, and for those of other methods."""
    try:
        elements = _elements(read_weightfile(content, where) if _is_root(content) else content, where)
    except NtupleError as error:
        raise MlbkgError(f"{where} is no basf2 weightfile: {error.what}", details=error.details, where=where) from error
    method = elements.get("method", METHOD)
    if method != METHOD:
        raise MlbkgError(f"{where} is a basf2 weightfile of the method '{method[:40]}', not {METHOD}", where=where)
    if TEXT not in elements:
        raise _refused(where, f"it has no element {TEXT}")
    version = elements.get(VERSION, "1").strip()
    if not version.isdecimal() or len(version) > 5 or int(version) > MAX_VERSION:
        raise _refused(where, f"its {VERSION} is '{version[:20]}', and {MAX_VERSION} is the newest that is known")
    return Weightfile(_decoded(elements[TEXT], where), _variables(elements, where))


def _is_root(content: bytes) -> bool:
    return content.startswith(b"root")


def _variables(elements: dict[str, str], where: str) -> tuple[str, ...]:
    names = {int(match[1]): text for tag, text in elements.items() if (match := _VARIABLE.fullmatch(tag))}
    number = elements.get(_NUMBER, "").strip()
    if not names or number != str(len(names)) or set(names) != set(range(len(names))):
        raise _refused(where, f"it says that it has {number[:20] or 'no'} variables, and names {len(names)}")
    variables = tuple(names[place] for place in range(len(names)))
    if len(set(variables)) < len(variables) or not all(variables):
        raise _refused(where, "two of its variables have one name, or one has none")
    return variables


def _decoded(text: str, where: str) -> bytes:
    letters = "".join(text.split())
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True).rstrip(b"\0")
    except (binascii.Error, ValueError) as error:
        raise _refused(where, f"its {TEXT} is not base64: {error}") from error


def _elements(content: bytes, where: str) -> dict[str, str]:
    """Tag -> text of what is read here. expat fetches nothing; a document type could define what grows without end."""
    reader = _Reader(where)
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = reader.text, reader.document_type
    declaration = _DECLARATION.match(content[:1024])
    try:
        parser.Parse(b"<basf2>", False)
        for position in range(declaration.end() if declaration else 0, len(content), _BLOCK):
            parser.Parse(content[position : position + _BLOCK], False)
        parser.Parse(b"</basf2>", True)
    except expat.ExpatError as error:
        raise _refused(where, f"it is not XML: {error}") from error
    return {tag: "".join(parts) for tag, parts in reader.found.items()}


@dataclass
class _Reader:
    where: str
    found: dict[str, list[str]] = field(default_factory=dict)
    depth: int = 0
    parts: list[str] | None = None

    def start(self, tag: str, _: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > 3:
            raise _refused(self.where, f"it has elements within elements, the first is {tag[:40]}")
        if self.depth == 2 and (tag in ("method", TEXT, VERSION, _NUMBER) or _VARIABLE.fullmatch(tag)):
            if tag in self.found:
                raise _refused(self.where, f"it has two elements {tag}")
            self.parts = self.found[tag] = []

    def end(self, _: str) -> None:
        self.depth -= 1
        self.parts = None

    def text(self, text: str) -> None:
        if self.parts is not None:
            self.parts.append(text)

    def document_type(self, name: str, *_: object) -> None:
        raise _refused(self.where, f"it has a document type, '{name[:40]}', which may define entities")


def _refused(where: str, reason: str) -> MlbkgError:
    return MlbkgError(f"{where} is no basf2 weightfile of FastBDT: {reason}", where=where)
