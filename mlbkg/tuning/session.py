"""One process at work on a study: trials in threads, and one thread that deals with the storage."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlbkg.errors import MlbkgError
from mlbkg.tuning.attempt import RunningAttempt, Signal
from mlbkg.tuning.desk import Desk
from mlbkg.tuning.leases import BEAT_SECONDS
from mlbkg.tuning.points import Point
from mlbkg.tuning.pruner import Pruner
from mlbkg.tuning.records import Archive
from mlbkg.tuning.trial import Attempt, Outcome, Trial

if TYPE_CHECKING:
    from optuna.trial import Trial as NativeTrial

POLL_SECONDS = 0.5
MOST_FAILURES = 3
"""Trials that fail one after the other before the study does."""

Evaluate = Callable[[Attempt], Outcome]
Told = Callable[[Trial], None]


@dataclass(frozen=True)
class Task:
    """What a session is to do. goals: names. budget: finished trials, those of all processes together."""

    evaluate: Evaluate
    goals: tuple[str, ...]
    budget: int
    prune: bool


class Session:
    """``pool``: as many threads as ``workers``, which run trials and nothing else."""

    def __init__(
        self, task: Task, desk: Desk, archive: Archive, signal: Signal, *, pool: ThreadPoolExecutor, workers: int
    ) -> None:
        self._task = task
        self._desk = desk
        self._archive = archive
        self._signal = signal
        self._pool = pool
        self._workers = workers
        self._pruner = Pruner()
        self._running: dict[Future[Outcome], tuple[NativeTrial, RunningAttempt]] = {}
        self._failures: list[tuple[Trial, Exception]] = []
        self._reaped = -math.inf

    def work(self, on_trial: Told) -> None:
        """Until as many trials as asked for are finished, here or elsewhere, or the signal is given.

        Raises what ends a study early; trials are then ended with their round, and left to be tried again.
        """
        ended: Sequence[Trial] = ()
        try:
            while True:
                nothing_more = self._begin_more()
                for trial in ended:
                    on_trial(trial)
                self._refuse_to_fail_on()
                if nothing_more and not self._running:
                    return
                ended = self._wait()
        finally:
            self._signal.ask()
            self._settle(wait(self._running).done)
            self._desk.leave()

    def _begin_more(self) -> bool:
        """Give every free thread a trial, as far as there are any; whether there will be none any more."""
        while not self._signal.given and len(self._failures) < MOST_FAILURES:
            if len(self._running) >= self._workers:
                return False
            self._reap_now_and_then()
            ledger = self._desk.ledger()
            if ledger.finished >= self._task.budget:
                return True
            if ledger.finished + ledger.underway >= self._task.budget:
                return False
            begun = self._desk.begin(budget=self._task.budget)
            if begun is not None:
                self._begin(*begun)
        return True

    def _begin(self, trial: NativeTrial, point: Point) -> None:
        self._pruner.learn(self._archive.trials())
        pruner = self._pruner if self._task.prune and point.start is None else None
        attempt = RunningAttempt(trial.number, point, pruner, self._signal)
        self._running[self._pool.submit(self._task.evaluate, attempt)] = (trial, attempt)

    def _reap_now_and_then(self) -> None:
        if time.monotonic() - self._reaped > BEAT_SECONDS:
            self._desk.reap()
            self._reaped = time.monotonic()

    def _wait(self) -> list[Trial]:
        if not self._running:
            time.sleep(POLL_SECONDS)
            return []
        return self._settle(wait(self._running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED).done)

    def _settle(self, done: Collection[Future[Outcome]]) -> list[Trial]:
        """Hand in what has ended, by number; stopped trials are left as they are."""
        numbered = sorted(done, key=lambda future: self._running[future][0].number)
        settled = [self._settle_one(future) for future in numbered]
        return [trial for trial in settled if trial is not None]

    def _settle_one(self, future: Future[Outcome]) -> Trial | None:
        trial, attempt = self._running.pop(future)
        error = future.exception()
        if error is None:
            return self._hand_in(trial, attempt, future.result())
        if not isinstance(error, Exception):
            raise error
        if attempt.stopped:
            return None
        if attempt.pruned:
            self._failures.clear()
            return self._desk.prune(trial, attempt.curve, attempt.pruned)
        return self._fail(trial, attempt, error)

    def _hand_in(self, trial: NativeTrial, attempt: RunningAttempt, outcome: Outcome) -> Trial | None:
        undefined = [goal for goal, value in zip(self._task.goals, outcome.values, strict=True) if math.isnan(value)]
        if undefined:
            return self._fail(trial, attempt, MlbkgError(f"{' and '.join(undefined)} cannot be measured"))
        self._failures.clear()
        return self._desk.complete(trial, attempt.curve, outcome)

    def _fail(self, trial: NativeTrial, attempt: RunningAttempt, error: Exception) -> Trial | None:
        reason = error.what if isinstance(error, MlbkgError) else f"{type(error).__name__}: {error}"
        failed = self._desk.fail(trial, attempt.curve, reason)
        if failed is not None:
            self._failures.append((failed, error))
        return failed

    def _refuse_to_fail_on(self) -> None:
        if len(self._failures) < MOST_FAILURES:
            return
        trial, error = self._failures[-1]
        where = f"trial {trial.number}, {trial.backend}"
        raise MlbkgError(
            f"{len(self._failures)} trials in a row failed, the last ({where}): {trial.reason}",
            details=[
                *(error.details if isinstance(error, MlbkgError) else ()),
                *(f"{name}: {value}" for name, value in trial.parameters.items()),
            ],
            where=f"trial {trial.number}",
            hint=error.hint if isinstance(error, MlbkgError) else "",
        ) from error
