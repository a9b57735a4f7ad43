"""What figures of a search for hyper-parameters share: who has which colour, and which values are within the frame."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import mlbkg.report.style as style
from mlbkg.evaluation.estimates import Array, Flags
from mlbkg.report.plane_figures import power_text
from mlbkg.report.quantity import Scale
from mlbkg.report.tuning_result import FigureOfMerit, SearchTold, measured
from mlbkg.tuning.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

FARTHEST = 4.0
"""Times as far from the best as the middle trial: what is worse is beyond the frame, for it would hide how others differ."""
WINNER: dict[str, Any] = {"marker": "*", "ms": 15, "mfc": "#ffa90e", "mec": style.INK, "ls": "none", "zorder": 6}
START: dict[str, Any] = {"marker": "D", "ms": 7, "mfc": "none", "mec": style.INK, "mew": 1.3, "ls": "none", "zorder": 5}
FAINT = "0.72"
FEW_DECADES = 60.0
BEYOND = "beyond the frame"
UNBROKEN = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Reached:
    """Complete trials by one goal: ``value``, ``error``, ``(n,)``, the values as multiples of ``scale``'s power of ten."""

    goal: FigureOfMerit
    trials: tuple[Trial, ...]
    value: Array
    error: Array
    scale: Scale

    @property
    def numbers(self) -> Array:
        return np.array([trial.number for trial in self.trials], dtype=np.float64)

    def which(self, wanted: Callable[[Trial], bool]) -> Flags:
        """``(n,)``"""
        return np.array([wanted(trial) for trial in self.trials], dtype=bool)

    def of(self, chosen: Flags) -> Reached:
        """Only of the trials that are ``chosen``."""
        trials = tuple(trial for trial, is_chosen in zip(self.trials, chosen, strict=True) if is_chosen)
        return Reached(self.goal, trials, self.value[chosen], self.error[chosen], self.scale)

    def frame(self, *, must: Container[int] = ()) -> tuple[float, float]:
        """Limits of the axis that show the best with their errors, every start, and trials of the numbers ``must``."""
        if not self.trials:
            return 0.0, 1.0
        worse = self.value.max() - self.value if self.goal.larger_is_better else self.value - self.value.min()
        near = worse <= FARTHEST * np.median(worse)
        some = near | self.which(lambda trial: is_start(trial) or trial.number in must)
        error = known(self.error[some])
        low, high = float((self.value[some] - error).min()), float((self.value[some] + error).max())
        room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
        return low - room, high + room


def reached(search: SearchTold, goals: Sequence[FigureOfMerit], number: int) -> Reached:
    """By the goal of this number; trials without a finite value are left out."""
    complete = tuple(
        trial for trial in search.ended("complete") if trial.values is not None and np.isfinite(trial.values[number])
    )
    estimates = [measured(trial, goals, number) for trial in complete]
    goal = goals[number]
    scale = goal.quantity.scale(estimate.value for estimate in estimates)
    value = np.array([scale(estimate.value) for estimate in estimates])
    return Reached(goal, complete, value, np.array([scale(estimate.error) for estimate in estimates]), scale)


def is_start(trial: Trial) -> bool:
    return trial.start is not None


def is_of(backend: str, trial: Trial) -> bool:
    return trial.backend == backend


def is_feasible(trial: Trial) -> bool:
    return trial.feasible


def backends_of(search: SearchTold) -> tuple[str, ...]:
    """In the order of the alphabet, so that colours stay from figure to figure."""
    return tuple(sorted({trial.backend for trial in search.trials}))


def look_of(search: SearchTold, backend: str) -> dict[str, Any]:
    """Colour and marker."""
    number = backends_of(search).index(backend)
    return {"color": style.colour(style.BACKENDS, number), "marker": style.MARKERS[number % len(style.MARKERS)]}


def folded(label: str, *, longest: int) -> str:
    """A label over as many lines as it takes; powers and units stay whole."""
    for unit in ("%", "["):
        label = label.replace(f" {unit}", f"{UNBROKEN}{unit}")
    return textwrap.fill(label, longest, break_long_words=False, break_on_hyphens=False).replace(UNBROKEN, " ")


def plain_ticks(*these: Axis) -> None:
    """Ticks written out: no offset or power that is to be applied in the mind."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, ScalarFormatter

    for axis in these:
        written = axis.get_major_formatter()
        if axis.get_scale() == "log":
            low, high = sorted(axis.get_view_interval())
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < FEW_DECADES else (1.0,)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: power_text(value)))
            axis.set_minor_formatter(NullFormatter())
        elif isinstance(written, ScalarFormatter):
            written.set_useOffset(False)
            written.set_scientific(False)


def mark_beyond(axes: Axes, x: Array, y: Array, *, label: str | None = None) -> None:
    """A triangle near the border for each point above or below the frame of ``axes``."""
    low, high = axes.get_ylim()
    for beyond, edge, marker in ((y < low, low, "v"), (y > high, high, "^")):
        if beyond.any():
            inside = edge + (0.08 if marker == "v" else -0.03) * (high - low)
            axes.plot(x[beyond], np.full(int(beyond.sum()), inside), marker, ms=4, color=FAINT, zorder=4, label=label)


def known(error: Array) -> Array:
    """Bars of no length where an error is not known."""
    return np.asarray(np.where(np.isfinite(error), error, 0.0), dtype=np.float64)
