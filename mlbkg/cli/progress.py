"""Progress bars, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlbkg.stages.progress import NoProgress, Progress


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
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as rich:
        yield _Bars(rich)


class _Bars:
    def __init__(self, rich: object) -> None:
        self._rich = rich

    def step(self, description: str, *, total: int, unit: str) -> Callable[[int], None]:
        from rich.progress import Progress as RichProgress

        rich = self._rich
        assert isinstance(rich, RichProgress)
        task = rich.add_task(description, total=total, unit=unit, rate="")

        def advance(done: int) -> None:
            rich.advance(task, done)
            speed = rich.tasks[task].finished_speed or rich.tasks[task].speed
            rich.update(task, rate=f"{speed:,.0f}/s" if speed and speed >= 10 else "")

        return advance


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
