"""What XGBoost's model files are written in, JSON and UBJSON, as Python's own values."""

from __future__ import annotations

import json
import re
import struct
from typing import Any

import numpy as np

from mlbkg.errors import MlbkgError

MAX_NESTING = 64
MAX_MEMORY = 2**30
"""Bytes that a file in JSON and its values may take."""
MAX_VALUES = 2**22
"""In a file in UBJSON, a typed array counting as one."""
_NUMBERS = {"i": ">i1", "U": ">u1", "I": ">i2", "u": ">u2", "l": ">i4", "m": ">u4", "L": ">i8", "M": ">u8"}
_NUMBERS |= {"d": ">f4", "D": ">f8"}
_FORMATS = {marker: struct.Struct(f">{code}") for marker, code in zip("iUIulmLMdD", "bBhHiIqQfd", strict=True)}
_JSON = re.compile(rb'\s*\{\s*["}]')
_CONSTANTS = {"Z": None, "T": True, "F": False}


def read_document(content: bytes, where: str) -> tuple[dict[str, Any], str]:
    """The object, and the name of the format. Numbers of typed arrays in UBJSON come as arrays, all others in lists."""
    is_json = _JSON.match(content) is not None
    try:
        found = _read_json(content) if is_json else _Ubjson(content).read()
    except RecursionError as error:
        raise unreadable(where, "it is nested too deeply") from error
    except (ValueError, struct.error) as error:
        raise unreadable(where, str(error)) from error
    if not isinstance(found, dict):
        raise unreadable(where, "it holds no object")
    return found, "JSON" if is_json else "UBJSON"


def unreadable(where: str, reason: str) -> MlbkgError:
    return MlbkgError(f"{where} cannot be read as an XGBoost model: {reason}", where=where)


def _read_json(content: bytes) -> Any:
    text = len(content) * (1 if content.isascii() else 4)
    values = 96 * (content.count(b"{") + content.count(b"[")) + 40 * content.count(b",") + 32 * content.count(b'"')
    if len(content) + 2 * text + values > MAX_MEMORY:
        raise ValueError(f"its values would take more than {MAX_MEMORY // 2**20} MiB of memory")
    return json.loads(content.decode("utf-8"))


class _Ubjson:
    """One pass over the bytes; raises :class:`ValueError` and :class:`struct.error`."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at, self._n_values = content, 0, 0

    def read(self) -> Any:
        found = self._value(self._marker(), 0)
        if self._content[self._at :].strip(b"\0\n "):
            raise ValueError("there is more behind the end of its object")
        return found

    def _bytes(self, n: int) -> bytes:
        if not 0 <= n <= len(self._content) - self._at:
            raise ValueError("it ends too early")
        self._at += n
        return self._content[self._at - n : self._at]

    def _marker(self) -> str:
        return self._bytes(1).decode("latin-1")

    def _value(self, marker: str, depth: int) -> Any:
        self._n_values += 1
        if self._n_values > MAX_VALUES:
            raise ValueError(f"it has more than {MAX_VALUES:,} values")
        if marker in _FORMATS:
            form = _FORMATS[marker]
            return form.unpack(self._bytes(form.size))[0]
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker in ("S", "C"):
            return self._text(self._size() if marker == "S" else 1)
        if marker in ("{", "["):
            if depth == MAX_NESTING:
                raise ValueError("it is nested too deeply")
            return self._object(depth + 1) if marker == "{" else self._array(depth + 1)
        raise ValueError(f"there is no UBJSON value of the kind {marker!r}")

    def _size(self) -> int:
        marker = self._marker()
        if marker not in _FORMATS or marker in "dD":
            raise ValueError("a length is not a whole number")
        form = _FORMATS[marker]
        return int(form.unpack(self._bytes(form.size))[0])

    def _text(self, n: int) -> str:
        return self._bytes(n).decode("utf-8")

    def _header(self) -> tuple[str | None, int | None]:
        """Type and count of a container, where they are given."""
        kind = count = None
        if self._next_is(b"$"):
            kind = self._bytes(1).decode("latin-1")
        if self._next_is(b"#"):
            count = self._size()
        elif kind:
            raise ValueError("a typed array has no count")
        return kind, count

    def _next_is(self, marker: bytes) -> bool:
        found = self._content[self._at : self._at + 1] == marker
        self._at += found
        return found

    def _array(self, depth: int) -> Any:
        kind, count = self._header()
        if kind in _NUMBERS and count is not None:
            form = np.dtype(_NUMBERS[kind])
            return np.frombuffer(self._bytes(count * form.itemsize), dtype=form)
        found: list[Any] = []
        while count is None or len(found) < count:
            marker = kind or self._marker()
            if count is None and marker == "]":
                break
            if kind in _CONSTANTS:
                raise ValueError("an array is of a type that has no values")
            found.append(self._value(marker, depth))
        return found

    def _object(self, depth: int) -> dict[str, Any]:
        kind, count = self._header()
        found: dict[str, Any] = {}
        n_found = 0
        while count is None or n_found < count:
            if count is None and self._next_is(b"}"):
                break
            key = self._text(self._size())
            found[key] = self._value(kind or self._marker(), depth)
            n_found += 1
        return found
