"""Progress bars, on a terminal only."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlbkg.stages.progress import NoProgress, Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

LONGEST_BAR, SHORTEST_BAR = 24, 4
# Columns that the words and numbers beside a bar take.
TEXTS = 74
SLOWEST_RATE = 10


@contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Progress]:
    """Bars on stderr where it is a terminal; a line per finished step where it is not; nothing when quiet."""
    if quiet:
        yield NoProgress()
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield bars
    else:
        yield _Lines()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<27}"),
        BarColumn(bar_width=min(LONGEST_BAR, max(SHORTEST_BAR, console.width - TEXTS))),
        TextColumn("[progress.download]{task.fields[amount]}", justify="right"),
        TextColumn("[progress.data.speed]{task.fields[rate]:>9}", justify="right"),
        TimeElapsedColumn(),
    )
    with RichProgress(*columns, console=console) as rich, _log_above_bars():
        yield _Bars(rich)


@contextmanager
def _log_above_bars() -> Iterator[None]:
    """Send what is logged through the ``sys.stderr`` of now, which prints above the bars; else each line leaves a copy of
    them behind."""
    handlers = [handler for handler in logging.getLogger("mlbkg").handlers if isinstance(handler, logging.StreamHandler)]
    before = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            if stream is not None:
                handler.setStream(stream)


class _Bars:
    def __init__(self, rich: RichProgress) -> None:
        self._rich = rich

    def step(self, description: str, *, total: int, unit: str) -> Callable[[int], None]:
        rich = self._rich
        task = rich.add_task(description, total=total, amount=_amount(0, total, unit), rate="")
        lock, done = threading.Lock(), 0

        def advance(more: int) -> None:
            nonlocal done
            with lock:
                done += more
                elapsed = rich.tasks[task].elapsed or 0.0
                rich.update(task, completed=done, amount=_amount(done, total, unit), rate=_rate(done, elapsed))

        return advance


def _amount(done: int, total: int, unit: str) -> str:
    return f"{total:,} {unit}" if done >= total else f"{done:,}/{total:,} {unit}"


def _rate(done: int, seconds: float) -> str:
    """Since the step began; nothing for the few large pieces that a person counts."""
    rate = done / seconds if seconds > 0 else 0.0
    return f"{rate:,.0f}/s" if rate >= SLOWEST_RATE else ""


class _Lines:
    """For logs: one line when a step begins and one when it ends."""

    def step(self, description: str, *, total: int, unit: str) -> Callable[[int], None]:
        import time

        begin, seen = time.monotonic(), 0
        print(f"{description}: {total:,} {unit} …", file=sys.stderr, flush=True)

        def advance(done: int) -> None:
            nonlocal seen
            seen += done
            if seen >= total:
                print(f"{description}: done in {time.monotonic() - begin:.1f} s", file=sys.stderr, flush=True)

        return advance
