"""A trial while it runs, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlbkg.tuning.points import Point
from mlbkg.tuning.pruner import Curve, Pruner
from mlbkg.tuning.trial import PrunedError


class StoppedError(Exception):
    """Ends a trial that is to be tried again another time."""


class Signal:
    """Tells running trials to stop: when asked to, or at the deadline (``time.monotonic``)."""

    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline
        self._asked = threading.Event()

    def ask(self) -> None:
        self._asked.set()

    @property
    def given(self) -> bool:
        return self._asked.is_set() or (self._deadline is not None and time.monotonic() >= self._deadline)


@dataclass
class RunningAttempt:
    """:class:`mlbkg.tuning.trial.Attempt`. pruner: None where the trial is to run to its end.

    pruned: why it was ended early. stopped: whether it was. Both are remembered because a library in between may turn the
    exceptions into others.
    """

    number: int
    point: Point
    pruner: Pruner | None
    signal: Signal
    curve: Curve = field(default_factory=Curve)
    pruned: str | None = None
    stopped: bool = False

    @property
    def backend(self) -> str:
        return self.point.backend

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self.point.parameters

    @property
    def start(self) -> str | None:
        return self.point.start

    def round(self, fold: int, time: float, loss: float) -> None:
        self._heed()
        ended = self.curve.add_round(fold, time, loss)
        if ended and self.pruner:
            self._prune(self.pruner.behind_in_round(fold, *ended))

    def fold(self, fold: int, cost: float) -> None:
        self._heed()
        self.curve.fold_costs[fold] = float(cost)
        if self.pruner:
            self._prune(self.pruner.behind_after_fold(self.curve.fold_costs))

    def _heed(self) -> None:
        if self.signal.given:
            self.stopped = True
            raise StoppedError

    def _prune(self, reason: str | None) -> None:
        if reason:
            self.pruned = reason
            raise PrunedError(reason)
