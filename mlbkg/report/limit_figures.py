"""Figures of limits: the scan of p values, the summary beside published limits, the impacts, the study of toys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mlbkg.report.style as style
from mlbkg.limits.result import Band, Impact, Limit
from mlbkg.report.limit_tables import METHODS, LimitLine, Published
from mlbkg.report.quantity import Quantity, Scale
from mlbkg.report.style import Caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mlbkg.fitting.study import StudyPoint

# Green and yellow as every limit plot has them, in shades that are told apart with any colour vision and in grey.
ONE_SIGMA, TWO_SIGMA = "#607641", "#f5bb54"
LOWEST_P = 3e-3
MOST_IMPACTS = 30
# What is drawn grey in a study: a fit within it is as good as unbiased.
MEAN_TOLERANCE, WIDTH_TOLERANCE, COVERAGE_TOLERANCE = 0.1, 0.05, 0.03
COVERAGE = 0.682689
CLS = ("cls", "cls_toys", "pyhf")


def draw_cls_scan(limit: Limit, quantity: Quantity, path: Path, *, caption: Caption) -> Path:
    """p value over the quantity, what is expected without signal with its bands, and where the limit comes from.

    The limit must have a scan.
    """
    scan = limit.scan
    assert scan is not None
    scale = quantity.scale([value for value in (limit.observed, _median(limit.expected)) if value is not None])
    x, alpha = scan.values / 10.0**scale.power, 1 - limit.confidence_level
    with style.canvas(path, width=9.6, height=5.2) as figure:
        axes = style.panel(figure, left=0.95, bottom=0.75, width=5.4, height=3.9)
        for inner, outer, colour, text in ((0, 4, TWO_SIGMA, "±2σ"), (1, 3, ONE_SIGMA, "±1σ")):
            low, high = np.minimum(*scan.expected[[inner, outer]]), np.maximum(*scan.expected[[inner, outer]])
            axes.fill_between(x, np.maximum(low, LOWEST_P / 10), high, color=colour, lw=0, label=text)
        axes.plot(x, scan.expected[2], color=style.INK, ls="--", label="expected, median")
        if scan.observed is not None:
            axes.plot(x, scan.observed, "-o", ms=3, lw=1.2, color=style.INK, label="observed")
        axes.axhline(alpha, color=style.SIGNAL, lw=1.3, label=f"{100 * limit.confidence_level:g} % confidence level")
        _mark_crossings(axes, limit, scale, alpha)
        axes.set(
            yscale="log", xlim=(x[0], x[-1]), ylim=(LOWEST_P, 1.3), xlabel=style.literal(scale.label),
            ylabel="CLs" if limit.method in CLS else "p value",
        )  # fmt: skip
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        order = ("observed", "expected", "±1", "±2", "90", "limit")
        style.legend_beside(figure, axes, left=6.55, top=4.65, title=METHODS.get(limit.method, limit.method), first=order)
        style.label(figure, caption, left=0.95, right=9.4, top=4.82)
    return path


def draw_limit_summary(
    lines: Sequence[LimitLine], published: Sequence[Published], quantity: Quantity, path: Path, *, caption: Caption
) -> Path:
    """Every limit of one's own with its bands, group by group, then the published ones; values beside the frame."""
    rows: list[LimitLine | Published] = [*lines, *published]
    tall = 0.42 * len(rows) + 0.2
    height = tall + 1.6
    level = 100 * lines[0].limit.confidence_level
    with style.canvas(path, width=11.4, height=height) as figure:
        axes = style.panel(figure, left=3.3, bottom=0.75, width=4.9, height=tall)
        for row, line in enumerate(lines):
            _draw_band(axes, row, line.limit)
        for row, other in enumerate(published, len(lines)):
            face = style.INK if other.kind == "observed" else "white"
            axes.plot(other.value, row, "s", ms=7, mfc=face, mec=style.INK)
        axes.set(
            xscale="log", xlim=_log_range(lines, published), ylim=(len(rows) - 0.4, -0.6), yticks=range(len(rows)),
            xlabel=style.literal(f"{level:g} % upper limit on {_with_unit(quantity)}"),
        )  # fmt: skip
        axes.set_yticklabels([style.literal(style.short(_row_name(row), 44)) for row in rows], size=10)
        axes.tick_params(axis="y", which="both", length=0)
        for row in range(1, len(rows)):
            axes.axhline(row - 0.5, color="0.5" if _group(rows[row]) != _group(rows[row - 1]) else "0.92", lw=0.8, zorder=0)
        for row, found in enumerate(rows):
            axes.annotate(
                _row_value(found, quantity), (1, row), xycoords=("axes fraction", "data"), xytext=(9, 0),
                textcoords="offset points", va="center", size=10, annotation_clip=False,
            )  # fmt: skip
        _summary_legend(axes, figure, has_observed=any(line.limit.observed is not None for line in lines), top=height - 0.5)
        style.label(figure, caption, left=0.3, right=11.2, top=height - 0.32)
    return path


def draw_impacts(impacts: Sequence[Impact], quantity: Quantity, path: Path, *, caption: Caption) -> Path:
    """The nuisance parameters by their impact on the quantity, and how far the fit pulls and constrains them."""
    shown = sorted(impacts, key=lambda impact: -impact.size)[:MOST_IMPACTS]
    scale = quantity.scale([impact.size for impact in shown])
    rows = np.arange(len(shown))
    tall = 0.34 * len(shown) + 0.25
    height = tall + 1.6
    with style.canvas(path, width=9.8, height=height) as figure:
        pulls = style.panel(figure, left=3.0, bottom=0.75, width=2.6, height=tall)
        moved = style.panel(figure, left=5.85, bottom=0.75, width=3.65, height=tall)
        for reach, shade in ((2, "0.95"), (1, "0.88")):
            pulls.axvspan(-reach, reach, color=shade, lw=0, zorder=0)
        pulls.axvline(0, color="0.5", lw=1)
        pulls.errorbar(
            [impact.pull for impact in shown], rows, xerr=[impact.constraint for impact in shown], fmt="o", ms=4.5, lw=1.4,
            color=style.INK,
        )  # fmt: skip
        up, down = (np.array([scale(getattr(impact, side)) for impact in shown]) for side in ("up", "down"))
        # one above the other where both move the same way, else end to end
        moved.barh(rows - 0.19, up, 0.36, color=style.BACKGROUNDS[1], label="nuisance +1σ")
        moved.barh(rows + 0.19, down, 0.36, color=style.BACKGROUNDS[0], label="nuisance −1σ")
        moved.axvline(0, color=style.INK, lw=1)
        furthest = 1.12 * max(float(np.max(np.abs([up, down]), initial=0.0)), 1e-300)
        widest = max(2.3, 1.1 * max((abs(impact.pull) + impact.constraint for impact in shown), default=0.0))
        for axes in (pulls, moved):
            axes.set(ylim=(len(shown) - 0.4, -0.6), yticks=rows)
            axes.tick_params(axis="y", which="both", length=0)
        pulls.set_yticklabels([style.literal(style.short(impact.nuisance, 30)) for impact in shown], size=10)
        moved.tick_params(labelleft=False)
        pulls.set(xlim=(-widest, widest), xlabel="Pull [σ before the fit]")
        moved.set(xlim=(-furthest, furthest), xlabel=style.literal(f"Δ {scale.label}"))
        figure.legend(
            *moved.get_legend_handles_labels(), loc="upper right", bbox_to_anchor=(9.5 / 9.8, (height - 0.45) / height),
            ncols=2, fontsize=10, borderpad=0, borderaxespad=0, columnspacing=1.4,
        )  # fmt: skip
        style.label(figure, caption, left=0.3, right=9.5, top=height - 0.3)
    return path


def draw_study(points: Sequence[StudyPoint], quantity: Quantity, path: Path, *, caption: Caption) -> Path:
    """Mean and width of the pulls and coverage of toy experiments over the signal that was injected."""
    x = np.array([point.value for point in points])
    scale = quantity.scale([float(value) for value in x])
    panels = (
        ("Mean pull", "mean_pull", 0.0, MEAN_TOLERANCE),
        ("Width of the pulls", "pull_width", 1.0, WIDTH_TOLERANCE),
        ("Coverage of 68.3 % intervals", "coverage", COVERAGE, COVERAGE_TOLERANCE),
    )
    with style.canvas(path, width=13.0, height=4.3) as figure:
        for number, (text, name, ideal, tolerance) in enumerate(panels):
            axes = style.panel(figure, left=0.9 + 4.15 * number, bottom=0.75, width=3.25, height=2.75)
            values, errors = (np.array([getattr(point, f"{name}{end}") for point in points]) for end in ("", "_error"))
            axes.axhspan(ideal - tolerance, ideal + tolerance, color="0.9", lw=0, zorder=0)
            axes.axhline(ideal, color="0.5", lw=1)
            axes.errorbar(x / 10.0**scale.power, values, yerr=errors, fmt="o", ms=5, color=style.BACKENDS[0])
            reach = max(2.5 * tolerance, 1.15 * float(np.max(np.abs(values - ideal) + errors)))
            axes.set(ylim=(ideal - reach, ideal + reach), xlabel=style.literal(f"injected {scale.label}"), ylabel=text)
            axes.margins(x=0.12)
            axes.set_xlim(axes.get_xlim())
        toys, failed = (sum(getattr(point, name) for point in points) for name in ("toys", "failed"))
        text = f"{toys:,} toy experiments, {failed:,} more without a fit" if failed else f"{toys:,} toy experiments"
        figure.text(
            0.9 / 13.0,
            3.65 / 4.3,
            f"{text}; grey: ±{MEAN_TOLERANCE:g}, ±{WIDTH_TOLERANCE:g}, ±{COVERAGE_TOLERANCE:g}",
            size=10,
        )
        style.label(figure, caption, left=0.9, right=12.45, top=3.95)
    return path


def _mark_crossings(axes: Axes, limit: Limit, scale: Scale, alpha: float) -> None:
    """Where the lines meet the confidence level, down to the axis, and their values in the legend."""
    found: list[tuple[str, float, str, dict[str, Any]]] = []
    if limit.observed is not None:
        found.append(("observed", limit.observed, scale.text(limit.observed), {"ls": "-", "marker": "o"}))
    if limit.expected is not None:
        band = limit.expected
        up, down = band.plus_1sigma - band.median, band.median - band.minus_1sigma
        found.append(
            ("expected", band.median, scale.with_errors(band.median, up=up, down=down), {"ls": "--", "marker": "D"})
        )
    for kind, value, text, look in found:
        axes.plot(
            [scale(value)] * 2, [LOWEST_P, alpha], color=style.SIGNAL, lw=1.2, ms=5, markevery=[1], **look,
            label=f"limit {kind}\n{text}",
        )  # fmt: skip


def _draw_band(axes: Axes, row: int, limit: Limit) -> None:
    band = limit.expected
    if band is not None:
        for low, high, colour in (
            (band.minus_2sigma, band.plus_2sigma, TWO_SIGMA),
            (band.minus_1sigma, band.plus_1sigma, ONE_SIGMA),
        ):
            axes.barh(row, high - low, 0.62, left=low, color=colour, lw=0)
        axes.plot([band.median] * 2, [row - 0.31, row + 0.31], color=style.INK, ls=(0, (2, 1)), lw=1.6)
    if limit.observed is not None:
        axes.plot(limit.observed, row, "o", ms=6.5, color=style.INK, mec="white", mew=0.8, zorder=5)


def _summary_legend(axes: Axes, figure: Any, *, has_observed: bool, top: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    across, up = figure.get_size_inches()
    handles: list[Any] = [
        Line2D([], [], color=style.INK, ls=(0, (2, 1)), lw=1.6),
        Patch(color=ONE_SIGMA),
        Patch(color=TWO_SIGMA),
    ]
    texts = ["expected, median", "±1σ", "±2σ"]
    if has_observed:
        handles.insert(0, Line2D([], [], marker="o", ls="none", ms=6.5, color=style.INK))
        texts.insert(0, "observed")
    for face, kind in ((style.INK, "observed"), ("white", "expected")):
        handles.append(Line2D([], [], marker="s", ls="none", ms=7, mfc=face, mec=style.INK))
        texts.append(f"published, {kind}")
    figure.legend(
        handles, texts, loc="upper left", bbox_to_anchor=(0.3 / across, top / up), ncols=len(texts), fontsize=10,
        borderpad=0, borderaxespad=0, columnspacing=1.4, handlelength=1.4,
    )  # fmt: skip


def _log_range(lines: Sequence[LimitLine], published: Sequence[Published]) -> tuple[float, float]:
    values = [other.value for other in published]
    for line in lines:
        band = line.limit.expected
        values += [] if band is None else [band.minus_2sigma, band.plus_2sigma]
        values += [] if line.limit.observed is None else [line.limit.observed]
    some = [value for value in values if value > 0 and math.isfinite(value)]
    return min(some) / 1.6, max(some) * 1.6


def _group(row: LimitLine | Published) -> str:
    return row.uncertainties if isinstance(row, LimitLine) else "published"


def _row_name(row: LimitLine | Published) -> str:
    return f"{row.method}, {row.uncertainties}" if isinstance(row, LimitLine) else row.name


def _row_value(row: LimitLine | Published, quantity: Quantity) -> str:
    """``"3.74 × 10⁻⁵ expected"``; observed first where both are there."""
    if isinstance(row, Published):
        return f"{quantity.text(row.value)} {row.kind}"
    parts = [(row.limit.observed, "observed"), (_median(row.limit.expected), "expected")]
    return ",  ".join(f"{quantity.text(value)} {kind}" for value, kind in parts if value is not None)


def _median(band: Band | None) -> float | None:
    return None if band is None else band.median


def _with_unit(quantity: Quantity) -> str:
    return f"{quantity.symbol} [{quantity.unit}]" if quantity.unit else quantity.symbol
