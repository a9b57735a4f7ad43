"""Run a function over tasks in worker processes, with one progress count for all of them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

POLL_SECONDS = 0.2

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
) -> Iterator[Result]:
    """Results in the order of ``tasks``; in this process where there is one worker or one task.

    ``function`` must be importable by name. Its first exception stops the rest and is raised here.
    """
    if workers == 1 or len(tasks) <= 1:
        yield from _here(function, tasks, on_progress)
        return
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=_count_into, initargs=(counter,))
    seen = 0
    try:
        futures = [pool.submit(function, task) for task in tasks]
        for future in futures:
            while not _done(future):
                seen = _tell(counter, seen, on_progress)
            yield future.result()
        _tell(counter, seen, on_progress)
    finally:
        pool.shutdown(cancel_futures=True)


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


def _count_into(counter: Any) -> None:
    def add(done: int) -> None:
        with counter.get_lock():
            counter.value += done

    global _advance
    _advance = add


def _done(future: Future[Any]) -> bool:
    return bool(wait([future], timeout=POLL_SECONDS).done)


def _tell(counter: Any, seen: int, on_progress: Callable[[int], None] | None) -> int:
    now = int(counter.value)
    if on_progress and now > seen:
        on_progress(now - seen)
    return now
