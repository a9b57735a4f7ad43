"""A folder that holds all a run is told, as it is told, so that it can be told again: a line per call, and copies of files.

Whoever writes or sends a record has locked it, and the kernel's lock ends with its holder. A record is data only.
"""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from mlbkg.errors import MlbkgError
from mlbkg.tracking.calls import Began, Begin, Call, from_line, to_line

CALLS = "record.jsonl"
ARTIFACTS = "artifacts"
MODELS = "models"


class Record:
    """Locked for this object until it is closed or discarded. Made by :meth:`claim` and :meth:`take`."""

    def __init__(self, folder: Path, file: IO[bytes], begin: Begin, *, run_id: str | None, continued: bool) -> None:
        self.folder = folder
        self.begin = begin
        self.run_id = run_id
        """Of the run that holds what was told so far; None where none is known."""
        self.continued = continued
        """Whether an earlier process left it."""
        self._left_bytes = file.tell()
        self._file = file
        self._writing = threading.Lock()
        self._models = itertools.count(1 + sum(1 for _ in (folder / MODELS).glob("*")))

    @classmethod
    def claim(cls, wanted: Path, begin: Begin) -> Self:
        """The record at ``wanted``, which is continued where it is of the same run; beside it where it is another's."""
        for number in itertools.count(1):
            folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = _lock(folder)
            if file is None:
                continue
            if file.seek(0, os.SEEK_END) == 0:
                record = cls(folder, file, begin, run_id=begin.run_id, continued=False)
                record.append(begin)
                return record
            if (left := cls._left(folder, file)) is not None and begin.run_id in (None, left.run_id):
                return left
            file.close()
        raise AssertionError("there is always one more number")

    @classmethod
    def take(cls, folder: Path) -> Self | None:
        """One that is there already; None while another process holds it.

        Raises :class:`MlbkgError` where it is damaged, and :class:`FileNotFoundError` where it is gone.
        """
        file = _lock(folder, must_exist=True)
        if file is None:
            return None
        try:
            return cls._read(folder, file)
        except BaseException:
            file.close()
            raise

    @classmethod
    def _left(cls, folder: Path, file: IO[bytes]) -> Self | None:
        try:
            return cls._read(folder, file)
        except MlbkgError:  # `mlbkg upload` tells what is wrong with it
            return None

    @classmethod
    def _read(cls, folder: Path, file: IO[bytes]) -> Self:
        size = _drop_half_line(file)
        begin, run_id = None, None
        for call in _calls(folder, size):
            if begin is None:
                if not isinstance(call, Begin):
                    break
                begin, run_id = call, call.run_id
            if isinstance(call, Began):
                run_id = call.run_id
        if begin is None:
            raise MlbkgError(f"{folder / CALLS}: does not begin as a record does", where=str(folder))
        return cls(folder, file, begin, run_id=run_id, continued=True)

    def append(self, call: Call) -> None:
        with self._writing:
            if not self._file.closed:
                self._file.write(to_line(call))
                self._file.flush()

    def left(self) -> Iterator[Call]:
        """What was in it when it was locked. Raises :class:`MlbkgError` where a line is not as it was written."""
        return _calls(self.folder, self._left_bytes)

    def keep(self, path: Path, folder: str) -> Path:
        """``path``, a file or a folder, copied into ``folder`` of the record; the answer is the copy."""
        copy = self._inside(self.folder / folder / path.name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, copy, dirs_exist_ok=True)
        else:
            shutil.copy2(path, copy)
        return copy

    def model_folder(self) -> str:
        return f"{MODELS}/{next(self._models)}"

    def file(self, name: str) -> Path:
        """The file that a call names. Raises :class:`MlbkgError` where the record does not hold it."""
        path = self._inside(self.folder / name)
        if not path.is_file():
            raise MlbkgError(f"{self.folder}: the record's file {name} is missing", where=str(self.folder))
        return path

    def artifacts(self) -> Iterator[tuple[Path, str]]:
        """Each file, and the folder it belongs to on the server."""
        root = self.folder / ARTIFACTS
        for path in sorted(root.rglob("*")):
            if self._inside(path).is_file():
                under = path.parent.relative_to(root).as_posix()
                yield path, "" if under == "." else under

    def close(self) -> None:
        with self._writing:
            self._file.close()

    def discard(self) -> None:
        """It was told, or nobody wants it kept. Folders that are empty without it go, too."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def _inside(self, path: Path) -> Path:
        """Links lead out of a folder as ``..`` does."""
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise MlbkgError(f"{self.folder}: the record names a file that it does not hold: {path}", where=str(path))
        return path


def _lock(folder: Path, *, must_exist: bool = False) -> IO[bytes] | None:
    """The file of calls, open to append and read; None while another holds it."""
    import fcntl

    while True:
        file = open(folder / CALLS, "rb+" if must_exist else "ab+")  # noqa: SIM115  the record closes it
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        file.seek(0, os.SEEK_END)
        if os.fstat(file.fileno()).st_nlink:
            return file
        # Its holder discarded it between the two calls.
        file.close()
        if not must_exist:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _drop_half_line(file: IO[bytes]) -> int:
    """Killed while it writes, a process leaves part of a line, and the next line would be spoilt by it; the size is left."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    whole = sum(len(line) for line in file if line.endswith(b"\n"))
    if whole < size:
        file.truncate(whole)
    return file.seek(0, os.SEEK_END)


def _calls(folder: Path, n_bytes: int) -> Iterator[Call]:
    """Those in the first ``n_bytes``: another thread may append."""
    with open(folder / CALLS, "rb") as file:
        for number, line in enumerate(file, start=1):
            n_bytes -= len(line)
            if n_bytes < 0:
                return
            yield from_line(line, where=f"{folder / CALLS}:{number}")
