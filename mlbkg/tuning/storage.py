"""Where studies are kept: a journal file, or a database that several machines share."""

from __future__ import annotations

import logging
import os
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote

from mlbkg.errors import MlbkgError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

SQLITE_PATIENCE_SECONDS = 60
ATTEMPTS = 5
"""To make the tables of a database, which another process may be making, too."""


def open_storage(storage: str) -> BaseStorage:
    """The journal at this path, made where there is none, or the database of this URL.

    Raises :class:`MlbkgError` with the reason, and without any password, where it cannot be reached.
    """
    hush()
    with told_of(storage):
        try:
            return _database(storage) if "://" in storage else _journal(Path(storage))
        except (OSError, ImportError) as error:
            raise _refusal(storage, _reason(error)) from None


def displayed(storage: str) -> str:
    """For messages: a URL without its password."""
    password = _password(storage)
    return storage.replace(f":{password}@", ":***@") if password else storage


@contextmanager
def told_of(storage: str) -> Iterator[None]:
    """What a database does wrong becomes a :class:`MlbkgError` that names it, and hides its password."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        # not chained: what the driver says may hold the password
        raise _refusal(storage, _reason(error)) from None


def hush() -> None:
    """Optuna says nothing of its own: what matters is told in this program's words.

    Filters that last, because those of ``warnings.catch_warnings`` are not safe beside threads.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    # a trial that is tried again in a range that was made smaller meanwhile
    warnings.filterwarnings("ignore", message="Fixed parameter .* is out of range", category=UserWarning)


def _refusal(storage: str, reason: str) -> MlbkgError:
    return MlbkgError(
        f"cannot use the study storage {displayed(storage)}",
        details=[_without_password(reason, storage)],
        where="tuning.storage",
        hint="tuning.storage is the path of a journal file, or a database URL such as sqlite:///study.db",
    )


def _password(storage: str) -> str | None:
    found = re.search(r"://[^:@/]*:(.*)@", storage)
    return found.group(1) if found else None


def _without_password(text: str, storage: str) -> str:
    password = _password(storage)
    for form in {password, unquote(password)} if password else ():
        text = text.replace(form, "***") if form else text
    return text


def _reason(error: BaseException) -> str:
    """The innermost cause, on one line: what wraps it only says that something went wrong."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    return text or type(error).__name__


def _journal(path: Path) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path.parent.mkdir(parents=True, exist_ok=True)
    lock: Any = JournalLock(path)  # Optuna calls its methods; the class that it should inherit from is private
    backend = JournalFileBackend(str(path), lock_obj=lock)
    try:
        return JournalStorage(backend)
    except (ValueError, LookupError, AssertionError, TypeError) as error:
        raise _refusal(str(path), f"it is no journal of a study ({type(error).__name__}: {_reason(error)})") from error


class JournalLock:
    """Lets one process write to a journal at a time.

    Optuna's own locks are files that outlive a killed process; others wait 30 s, and then two of them may both take over.
    The kernel's lock ends with whoever holds it. It holds on local disks, NFS, GPFS and Lustre mounted with ``flock``.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._path = journal.with_name(f"{journal.name}.flock")
        self._held: IO[bytes] | None = None

    def acquire(self) -> bool:
        import fcntl

        held = open(self._path, "ab")  # noqa: SIM115  closed by release
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            self._drop_half_line()
        except BaseException:
            held.close()
            raise
        self._held = held
        return True

    def release(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def _drop_half_line(self) -> None:
        """Killed while it writes, a process leaves part of a line, and the next line would be spoilt by it."""
        with open(self._journal, "rb+") as journal:
            size = journal.seek(0, os.SEEK_END)
            if not size:
                return
            journal.seek(size - 1)
            if journal.read(1) == b"\n":
                return
            journal.seek(0)
            journal.truncate(journal.read().rfind(b"\n") + 1)


def _database(url: str) -> BaseStorage:
    """Raises what SQLAlchemy and Optuna raise."""
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    sqlite = url.startswith("sqlite")
    options: dict[str, Any] = {"pool_pre_ping": True}
    if sqlite:
        options["connect_args"] = {"timeout": SQLITE_PATIENCE_SECONDS}
    for attempt in range(ATTEMPTS):
        try:
            storage = RDBStorage(url, engine_kwargs=dict(options))
            break
        except (SQLAlchemyError, StorageInternalError) as error:
            if attempt == ATTEMPTS - 1 or not _somebody_else_does_it(error):
                raise
            logging.getLogger(__name__).debug("somebody else makes the tables: %s", _reason(error))
            time.sleep(0.2)
    if sqlite:
        _one_writer_at_a_time(storage.engine)
    return storage


def _somebody_else_does_it(error: BaseException) -> bool:
    return any(word in _reason(error).lower() for word in ("already exists", "locked", "unique", "duplicate"))


def _one_writer_at_a_time(engine: Any) -> None:
    """SQLite knows no ``SELECT ... FOR UPDATE``, by which Optuna hands a waiting trial to one process only.

    So every transaction takes the write lock when it begins: docs.sqlalchemy.org, "Serializable isolation / Savepoints /
    Transactional DDL".
    """
    from sqlalchemy import event

    def leave_transactions_to_sqlalchemy(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", leave_transactions_to_sqlalchemy)
    event.listen(engine, "begin", begin)
    engine.dispose()
