"""Files that are there whole or not at all: written beside their place and renamed when complete."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A hidden temporary path in the folder of ``path``, with its suffix; it becomes ``path`` when the block ends well.

    After an error or Ctrl-C the temporary is removed and what was at ``path`` is untouched. Missing folders are made. Raises
    :class:`FileNotFoundError` where the block wrote nothing.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{uuid.uuid4().hex[:12]}{target.suffix}")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, target)
        _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: Literal["w", "wb"] = "w") -> Iterator[IO[Any]]:
    """An open file (text is UTF-8 with ``\\n``) whose content becomes ``path`` when the block ends well."""
    encoding, newline = ("utf-8", "\n") if mode == "w" else (None, None)
    with atomic_path(path) as temporary, open(temporary, mode, encoding=encoding, newline=newline) as file:
        yield file


def _sync(path: Path) -> None:
    """Without this a power cut after the rename may leave an empty file under the final name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
