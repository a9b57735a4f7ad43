"""Figures of what a classifier uses and what it does to the sample: importance, correlations, sculpting, Punzi scan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import mlbkg.report.style as style
from mlbkg.evaluation.estimates import Array, Estimate
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.evaluation.sculpting import Sculpting
from mlbkg.report.style import Caption
from mlbkg.report.tables import format_number, format_p_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPECTATORS_IN_A_ROW = 3
ONE_SIDED_90 = 1.28155
# From this ratio of the highest bin on, small ratios are no longer told from none.
LARGEST_LINEAR_RATIO = 5.0
MOST_SHOWN = 60
"""Features in one figure: a larger one takes minutes to draw, and nobody reads it. The numbers hold all."""


def draw_importance(evaluation: Evaluation, path: Path, *, caption: Caption, units: Mapping[str, str]) -> Path:
    """The 60 most important features by the AUC lost when they are shuffled, and their share of the gain."""
    lines = sorted(evaluation.importance, key=lambda line: line.auc_drop.value)[-MOST_SHOWN:]
    rows = np.arange(len(lines))
    tall = 0.24 * len(lines) + 0.3
    height = tall + 1.35
    with style.canvas(path, width=9.6, height=height) as figure:
        drops = style.panel(figure, left=2.9, bottom=0.75, width=3.1, height=tall)
        gains = style.panel(figure, left=6.25, bottom=0.75, width=3.1, height=tall)
        _drop_points(drops, [line.auc_drop for line in lines])
        gains.barh(rows, [100 * line.gain for line in lines], 0.7, color=style.BACKGROUNDS[1])
        for axes in (drops, gains):
            axes.set(ylim=(-0.7, len(lines) - 0.3), yticks=rows)
            axes.tick_params(axis="y", which="both", length=0)
            axes.margins(x=0.05)
        drops.set_yticklabels([style.with_unit(line.name, units.get(line.name, "")) for line in lines], size=9.5)
        gains.tick_params(labelleft=False)
        drops.set_xlabel("AUC lost when shuffled")
        gains.set_xlabel("Share of total gain [%]")
        gains.set_xlim(left=0)
        style.label(figure, _named(caption, evaluation), left=0.3, right=9.35, top=height - 0.42)
    return path


def draw_correlations(evaluation: Evaluation, path: Path, *, caption: Caption) -> Path:
    """Linear correlations in per cent, signal and background side by side; grey where there is none to give.

    Of many features only the most important are shown, in their order.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    every = evaluation.correlations.names
    shown = _most_important(evaluation)
    names = tuple(every[i] for i in shown)
    side = max(3.0, 0.255 * len(names))
    width, height = 2 * side + 3.6, side + 2.35
    with style.canvas(path, width=width, height=height) as figure:
        left, bottom = 1.75, 1.6
        matrices = {"Signal": evaluation.correlations.signal, "Background": evaluation.correlations.background}
        for number, (title, matrix) in enumerate(matrices.items()):
            axes = style.panel(figure, left=left + number * (side + 0.35), bottom=bottom, width=side, height=side)
            heat_map(axes, matrix[np.ix_(shown, shown)], names, show_rows=number == 0)
            some = f", {len(names)} of {len(every)}" if len(names) < len(every) else ""
            axes.set_title(title + some, loc="left", size=12, pad=5)
        bar = style.panel(figure, left=left + 2 * side + 0.55, bottom=bottom, width=0.18, height=side)
        scale = ScalarMappable(norm=Normalize(-100, 100), cmap="RdBu_r")
        figure.colorbar(scale, cax=bar).set_label("Linear correlation [%]")
        bar.minorticks_off()
        style.label(figure, _named(caption, evaluation), left=0.3, right=left + 2 * side + 0.35, top=height - 0.3)
    return path


def draw_sculpting(
    evaluation: Evaluation,
    path: Path,
    *,
    caption: Caption,
    units: Mapping[str, str],
    comparison: Evaluation | None = None,
) -> Path:
    """Each spectator's background shape before and after the working point, and the ratio; that of ``comparison``, too."""
    results = evaluation.sculpting
    others = {found.spectator: found for found in comparison.sculpting} if comparison else {}
    across = min(SPECTATORS_IN_A_ROW, max(1, len(results)))
    down = math.ceil(len(results) / across)
    width, height = 0.35 + 5.3 * across, 0.35 + 4.75 * down
    with style.canvas(path, width=width, height=height) as figure:
        for number, result in enumerate(results):
            left = 0.95 + 5.3 * (number % across)
            bottom = 0.7 + 4.75 * (down - 1 - number // across)
            shapes = style.panel(figure, left=left, bottom=bottom + 1.25, width=4.5, height=2.7)
            ratio = style.panel(figure, left=left, bottom=bottom, width=4.5, height=1.15, sharex=shapes)
            _sculpting_panel(
                shapes, ratio, result, xlabel=style.with_unit(result.spectator, units.get(result.spectator, "")),
                title=style.heading(evaluation.name), other=others.get(result.spectator),
            )  # fmt: skip
        style.label(figure, caption, left=0.3, right=width - 0.2, top=height - 0.3)
    return path


def draw_punzi(evaluation: Evaluation, path: Path, *, caption: Caption) -> Path:
    """Punzi's sensitivity over the threshold, the optimum, and the background it leaves."""
    scan, point = evaluation.punzi, evaluation.working_point
    seen = np.isfinite(scan.sensitivity)
    with style.canvas(path, width=9.2, height=6.0) as figure:
        axes = style.panel(figure, left=0.95, bottom=2.35, width=5.3, height=3.1)
        yields = style.panel(figure, left=0.95, bottom=0.75, width=5.3, height=1.5, sharex=axes)
        x = scan.signal_efficiency[seen]
        axes.plot(x, scan.sensitivity[seen], color=style.BACKENDS[0], label=r"$S_{\mathrm{min}}$ / efficiency")
        few = seen & ~scan.measured
        axes.plot(
            scan.signal_efficiency[few], scan.sensitivity[few], color="0.6", lw=2.2,
            label="fewer than 10 effective\nbackground events kept",
        )  # fmt: skip
        best = scan.best
        axes.plot(
            scan.signal_efficiency[best], scan.sensitivity[best], "*", ms=14, mfc="#ffa90e", mec=style.INK, clip_on=False,
            label=f"optimum: score ≥ {scan.threshold[best]:.4g}\nsignal efficiency "
            f"{100 * scan.signal_efficiency[best]:.1f} %\n{format_number(float(scan.background[best]))} background events",
        )  # fmt: skip
        share = point.signal_efficiency.value
        axes.axvline(share, color=style.INK, lw=1.2, ls="--", label=f"working point: {100 * share:.1f} %")
        yields.axvline(share, color=style.INK, lw=1.2, ls="--")
        low = np.maximum(scan.background - scan.background_error, 1e-3)
        yields.fill_between(
            scan.signal_efficiency, low, scan.background + scan.background_error, color="#3f90da", alpha=0.35, lw=0
        )
        some = scan.background > 0
        yields.plot(scan.signal_efficiency[some], scan.background[some], color=style.BACKENDS[0])
        axes.set(yscale="log", xlim=(0, 1), ylabel="Signal events needed")
        axes.tick_params(labelbottom=False)
        yields.set(yscale="log", xlabel="Signal efficiency", ylabel="Background")
        if some.any():
            yields.set_ylim(scan.background[some].min() / 2, scan.background.max() * 2)
        title = f"{style.heading(evaluation.name)}\nPunzi a = {scan.a:g}, b = {scan.b:.4g}"
        style.legend_beside(figure, axes, left=6.45, top=5.45, title=title)
        style.label(figure, caption, left=0.95, right=9.0, top=5.62)
    return path


def _drop_points(axes: Axes, drops: list[Estimate]) -> None:
    """On a log scale, for one feature often outweighs all others; where a drop is not seen, its 90 % upper bound."""
    rows = np.arange(len(drops))
    value, error = (np.array([getattr(drop, part) for drop in drops]) for part in ("value", "error"))
    seen = value > error
    upper = np.maximum(value, 0) + ONE_SIDED_90 * error
    bounded = ~seen & (upper > 0)
    axes.errorbar(
        value[seen], rows[seen], xerr=np.minimum(error, 0.9 * value)[seen], fmt="o", ms=5, lw=1.4, color=style.BACKENDS[0]
    )
    axes.plot(upper[bounded], rows[bounded], "<", ms=5, color="0.6", label="90 % upper bound")
    shown = np.concatenate([(value - np.minimum(error, 0.9 * value))[seen], upper[bounded]])
    highest = float(np.max((value + error)[seen], initial=np.max(shown, initial=1e-6)))
    axes.set(xscale="log", xlim=(max(np.min(shown, initial=highest), 1e-6 * highest) / 2, 2 * highest))
    axes.hlines(rows, *axes.get_xlim(), color="0.9", lw=0.8, zorder=0)
    if bounded.any():
        axes.legend(loc="lower right", fontsize=9, borderpad=0.3, handlelength=1)


def _named(caption: Caption, evaluation: Evaluation) -> Caption:
    name = style.short(evaluation.name, 28)
    title = f"{name}: {caption.title}" if caption.title else name
    return Caption(title, caption.luminosity_per_fb, caption.origin)


def _most_important(evaluation: Evaluation) -> list[int]:
    """Which rows of the correlations to show: score and spectators, then features by the AUC lost without them."""
    lost = {line.name: line.auc_drop.value for line in evaluation.importance}
    names = evaluation.correlations.names
    ranked = sorted(range(len(names)), key=lambda i: -lost.get(names[i], math.inf))
    return sorted(ranked[:MOST_SHOWN])


def heat_map(axes: Axes, matrix: Array, names: tuple[str, ...], *, show_rows: bool) -> None:
    """Correlations ``(n, n)`` in per cent, by colour and, from 10 % on, as numbers."""
    n = len(names)
    axes.set_facecolor("0.88")
    axes.imshow(np.ma.masked_invalid(100 * matrix), cmap="RdBu_r", vmin=-100, vmax=100, interpolation="nearest")
    size = 8 if n > 20 else 9
    for row in range(n):
        for column in range(n):
            r = 100 * matrix[row, column]
            # weaker ones are read from the colour; a page of small numbers is not read at all
            if abs(r) >= 9.5:
                ink = "white" if abs(r) > 60 else style.INK
                axes.text(column, row, f"{r:.0f}", ha="center", va="center", size=size, color=ink)
    texts = [style.literal(style.short(name, 20)) for name in names]
    axes.set(xticks=np.arange(n), yticks=np.arange(n))
    axes.set_xticklabels(texts, rotation=90, size=10)
    axes.set_yticklabels(texts if show_rows else [], size=10)
    axes.minorticks_off()
    axes.tick_params(length=0)


def _sculpting_panel(
    shapes: Axes, ratio: Axes, result: Sculpting, *, xlabel: str, title: str, other: Sculpting | None
) -> None:
    from matplotlib.ticker import MaxNLocator

    shapes.stairs(result.before, result.edges, fill=True, color=style.BACKGROUNDS[0], alpha=0.35, label="all background")
    drawn = [(result, f"at the working point of {title}", "o", style.INK)]
    drawn += [(other, "the same with the features that are compared", "s", style.BACKENDS[1])] if other else []
    for found, text, marker, colour in drawn:
        _draw_selected(shapes, ratio, found, text=text, marker=marker, colour=colour)
    highest = float(np.nanmax([result.before.max(), *((found.after + found.after_error).max() for found, *_ in drawn)]))
    # the legend takes the upper part of the frame, above all data
    shapes.set(ylim=(0, highest / (0.42 if other else 0.58)), xlim=(result.edges[0], result.edges[-1]))
    shapes.set_ylabel("Share of background / bin")
    handles, labels = style.ordered_entries(shapes, first=("all", "at the"))
    shapes.legend(handles, labels, loc="upper left", fontsize=9.5, borderpad=0.2)
    shapes.tick_params(labelbottom=False)
    ratio.axhline(1, color="0.6", lw=1)
    ratios = np.concatenate([found.ratio[_drawn(found)] for found, *_ in drawn])
    tops = np.concatenate([(found.ratio + found.ratio_error)[_drawn(found)] for found, *_ in drawn])
    top = float(tops.max()) if len(tops) else 2.0
    ratio.set(xlabel=xlabel, ylabel="Ratio")
    if top > LARGEST_LINEAR_RATIO:
        ratio.set(yscale="log", ylim=(0.5 * min(1.0, float(ratios.min())), 2 * top))
    else:
        ratio.set_ylim(0, max(2.0, 1.08 * top))
        ratio.yaxis.set_major_locator(MaxNLocator(4, prune="both"))
    ratio.xaxis.set_major_locator(MaxNLocator(6))


def _draw_selected(shapes: Axes, ratio: Axes, found: Sculpting, *, text: str, marker: str, colour: str) -> None:
    """What passes the working point, and its ratio to all; the tests stand in the legend."""
    look: dict[str, Any] = {"fmt": marker, "ms": 3.5, "lw": 1.2, "color": colour}
    centres = (found.edges[1:] + found.edges[:-1]) / 2
    seen, there = found.after_error > 0, _drawn(found)
    tests = "too few events for a test"
    if found.test:
        tests = (
            f"KS {found.test.distance:.3f}, p {format_p_value(found.test.p_value)}, "
            f"JS {found.jensen_shannon:.4f} bit (by chance {found.jensen_shannon_expected:.4f})"
        )
    shapes.errorbar(centres[seen], found.after[seen], yerr=found.after_error[seen], label=f"{text}\n{tests}", **look)
    ratio.errorbar(centres[there], found.ratio[there], yerr=found.ratio_error[there], **look)


def _drawn(found: Sculpting) -> NDArray[np.bool_]:
    """``(n_bins,)``: where the ratio has a point."""
    return (found.after_error > 0) & np.isfinite(found.ratio)
