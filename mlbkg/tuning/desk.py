"""Where a process takes trials from, and hands them in: what is written to a study's storage, and in which order."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlbkg.errors import MlbkgError
from mlbkg.tuning.leases import PREFIX, has_died, leases_in
from mlbkg.tuning.ledger import Ledger
from mlbkg.tuning.points import Point, Points
from mlbkg.tuning.pruner import Curve
from mlbkg.tuning.records import AGAIN, LEASE, POINT, REASON, RECORD, TOLD, identity_of, start_of, told_by, trial_of
from mlbkg.tuning.trial import Outcome, Start, Trial

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState
    from optuna.trial import Trial as NativeTrial

log = logging.getLogger(__name__)

ORPHAN_SECONDS = 60.0
"""A trial gets its lease right after its number. One without a lease for so long has lost its process in between."""


class Desk:
    """``lease``: id of this process's. For one thread, which is alone to write to the storage but for the lease's."""

    def __init__(self, native: Study, points: Points, *, lease: str) -> None:
        self._native = native
        self._points = points
        self._lease = lease
        self._orphans: dict[int, float] = {}

    def ledger(self) -> Ledger:
        return Ledger(self._trials())

    def enqueue(self, starts: Sequence[Start]) -> None:
        """Those that were not tried yet and do not wait to be."""
        known = self.ledger().starts
        for start in starts:
            if identity_of(start) not in known:
                self._points.enqueue(self._native, start)

    def begin(self, *, budget: int) -> tuple[NativeTrial, Point] | None:
        """The next trial; None where it turned out to be one too many, and another may be asked for.

        Raises :class:`MlbkgError` where the spaces are not those that the study was begun with.
        """
        trial = self._native.ask()
        trial.set_user_attr(LEASE, self._lease)
        ledger = self.ledger()
        if ledger.is_double(trial.number) or ledger.rank(trial.number) >= budget or not self._takes_over(trial):
            self._give_up(trial.number)
            return None
        try:
            point = self._points.draw(trial)
        except MlbkgError:
            self._give_up(trial.number)
            raise
        trial.set_user_attr(POINT, {"backend": point.backend, "parameters": dict(point.parameters)})
        return trial, point

    def complete(self, trial: NativeTrial, curve: Curve, outcome: Outcome) -> Trial | None:
        """As the other two, None where somebody took this process for dead, and tries the trial again."""
        from optuna.trial import TrialState

        for number, value in enumerate(outcome.violation):
            trial.set_constraint(str(number), value)
        attributes = {RECORD: dict(outcome.record)}
        return self._finish(trial, curve, attributes, TrialState.COMPLETE, list(outcome.values))

    def prune(self, trial: NativeTrial, curve: Curve, reason: str) -> Trial | None:
        from optuna.trial import TrialState

        return self._finish(trial, curve, {REASON: reason}, TrialState.PRUNED)

    def fail(self, trial: NativeTrial, curve: Curve, reason: str) -> Trial | None:
        from optuna.trial import TrialState

        return self._finish(trial, curve, {REASON: reason}, TrialState.FAIL)

    def reap(self) -> None:
        """Let the trials of processes that died be tried again."""
        now, leases = time.time(), leases_in(self._native.user_attrs)
        dead = {lease for lease, holder in leases.items() if lease != self._lease and has_died(holder, now=now)}
        living = set(leases) - dead
        for trial in self._running():
            lease = trial.user_attrs.get(LEASE)
            if lease not in living if lease else self._is_orphan(trial, alone=living == {self._lease}):
                self._hand_back(trial)
        for lease in dead:
            self._native.set_user_attr(PREFIX + lease, None)

    def leave(self) -> None:
        """Let the trials that this process did not finish be tried again."""
        for trial in self._running():
            if trial.user_attrs.get(LEASE) == self._lease:
                self._hand_back(trial)

    def _trials(self) -> list[FrozenTrial]:
        return self._native.get_trials(deepcopy=False)

    def _running(self) -> list[FrozenTrial]:
        from optuna.trial import TrialState

        return self._native.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def _finish(
        self,
        trial: NativeTrial,
        curve: Curve,
        attributes: dict[str, Any],
        state: TrialState,
        values: Sequence[float] | None = None,
    ) -> Trial | None:
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            self._report(trial, curve)
            for name, value in {TOLD: told_by(curve), **attributes}.items():
                trial.set_user_attr(name, value)
            told = self._native.tell(trial, values, state=state, skip_if_finished=True)
        except UpdateFinishedTrialError:
            told = None
        if told is None or told.state != state:
            log.warning("trial %d gave no sign of life for so long that it is tried again", trial.number)
            return None
        return trial_of(told)

    def _report(self, trial: NativeTrial, curve: Curve) -> None:
        """For Optuna's plot, and for its sampler, to which a pruned trial is the better the more folds it has behind it.

        Not of rounds: each value is a write to the disk. Optuna takes none where there are several goals.
        """
        from optuna.study import StudyDirection

        if len(self._native.directions) == 1:
            sign = -1 if self._native.direction == StudyDirection.MAXIMIZE else 1
            for fold, cost in curve.fold_costs.items():
                trial.report(sign * cost, fold)

    def _give_up(self, number: int) -> TrialState:
        """The state in which the trial ends, which may be another where its process lives."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        try:
            return self._native.tell(number, state=TrialState.FAIL, skip_if_finished=True).state
        except UpdateFinishedTrialError:
            return self._trials()[number].state

    def _takes_over(self, trial: NativeTrial) -> bool:
        """Whether the trial that this one repeats, if it does, has come to nothing."""
        from optuna.trial import TrialState

        again = trial.user_attrs.get(AGAIN)
        return again is None or self._give_up(again) == TrialState.FAIL

    def _is_orphan(self, trial: FrozenTrial, *, alone: bool) -> bool:
        first_seen = self._orphans.setdefault(trial.number, time.monotonic())
        return alone or time.monotonic() - first_seen > ORPHAN_SECONDS

    def _hand_back(self, trial: FrozenTrial) -> None:
        """First the new trial, then the end of the old one: killed in between, the next process knows from the numbers."""
        start, trials = start_of(trial.user_attrs), self._trials()
        if trial.number not in Ledger(trials).replaced:
            if start is not None:
                self._points.enqueue(self._native, start, again=trial.number)
            elif drawn := _drawn(trial, trials):
                self._native.enqueue_trial(drawn, user_attrs={AGAIN: trial.number})
        self._give_up(trial.number)


def _drawn(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> dict[str, Any]:
    """What the sampler chose for it, or for the trial that it repeats; empty where that did not come to an end."""
    while POINT not in trial.user_attrs and AGAIN in trial.user_attrs:
        trial = trials[trial.user_attrs[AGAIN]]
    return dict(trial.params) if POINT in trial.user_attrs else {}
