"""Figures of the sample and of the training itself: feature distributions, learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import mlbkg.report.style as style
from mlbkg.evaluation.distributions import Distribution
from mlbkg.report.style import Caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS, DOWN = 4, 3
PER_PAGE = ACROSS * DOWN
LOWEST_SHARE = 1e-4


def draw_feature_page(distributions: Sequence[Distribution], path: Path, *, caption: Caption) -> Path:
    """At most 12 quantities: the background stacked by category and the signal, each of unit area."""
    down = math.ceil(len(distributions) / ACROSS)
    width, height = 0.2 + 3.25 * ACROSS, 0.75 + 2.6 * down
    with style.canvas(path, width=width, height=height) as figure:
        colours = _category_colours(distributions)
        for number, one in enumerate(distributions):
            axes = style.panel(
                figure,
                left=0.65 + 3.25 * (number % ACROSS),
                bottom=0.6 + 2.6 * (down - 1 - number // ACROSS),
                width=2.6,
                height=1.85,
            )
            _feature_panel(axes, one, colours)
            if number % ACROSS == 0:
                axes.set_ylabel("Unit area", size=10.5)
        _category_legend(figure, colours, top=height - 0.36)
        style.label(figure, caption, left=0.65, right=width - 0.2, top=height - 0.26)
    return path


def draw_learning_curves(curves: Mapping[str, Sequence[Sequence[float]]], path: Path, *, caption: Caption) -> Path:
    """Validation loss after each boosting round, one line per fold; the dot is the round that is kept."""
    across = max(1, len(curves))
    width = 0.5 + 3.9 * across
    with style.canvas(path, width=width, height=4.4) as figure:
        for number, (name, folds) in enumerate(curves.items()):
            axes = style.panel(figure, left=0.95 + 3.9 * number, bottom=0.75, width=3.1, height=2.85)
            colour = style.colour(style.BACKENDS, number)
            for losses in (np.asarray(fold, dtype=np.float64) for fold in folds if len(fold)):
                axes.plot(np.arange(1, len(losses) + 1), losses, color=colour, lw=1.1, alpha=0.7)
                best = int(losses.argmin())
                axes.plot(best + 1, losses[best], "o", ms=4, color=colour)
            axes.set_title(f"{style.heading(name)}, {len(folds)} folds", loc="left", size=11, pad=5)
            axes.set(yscale="log", xlabel="Boosting round", ylabel="Validation log-loss" if number == 0 else "")
            _few_ticks(axes)
        style.label(figure, caption, left=0.3, right=width - 0.2, top=4.07)
    return path


def _feature_panel(axes: Axes, one: Distribution, colours: Mapping[str, str]) -> None:
    widths = np.diff(one.edges)
    signal, background = (one.total(is_signal=kind)[0] for kind in (True, False))
    below = np.zeros(len(widths))
    if background.sum() > 0:
        scale = 1 / (background.sum() * widths)
        for category in (c for c in one.categories if not c.is_signal):
            top = below + category.sums * scale
            axes.stairs(top, one.edges, baseline=below, fill=True, color=colours[category.name])
            below = top
    shape = signal / (signal.sum() * widths) if signal.sum() > 0 else np.zeros(len(widths))
    axes.stairs(shape, one.edges, color=style.SIGNAL, lw=1.8)
    highest = max(float(shape.max()), float(below.max()))
    axes.set(xlim=(one.edges[0], one.edges[-1]), ylim=(0, 1.12 * highest if highest > 0 else 1))
    heights = np.concatenate([shape, below])
    seen = heights[heights > 0]
    # a linear axis would show a spike and nothing else
    if len(seen) and float(np.mean(seen > 0.1 * highest)) < 0.5:
        axes.set(yscale="log", ylim=(max(float(seen.min()), LOWEST_SHARE * highest) / 2, 3 * highest))
    else:
        axes.locator_params(axis="y", nbins=4)
    axes.set_xlabel(style.with_unit(one.name, one.unit), size=10.5)
    axes.locator_params(axis="x", nbins=5)
    axes.minorticks_off()
    axes.tick_params(labelsize=9, length=3)
    if max(one.missing_signal, one.missing_background) >= 0.0005:
        axes.set_title(
            f"missing: signal {100 * one.missing_signal:.1f} %, background {100 * one.missing_background:.1f} %",
            size=8.5, loc="right", pad=3, color="0.3",
        )  # fmt: skip


def _category_colours(distributions: Sequence[Distribution]) -> dict[str, str]:
    names = dict.fromkeys(c.name for one in distributions for c in one.categories if not c.is_signal)
    return {name: style.colour(style.BACKGROUNDS, number) for number, name in enumerate(names)}


def _category_legend(figure: Figure, colours: Mapping[str, str], *, top: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    across, up = figure.get_size_inches()
    handles = [Line2D([], [], color=style.SIGNAL, lw=1.8), *(Patch(color=colour) for colour in colours.values())]
    figure.text(1 - 0.2 / across, (top - 0.15) / up, "outer bins hold what lies beyond", size=9, color="0.4", ha="right")
    figure.legend(
        handles, ["signal", *(style.literal(name) for name in colours)], loc="upper left",
        bbox_to_anchor=(0.65 / across, top / up), ncols=min(len(handles), 9), fontsize=10, borderpad=0, borderaxespad=0,
        columnspacing=1.4,
    )  # fmt: skip


def _few_ticks(axes: Axes) -> None:
    from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullLocator

    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 5 * low else MaxNLocator(5))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%.3g"))
    axes.yaxis.set_minor_locator(NullLocator())
