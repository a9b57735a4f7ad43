"""LightGBM's text files: a head, a block of lines for each tree, and a tail of which only one line matters."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.export.importers.library_trees import MAX_NODES, MAX_TREES

Block = dict[bytes, bytes]
_MAX_KEYS = 200
_MAX_NAME = 200
_MAX_LINES = 2**22
_TAIL = (b"end of trees", b"feature importances", b"feature_importances", b"parameters", b"pandas_categorical")
_PANDAS = b"pandas_categorical:"


@dataclass
class TextModel:
    """Key -> value of the head's lines and of each tree's; lines without a value are keys of an empty one."""

    head: Block = field(default_factory=dict)
    trees: list[Block] = field(default_factory=list)
    pandas_categorical: bytes = b""


def unreadable(where: str, reason: str) -> MlbkgError:
    return MlbkgError(f"{where} cannot be read as a LightGBM model: {reason}", where=where)


def parse(content: bytes, where: str) -> TextModel:
    """Raises :class:`MlbkgError` for what is not made of such lines."""
    if content.count(b"\n") > _MAX_LINES:
        raise unreadable(where, f"it has more than {_MAX_LINES:,} lines")
    model = TextModel()
    block, lines = model.head, _lines(content)
    if next(lines, b"") != b"tree":
        raise unreadable(where, "its first line is not 'tree'")
    for line in lines:
        if line.startswith(_TAIL):
            model.pandas_categorical = _pandas(content)
            return model
        key, _, value = line.partition(b"=")
        if key == b"Tree":
            if value != str(len(model.trees)).encode() or len(model.trees) == MAX_TREES:
                raise unreadable(where, f"tree {len(model.trees)} is not where it should be")
            block = {}
            model.trees.append(block)
        elif key:
            if len(block) == _MAX_KEYS or len(key) > _MAX_NAME:
                raise unreadable(where, "it has lines that are not LightGBM's")
            block[key] = value
    raise unreadable(where, "it ends before its trees do")


def _lines(content: bytes) -> Iterator[bytes]:
    return (line.strip() for line in io.BytesIO(content))


def _pandas(content: bytes) -> bytes:
    start = content.rfind(b"\n" + _PANDAS)
    if start < 0:
        return b""
    return content[start + 1 + len(_PANDAS) :].partition(b"\n")[0].strip()


def floats(block: Block, key: bytes, n: int) -> NDArray[np.float64]:
    """``(n,)``. Raises :class:`ValueError` for anything but ``n`` numbers."""
    text = block.get(key, b"")
    if n > MAX_NODES or text.count(b" ") > 2 * n + 2 or b"_" in text:
        raise ValueError(f"'{key.decode()}' is not {n} numbers")
    words = text.split()
    if len(words) != n:
        raise ValueError(f"'{key.decode()}' has {len(words)} numbers, not {n}")
    return np.array([float(word) for word in words], dtype=np.float64)


def integers(block: Block, key: bytes, n: int) -> NDArray[np.int64]:
    found = floats(block, key, n)
    if not (np.abs(found) < 2**53).all() or (found != np.trunc(found)).any():
        raise ValueError(f"'{key.decode()}' has other numbers than whole ones")
    return found.astype(np.int64)


def integer(block: Block, key: bytes, default: int | None = None) -> int:
    if default is not None and key not in block:
        return default
    return int(integers(block, key, 1)[0])
