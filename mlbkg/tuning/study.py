"""A search for hyper-parameters that survives the end of its process, and that several processes can share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlbkg.errors import MlbkgError
from mlbkg.tuning.attempt import Signal
from mlbkg.tuning.desk import Desk
from mlbkg.tuning.leases import Lease
from mlbkg.tuning.points import Points
from mlbkg.tuning.records import Archive
from mlbkg.tuning.session import Evaluate, Session, Task
from mlbkg.tuning.space import SearchSpace
from mlbkg.tuning.storage import displayed, open_storage, told_of
from mlbkg.tuning.trial import Start, Trial

if TYPE_CHECKING:
    import optuna

__all__ = ["Budget", "Goal", "Start", "Study", "open_study"]

OWN = "mlbkg "
"""What the names of attributes that are not for others begin with."""

IDENTITY = f"{OWN}study"


@dataclass(frozen=True)
class Goal:
    """One of the figures that a search improves."""

    name: str
    larger_is_better: bool


@dataclass(frozen=True)
class Budget:
    """A search ends with so many finished (complete or pruned) trials, or after so long. seconds: of this call."""

    trials: int
    seconds: float | None = None


def open_study(
    storage: str,
    *,
    name: str,
    key: str,
    goals: Sequence[Goal],
    spaces: Mapping[str, SearchSpace],
    seed: int,
    prune: bool,
) -> Study:
    """The study called ``name``, made where there is none.

    storage: path of a journal file, or URL of a database. key: of all that the values of trials depend on. spaces: by
    backend. prune: end trials early; with several goals none is.

    Raises :class:`MlbkgError` where the storage cannot be used, or holds a study of this name with other goals or key.
    """
    import optuna

    from mlbkg.tuning.sampler import SeededByTrial

    kept = open_storage(storage)
    with told_of(storage):
        native = optuna.create_study(
            storage=kept,
            study_name=name,
            sampler=SeededByTrial(seed),
            pruner=optuna.pruners.NopPruner(),
            directions=["maximize" if goal.larger_is_better else "minimize" for goal in goals],
            load_if_exists=True,
        )
        _agree(native, {"key": key, "goals": [[goal.name, goal.larger_is_better] for goal in goals]}, storage)
    return Study(native, goals=tuple(goals), points=Points(spaces), storage=storage, prune=prune and len(goals) == 1)


class Study:
    """native: Optuna's own, for its plots. goals: in the order of values."""

    def __init__(self, native: optuna.Study, *, goals: tuple[Goal, ...], points: Points, storage: str, prune: bool) -> None:
        self.native = native
        self.goals = goals
        self._points = points
        self._storage = storage
        self._prune = prune
        self._archive = Archive(native)

    @property
    def name(self) -> str:
        return self.native.study_name

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Those that have ended, in all processes, by number: complete, pruned and failed."""
        with told_of(self._storage):
            return self._archive.trials()

    @property
    def best(self) -> Trial | None:
        """By the first goal, of the complete trials that keep the constraints; None where there are none."""
        signs = self._signs
        return min(self._eligible(), key=lambda trial: (signs[0] * _values(trial)[0], trial.number), default=None)

    @property
    def front(self) -> tuple[Trial, ...]:
        """Complete trials that keep the constraints, and that no other such trial beats in one goal and equals in all."""
        trials = self._eligible()
        losses = np.array([_values(trial) for trial in trials]).reshape(len(trials), len(self.goals)) * self._signs
        beaten = [bool(((losses <= own).all(axis=1) & (losses < own).any(axis=1)).any()) for own in losses]
        return tuple(trial for trial, is_beaten in zip(trials, beaten, strict=True) if not is_beaten)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What was remembered with the study."""
        with told_of(self._storage):
            return {name: value for name, value in self.native.user_attrs.items() if not name.startswith(OWN)}

    def remember(self, name: str, value: Any) -> None:
        """``value``: plain JSON, small."""
        with told_of(self._storage):
            self.native.set_user_attr(name, value)

    def run(
        self,
        evaluate: Evaluate,
        *,
        starts: Sequence[Start],
        budget: Budget,
        workers: int,
        on_trial: Callable[[Trial], None] | None = None,
    ) -> None:
        """Try until the budget is used up, by this process and others together; then wait for what others still try.

        evaluate: called in ``workers`` threads. A trial in which it raises an exception has failed; three in a row end the
        run. starts: tried first, exactly as they are, once in all runs of the study, and never pruned. on_trial: called in
        this thread with each trial that ends here.

        At the end of ``budget.seconds``, after Ctrl-C and after an error, running trials end with their round; they are
        tried again by other processes and in the next run, as are those of processes that were killed.

        Raises :class:`MlbkgError` after three failures, and where the storage is lost or the search space does not fit.
        """
        deadline = time.monotonic() + budget.seconds if budget.seconds is not None else None
        task = Task(evaluate, tuple(goal.name for goal in self.goals), budget.trials, self._prune)
        with (
            told_of(self._storage),
            Lease(self.native.set_user_attr) as lease,
            ThreadPoolExecutor(workers, thread_name_prefix="mlbkg-trial") as pool,
        ):
            desk = Desk(self.native, self._points, lease=lease.id)
            desk.enqueue(starts)
            session = Session(task, desk, self._archive, Signal(deadline), pool=pool, workers=workers)
            session.work(on_trial or _ignore)

    @property
    def _signs(self) -> list[float]:
        return [-1.0 if goal.larger_is_better else 1.0 for goal in self.goals]

    def _eligible(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.state == "complete" and trial.feasible]


def _values(trial: Trial) -> tuple[float, ...]:
    assert trial.values is not None
    return trial.values


def _ignore(_: Trial) -> None:
    pass


def _agree(native: optuna.Study, wanted: Mapping[str, Any], storage: str) -> None:
    """Raises :class:`MlbkgError` for a study that was made for something else."""
    found = native.user_attrs.get(IDENTITY)
    if found is None and not native.get_trials(deepcopy=False):
        native.set_user_attr(IDENTITY, dict(wanted))
        return
    if found == wanted:
        return
    if found is None:
        differs = "it was not made by this program"
    elif found["goals"] != wanted["goals"]:
        differs = f"it has the objective {_names(found)}, and this search {_names(wanted)}"
    else:
        differs = "its trials were measured on other data, or with other folds or settings that their values depend on"
    raise MlbkgError(
        f"the study '{native.study_name}' in {displayed(storage)} is another",
        details=[differs],
        where="tuning.study",
        hint="Give this one another name (tuning.study); it can take over the best of the other (tuning.warm_start).",
    )


def _names(identity: Mapping[str, Any]) -> str:
    return ", ".join(name for name, _ in identity["goals"])
