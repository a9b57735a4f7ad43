"""Figures of a search over one mass: the spectrum, what is expected of it, local p values, limits, and couplings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

import mlbkg.report.style as style
from mlbkg.evaluation.estimates import Array
from mlbkg.limits.excesses import Excesses
from mlbkg.limits.hypotheses import Experiments, UpperLimits
from mlbkg.physics.coupling import FavouredBand
from mlbkg.report.limit_figures import ONE_SIGMA, TWO_SIGMA
from mlbkg.report.quantity import Quantity
from mlbkg.report.scan_tables import METHODS
from mlbkg.report.style import Caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"cls": "#2a6fb0", "bayesian": "#bd1f01"}
PALE = {"cls": ("#9cc4ea", "#d3e5f6"), "bayesian": ("#eb9d8f", "#f8dbd5")}
"""Of the bands of 1 and 2 standard deviations; frequentist limits are blue, Bayesian ones red."""
ASSUMPTIONS = ("-", "--", "-.", ":")
FAVOURED = "#b9ac70"
WINDOW_ROWS = 6
FARTHEST_DOWN, FEW_DECADES = 30.0, 300.0
MOST_SIGMA = 8
LEGEND_LEFT, FRAME_WIDTH = 6.75, 5.55


@dataclass(frozen=True)
class SpectrumView:
    """edges: ``(n_bins + 1,)``. background: category -> ``(n_bins,)``. data: ``(n_bins,)`` counts, None without any.

    signals: label -> ``(n_bins,)``. low, high: ``(n,)`` ends of the windows. excess: the number of the one to mark, if any.
    """

    variable: Quantity
    edges: Array
    background: Mapping[str, Array]
    data: Array | None
    data_name: str
    signals: Mapping[str, Array]
    low: Array
    high: Array
    excess: int | None


@dataclass(frozen=True)
class CouplingLimits:
    """Of one coupling. observed: ``(n,)`` or None. expected: ``(5, n)`` from -2 to +2 standard deviations.

    published: others' limits, name -> masses, values and whether they are observed.
    """

    assumption: str
    observed: Array | None
    expected: Array
    published: Mapping[str, tuple[Array, Array, Literal["observed", "expected"]]]
    favoured: FavouredBand | None


def draw_spectrum(view: SpectrumView, path: Path, *, caption: Caption) -> Path:
    """What is selected by category, data or pseudo-data, signals, and below them the windows, one bar each."""
    with style.canvas(path, width=9.8, height=5.9) as figure:
        axes = style.panel(figure, left=0.95, bottom=1.45, width=FRAME_WIDTH, height=3.85)
        strip = style.panel(figure, left=0.95, bottom=0.75, width=FRAME_WIDTH, height=0.6, sharex=axes)
        below = np.zeros(len(view.edges) - 1)
        for number, (name, content) in enumerate(sorted(view.background.items(), key=lambda item: item[1].sum())):
            axes.stairs(
                below + content, view.edges, baseline=below, fill=True, color=style.colour(style.BACKGROUNDS, number),
                label=style.literal(name),
            )  # fmt: skip
            below = below + content
        for number, (name, content) in enumerate(view.signals.items()):
            axes.stairs(content, view.edges, color=style.SIGNAL, ls=style.LINES[number % 4], lw=1.5, label=name)
        if view.data is not None:
            _points(axes, view)
        if view.excess is not None:
            axes.axvspan(view.low[view.excess], view.high[view.excess], color="0.85", lw=0, zorder=0, label="largest excess")
        counts = [below, *([view.data] if view.data is not None else [])]
        highest = max(float(content.max()) for content in counts)
        axes.set(
            yscale="log", xlim=(view.edges[0], view.edges[-1]), ylim=(max(0.02, _least(below) / 3), 4 * highest),
            ylabel=f"Candidates / {np.diff(view.edges[:2])[0]:.3g} {style.unit_text(view.variable.unit)}",
        )  # fmt: skip
        axes.tick_params(labelbottom=False)
        _windows(strip, view)
        style.legend_beside(figure, axes, left=LEGEND_LEFT, top=5.3, first=(view.data_name,))
        style.label(figure, caption, left=0.95, right=9.6, top=5.47)
    return path


def draw_expectation(
    experiments: Experiments, simulated: Mapping[str, Array], mass: Quantity, path: Path, *, caption: Caption, data_name: str
) -> Path:
    """Background of every window with its uncertainty, counts where there are any, and the efficiency below.

    simulated: ``mass``, ``efficiency`` and ``error`` ``(n_masses,)`` where the efficiency was measured.
    """
    x = experiments.masses[:, 0]
    with style.canvas(path, width=9.8, height=6.2) as figure:
        counts = style.panel(figure, left=0.95, bottom=3.25, width=FRAME_WIDTH, height=2.35)
        efficiency = style.panel(figure, left=0.95, bottom=0.75, width=FRAME_WIDTH, height=2.35, sharex=counts)
        background = experiments.background
        total = background * experiments.background_uncertainty
        for error, colour, label in (
            (total, "#cfe0f1", "with systematics"),
            (experiments.background_error, "#8fb8de", "statistical"),
        ):
            counts.fill_between(x, np.maximum(background - error, 1e-3), background + error, color=colour, lw=0, label=label)
        counts.plot(x, background, color=COLOURS["cls"], label="background expected")
        lowest = 0.2 * min(float(np.min(background[background > 0], initial=1.0)), 1.0)
        counts.set(yscale="log", ylabel="Candidates in the window", ylim=(max(lowest, 1e-2), None))
        if experiments.observed is not None:
            _counts(counts, x, experiments.observed, name=data_name)
        counts.tick_params(labelbottom=False)
        low, high = (experiments.efficiency + sign * experiments.efficiency_error for sign in (-1, 1))
        efficiency.fill_between(x, 100 * low, 100 * high, color=PALE["bayesian"][0], lw=0)
        efficiency.plot(x, 100 * experiments.efficiency, color=style.SIGNAL, marker="o", ms=2.2, lw=1.2, label="hypotheses")
        efficiency.errorbar(
            simulated["mass"], 100 * simulated["efficiency"], yerr=100 * simulated["error"], fmt="o", ms=4, color=style.INK,
            label="simulated masses",
        )  # fmt: skip
        efficiency.set(ylabel="Signal efficiency [%]", xlabel=_label(mass), xlim=_ends(x), ylim=(0, None))
        style.legend_beside(
            figure, counts, left=LEGEND_LEFT, top=5.6, title="In the window", first=(data_name, "background")
        )
        style.legend_beside(figure, efficiency, left=LEGEND_LEFT, top=3.1, title="Efficiency,\nwindow included")
        style.label(figure, caption, left=0.95, right=9.6, top=5.77)
    return path


def draw_local_p(masses: Array, found: Excesses, mass: Quantity, path: Path, *, caption: Caption, data_name: str) -> Path:
    """Local p values with the lines of whole standard deviations; the largest excess is marked with its global p values."""
    from scipy.stats import norm

    deepest = max(4, min(MOST_SIGMA, math.ceil(float(found.z.max()) + 0.5)))
    floor = float(norm.sf(deepest + 0.2))
    with style.canvas(path, width=9.8, height=4.9) as figure:
        axes = style.panel(figure, left=0.95, bottom=0.75, width=FRAME_WIDTH, height=3.55)
        for sigma in range(1, deepest + 1):
            axes.axhline(norm.sf(sigma), color="0.6", lw=0.8, ls="--")
            axes.annotate(
                f"{sigma}σ", (1, norm.sf(sigma)), xycoords=("axes fraction", "data"), xytext=(-4, 2),
                textcoords="offset points", size=9, ha="right", color="0.35",
            )  # fmt: skip
        axes.plot(masses, np.maximum(found.p_value, floor), color=style.INK, marker="o", ms=3, lw=1, label=data_name)
        best = found.largest
        axes.plot(
            masses[best], max(found.p_value[best], floor), "o", ms=10, mfc="none", mec=style.SIGNAL, mew=1.5,
            label=_told(found, masses),
        )  # fmt: skip
        axes.set(yscale="log", xlim=_ends(masses), ylim=(floor, 1.5), xlabel=_label(mass), ylabel="Local p value")
        style.legend_beside(figure, axes, left=LEGEND_LEFT, top=4.3)
        style.label(figure, caption, left=0.95, right=9.6, top=4.47)
    return path


def draw_cross_section_limits(
    masses: Array, limits: Sequence[UpperLimits], quantity: Quantity, mass: Quantity, path: Path, *, caption: Caption
) -> Path:
    """Limits by every method with bands of 1 and 2 standard deviations, and the ratio of the medians to the first's below.

    The first method's bands are filled, the others' are lines: two that agree would hide each other.
    """
    with style.canvas(path, width=9.8, height=6.4) as figure:
        axes = style.panel(figure, left=0.95, bottom=2.0, width=FRAME_WIDTH, height=3.8)
        ratio = style.panel(figure, left=0.95, bottom=0.75, width=FRAME_WIDTH, height=1.15, sharex=axes)
        for number, found in enumerate(limits):
            colour, name = COLOURS.get(found.method, style.INK), METHODS.get(found.method, found.method)
            _band(axes, masses, found.expected, method=found.method, name=name, filled=number == 0)
            wide = 3.0 if number == 0 else 1.4
            axes.plot(masses, found.expected[2], color=colour, lw=wide, ls="--", label=f"{name}, expected median")
            if found.observed is not None:
                size = 5.5 if number == 0 else 2.5
                axes.plot(masses, found.observed, "-o", ms=size, lw=0.4 * size, color=colour, label=f"{name}, observed")
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio.plot(masses, found.expected[2] / limits[0].expected[2], color=colour, lw=wide, ls="--")
        _log_between(axes, [found.expected for found in limits], [found.observed for found in limits])
        level = 100 * limits[0].confidence_level
        axes.set_ylabel(style.literal(f"{level:g} % limit on {quantity.symbol} [{quantity.unit}]"))
        _fit_label(axes, 3.8)
        axes.tick_params(labelbottom=False)
        ratio.set(xlim=_ends(masses), xlabel=_label(mass), ylabel="Ratio")
        low, high = ratio.get_ylim()
        ratio.set_ylim(min(low, 0.9), max(high, 1.1))
        style.legend_beside(figure, axes, left=LEGEND_LEFT, top=5.8)
        style.label(figure, caption, left=0.95, right=9.6, top=5.97)
    return path


def draw_coupling_limits(
    masses: Array,
    limits: Sequence[CouplingLimits],
    quantity: Quantity,
    mass: Quantity,
    path: Path,
    *,
    caption: Caption,
    method: str,
    confidence_level: float,
) -> Path:
    """Limits on a coupling under each assumption, the first with its bands, what another measurement favours, and what
    others published."""
    name = METHODS.get(method, method)
    with style.canvas(path, width=9.8, height=5.4) as figure:
        axes = style.panel(figure, left=0.95, bottom=0.75, width=FRAME_WIDTH, height=4.05)
        for inner, outer, colour, text in ((0, 4, TWO_SIGMA, "±2σ"), (1, 3, ONE_SIGMA, "±1σ")):
            axes.fill_between(
                masses, _finite(limits[0].expected[inner]), _finite(limits[0].expected[outer]), color=colour, lw=0,
                label=f"{text}, {_subscripts(limits[0].assumption)}",
            )  # fmt: skip
        for found, ls in zip(limits, ASSUMPTIONS, strict=False):
            told, colour = _subscripts(found.assumption), COLOURS.get(method, style.INK)
            axes.plot(masses, _finite(found.expected[2]), color=colour, ls=ls, label=f"expected, {told}")
            if found.observed is not None:
                axes.plot(masses, _finite(found.observed), color=style.INK, ls=ls, lw=1.1, label=f"observed, {told}")
        lowest = _favoured(axes, masses, [found.favoured for found in limits])
        for found in limits:
            _published(axes, found)
        axes.set(xlim=_ends(masses), xlabel=_label(mass))
        axes.set_ylabel(style.literal(f"{100 * confidence_level:g} % limit on {_with_unit(quantity)}"))
        _log_between(axes, [found.expected for found in limits], [found.observed for found in limits], down_to=lowest)
        style.legend_beside(figure, axes, left=LEGEND_LEFT, top=4.8, title=name, first=("observed", "expected", "±1", "±2"))
        style.label(figure, caption, left=0.95, right=9.6, top=4.97)
    return path


def draw_expected_couplings(
    masses: Array,
    by_method: Mapping[str, Sequence[CouplingLimits]],
    quantity: Quantity,
    mass: Quantity,
    path: Path,
    *,
    caption: Caption,
    confidence_level: float,
) -> Path:
    """Expected limits by every method under each assumption, as lines alone, beside what is favoured and published."""
    every = [found for limits in by_method.values() for found in limits]
    with style.canvas(path, width=9.8, height=5.4) as figure:
        axes = style.panel(figure, left=0.95, bottom=0.75, width=FRAME_WIDTH, height=4.05)
        for number, (method, limits) in enumerate(by_method.items()):
            colour, name = COLOURS.get(method, style.INK), METHODS.get(method, method)
            for found, ls in zip(limits, ASSUMPTIONS, strict=False):
                told = f"{name}\n{_subscripts(found.assumption)}"
                axes.plot(
                    masses, _finite(found.expected[2]), color=colour, ls=ls, lw=3.0 if number == 0 else 1.4, label=told
                )
        lowest = _favoured(axes, masses, [found.favoured for found in every])
        for found in next(iter(by_method.values())):
            _published(axes, found)
        axes.set(xlim=_ends(masses), xlabel=_label(mass))
        axes.set_ylabel(style.literal(f"{100 * confidence_level:g} % limit on {_with_unit(quantity)}"))
        _log_between(axes, [found.expected for found in every], [None], down_to=lowest)
        style.legend_beside(figure, axes, left=LEGEND_LEFT, top=4.8, title="Expected")
        style.label(figure, caption, left=0.95, right=9.6, top=4.97)
    return path


def _favoured(axes: Axes, masses: Array, bands: Sequence[FavouredBand | None]) -> float:
    """Draws the first band that there is; its lowest edge, infinite without one."""
    band = next((found for found in bands if found is not None), None)
    if band is None:
        return math.inf
    fine = np.linspace(masses[0], masses[-1], 400)
    low, high = band.limits(fine)
    axes.fill_between(
        fine, low, high, facecolor="none", edgecolor=FAVOURED, hatch="////", lw=0.5, zorder=1, label=_subscripts(band.label)
    )
    return float(low.min())


def _published(axes: Axes, found: CouplingLimits) -> None:
    for other, (x, y, kind) in found.published.items():
        told = f"{style.literal(other)}, {kind}\n({_subscripts(found.assumption)})"
        axes.plot(x, y, color="#832db6", marker="s", ms=3.5, lw=1.2, ls="-" if kind == "observed" else "--", label=told)


def _counts(axes: Axes, x: Array, observed: Array | NDArray[np.int64], *, name: str) -> None:
    """None at all stands open at the lower end of the logarithmic axis."""
    some, bottom = observed > 0, axes.get_ylim()[0]
    axes.plot(x[some], observed[some], "o", ms=3.5, color=style.INK, label=name)
    if not some.all():
        axes.plot(
            x[~some], np.full(int((~some).sum()), 1.25 * bottom), "o", ms=3.5, mfc="white", mec=style.INK, label="none"
        )


def _points(axes: Axes, view: SpectrumView) -> None:
    """Counts with the square root as their error; empty bins have no point."""
    assert view.data is not None
    seen = view.data > 0
    middle = ((view.edges[1:] + view.edges[:-1]) / 2)[seen]
    axes.errorbar(
        middle, view.data[seen], yerr=np.sqrt(view.data[seen]), fmt="o", ms=3.5, lw=1, color=style.INK, label=view.data_name
    )


def _windows(axes: Axes, view: SpectrumView) -> None:
    """One bar for each, in rows, so that neighbours do not hide each other."""
    rows = np.arange(len(view.low)) % WINDOW_ROWS
    colours = [style.SIGNAL if number == view.excess else "0.45" for number in range(len(rows))]
    axes.hlines(rows, view.low, view.high, colors=colours, lw=1.3)
    axes.set(ylim=(WINDOW_ROWS - 0.3, -0.7), yticks=[], xlabel=_label(view.variable))
    axes.set_ylabel("windows", size=9)


def _band(axes: Axes, x: Array, expected: Array, *, method: str, name: str, filled: bool) -> None:
    inner, outer = PALE.get(method, ("0.75", "0.88"))
    if filled:
        axes.fill_between(x, expected[0], expected[4], color=outer, lw=0, label=f"{name}, ±2σ")
        axes.fill_between(x, expected[1], expected[3], color=inner, lw=0, label=f"{name}, ±1σ")
        return
    for ends, ls, text in (((1, 3), "-.", "±1σ"), ((0, 4), ":", "±2σ")):
        for number, end in enumerate(ends):
            told = f"{name}, {text}" if number == 0 else None
            axes.plot(x, expected[end], color=COLOURS.get(method, style.INK), ls=ls, lw=1.1, label=told)


def _log_between(axes: Axes, bands: Sequence[Array], observed: Sequence[Array | None], *, down_to: float = math.inf) -> None:
    """A logarithmic axis around what is drawn, with plain numbers, and ``down_to`` where that is not far below."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    values = np.concatenate([part.ravel() for part in (*bands, *observed) if part is not None])
    some = values[np.isfinite(values) & (values > 0)]
    low, high = float(some.min()) / 2, float(some.max()) * 2
    low = min(low, max(down_to / 1.5, low / FARTHEST_DOWN))
    axes.set(yscale="log", ylim=(low, high))
    if high / low < FEW_DECADES:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _told(found: Excesses, masses: Array) -> str:
    """The legend's entry of the largest excess."""
    best = found.largest
    lines = [
        f"largest excess: {masses[best]:.3g} GeV",
        f"local {found.z[best]:.1f}σ (p = {found.p_value[best]:.2g})",
        f"global p = {found.global_p:.2g}, {found.toys:,} toys",
    ]
    if found.gross_vitells is not None:
        lines.append(f"at most {found.gross_vitells:.2g}, Gross–Vitells")
    return "\n".join(lines)


def _subscripts(text: str) -> str:
    """``"L_μ"`` with a low μ, all else as it is."""
    return re.sub(r"_(\w)", r"$_{\1}$", style.literal(text))


def _finite(values: Array) -> Array:
    """Infinities, where no coupling gives the cross section, are gaps."""
    return np.where(np.isfinite(values), values, np.nan)


def _least(content: Array) -> float:
    return float(np.min(content[content > 0], initial=1.0))


def _ends(x: Array) -> tuple[float, float]:
    return float(x[0]), float(x[-1])


def _label(quantity: Quantity) -> str:
    return style.literal(_with_unit(quantity))


def _with_unit(quantity: Quantity) -> str:
    return f"{quantity.symbol} [{style.unit_text(quantity.unit)}]" if quantity.unit else quantity.symbol


def _fit_label(axes: Axes, tall: float) -> None:
    """The label of the upright axis, smaller where it would be longer than the frame is ``tall``, inches."""
    text = axes.yaxis.label
    found = text.get_window_extent(axes.figure.canvas.get_renderer()).height / style.DPI  # type: ignore[attr-defined]
    text.set_fontsize(12 * min(1.0, tall / max(found, 0.1)))
