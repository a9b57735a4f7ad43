"""Work done beside the caller, who waits for it no longer than an agreed time in total."""

from __future__ import annotations

import logging
import queue
import re
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Background:
    """Runs what is submitted, one after the other, in a thread; after the first failure it does nothing more.

    ``timeout_s`` is all the time that :meth:`wait` and :meth:`finish` ever block, together. ``what``: for the warning.
    """

    def __init__(self, what: str, *, timeout_s: float) -> None:
        self._what = what
        self.failure: str | None = None
        self._last: Callable[[], None] | None = None
        self._timeout_s = timeout_s
        self._left_s = timeout_s
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._done = threading.Event()
        # A daemon: a server that never answers must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="mlbkg-tracking", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], None]) -> None:
        if self.failure is None:
            self._work.put(work)

    def wait(self, event: threading.Event) -> None:
        """Until ``event`` is set, a failure, or the time is used up (which is a failure)."""
        begin = time.monotonic()
        while self.failure is None and not event.is_set() and not self._done.is_set():
            left = self._left_s - (time.monotonic() - begin)
            if left <= 0:
                self.fail(TimeoutError(f"no answer within {self._timeout_s:g} s"))
                break
            event.wait(min(left, 0.05))
        self._left_s = max(0.0, self._left_s - (time.monotonic() - begin))

    def finish(self, *, last: Callable[[], None], at_most_s: float | None = None) -> None:
        """Wait until all is done. ``last`` runs at the end, also after a failure, and may fail unseen."""
        if at_most_s is not None:
            self._left_s = min(self._left_s, at_most_s)
        if self.failure is None:
            everything = threading.Event()
            self._work.put(everything.set)
            self.wait(everything)
        self._last = last
        self._work.put(None)
        self._done.wait(min(self._left_s, 2.0) if self.failure else self._left_s)

    def _run(self) -> None:
        try:
            while (work := self._work.get()) is not None:
                if self.failure is None:
                    self._try(work)
            if self._last is not None:
                self._try(self._last)
        finally:
            self._done.set()

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Do nothing more, and say why; only the first failure counts."""
        reason = _reason(error)
        with self._lock:
            if self.failure is not None:
                return
            self.failure = reason
        log.warning(
            "%s failed and is off for the rest of this run; results are on disk all the same. %s", self._what, reason
        )


def _reason(error: BaseException) -> str:
    """The first line of the error that began it; those that it was wrapped into repeat it at length."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {without_password(lines[0])[:300] if lines else 'no reason given'}"


def without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//", text)
