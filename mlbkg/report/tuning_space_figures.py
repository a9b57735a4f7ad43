"""Figures of the space that a search went through: its parameters, its Pareto front, and where trials were pruned."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import mlbkg.report.style as style
from mlbkg.evaluation.estimates import Array, Estimate, Flags
from mlbkg.report.style import Caption
from mlbkg.report.tuning_look import (
    BEYOND,
    FAINT,
    START,
    WINNER,
    Reached,
    backends_of,
    folded,
    is_of,
    is_start,
    known,
    look_of,
    mark_beyond,
    plain_ticks,
    reached,
)
from mlbkg.report.tuning_result import FigureOfMerit, SearchTold, varied
from mlbkg.tuning.importance import Importance
from mlbkg.tuning.trial import State, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 4
STATES: tuple[State, State] = ("complete", "pruned")
COLOURS = "viridis"
LARGE_RATIO = 10.0
"""Values that span more are drawn over a logarithmic axis."""
ROOM = 0.06
"""Between the numbers of two trials, as a share of the frame."""


def draw_slices(
    search: SearchTold, goals: Sequence[FigureOfMerit], backend: str, path: Path, *, caption: Caption
) -> Path | None:
    """The first goal over each parameter of one backend, late trials darker. Pruned ones, which have no value, are marked
    where they were. None, and no file, where nothing was varied in a complete trial.
    """
    found = reached(search, goals, 0)
    own = found.which(partial(is_of, backend))
    complete = [trial for trial, is_own in zip(found.trials, own, strict=True) if is_own]
    names = [name for name in varied(complete) if len({_written(trial, name) for trial in complete} - {None}) > 1]
    if not names:
        return None
    across, down = min(ACROSS, len(names)), math.ceil(len(names) / ACROSS)
    width, height = 0.95 + 3.1 * across + 2.6, 0.5 + 2.75 * down
    with style.canvas(path, width=width, height=height) as figure:
        for number, name in enumerate(names):
            bottom = 0.65 + 2.75 * (down - 1 - number // ACROSS)
            axes = style.panel(figure, left=0.95 + 3.1 * (number % ACROSS), bottom=bottom, width=2.75, height=2.0)
            points = _slice(axes, search, found, own, backend, name)
            if number % ACROSS:
                axes.tick_params(labelleft=False)
            else:
                axes.set_ylabel(folded(found.scale.label, longest=27), size=10)
            if number == 0:
                _trial_colours(figure, points, left=0.85 + 3.1 * across, bottom=bottom)
                style.legend_beside(
                    figure, axes, left=1.6 + 3.1 * across, top=bottom + 2, title=style.heading(backend), first=("winner",)
                )
        style.label(figure, caption, left=0.95, right=width - 0.2, top=height - 0.42)
    return path


def _written(trial: Trial, name: str) -> str | None:
    return str(trial.parameters[name]) if name in trial.parameters else None


def _slice(axes: Axes, search: SearchTold, found: Reached, own: Flags, backend: str, name: str) -> Any:
    pruned = [trial for trial in search.ended("pruned") if trial.backend == backend and name in trial.parameters]
    here = own & found.which(lambda trial: name in trial.parameters)
    complete = [trial for trial, is_here in zip(found.trials, here, strict=True) if is_here]
    place = _places(axes, [trial.parameters[name] for trial in (*complete, *pruned)])
    x, y = place([trial.parameters[name] for trial in complete]), found.value[here]
    last = max(trial.number for trial in search.trials)
    axes.errorbar(x, y, yerr=known(found.error[here]), ls="none", lw=0.7, color=FAINT, zorder=2)
    points = axes.scatter(x, y, c=found.numbers[here], cmap=f"{COLOURS}_r", vmin=0, vmax=last, s=20, zorder=3, linewidths=0)
    axes.plot(
        place([trial.parameters[name] for trial in pruned]), [0.035] * len(pruned), "|", ms=7, mew=1, color="0.6",
        transform=axes.get_xaxis_transform(), label="pruned" if pruned else None,
    )  # fmt: skip
    started = [number for number, trial in enumerate(complete) if trial.start is not None]
    won = [number for number, trial in enumerate(complete) if trial.number == search.winner]
    for chosen, text, look in ((started, "tried first", START), (won, "winner", WINNER)):
        if chosen:
            axes.plot(x[chosen], y[chosen], label=text, **look)
    axes.set_ylim(found.frame())
    mark_beyond(axes, x, y, label=BEYOND)
    axes.set_xlabel(style.literal(style.short(name, 36)), size=10.5)
    plain_ticks(axes.xaxis, axes.yaxis)
    return points


def _places(axes: Axes, values: Sequence[Any]) -> Callable[[Sequence[Any]], Array]:
    """Sets up the axis of a parameter; what gives the places of values on it."""
    from matplotlib.ticker import NullLocator

    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if not numbers:
        texts = sorted({str(value) for value in values})
        axes.set_xticks(range(len(texts)), [style.short(text, 12) for text in texts], size=9)
        axes.set_xlim(-0.5, len(texts) - 0.5)
        axes.xaxis.set_minor_locator(NullLocator())
        return lambda some: np.array([texts.index(str(value)) for value in some], dtype=np.float64)
    low, high = min(values), max(values)
    if low > 0 and high / low >= LARGE_RATIO:
        axes.set_xscale("log")
        axes.set_xlim(low / (high / low) ** 0.05, high * (high / low) ** 0.05)
    else:
        room = 0.05 * (high - low) or 0.5
        axes.set_xlim(low - room, high + room)
    return lambda some: np.array(some, dtype=np.float64)


def _trial_colours(figure: Figure, points: Any, *, left: float, bottom: float) -> None:
    axes = style.panel(figure, left=left, bottom=bottom, width=0.14, height=2.0)
    bar = figure.colorbar(points, cax=axes)
    bar.set_label("Trial")
    bar.ax.minorticks_off()


def draw_importance(importance: Importance, goal: FigureOfMerit, path: Path, *, caption: Caption) -> Path:
    """Shares of the variance that parameters explain alone, backend by backend."""
    shares = importance.shares
    backends = sorted({*shares, *importance.missing})
    rows = max(len(found) for found in shares.values())
    apart, tall = 4.6, 0.34 * rows + 0.2
    width, height = 0.3 + apart * len(shares), tall + 1.55
    with style.canvas(path, width=width, height=height) as figure:
        for number, (backend, found) in enumerate(shares.items()):
            bottom = 0.75 + 0.34 * (rows - len(found))
            axes = style.panel(figure, left=2.1 + apart * number, bottom=bottom, width=2.6, height=height - 0.8 - bottom)
            _importance_panel(axes, found, colour=style.colour(style.BACKENDS, backends.index(backend)))
            axes.set_title(f"{style.heading(backend)}: {style.literal(goal.label)}", loc="left", size=11, pad=5)
        style.label(figure, caption, left=0.2, right=width - 0.2, top=height - 0.3)
    return path


def _importance_panel(axes: Axes, shares: Mapping[str, Estimate], *, colour: str) -> None:
    from matplotlib.ticker import NullLocator

    names = sorted(shares, key=lambda name: -shares[name].value)
    axes.barh(range(len(names)), [100 * shares[name].value for name in names], height=0.62, color=colour, alpha=0.8)
    axes.errorbar(
        [100 * shares[name].value for name in names], range(len(names)),
        xerr=np.nan_to_num([100 * shares[name].error for name in names]), ls="none", color=style.INK, lw=1.1,
    )  # fmt: skip
    axes.set_yticks(range(len(names)), [style.literal(style.short(name, 22)) for name in names], size=10)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel="Share of the variance [%]")
    axes.set_xlim(0, 1.1 * max(100 * (share.value + np.nan_to_num(share.error)) for share in shares.values()) or 1.0)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="y", length=0)


def draw_front(search: SearchTold, goals: Sequence[FigureOfMerit], path: Path, *, caption: Caption) -> Path:
    """The first goal over each of the others: all complete trials, and those of the Pareto front joined and numbered."""
    others = range(1, len(goals))
    width, height = 0.95 + 5.2 * len(others) + 2.2, 5.2
    with style.canvas(path, width=width, height=height) as figure:
        for number in others:
            axes = style.panel(figure, left=0.95 + 5.2 * (number - 1), bottom=0.75, width=4.4, height=3.9)
            of_other, of_first = reached(search, goals, number), reached(search, goals, 0)
            _front_panel(axes, search, of_other, of_first, two_goals=len(goals) == 2)
            if number == 1:
                style.legend_beside(
                    figure, axes, left=width - 2.55, top=4.65, title=style.heading(search.name), first=("Pareto", "winner"),
                )  # fmt: skip
        style.label(figure, caption, left=0.95, right=width - 0.2, top=4.82)
    return path


def _front_panel(axes: Axes, search: SearchTold, across: Reached, up: Reached, *, two_goals: bool) -> None:
    both = np.intersect1d(across.numbers, up.numbers)
    across, up = (part.of(np.isin(part.numbers, both)) for part in (across, up))
    x, y, front = across.value, up.value, np.isin(both, search.front)
    order = np.flatnonzero(front)[np.argsort(x[front])]
    for backend in backends_of(search):
        own, look = across.which(partial(is_of, backend)) & ~front, look_of(search, backend)
        axes.plot(x[own], y[own], look["marker"], ms=4, color=look["color"], alpha=0.45, label=style.literal(backend))
    if two_goals:
        where: Literal["pre", "post"] = "pre" if across.goal.larger_is_better else "post"
        axes.step(x[order], y[order], where=where, color=style.INK, lw=1, zorder=3)
    axes.errorbar(
        x[order], y[order], xerr=known(across.error[order]), yerr=known(up.error[order]), fmt="o", ms=5, lw=1.1,
        color=style.INK, label="Pareto front,\ntrial numbers", zorder=4,
    )  # fmt: skip
    for chosen, text, mark in ((across.which(is_start), "tried first", START), (both == search.winner, "winner", WINNER)):
        axes.plot(x[chosen], y[chosen], label=text, **mark)
    for axis, part, name in ((axes.xaxis, across, "x"), (axes.yaxis, up, "y")):
        low, high = part.frame(must=(search.winner,))
        smallest = float(part.value[part.value > low].min())
        if 0 < smallest * LARGE_RATIO < high:
            low, high = smallest / 1.3, float(part.value[part.value < high].max()) * 1.3
            axes.set(**{f"{name}scale": "log"})
        axes.set(**{f"{name}lim": (low, high), f"{name}label": folded(part.scale.label, longest=44)})
        plain_ticks(axis)
    mark_beyond(axes, x, y, label=BEYOND)
    _number(axes, both[order], x[order], y[order], first=search.winner)


def _number(axes: Axes, numbers: Array, x: Array, y: Array, *, first: int) -> None:
    """Trial numbers beside points within the frame, as far as there is room; that of the ``first`` at any rate."""
    to_frame = axes.transData + axes.transAxes.inverted()
    taken: list[Array] = []
    for place in sorted(range(len(numbers)), key=lambda place: numbers[place] != first):
        at = to_frame.transform((x[place], y[place]))
        if at.min() > 0 and at.max() < 1 and all(np.hypot(*(at - other)) > ROOM for other in taken):
            taken.append(at)
            side, offset = ("right", -6) if at[0] > 1 - ROOM else ("left", 5)
            beside: dict[str, Any] = {"xytext": (offset, 5), "textcoords": "offset points", "ha": side, "size": 9}
            axes.annotate(f"{numbers[place]:.0f}", (x[place], y[place]), **beside)


def draw_pruning(search: SearchTold, path: Path, *, caption: Caption) -> Path:
    """Validation loss on the first fold over learning rate times boosting rounds, the time at which trials compare; all of
    it, and its end, where trials differ.
    """
    fold = min(key[0] for trial in search.trials for key in trial.losses)
    complete, pruned = ([(trial.number, _curve(trial, fold)) for trial in search.ended(state)] for state in STATES)
    with style.canvas(path, width=13.0, height=4.75) as figure:
        whole, end = (style.panel(figure, left=left, bottom=0.75, width=4.6, height=3.45) for left in (0.95, 6.25))
        for axes in (whole, end):
            _losses(axes, [curve for _, curve in complete if len(curve)], style.BACKENDS[0], 0.45, label="complete")
            _losses(axes, [curve for _, curve in pruned if len(curve)], style.BACKENDS[1], 0.8, label="pruned")
            stops = np.array([curve[-1] for _, curve in pruned if len(curve)])
            axes.plot(stops[:, 0], stops[:, 1], "x", ms=5, color=style.BACKENDS[1], label="pruned here", zorder=4)
            best = dict(complete).get(search.winner, np.empty((0, 2)))
            axes.plot(best[:, 0], best[:, 1], color=style.INK, lw=2, zorder=5, label=f"winner, trial {search.winner}")
            axes.set_xlabel("Learning rate × boosting rounds")
        ends = [float(curve[-1, 1]) for _, curve in complete if len(curve)]
        _loss_frames(whole, end, np.concatenate([curve for _, curve in (*complete, *pruned)]), ends)
        whole.set_ylabel(f"Validation log-loss, fold {fold}")
        style.legend_beside(
            figure, whole, left=11.05, top=4.2, title=style.heading(search.name), first=("winner", "complete")
        )
        style.label(figure, caption, left=0.95, right=12.8, top=4.37)
    return path


def _curve(trial: Trial, fold: int) -> Array:
    """``(n, 2)``: time and loss, in order."""
    points = sorted((time, loss) for (of, time), loss in trial.losses.items() if of == fold)
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def _losses(axes: Axes, curves: Sequence[Array], colour: str, alpha: float, *, label: str) -> None:
    for number, curve in enumerate(curves):
        text = f"{label} ({len(curves)})" if number == 0 else None
        axes.plot(curve[:, 0], curve[:, 1], color=colour, lw=0.9, alpha=alpha, label=text, zorder=2)


def _loss_frames(whole: Axes, end: Axes, points: Array, ends: Sequence[float]) -> None:
    """The end: losses up to three times as far from the lowest as the middle complete trial ends."""
    time, loss = points.T
    low, middle = float(loss.min()), float(np.median(ends)) if ends else math.nan
    high = low + 3 * (middle - low) if middle > low else float(loss.max())
    late = time[loss <= high]
    for axes, first in ((whole, float(np.quantile(time, 0.01))), (end, float(late.min()))):
        axes.set(xscale="log", xlim=(first / 1.1, 1.15 * float(time.max())))
    room = 0.05 * (high - low) or 0.01 * abs(low)
    end.set_ylim(low - room, high + room)
    for axes in (whole, end):
        plain_ticks(axes.xaxis, axes.yaxis)
