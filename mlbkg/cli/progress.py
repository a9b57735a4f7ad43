"""Progress bars, on a terminal only."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlbkg.stages.progress import NoProgress, Progress, Step

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

# The bar gives way where a terminal is narrow; words and numbers stay whole.
LONGEST_BAR, LONGEST_TEXT = 24, 27
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
    from rich.table import Column

    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn(f"{{task.description:<{LONGEST_TEXT}}}"),
        BarColumn(bar_width=None, table_column=Column(max_width=LONGEST_BAR)),
        TextColumn("[progress.download]{task.fields[amount]}", justify="right"),
        TextColumn("[progress.data.speed]{task.fields[rate]:>9}", justify="right"),
        TimeElapsedColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as rich, _log_above_bars():
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

    def step(self, description: str, *, total: int, unit: str) -> Step:
        rich = self._rich
        task = rich.add_task(_fitting(description), total=total, amount=_amount(0, total, unit), rate="")
        lock, done, noted = threading.Lock(), 0, ""

        def advance(more: int, /, *, note: str = "") -> None:
            nonlocal done, noted
            with lock:
                done, noted = done + more, note or noted
                elapsed = rich.tasks[task].elapsed or 0.0
                amount = ", ".join(filter(None, (_amount(done, total, unit), noted)))
                rich.update(task, completed=done, amount=amount, rate=_rate(done, elapsed))

        return advance


def _fitting(description: str) -> str:
    return description if len(description) <= LONGEST_TEXT else f"{description[: LONGEST_TEXT - 1]}…"


def _amount(done: int, total: int, unit: str) -> str:
    return f"{total:,} {unit}" if done >= total else f"{done:,}/{total:,} {unit}"


def _rate(done: int, seconds: float) -> str:
    """Since the step began; nothing for the few large pieces that a person counts."""
    rate = done / seconds if seconds > 0 else 0.0
    return f"{rate:,.0f}/s" if rate >= SLOWEST_RATE else ""


class _Lines:
    """For logs: one line when a step begins and one when it ends."""

    def step(self, description: str, *, total: int, unit: str) -> Step:
        import time

        begin, seen, noted = time.monotonic(), 0, ""
        print(f"{description}: {total:,} {unit} …", file=sys.stderr, flush=True)

        def advance(done: int, /, *, note: str = "") -> None:
            nonlocal seen, noted
            seen, noted = seen + done, note or noted
            if seen >= total:
                words = ", ".join(filter(None, (f"{description}: done in {time.monotonic() - begin:.1f} s", noted)))
                print(words, file=sys.stderr, flush=True)

        return advance
