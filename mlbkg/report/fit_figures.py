"""Figures of a fit: data and model, what peaks above the smooth background, the likelihood, the correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import mlbkg.report.style as style
from mlbkg.fitting.base import Array
from mlbkg.fitting.data import Binned
from mlbkg.fitting.model import Model
from mlbkg.fitting.result import FitResult, Goodness
from mlbkg.report.diagnosis_figures import MOST_SHOWN, heat_map
from mlbkg.report.quantity import Quantity, Scale
from mlbkg.report.style import Caption
from mlbkg.report.tables import format_p_value, format_value_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mlbkg.limits.profile import LikelihoodScan

CURVE_POINTS = 1200
# Of the peak's candidates, how much is left out at either end of the zoom, and how much room is added beside the rest.
PEAK_TAIL = 0.005
ROOM_BESIDE_PEAK = 0.6
ONE_SIGMA = 0.158655
LEVELS = ((1.0, "68 %"), (2.7055, "90 %"))
"""-2 Δ ln L where the interval of one parameter ends: quantiles of χ² with one degree of freedom."""


@dataclass(frozen=True)
class FitView:
    """One fit to draw.

    variable: its name and unit. data: what the model was fitted to, in even bins; ``data_name`` says what it is: data, or
    what is expected. smooth: the components that do not peak; they are subtracted around the peak.
    """

    variable: Quantity
    model: Model
    result: FitResult
    data: Binned
    data_name: str
    goodness: Goodness
    smooth: tuple[str, ...]

    @property
    def bin_width(self) -> float:
        return float(np.mean(np.diff(self.data.edges)))

    @property
    def peaking(self) -> tuple[str, ...]:
        """The other components, the largest first."""
        sizes = dict(zip(self.names, self.model.rates(self.result.theta), strict=True))
        return tuple(sorted((name for name in self.names if name not in self.smooth), key=lambda name: -abs(sizes[name])))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(component.name for component in self.model.components)

    def curves(self, x: Array) -> dict[str, Array]:
        """Component -> ``(n,)`` candidates per bin at ``x``."""
        return dict(zip(self.names, self.model.densities(x, self.result.theta) * self.bin_width, strict=True))

    def peak_range(self) -> tuple[float, float]:
        """Where the peaking components are, with room beside them; the window where nothing peaks in a part of it."""
        window = self.model.window
        edges = window.edges(CURVE_POINTS)
        expected = dict(zip(self.names, self.model.expected(edges, self.result.theta), strict=True))
        inside = sum((np.abs(expected[name]) for name in self.peaking), start=np.zeros(CURVE_POINTS))
        if not inside.sum() > 0:
            return window.low, window.high
        share = np.concatenate([[0.0], np.cumsum(inside) / inside.sum()])
        low, high = np.interp([PEAK_TAIL, 1 - PEAK_TAIL], share, edges)
        room = ROOM_BESIDE_PEAK * (high - low)
        return max(window.low, float(low - room)), min(window.high, float(high + room))


def draw_fit(view: FitView, path: Path, *, caption: Caption) -> Path:
    """All of the window with its pulls, and beside it the peak above the smooth background."""
    with style.canvas(path, width=13.2, height=6.0) as figure:
        whole = style.panel(figure, left=1.05, bottom=2.15, width=5.0, height=3.3)
        pulls = style.panel(figure, left=1.05, bottom=0.75, width=5.0, height=1.3, sharex=whole)
        peak = style.panel(figure, left=7.15, bottom=2.15, width=3.2, height=3.3)
        peak_pulls = style.panel(figure, left=7.15, bottom=0.75, width=3.2, height=1.3, sharex=peak)
        _draw_whole(whole, view)
        _draw_peak(peak, view)
        for axes, ends in ((pulls, (view.model.window.low, view.model.window.high)), (peak_pulls, view.peak_range())):
            _draw_pulls(axes, view.goodness, ends)
            axes.set_xlabel(style.with_unit(view.variable.symbol, view.variable.unit))
        pulls.set_ylabel("Pull")
        peak_pulls.tick_params(labelleft=False)
        for axes in (whole, peak):
            axes.tick_params(labelbottom=False)
        ordered = (style.literal(view.data_name), "fit", *map(style.literal, (*view.peaking, *view.smooth)), "χ²")
        style.legend_beside(figure, whole, left=10.55, top=5.45, first=ordered)
        style.label(figure, caption, left=1.05, right=10.35, top=5.62)
    return path


def draw_likelihood_scan(scans: Mapping[str, LikelihoodScan], quantity: Quantity, path: Path, *, caption: Caption) -> Path:
    """-2 Δ ln L of one or more fits over the same quantity, with the 68 % and 90 % intervals of one parameter."""
    ends = [float(value) for scan in scans.values() for value in scan.values[[0, -1]]]
    scale = quantity.scale(ends)
    with style.canvas(path, width=9.4, height=5.2) as figure:
        axes = style.panel(figure, left=0.85, bottom=0.75, width=5.4, height=3.9)
        for number, (name, scan) in enumerate(scans.items()):
            colour = style.colour(style.BACKENDS, number)
            axes.plot(
                scan.values / 10.0**scale.power, scan.rise, color=colour, ls=style.LINES[number % len(style.LINES)],
                label=f"{style.literal(name)}\n{_interval_text(scan, scale)}",
            )  # fmt: skip
            axes.plot(scale(scan.best), 0, "o", ms=6, color=colour, clip_on=False, zorder=5)
        axes.plot([], [], "o", color=style.INK, label="best fit")
        for level, share in LEVELS:
            axes.axhline(level, color="0.5", lw=1, ls=":")
            axes.annotate(
                share, (1, level), xycoords=("axes fraction", "data"), xytext=(-5, 3), textcoords="offset points",
                ha="right", size=10, color="0.35",
            )  # fmt: skip
        top = min(9.0, max(float(np.nanmax(scan.rise)) for scan in scans.values()))
        axes.set(
            xlim=(scale(min(ends)), scale(max(ends))), ylim=(0, max(1.1 * top, 1.15 * LEVELS[-1][0])),
            xlabel=style.literal(scale.label), ylabel="−2 Δ ln L",
        )  # fmt: skip
        axes.ticklabel_format(axis="x", style="plain", useOffset=False)
        style.legend_beside(figure, axes, left=6.45, top=4.65, title=style.literal(scale.label))
        style.label(figure, caption, left=0.85, right=9.2, top=4.82)
    return path


def draw_parameter_correlations(result: FitResult, path: Path, *, caption: Caption) -> Path:
    """Of the parameters that were free, in per cent; the first 60 where there are more."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    errors = np.sqrt(np.clip(np.diag(result.covariance), 0, None))
    shown = [n for n, parameter in enumerate(result.parameters) if not parameter.fixed and errors[n] > 0][:MOST_SHOWN]
    correlation = result.covariance[np.ix_(shown, shown)] / np.outer(errors[shown], errors[shown])
    side = max(2.6, 0.36 * len(shown))
    with style.canvas(path, width=side + 4.0, height=side + 2.3) as figure:
        axes = style.panel(figure, left=2.2, bottom=1.75, width=side, height=side)
        heat_map(axes, correlation, tuple(result.parameters[n].name for n in shown), show_rows=True)
        bar = style.panel(figure, left=2.4 + side, bottom=1.75, width=0.18, height=side)
        figure.colorbar(ScalarMappable(norm=Normalize(-100, 100), cmap="RdBu_r"), cax=bar).set_label("Correlation [%]")
        bar.minorticks_off()
        style.label(figure, caption, left=0.3, right=side + 3.7, top=side + 1.95)
    return path


def _draw_whole(axes: Axes, view: FitView) -> None:
    """Components stacked on one another, the smooth ones at the bottom."""
    window = view.model.window
    x = np.linspace(window.low, window.high, CURVE_POINTS)
    yields = {found.name: format_value_error(found.value, found.error) for found in view.result.yields}
    labels = {name: f"{style.literal(name)}\n{text}" for name, text in yields.items()}
    below = _stack(axes, view, x, (*view.smooth, *view.peaking), labels=labels)
    axes.plot(x, below, color=style.INK, lw=1.4, label="fit")
    good = view.goodness
    axes.plot([], [], ls="none", label=f"χ²/ndf = {good.chi2:.1f} / {good.ndf}\np value {format_p_value(good.p_value)}")
    _, high = _poisson_bars(view.data)
    _points(axes, view, np.zeros(len(view.data.counts)), label=True)
    top = float(max((view.data.counts + high).max(), below.max()))
    axes.set(xlim=(window.low, window.high), ylim=(0, 1.08 * top))
    _count_axis(axes, view, top)


def _draw_peak(axes: Axes, view: FitView) -> None:
    """What is left when the fitted smooth background is taken away, and the signal once more on its own."""
    ends = view.peak_range()
    x = np.linspace(*ends, CURVE_POINTS)
    total = _stack(axes, view, x, view.peaking, labels={})
    alone = [view.curves(x)[name] for name in view.peaking]
    for name, curve in list(zip(view.peaking, alone, strict=True))[1:]:
        axes.plot(x, curve, color=_colour(view, name), lw=1.4, ls="--")
    axes.plot(x, total, color=style.INK, lw=1.4)
    axes.axhline(0, color="0.6", lw=1)
    expected = dict(zip(view.names, view.model.expected(view.data.edges, view.result.theta), strict=True))
    smooth = sum((expected[name] for name in view.smooth), start=np.zeros(len(view.data.counts)))
    _points(axes, view, smooth, label=False)
    shown = (view.data.edges[1:] > ends[0]) & (view.data.edges[:-1] < ends[1])
    low, high = _poisson_bars(view.data)
    left = (view.data.counts - smooth)[shown]
    bottom = min(float((left - low[shown]).min()), *(float(curve.min()) for curve in (total, *alone)))
    top = max(float((left + high[shown]).max()), float(total.max()))
    axes.set(xlim=ends, ylim=(bottom - 0.06 * (top - bottom), top + 0.16 * (top - bottom)))
    axes.text(0.04, 0.95, "smooth background subtracted", transform=axes.transAxes, va="top", size=10)
    _count_axis(axes, view, top)


def _stack(axes: Axes, view: FitView, x: Array, names: Sequence[str], *, labels: Mapping[str, str]) -> Array:
    """Fill each component above those before it; returns their sum."""
    curves, below = view.curves(x), np.zeros(len(x))
    for name in names:
        axes.fill_between(
            x, below, below + curves[name], color=_colour(view, name), alpha=0.75, lw=0, label=labels.get(name)
        )
        below = below + curves[name]
    return below


def _points(axes: Axes, view: FitView, subtracted: Array, *, label: bool) -> None:
    edges, counts = view.data.edges, view.data.counts
    axes.errorbar(
        (edges[1:] + edges[:-1]) / 2, counts - subtracted, yerr=_poisson_bars(view.data), fmt="o", ms=2.8, lw=0.9,
        color=style.INK, label=style.literal(view.data_name) if label else None, zorder=4,
    )  # fmt: skip


def _draw_pulls(axes: Axes, goodness: Goodness, ends: tuple[float, float]) -> None:
    edges = goodness.edges
    shown = (edges[1:] > ends[0]) & (edges[:-1] < ends[1])
    widest = max(3.4, 1.15 * float(np.max(np.abs(goodness.pulls[shown]), initial=0.0)))
    for reach, shade in ((2, "0.93"), (1, "0.86")):
        axes.axhspan(-reach, reach, color=shade, lw=0, zorder=0)
    axes.axhline(0, color="0.5", lw=1)
    axes.errorbar((edges[1:] + edges[:-1]) / 2, goodness.pulls, yerr=1, fmt="o", ms=2.8, lw=0.9, color=style.INK)
    axes.set(xlim=ends, ylim=(-widest, widest))


def _colour(view: FitView, name: str) -> str:
    """The signal has a colour of its own; the others go by their order."""
    if name == "signal":
        return style.SIGNAL
    others = [other for other in (*view.smooth, *view.peaking) if other != "signal"]
    return style.colour(style.BACKGROUNDS, others.index(name))


def _poisson_bars(data: Binned) -> Array:
    """``(2, n_bins)``: below and above; central 68.27 % intervals of counts (F. Garwood, Biometrika 28 (1936) 437), or the
    root of the summed squares of weights."""
    from scipy.special import gammaincinv

    if data.variances is not None:
        return np.asarray(np.sqrt([data.variances, data.variances]))
    counts = data.counts
    low = np.where(counts > 0, gammaincinv(np.maximum(counts, 1e-9), ONE_SIGMA), 0.0)
    return np.array([counts - low, gammaincinv(counts + 1, 1 - ONE_SIGMA) - counts])


def _count_axis(axes: Axes, view: FitView, top: float) -> None:
    """Candidates per bin, the power of ten in the label; a narrow bin of something in GeV is given in MeV."""
    width, unit = view.bin_width, style.unit_text(view.variable.unit)
    if unit in ("GeV", "GeV/c", "GeV/c²") and width < 0.1:
        width, unit = 1e3 * width, f"M{unit[1:]}"
    per_bin = f"({width:.3g} {unit})" if unit else f"{width:.3g}"
    scale = Quantity(f"Candidates / {per_bin}").scale([top])
    axes.set_ylabel(style.literal(scale.label))
    axes.yaxis.set_major_formatter(lambda value, _: f"{scale(value):g}")


def _interval_text(scan: LikelihoodScan, scale: Scale) -> str:
    """The best value and its 68 % interval."""
    level = LEVELS[0][0]
    left, right = scan.values <= scan.best, scan.values >= scan.best
    low = _crossing(scan.values[left][::-1], scan.rise[left][::-1], level)
    high = _crossing(scan.values[right], scan.rise[right], level)
    return scale.with_errors(scan.best, up=high - scan.best, down=scan.best - low)


def _crossing(values: Array, rise: Array, level: float) -> float:
    """The first place, from the beginning, where ``rise`` comes above ``level``, by its root: straight for a parabola."""
    above = np.flatnonzero(rise >= level)
    if not len(above) or above[0] == 0:
        return float("nan")
    around = slice(int(above[0]) - 1, int(above[0]) + 1)
    return float(np.interp(np.sqrt(level), np.sqrt(np.maximum(rise[around], 0)), values[around]))
