"""Which trials are not worth their time any more.

Optuna's pruners compare values of one kind at equal numbers of steps. Here fits of different shrinkage compare at equal
*time*, shrinkage times rounds; losses compare within one fold only, because folds differ more than trials do; and costs of
whole folds are of another kind than losses of rounds.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mlbkg.tuning.trial import Trial

Array = NDArray[np.float64]

FEWEST = 5
"""Trials to compare with before any is pruned."""

EARLIEST = 2.0
"""Time before which no loss is compared: it says little of where a fit will end. In 40 trials of XGBoost with 277,000
candidates the rank correlation of the loss with the final AUC is 0.2 at time 1 and 0.7 at time 2; that of the first fold's
AUC is 0.9."""

QUANTILE = 0.6
"""A loss above this quantile of the other trials' at that time is behind. It is stricter than it seems, because at late
times only survivors are met: three searches of 50 trials with the HIGGS events of tests/data take 0.48 of the processor time
of those without pruning, by which it was chosen, and three others 0.52. With the median from time 3 on they took 0.33, and
two of them found nothing better than a start; with two thirds from time 4 on, 0.60."""

LEADERS = 0.25
"""After a fold, a trial compares with the better quarter of the others."""

SPREADS = 0.5
"""By so many spreads it may be worse than these: of a fold's cost, which says more than losses, little is chance."""


def step_at(time: float) -> int:
    """Number of the step that ``time`` lies in. Steps end at 1, 1.5, 2, 3, 4, 6, 8, 12, ..."""
    just_before = time * (1 - 1e-9)  # rounds add up to the end of a step only to the last digit
    step = max(0, 2 * math.floor(math.log2(max(just_before, 1))))
    while end_of(step) < just_before:
        step += 1
    return step


def end_of(step: int) -> float:
    """Time at which a step ends."""
    return float(2 ** (step // 2)) * (1.5 if step % 2 else 1.0)


class Curve:
    """What one trial has told. losses: (fold, step) -> smallest loss within the step. fold_costs: fold -> cost."""

    def __init__(self) -> None:
        self.losses: dict[tuple[int, int], float] = {}
        self.fold_costs: dict[int, float] = {}
        self._at: tuple[int, int] | None = None
        self._best = math.inf

    def add_round(self, fold: int, time: float, loss: float) -> tuple[int, float] | None:
        """The step that has just ended, and the smallest loss by its end; None where none has."""
        step, before, best = step_at(time), self._at, self._best
        if before is None or before[0] != fold:
            before, best = None, math.inf
        self._at, self._best = (fold, step), best
        if not math.isnan(loss):
            self._best = min(best, loss)
            self.losses[fold, step] = min(loss, self.losses.get((fold, step), math.inf))
        return (step - 1, best) if before is not None and step > before[1] and best < math.inf else None


class Pruner:
    """Knows the trials that have ended, in all processes. Safe for threads."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._curves: dict[int, list[_Fold]] = {}
        self._costs: list[Mapping[int, float]] = []
        self._folds = 0
        self._lock = threading.Lock()

    def learn(self, trials: Iterable[Trial]) -> None:
        """From those among them that are new, have not failed and keep the constraints: large forests would always lead."""
        with self._lock:
            for trial in trials:
                if trial.number not in self._known:
                    self._known.add(trial.number)
                    if trial.state != "failed" and trial.feasible:
                        self._take_up(trial)

    def _take_up(self, trial: Trial) -> None:
        for fold in {fold for fold, _ in trial.losses}:
            self._curves.setdefault(fold, []).append(_Fold(trial, fold))
        if trial.fold_costs:
            self._costs.append(trial.fold_costs)
        if trial.state == "complete":
            self._folds = max(self._folds, len(trial.fold_costs))

    def behind_in_round(self, fold: int, step: int, best: float) -> str | None:
        """Why a trial with this smallest loss by the end of the step is not worth going on with; None where it is."""
        if end_of(step) < EARLIEST:
            return None
        with self._lock:
            others = [loss for seen in self._curves.get(fold, ()) if (loss := seen.best_by(step)) is not None]
        if len(others) < FEWEST:
            return None
        bar = float(np.quantile(others, QUANTILE))
        if best <= bar:
            return None
        had = f"{QUANTILE:.0%} of {len(others)} trials had {bar:.5g} or less"
        return f"loss {best:.5g} by time {end_of(step):g} of fold {fold}; {had}"

    def behind_after_fold(self, costs: Mapping[int, float]) -> str | None:
        """``costs``: of all folds so far. Worse than the better quarter by half the paired spread is behind.

        Never after the last fold: the work is done.
        """
        with self._lock:
            if len(costs) >= self._folds:
                return None
            others = _table(self._costs, sorted(costs))
            whole = [row for row in self._costs if len(row) == self._folds]
            complete = _table(whole, sorted(whole[0]))
        spread = _spread_within(complete)
        if len(others) < FEWEST or math.isnan(spread):
            return None
        mean, bar = float(np.mean(list(costs.values()))), float(np.quantile(others.mean(axis=1), LEADERS))
        margin = SPREADS * spread * math.sqrt(2 / len(costs))
        if not mean - bar > margin:
            return None
        return f"cost {mean:.5g} after {len(costs)} folds; {LEADERS:.0%} of {len(others)} trials had {bar:.5g} or less"


class _Fold:
    """Smallest losses of one trial in one fold by the ends of the steps."""

    def __init__(self, trial: Trial, fold: int) -> None:
        steps = {step_at(time): loss for (of, time), loss in trial.losses.items() if of == fold}
        in_step = [steps.get(step, math.inf) for step in range(max(steps) + 1)]
        self._best = np.minimum.accumulate(in_step)
        self._ended = fold in trial.fold_costs

    def best_by(self, step: int) -> float | None:
        """A fit that has ended keeps its loss for ever; one that was pruned says nothing of later times."""
        if step >= len(self._best):
            return float(self._best[-1]) if self._ended else None
        best = float(self._best[step])
        return best if best < math.inf else None


def _table(rows: Iterable[Mapping[int, float]], folds: Sequence[int]) -> Array:
    """``(trials, folds)``: costs of those that have all of the folds."""
    return np.array([[row[fold] for fold in folds] for row in rows if all(fold in row for fold in folds)], dtype=float)


def _spread_within(costs: Array) -> float:
    """Of a trial's cost in one fold about what trial and fold have in common with the others; NaN where it is not known.

    Of the better half of the trials, which are those that matter. Two-way layout without interaction: R - 1 times F - 1
    degrees of freedom for R trials and F folds.
    """
    costs = costs[np.isfinite(costs).all(axis=1)]
    if len(costs) < FEWEST:
        return math.nan
    costs = costs[np.argsort(costs.mean(axis=1))[: len(costs) // 2]]
    rest = costs - costs.mean(axis=1, keepdims=True) - costs.mean(axis=0) + costs.mean()
    freedom = (costs.shape[0] - 1) * (costs.shape[1] - 1)
    return math.sqrt(float(np.sum(rest**2)) / freedom) if freedom else math.nan
