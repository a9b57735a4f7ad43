"""Run a function over tasks in worker processes, with one progress count for all of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

POLL_SECONDS = 0.2

LOOK_AHEAD = 2
"""Tasks per worker that are begun or finished before their result is asked for: more would only fill the memory."""

_advance: Callable[[int], None] | None = None


def advance(done: int) -> None:
    """Called by the function that runs: ``done`` more units of work are finished."""
    if _advance is not None:
        _advance(done)


def parallel_map(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    workers: int,
    on_progress: Callable[[int], None] | None = None,
) -> Generator[Result, None, None]:
    """Results in the order of ``tasks``; in this process where there is one worker or one task.

    ``function`` must be importable by name. Its first exception stops the rest and is raised here. After it, after
    Ctrl-C, and where the iterator is closed early, running tasks end at their next :func:`advance`.
    """
    if workers == 1 or len(tasks) <= 1:
        yield from _here(function, tasks, on_progress)
        return
    context = multiprocessing.get_context("spawn")
    counter, stopping = context.Value("q", 0), context.Event()
    workers = min(workers, len(tasks))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(counter, stopping))
    seen = 0
    try:
        queue = iter(tasks)
        futures = deque(pool.submit(function, task) for task in islice(queue, LOOK_AHEAD * workers))
        while futures:
            future = futures.popleft()
            while not _done(future):
                seen = _tell(counter, seen, on_progress)
            futures.extend(pool.submit(function, task) for task in islice(queue, 1))
            yield future.result()
        _tell(counter, seen, on_progress)
    finally:
        stopping.set()
        pool.shutdown(cancel_futures=True)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Linear algebra on one thread, where the caller runs several things side by side."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


def _here(
    function: Callable[[Task], Result], tasks: Sequence[Task], on_progress: Callable[[int], None] | None
) -> Iterator[Result]:
    global _advance
    before, _advance = _advance, on_progress
    try:
        for task in tasks:
            yield function(task)
    finally:
        _advance = before


class _StoppedError(Exception):
    """Ends a task whose result nobody waits for."""


def _begin_worker(counter: Any, stopping: Any) -> None:
    def add(done: int) -> None:
        if stopping.is_set():
            raise _StoppedError
        with counter.get_lock():
            counter.value += done

    global _advance
    _advance = add
    # Ctrl-C reaches every process of the terminal; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot tell its workers, which would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _done(future: Future[Any]) -> bool:
    return bool(wait([future], timeout=POLL_SECONDS).done)


def _tell(counter: Any, seen: int, on_progress: Callable[[int], None] | None) -> int:
    now = int(counter.value)
    if on_progress and now > seen:
        on_progress(now - seen)
    return now
