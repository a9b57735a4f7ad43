"""Which trials of a study count, however many processes made them, and died.

Nothing here asks first and acts then: trials get their numbers from the storage, one after the other, and every process
draws the same conclusions from the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlbkg.tuning.records import AGAIN, REASON, identity_of, start_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


class Ledger:
    """Of all trials, by rising number. finished: complete or pruned. underway: begun, and not finished.

    starts: identities of the starts that are tried, or wait for it. replaced: numbers of trials that others try again.
    """

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        from optuna.trial import TrialState

        self.replaced = _replaced(trials)
        self.starts, self._doubles = self._what_is_tried(trials)
        self.finished = sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials)
        counted = [trial for trial in trials if trial.state != TrialState.FAIL and not self._is_void(trial.number)]
        self.underway = sum(trial.state == TrialState.RUNNING for trial in counted)
        self._counted = [trial.number for trial in counted]

    def rank(self, number: int) -> int:
        """How many trials of lower number count, which is fewer later on where some of them fail."""
        return sum(other < number for other in self._counted)

    def is_double(self, number: int) -> bool:
        """Whether a trial of lower number tries the same on purpose: two processes had the same thought at once."""
        return number in self._doubles

    def _is_void(self, number: int) -> bool:
        return number in self.replaced or number in self._doubles

    def _what_is_tried(self, trials: Sequence[FrozenTrial]) -> tuple[set[str], set[int]]:
        seen: set[str] = set()
        doubles: set[int] = set()
        for trial in trials:
            intent = _intent(trial)
            if intent is None or (_was_given_up(trial) and trial.number not in self.replaced):
                continue
            if intent in seen:
                doubles.add(trial.number)
            seen.add(intent)
        return seen, doubles


def _replaced(trials: Sequence[FrozenTrial]) -> set[int]:
    """From the last to the first, because one that repeats another may be repeated in turn."""
    replaced: set[int] = set()
    for trial in reversed(trials):
        if AGAIN in trial.user_attrs and (not _was_given_up(trial) or trial.number in replaced):
            replaced.add(trial.user_attrs[AGAIN])
    return replaced


def _intent(trial: FrozenTrial) -> str | None:
    """What the trial was made for; None where the sampler was free."""
    if AGAIN in trial.user_attrs:
        return f"again {trial.user_attrs[AGAIN]}"
    start = start_of(trial.user_attrs)
    return identity_of(start) if start else None


def _was_given_up(trial: FrozenTrial) -> bool:
    from optuna.trial import TrialState

    return trial.state == TrialState.FAIL and REASON not in trial.user_attrs
