"""Who is at work on a study: each process says so in the study's storage, and its trials are its own while it lives."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import psutil

log = logging.getLogger(__name__)

BEAT_SECONDS = 30.0
SILENT_SECONDS = 300.0
"""After so long without a beat, a process on another machine counts as dead: clocks may differ, networks may pause."""

SAME_START_SECONDS = 2.0
"""The system's clock may be set while a process runs, and its start seems to move with it."""

PREFIX = "mlbkg lease "


class Lease:
    """Held by this process while it works. ``write(name, value)`` sets an attribute of the study; None takes it back."""

    def __init__(self, write: Callable[[str, Any], None]) -> None:
        self.id = uuid.uuid4().hex[:12]
        self._write = write
        self._ending = threading.Event()
        self._started = psutil.Process().create_time()
        self._beating = threading.Thread(target=self._beat, name="mlbkg-lease", daemon=True)

    def __enter__(self) -> Self:
        self._tell()
        self._beating.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.set()
        self._beating.join()
        self._write(PREFIX + self.id, None)

    def _beat(self) -> None:
        while not self._ending.wait(BEAT_SECONDS):
            try:
                self._tell()
            except Exception as error:  # a storage that is away for a while must not end the beats for good
                log.info("the study's storage did not take a sign of life: %s", error)

    def _tell(self) -> None:
        holder = {"host": this_host(), "pid": os.getpid(), "started": self._started, "beat": time.time()}
        self._write(PREFIX + self.id, holder)


def leases_in(attributes: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Id -> holder, of the leases that were not taken back."""
    return {name.removeprefix(PREFIX): holder for name, holder in attributes.items() if name.startswith(PREFIX) and holder}


def has_died(holder: Mapping[str, Any], *, now: float) -> bool:
    """``now``: seconds since 1970."""
    if holder["host"] != this_host():
        return bool(now - holder["beat"] > SILENT_SECONDS)
    try:
        process = psutil.Process(holder["pid"])
        another = abs(process.create_time() - holder["started"]) > SAME_START_SECONDS
        return another or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def this_host() -> str:
    """Where process numbers mean the same: the machine, and the container where there is one."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}".strip()
