"""How trials are kept in Optuna's storage, and read from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlbkg.tuning.pruner import Curve, end_of
from mlbkg.tuning.trial import Start, State, Trial

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

LEASE = "lease"
START = "start"
AGAIN = "again"
POINT = "point"
TOLD = "told"
RECORD = "record"
REASON = "reason"
"""User attributes of a trial. ``lease``: of the process that runs it. ``start``: the start that it is. ``again``: number of
the trial of a dead process, or of one that was stopped, which it repeats. ``point``: what is tried. ``told``: losses and
costs of folds. ``record``: the outcome's. ``reason``: why it failed or was pruned; a failed trial without one was given up.
"""


def start_of(attributes: Mapping[str, Any]) -> Start | None:
    """That a trial with these attributes is."""
    return Start(**attributes[START]) if START in attributes else None


def recorded(start: Start) -> dict[str, Any]:
    """Plain JSON."""
    return {"name": start.name, "backend": start.backend, "parameters": dict(start.parameters)}


def identity_of(start: Start) -> str:
    return json.dumps(recorded(start), sort_keys=True)


def told_by(curve: Curve) -> dict[str, Any]:
    """Plain JSON."""
    return {
        "losses": [[fold, end_of(step), loss] for (fold, step), loss in sorted(curve.losses.items())],
        "fold_costs": sorted(curve.fold_costs.items()),
    }


def trial_of(native: FrozenTrial) -> Trial | None:
    """None for one that has not finished, or was given up."""
    state = _state_of(native)
    if state is None:
        return None
    attributes = native.user_attrs
    start, point, told = start_of(attributes), attributes.get(POINT, {}), attributes.get(TOLD, {})
    assert native.datetime_start is not None
    assert native.datetime_complete is not None
    return Trial(
        number=native.number,
        state=state,
        backend=point["backend"],
        parameters=point["parameters"],
        start=start.name if start else None,
        values=tuple(native.values) if state == "complete" else None,
        violation=tuple(value for _, value in sorted(native.constraints.items(), key=lambda item: int(item[0]))),
        record=attributes.get(RECORD, {}),
        losses={(fold, time): loss for fold, time, loss in told.get("losses", ())},
        fold_costs=dict(told.get("fold_costs", ())),
        began=native.datetime_start.timestamp(),
        ended=native.datetime_complete.timestamp(),
        reason=attributes.get(REASON),
    )


def _state_of(native: FrozenTrial) -> State | None:
    from optuna.trial import TrialState

    if native.state == TrialState.FAIL and REASON not in native.user_attrs:
        return None
    known: dict[TrialState, State] = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
    }
    return known.get(native.state)


class Archive:
    """The finished trials of a study, each read once: they do not change any more."""

    def __init__(self, native: Study) -> None:
        self._native = native
        self._known: dict[int, Trial | None] = {}

    def trials(self) -> tuple[Trial, ...]:
        """By number; with those that failed, without those that were given up."""
        for native in self._native.get_trials(deepcopy=False):
            if native.number not in self._known and native.state.is_finished():
                self._known[native.number] = trial_of(native)
        return tuple(trial for _, trial in sorted(self._known.items()) if trial is not None)
