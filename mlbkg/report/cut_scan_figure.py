"""The expected limit over the score cut: what the working point is chosen by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import mlbkg.report.style as style
from mlbkg.evaluation.estimates import Array
from mlbkg.limits.cut_scan import CutScan
from mlbkg.report.quantity import Quantity, Scale
from mlbkg.report.style import Caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = "Dv^P"
HIGHEST_SHOWN = 4.0
"""Limits above this multiple of the smallest are beyond the frame."""


def draw_cut_scan(scan: CutScan, path: Path, *, caption: Caption, quantity: Quantity) -> Path:
    """Expected limits with and without systematic uncertainties against signal efficiency, and the background that is left.

    The chosen cut and those of other rules are marked.
    """
    with style.canvas(path, width=9.6, height=6.0) as figure:
        limits = style.panel(figure, left=0.95, bottom=2.35, width=5.3, height=3.1)
        yields = style.panel(figure, left=0.95, bottom=0.75, width=5.3, height=1.5, sharex=limits)
        scale = quantity.scale([float(scan.optimised[scan.best])])
        curves = (
            ("statistical", scan.statistical_limit, scan.statistical_limit_error, style.BACKENDS[0]),
            ("with systematics", scan.expected_limit, scan.expected_limit_error, style.BACKENDS[1]),
        )
        for name, values, errors, colour in curves:
            _band(limits, scan.signal_efficiency, values, errors, scale, colour=colour, label=name)
        _draw_marks(limits, scan, scale)
        _draw_background(yields, scan)
        smallest = scale(float(np.nanmin(scan.statistical_limit)))
        limits.set(xlim=(0, 1), ylim=(0, HIGHEST_SHOWN * max(smallest, scale(float(scan.optimised[scan.best])) / 2)))
        limits.set_ylabel(f"{100 * scan.confidence_level:g} % limit, {scale.label}")
        limits.tick_params(labelbottom=False)
        first = ("statistical", "with systematics", "smallest")
        style.legend_beside(figure, limits, left=6.45, top=5.45, title="median limit expected\nwithout signal", first=first)
        style.label(figure, caption, left=0.95, right=9.4, top=5.62)
    return path


def _band(axes: Axes, x: Array, values: Array, errors: Array, scale: Scale, *, colour: str, label: str) -> None:
    """A line, and the uncertainty that the size of the simulation leaves."""
    factor = scale(1.0)
    axes.plot(x, factor * values, color=colour, label=label)
    axes.fill_between(x, factor * (values - errors), factor * (values + errors), color=colour, alpha=0.3, lw=0)


def _draw_marks(axes: Axes, scan: CutScan, scale: Scale) -> None:
    x, y = scan.signal_efficiency, scale(1.0) * scan.optimised
    axes.plot(
        x[scan.best],
        y[scan.best],
        "*",
        ms=14,
        mfc="#ffa90e",
        mec=style.INK,
        zorder=5,
        label=f"smallest\n{_told(scan, scan.best, scale)}",
    )
    for number, (name, index) in enumerate(scan.marks.items()):
        axes.plot(
            x[index], y[index], MARKS[number % len(MARKS)], ms=7, mfc="none", mec=style.INK, zorder=4,
            label=f"{style.literal(name)}\n{_told(scan, index, scale)}",
        )  # fmt: skip


def _told(scan: CutScan, index: int, scale: Scale) -> str:
    limit = float(scan.optimised[index])
    kept = f"{100 * scan.signal_efficiency[index]:.1f} % signal"
    return f"{kept}, limit {scale.text(limit)}" if np.isfinite(limit) else f"{kept}, background not measured"


def _draw_background(axes: Axes, scan: CutScan) -> None:
    x = scan.signal_efficiency
    kinds = (("smooth", scan.background, style.BACKGROUNDS[0]), ("peaking", scan.peaking, style.BACKGROUNDS[1]))
    for name, events, colour in kinds:
        some = events > 0
        if some.any():
            axes.plot(x[some], events[some], color=colour, label=name)
    few = ~scan.measured & (scan.background > 0)
    axes.plot(x[few], scan.background[few], "x", ms=5, color="0.5", label="not measured")
    axes.set(yscale="log", xlabel="Signal efficiency", ylabel="Background")
    axes.legend(loc="lower right", fontsize=9, borderpad=0.2, ncols=3, handlelength=1.2, columnspacing=1)
