"""Figures of a search for hyper-parameters: how it went, and what its winner is worth beside others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mlbkg.report.style as style
from mlbkg.evaluation.estimates import Array, Estimate, Flags
from mlbkg.report.quantity import Quantity, Scale
from mlbkg.report.style import Caption
from mlbkg.report.tuning_look import (
    BEYOND,
    FAINT,
    START,
    WINNER,
    Reached,
    backends_of,
    folded,
    is_feasible,
    is_of,
    is_start,
    known,
    look_of,
    mark_beyond,
    plain_ticks,
    reached,
)
from mlbkg.report.tuning_result import DISTINGUISHED, Contestant, FigureOfMerit, SearchTold, TuningTold, significance
from mlbkg.report.tuning_space_figures import draw_front, draw_importance, draw_pruning, draw_slices

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_FIGURES = 5
"""Figures of merit that stand side by side."""
WORSE, BETTER, EQUAL = "worse", "better", f"within {DISTINGUISHED:g} σ"
KINDS = {WORSE: style.BACKENDS[1], BETTER: style.BACKENDS[2], EQUAL: "0.45"}
SECONDS_PER_HOUR, SECONDS_PER_MINUTE = 3600.0, 60.0


def draw_tuning(told: TuningTold, folder: Path, *, caption: Caption) -> tuple[Path, ...]:
    """All figures that there is something to show for. Of several searches, each has its own, with its part in the name."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [draw_contestants(told.contestants, told.judged_by, folder / "contestants.png", caption=caption)]
    for search in told.searches:
        mark = f"_{search.held_out}" if len(told.searches) > 1 else ""
        drawn += _of_search(search, told.goals, folder, mark, caption)
    return tuple(drawn)


def _of_search(
    search: SearchTold, goals: Sequence[FigureOfMerit], folder: Path, mark: str, caption: Caption
) -> Iterator[Path]:
    yield draw_history(search, goals, folder / f"history{mark}.png", caption=caption)
    if len(goals) > 1:
        yield draw_front(search, goals, folder / f"front{mark}.png", caption=caption)
    if search.importance.shares:
        yield draw_importance(search.importance, goals[0], folder / f"importance{mark}.png", caption=caption)
    for backend in backends_of(search):
        path = folder / f"slices_{backend}{mark}.png"
        if draw_slices(search, goals, backend, path, caption=caption):
            yield path
    if any(trial.losses for trial in search.ended("pruned")):
        yield draw_pruning(search, folder / f"pruning{mark}.png", caption=caption)


def draw_history(search: SearchTold, goals: Sequence[FigureOfMerit], path: Path, *, caption: Caption) -> Path:
    """Each goal over the trials, and the best so far over the time that the search took."""
    height = 0.85 + 2.9 * len(goals)
    with style.canvas(path, width=13.0, height=height) as figure:
        for number in range(len(goals)):
            found, bottom = reached(search, goals, number), 0.75 + 2.9 * (len(goals) - 1 - number)
            left = style.panel(figure, left=0.95, bottom=bottom, width=5.6, height=2.55)
            right = style.panel(figure, left=7.0, bottom=bottom, width=3.1, height=2.55, sharey=left)
            _trials_panel(left, search, found)
            unit = _time_panel(right, search, found)
            left.set_ylabel(folded(found.scale.label, longest=30))
            if number == len(goals) - 1:
                left.set_xlabel("Trial")
                right.set_xlabel(f"Time since the search began [{unit}]")
            if number == 0:
                first = ("best so far", "winner", "tried first")
                style.legend_beside(
                    figure, left, left=10.3, top=bottom + 2.55, title=style.heading(search.name), first=first
                )
        style.label(figure, caption, left=0.95, right=12.8, top=height - 0.28)
    return path


def _trials_panel(axes: Axes, search: SearchTold, found: Reached) -> None:
    from matplotlib.ticker import MaxNLocator

    feasible = found.which(is_feasible)
    for backend in backends_of(search):
        own = found.which(partial(is_of, backend))
        look = look_of(search, backend)
        if (own & feasible).any():
            _points(axes, found, own & feasible, label=style.literal(backend), **look)
        if (own & ~feasible).any():
            _points(
                axes, found, own & ~feasible, label=f"{style.literal(backend)}, against constraints", mfc="white", **look
            )
    if feasible.any():
        x, best = _best_so_far(found, found.numbers, feasible)
        axes.step([*x, max(trial.number for trial in search.trials)], [*best, best[-1]], where="post", color=style.INK,
                  lw=1.2, zorder=1, label="best so far")  # fmt: skip
    _mark(axes, search, found, found.numbers)
    axes.set(ylim=found.frame(), xlim=(-1, max(trial.number for trial in search.trials) + 1))
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
    mark_beyond(axes, found.numbers, found.value, label=BEYOND)
    for state, colour in (("pruned", "0.55"), ("failed", style.SIGNAL)):
        numbers = [trial.number for trial in search.trials if trial.state == state]
        if numbers:
            axes.plot(
                numbers, [0.03] * len(numbers), "|", ms=9, mew=1.2, color=colour, transform=axes.get_xaxis_transform(),
                label=f"{state} ({len(numbers)})",
            )  # fmt: skip
    plain_ticks(axes.xaxis, axes.yaxis)


def _points(axes: Axes, found: Reached, which: Flags, **look: Any) -> None:
    axes.errorbar(
        found.numbers[which], found.value[which], yerr=known(found.error[which]), ls="none", ms=4.5, lw=0.9, zorder=3, **look
    )


def _mark(axes: Axes, search: SearchTold, found: Reached, x: Array) -> None:
    """Winner and starts."""
    started = found.which(is_start)
    if started.any():
        names = [style.literal(style.short(trial.start, 24)) for trial in found.trials if trial.start]
        told = "\n".join(names[:3] + ["…"] * (len(names) > 3))
        axes.plot(x[started], found.value[started], label=f"tried first:\n{told}", **START)
    won = found.numbers == search.winner
    axes.plot(x[won], found.value[won], label=f"winner, trial {search.winner}", **WINNER)


def _time_panel(axes: Axes, search: SearchTold, found: Reached) -> str:
    """Against the time that passed, trials ran side by side; its unit."""
    began = min(trial.began for trial in search.trials)
    ended = np.array([trial.ended - began for trial in found.trials])
    last = max(trial.ended for trial in search.trials) - began
    unit, name = (SECONDS_PER_HOUR, "h") if last > 2 * SECONDS_PER_HOUR else (SECONDS_PER_MINUTE, "min")
    if last < 2 * SECONDS_PER_MINUTE:
        unit, name = 1.0, "s"
    feasible = found.which(is_feasible)
    inside = (found.value >= found.frame()[0]) & (found.value <= found.frame()[1])
    axes.plot(ended[inside] / unit, found.value[inside], "o", ms=3, color=FAINT)
    if feasible.any():
        x, best = _best_so_far(found, ended / unit, feasible)
        axes.step([*x, last / unit], [*best, best[-1]], where="post", color=style.INK, lw=1.2)
    won = found.numbers == search.winner
    axes.plot(ended[won] / unit, found.value[won], **WINNER)
    axes.set_xlim(0, 1.05 * last / unit)
    axes.tick_params(labelleft=False)
    plain_ticks(axes.xaxis, axes.yaxis)
    return name


def _best_so_far(found: Reached, x: Array, feasible: Flags) -> tuple[Array, Array]:
    order = np.flatnonzero(feasible)[np.argsort(x[feasible], kind="stable")]
    best = np.maximum.accumulate if found.goal.larger_is_better else np.minimum.accumulate
    return x[order], best(found.value[order])


def draw_contestants(
    contestants: Sequence[Contestant], figures: Sequence[FigureOfMerit], path: Path, *, caption: Caption
) -> Path:
    """Search and honest values of each contestant, and below how much its honest value differs from the winner's.

    The differences are paired: their errors are those of the difference on the same events.
    """
    figures = figures[:MOST_FIGURES]
    tall, apart = 0.42 * len(contestants) + 0.25, 2.75
    width, height = 2.0 + apart * len(figures) + 2.0, 2 * tall + 2.45
    with style.canvas(path, width=width, height=height) as figure:
        for number, of in enumerate(figures):
            left = 2.0 + apart * number
            values = style.panel(figure, left=left, bottom=tall + 1.8, width=apart - 0.45, height=tall)
            differences = style.panel(figure, left=left, bottom=0.85, width=apart - 0.45, height=tall)
            _values_panel(values, contestants, of)
            _differences_panel(differences, contestants, of)
            for axes in (values, differences):
                _rows(axes, contestants, named=number == 0)
        left = width - 2.1
        style.legend_beside(figure, values, left=left, top=2 * tall + 1.8, first=("search",))
        style.legend_beside(figure, differences, left=left, top=tall + 0.85, title="honest value,\npaired difference")
        style.label(figure, caption, left=0.2, right=width - 0.2, top=height - 0.3)
    return path


def _rows(axes: Axes, contestants: Sequence[Contestant], *, named: bool) -> None:
    from matplotlib.ticker import MaxNLocator, NullLocator

    rows = range(len(contestants))
    for row in rows[::2]:
        axes.axhspan(row - 0.5, row + 0.5, color="0.955", lw=0, zorder=0)
    axes.set_yticks(rows, [style.heading(one.name) for one in contestants] if named else [])
    axes.set_ylim(len(contestants) - 0.5, -0.5)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(axis="y", length=0)
    plain_ticks(axes.xaxis)


def _values_panel(axes: Axes, contestants: Sequence[Contestant], of: FigureOfMerit) -> None:
    judged = [one.figures[of.name] for one in contestants]
    scale = of.quantity.scale(each.honest.value for each in judged)
    rows = np.arange(len(contestants), dtype=np.float64)
    seen = [(row, each.search) for row, each in zip(rows, judged, strict=True) if each.search is not None]
    apart = 0.17 if seen else 0.0
    if seen:
        _estimates(axes, [estimate for _, estimate in seen], [row - apart for row, _ in seen], scale, mfc="white",
                   color="0.5", label="search value,\nout of fold")  # fmt: skip
    _estimates(axes, [each.honest for each in judged], rows + apart, scale, color=style.BACKENDS[0],
               label="honest value,\non unseen events")  # fmt: skip
    axes.set_xlabel(folded(scale.label, longest=30), size=9.5)
    better, side = ("better →", "right") if of.larger_is_better else ("← better", "left")
    at = 1.0 if of.larger_is_better else 0.0
    axes.text(at, 1.02, better, transform=axes.transAxes, ha=side, va="bottom", size=9, color="0.4")
    axes.margins(x=0.12)


def _differences_panel(axes: Axes, contestants: Sequence[Contestant], of: FigureOfMerit) -> None:
    found = [(row, each) for row, one in enumerate(contestants) if (each := one.figures[of.name].to_winner) is not None]
    scale = Quantity(f"Δ {of.label}", of.unit).scale(each.value for _, each in found)
    axes.axvline(0, color=style.INK, lw=1, zorder=1)
    axes.plot(0, 0, label="winner", **{**WINNER, "ms": 12})
    for name, colour in KINDS.items():
        own = [(row, each) for row, each in found if _kind(each, of) == name]
        _estimates(axes, [each for _, each in own], [row for row, _ in own], scale, color=colour, label=name)
    for row, each in found:
        if np.isfinite(sigma := significance(each)):
            axes.annotate(f"{abs(sigma):.1f} σ", (scale(each.value), row), xytext=(0, 4), textcoords="offset points",
                          ha="center", size=8.5, color="0.35")  # fmt: skip
    axes.set_xlabel(folded(scale.label, longest=30), size=9.5)
    axes.margins(x=0.15)


def _kind(difference: Estimate, of: FigureOfMerit) -> str:
    if not abs(significance(difference)) >= DISTINGUISHED:
        return EQUAL
    return WORSE if of.gain(difference.value) < 0 else BETTER


def _estimates(axes: Axes, estimates: Sequence[Estimate], rows: Array | Sequence[float], scale: Scale, **look: Any) -> None:
    value = [scale(estimate.value) for estimate in estimates]
    error = known(np.array([scale(estimate.error) for estimate in estimates]))
    axes.errorbar(value, rows, xerr=error, fmt="o", ms=5, lw=1.4, **look)
