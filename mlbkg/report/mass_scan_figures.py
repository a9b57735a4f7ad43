"""Figures of a classifier over the masses of a search: sensitivity, cut, ranking, and a selection by cuts beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mlbkg.report.style as style
from mlbkg.evaluation.compared_cuts import ComparedMass, CutComparison
from mlbkg.evaluation.estimates import Array, Efficiency
from mlbkg.evaluation.mass_scan import MassScan, MeanPunzi
from mlbkg.evaluation.score_plane import ScorePlane
from mlbkg.evaluation.window_search import SearchPoints
from mlbkg.report.quantity import Quantity
from mlbkg.report.style import Caption
from mlbkg.report.tables import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

SMOOTH, OPTIMUM, CUTS = style.BACKENDS[0], style.INK, style.BACKENDS[1]
LEFT, WIDTH, LEGEND_LEFT, ACROSS = 0.95, 5.5, 6.65, 9.7
HIGHEST_SHOWN = 10.0
"""Means above this multiple of the smallest are beyond the frame."""
BETWEEN = ((4.0, "23456789"), (30.0, "235"))
"""Digits written on a logarithmic axis whose ends have at most this ratio."""
SHORTEST_BAR = 0.03
"""What is left of a value, at least, where an error bar would reach below zero on a logarithmic axis."""
DEEPEST_DECADES = 5
"""Of background densities and of yields; what is smaller is as good as nothing."""


def draw_mass_sensitivity(
    scan: MassScan, path: Path, *, caption: Caption, name: str, mass: Quantity, comparison: CutComparison | None = None
) -> Path:
    """The cross section that a discovery needs, the signal that is kept and the background that is left, over the mass.

    Before any cut on the score, with the best cut at each mass, with the smooth one, and with ``comparison``'s cuts.
    """
    x = scan.masses[:, 0]
    with style.canvas(path, width=ACROSS, height=7.6) as figure:
        reach = style.panel(figure, left=LEFT, bottom=4.2, width=WIDTH, height=2.85)
        kept = style.panel(figure, left=LEFT, bottom=2.5, width=WIDTH, height=1.6, sharex=reach)
        left = style.panel(figure, left=LEFT, bottom=0.75, width=WIDTH, height=1.65, sharex=reach)
        before: dict[str, Any] = {"color": "0.55", "ls": "--", "lw": 1.3}
        each: dict[str, Any] = {"color": OPTIMUM, "ls": "none", "marker": "o", "ms": 3, "mfc": "none", "mew": 0.8}
        reach.plot(x, scan.before.sensitivity, label=f"no cut on the score{_mean(scan.before)}", **before)
        reach.plot(x, scan.optimum.sensitivity, label=f"best cut at each mass{_mean(scan.optimum)}", **each)
        reach.plot(x, scan.smooth.sensitivity, color=SMOOTH, label=f"smooth in mass{_mean(scan.smooth)}")
        kept.plot(x, 100 * scan.optimum.efficiency, **each)
        kept.plot(x, 100 * scan.smooth.efficiency, color=SMOOTH)
        _background(left, x, scan, before=before, each=each)
        if comparison is not None:
            _draw_cuts(reach, kept, left, comparison)
        reach.set(yscale="log", ylabel=f"Cross section for {scan.a:g}σ [fb]")
        _room(reach, [scan.before.sensitivity, scan.smooth.sensitivity])
        kept.set(ylim=(0, 105), ylabel="Signal kept [%]")
        left.set(xlim=_padded(x), xlabel=_label(mass), ylabel="Background")
        for axes in (reach, kept):
            axes.tick_params(labelbottom=False)
        title = f"{style.heading(name)}\nPunzi a = {scan.a:g}, b = {scan.b:.4g}\nwindow ±{scan.window:g} resolutions"
        style.legend_beside(figure, reach, left=LEGEND_LEFT, top=7.05, title=title, first=("no", "best", "smooth"))
        style.legend_beside(figure, left, left=LEGEND_LEFT, top=2.4, title="in the window, smooth cut", first=("expected",))
        style.label(figure, caption, left=LEFT, right=ACROSS - 0.2, top=7.22)
    return path


def draw_threshold_curve(scan: MassScan, path: Path, *, caption: Caption, name: str, variable: Quantity) -> Path:
    """Where background and signal score over the scanned variable, and the cut between them."""
    plane = scan.plane
    with style.canvas(path, width=ACROSS, height=5.2) as figure:
        axes = style.panel(figure, left=LEFT, bottom=0.75, width=WIDTH, height=3.9)
        _heat(figure, axes, plane)
        low, middle, high = style.log_odds(plane.signal)
        axes.errorbar(
            plane.at, middle, yerr=np.clip([middle - low, high - middle], 0, None), fmt="o", ms=4, lw=1.2,
            color=style.SIGNAL, mec="white", mew=0.6, label="simulated signals:\nmedian, central 68 %",
        )  # fmt: skip
        fine = np.linspace(plane.edges[0], plane.edges[-1], 600)
        axes.plot(fine, style.log_odds(scan.curve(fine).astype(np.float64)), color=style.INK, lw=2, label="cut: kept above")
        style.score_axis(axes, plane.score_edges, text="Score, out of fold (even in log-odds)", upright=True)
        axes.set(xlim=(plane.edges[0], plane.edges[-1]), xlabel=_label(variable))
        style.legend_beside(figure, axes, left=LEGEND_LEFT, top=4.65, title=style.heading(name), first=("cut", "simulated"))
        style.label(figure, caption, left=LEFT, right=ACROSS - 0.2, top=4.82)
    return path


def draw_classifiers_over_masses(scans: Mapping[str, MassScan], path: Path, *, caption: Caption, mass: Quantity) -> Path:
    """Of each classifier the AUC in the windows of the simulated masses, and the sensitivity beside the first one's."""
    first = next(iter(scans.values()))
    x = first.masses[:, 0]
    with style.canvas(path, width=ACROSS, height=6.0) as figure:
        areas = style.panel(figure, left=LEFT, bottom=2.75, width=WIDTH, height=2.7)
        ratio = style.panel(figure, left=LEFT, bottom=0.75, width=WIDTH, height=1.9, sharex=areas)
        for number, (name, scan) in enumerate(scans.items()):
            colour = style.colour(style.BACKENDS, number)
            found = scan.ranking
            areas.errorbar(
                found.masses, found.auc, yerr=found.auc_error, fmt=style.MARKERS[number % len(style.MARKERS)] + "-", ms=4,
                lw=1.2, color=colour, label=f"{style.heading(name)}{_mean(scan.smooth)}",
            )  # fmt: skip
            ratio.plot(
                x, scan.smooth.sensitivity / first.smooth.sensitivity, color=colour,
                ls=style.LINES[number % len(style.LINES)],
            )  # fmt: skip
        areas.set(ylabel="AUC in the window")
        areas.tick_params(labelbottom=False)
        ratio.set(
            xlim=_padded(np.concatenate([x, first.ranking.masses])), xlabel=_label(mass),
            ylabel=f"Cross section\nfor {first.a:g}σ / first",
        )  # fmt: skip
        low, high = ratio.get_ylim()
        ratio.set_ylim(min(low, 0.95), max(high, 1.05))
        style.legend_beside(figure, areas, left=LEGEND_LEFT, top=5.45)
        style.label(figure, caption, left=LEFT, right=ACROSS - 0.2, top=5.62)
    return path


def draw_cut_comparison(comparison: CutComparison, path: Path, *, caption: Caption, name: str, mass: Quantity) -> Path:
    """What cuts and classifier leave of the background where both keep the same signal, mass by mass, and the ratio."""
    x = np.array([line.mass for line in comparison.masses])
    with style.canvas(path, width=ACROSS, height=6.6) as figure:
        axes = style.panel(figure, left=LEFT, bottom=3.65, width=WIDTH, height=2.4)
        ratio = style.panel(figure, left=LEFT, bottom=2.05, width=WIDTH, height=1.5, sharex=axes)
        share = style.panel(figure, left=LEFT, bottom=0.75, width=WIDTH, height=1.2, sharex=axes)
        by_cuts = [line.cut_background for line in comparison.masses]
        by_score = [line.classifier_background for line in comparison.masses]
        _shares(axes, x, by_cuts, fmt="s", color=CUTS, label=style.literal(comparison.name))
        _shares(axes, x, by_score, fmt="o", color=SMOOTH, label=style.heading(name))
        _left_over(ratio, x, comparison.masses)
        share.plot(
            x, [100 * line.signal_efficiency.value for line in comparison.masses], "D-", ms=3.5, lw=1, color=style.SIGNAL
        )
        axes.set(yscale="log", ylabel="Background kept")
        ratio.set_ylabel("Classifier\n/ cuts")
        share.set(ylim=(0, 105), ylabel="Signal\nkept [%]", xlim=_padded(x), xlabel=_label(mass))
        for upper in (axes, ratio):
            upper.tick_params(labelbottom=False)
        if any(share.value == 0 for share in (*by_cuts, *by_score)):
            axes.plot([], [], "v", ms=5, color="0.5", label="nothing kept: 90 % bound")
        style.legend_beside(
            figure, axes, left=LEGEND_LEFT, top=6.05, title="at the same signal efficiency,\nset by the cuts' optimum",
            first=(style.heading(name), style.literal(comparison.name)),
        )  # fmt: skip
        style.label(figure, caption, left=LEFT, right=ACROSS - 0.2, top=6.22)
    return path


def draw_mean_punzi(found: MeanPunzi, path: Path, *, caption: Caption, name: str, masses: Sequence[Quantity]) -> Path:
    """The mean over all hypotheses against the cut, and what the best one reaches at each of them."""
    with style.canvas(path, width=12.2, height=5.4) as figure:
        curve = style.panel(figure, left=LEFT, bottom=0.75, width=4.6, height=3.7)
        each = style.panel(figure, left=6.6, bottom=0.75, width=4.5, height=3.7)
        x, mean, best = style.log_odds(found.threshold), found.mean_sensitivity, found.best
        few = ~found.measured
        curve.plot(x, mean, color=SMOOTH, label="mean over the masses")
        curve.plot(x[few], mean[few], color="0.6", lw=2.2, label="background not measured")
        curve.plot(
            x[best], mean[best], "*", ms=14, mfc="#ffa90e", mec=style.INK,
            label=f"score ≥ {found.threshold[best]:.4g}: {format_number(float(mean[best]))} fb",
        )  # fmt: skip
        highest = HIGHEST_SHOWN * float(mean[best])
        shown = found.threshold[mean < highest]
        style.score_axis(curve, shown[[0, -1]], text="Score cut (even in log-odds)")
        curve.set(yscale="log", ylim=(float(mean[best]) / 1.3, highest), ylabel=f"Mean cross section for {found.a:g}σ [fb]")
        _plain(curve.yaxis, curve.get_ylim())
        if len(masses) == 2:
            _map(figure, each, found, masses)
        else:
            each.plot(found.masses[:, 0], found.points.sensitivity, color=SMOOTH)
            each.set(
                yscale="log",
                xlim=_padded(found.masses),
                xlabel=_label(masses[0]),
                ylabel=f"Cross section for {found.a:g}σ [fb]",
            )
            _room(each, [found.points.sensitivity])
        figure.legend(
            *curve.get_legend_handles_labels(), loc="lower left", bbox_to_anchor=(LEFT / 12.2, 4.55 / 5.4), ncols=3,
            fontsize=10, borderpad=0, borderaxespad=0, columnspacing=1.6,
        )  # fmt: skip
        figure.text(11.1 / 12.2, 4.57 / 5.4, style.heading(name), size=10, ha="right", va="baseline")
        style.label(figure, caption, left=LEFT, right=12.0, top=5.02)
    return path


def _background(axes: Axes, x: Array, scan: MassScan, *, before: dict[str, Any], each: dict[str, Any]) -> None:
    points = scan.smooth
    axes.plot(x, scan.before.background, **before)
    axes.plot(x, scan.optimum.background, **each)
    highest = float(scan.before.background.max())
    low = np.maximum(points.background - points.background_error, 1e-9)
    axes.fill_between(x, low, points.background + points.background_error, color=SMOOTH, alpha=0.3, lw=0)
    axes.plot(x, points.background, color=SMOOTH, label="expected, with the\nerror of the simulation")
    simulated = points.simulated > 0
    axes.plot(
        x[simulated],
        points.simulated[simulated],
        "x",
        ms=4,
        color=style.SIGNAL,
        label="simulated in the\nwindow alone",
    )
    some = points.background[points.background > 0]
    lowest = float(some.min()) if len(some) else highest
    axes.set(yscale="log", ylim=(max(lowest / 3, highest * 10.0**-DEEPEST_DECADES), 3 * highest))


def _draw_cuts(reach: Axes, kept: Axes, left: Axes, comparison: CutComparison) -> None:
    x = [line.mass for line in comparison.masses]
    look: dict[str, Any] = {"color": CUTS, "marker": "s", "ms": 4, "ls": ":", "lw": 1}
    reach.plot(x, [line.sensitivity for line in comparison.masses], label=style.literal(comparison.name), **look)
    kept.plot(x, [100 * line.signal_efficiency.value for line in comparison.masses], **look)
    left.plot(x, [line.background for line in comparison.masses], **look)


def _heat(figure: Any, axes: Axes, plane: ScorePlane) -> None:
    """Background density in grey, logarithmic, its scale beside the frame."""
    from matplotlib.colors import LogNorm

    shown = np.ma.masked_less_equal(plane.background, 0)
    highest = float(plane.background.max())
    lowest = max(float(shown.min()), highest * 10.0**-DEEPEST_DECADES) if highest > 0 else 1.0
    mesh = axes.pcolormesh(
        plane.edges, style.log_odds(plane.score_edges), shown.T, cmap="Blues",
        norm=LogNorm(lowest, max(highest, 1.001 * lowest)), rasterized=True,
    )  # fmt: skip
    bar = style.panel(figure, left=LEGEND_LEFT, bottom=0.75, width=0.18, height=2.3)
    figure.colorbar(mesh, cax=bar, label="Background events / bin")


def _map(figure: Any, axes: Axes, found: MeanPunzi, masses: Sequence[Quantity]) -> None:
    from matplotlib.colors import LogNorm

    reached = found.points.sensitivity
    dots = axes.scatter(
        found.masses[:, 0], found.masses[:, 1], c=reached, s=22, cmap="viridis",
        norm=LogNorm(reached.min(), 1.001 * reached.max()),
    )  # fmt: skip
    axes.set(xlabel=_label(masses[0]), ylabel=_label(masses[1]))
    bar = style.panel(figure, left=11.2, bottom=0.75, width=0.16, height=3.7)
    figure.colorbar(dots, cax=bar, label=f"Cross section for {found.a:g}σ [fb]")
    _plain(bar.yaxis, bar.get_ylim())


def _shares(axes: Axes, x: Array, kept: Sequence[Efficiency], *, fmt: str, color: str, label: str) -> None:
    """Efficiencies with their intervals; a bound where nothing is kept."""
    value = np.array([share.value for share in kept])
    some = value > 0
    bars = np.array([[share.value - share.low for share in kept], [share.high - share.value for share in kept]])
    axes.errorbar(x[some], value[some], yerr=np.clip(bars[:, some], 0, None), fmt=fmt, ms=4.5, color=color, label=label)
    bound = np.array([share.upper_90 for share in kept])
    axes.plot(x[~some], bound[~some], "v", ms=5, color=color)


def _left_over(axes: Axes, x: Array, compared: Sequence[ComparedMass]) -> None:
    """Ratios with errors on a logarithmic axis; a bound where the classifier keeps nothing."""
    value, error = (np.array([getattr(line.left_over, part) for line in compared]) for part in ("value", "error"))
    some = value > 0
    axes.axhline(1, color="0.5", lw=1)
    down = np.minimum(error[some], (1 - SHORTEST_BAR) * value[some])
    axes.errorbar(x[some], value[some], yerr=[down, error[some]], fmt="o", ms=4.5, color=SMOOTH)
    none = [line for line in compared if line.left_over.value == 0]
    bound = [line.classifier_background.upper_90 / line.cut_background.value for line in none]
    axes.plot([line.mass for line in none], bound, "v", ms=5, color=SMOOTH)
    shown = np.concatenate([value[some], bound, [1.0]])
    axes.set(yscale="log", ylim=(float(shown.min()) / 3, 2 * float(shown.max())))
    _plain(axes.yaxis, axes.get_ylim())


def _room(axes: Axes, drawn: Sequence[Array]) -> None:
    values = np.concatenate(drawn)
    axes.set_ylim(0.7 * float(values.min()), 1.4 * float(values.max()))
    _plain(axes.yaxis, axes.get_ylim())


def _plain(axis: Axis, ends: tuple[float, float]) -> None:
    """A logarithmic axis with numbers written out, and some between the powers of ten where it is short."""
    span = ends[1] / ends[0]
    between = next((digits for longest, digits in BETWEEN if span < longest), "")
    axis.set_major_formatter(lambda value, _: f"{value:,.6g}")
    axis.set_minor_formatter(lambda value, _: f"{value:,.6g}" if f"{value:.0e}"[0] in between else "")


def _padded(x: Array) -> tuple[float, float]:
    pad = 0.02 * float(np.ptp(x))
    return float(x.min()) - pad, float(x.max()) + pad


def _mean(points: SearchPoints) -> str:
    return f"\nmean {format_number(points.mean_sensitivity)} fb"


def _label(quantity: Quantity) -> str:
    return style.with_unit(quantity.symbol, quantity.unit)
