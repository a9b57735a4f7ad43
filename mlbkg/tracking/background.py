"""Work done beside the caller, who waits for it as long as it goes on."""

from __future__ import annotations

import logging
import queue
import re
import threading
import time
from collections.abc import Callable

from mlbkg.errors import MlbkgError

log = logging.getLogger(__name__)


class Background:
    """Runs what is submitted, one after the other, in a thread; after the first failure it does nothing more.

    ``timeout_s`` is all the time that :meth:`wait` and :meth:`finish` ever block, together, while nothing gets done; a work
    that is done, and a :meth:`tick` of a long one, gives it anew. ``what``, ``then``: for the warning.
    """

    def __init__(self, what: str, *, timeout_s: float, then: str = "") -> None:
        self._what = what
        self._then = then
        self.failure: str | None = None
        self._last: Callable[[], None] | None = None
        self._timeout_s = timeout_s
        self._left_s = timeout_s
        self._at_most_s = float("inf")
        self._ticks = self._seen = 0
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._done = threading.Event()
        # A daemon: a server that never answers must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="mlbkg-tracking", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], None]) -> None:
        if self.failure is None:
            self._work.put(work)

    def tick(self) -> None:
        """Part of a work is done."""
        self._ticks += 1

    def wait(self, event: threading.Event) -> None:
        """Until ``event`` is set, a failure, or the time without progress is used up (which is a failure)."""
        while self.failure is None and not event.is_set() and not self._done.is_set():
            if min(self._left_s, self._at_most_s) <= 0:
                self.fail(TimeoutError(f"no answer within {self._timeout_s:g} s"))
                return
            begin = time.monotonic()
            event.wait(min(self._left_s, self._at_most_s, 0.05))
            waited = time.monotonic() - begin
            self._at_most_s -= waited
            self._left_s = self._timeout_s if self._ticks != self._seen else self._left_s - waited
            self._seen = self._ticks

    def finish(self, *, last: Callable[[], None], at_most_s: float | None = None) -> None:
        """Wait until all is done, while it goes on, for ``at_most_s``; ``last`` is done at the end, and after a failure."""
        if at_most_s is not None:
            self._at_most_s = at_most_s
        if self.failure is None:
            everything = threading.Event()
            self._work.put(everything.set)
            self.wait(everything)
        self._last = last
        self._work.put(None)
        if self.failure is None:
            self.wait(self._done)
        else:
            self._done.wait(max(0.0, min(self._left_s, self._at_most_s, 2.0)))
        if self._done.is_set():
            self._thread.join()

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
        self.tick()

    def fail(self, error: Exception) -> None:
        """Do nothing more, and say why; only the first failure counts."""
        reason = reason_of(error)
        with self._lock:
            if self.failure is not None:
                return
            self.failure = reason
        told = f"{self._what} failed and is off for the rest of this run; results are on disk all the same. {reason}"
        log.warning("%s", f"{told}\n{self._then}" if self._then else told)


def reason_of(error: BaseException) -> str:
    """The first line of the error that began it; those that it was wrapped into repeat it at length."""
    if isinstance(error, MlbkgError):
        return error.what
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {without_password(lines[0])[:300] if lines else 'no reason given'}"


def without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//", text)
