"""How a stage tells what it is doing, without knowing about screens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Told from the stage's own thread or from its workers' threads."""

    def step(self, description: str, *, total: int, unit: str) -> Callable[[int], None]:
        """Begin a step of ``total`` ``unit``; the answer is called with how many more are done."""
        ...


class NoProgress:
    """Tells nobody."""

    def step(self, description: str, *, total: int, unit: str) -> Callable[[int], None]:
        return lambda done: None
