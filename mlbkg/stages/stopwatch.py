"""Seconds spent in the parts of a stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - begin

    @property
    def seconds(self) -> dict[str, float]:
        """Part -> seconds, rounded to the millisecond, and their ``total`` with all that lies between."""
        parts = {name: round(value, 3) for name, value in self._seconds.items()}
        return {**parts, "total": round(time.perf_counter() - self._begin, 3)}
