"""How a stage tells what it is doing, without knowing about screens."""

from __future__ import annotations

from typing import Protocol


class Step(Protocol):
    """Part of a stage that takes long."""

    def __call__(self, done: int, /, *, note: str = "") -> None:
        """``done`` more are done; ``note``, a few words, stands beside the count until there is another."""
        ...


class Progress(Protocol):
    """Told from the stage's own thread or from its workers' threads."""

    def step(self, description: str, *, total: int, unit: str) -> Step:
        """Begin a step of ``total`` ``unit``."""
        ...


class NoProgress:
    """Tells nobody."""

    def step(self, description: str, *, total: int, unit: str) -> Step:
        return _ignore


def _ignore(done: int, /, *, note: str = "") -> None:
    pass
