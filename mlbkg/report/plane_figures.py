"""Figures of a search over two masses: what was counted in the plane, its significance, limits, and cuts through them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import mlbkg.report.style as style
from mlbkg.evaluation.estimates import Array
from mlbkg.limits.excesses import Excesses
from mlbkg.limits.hypotheses import Experiments
from mlbkg.limits.plane_projections import Projection
from mlbkg.report.quantity import Quantity
from mlbkg.report.style import Caption
from mlbkg.report.tables import ten_to

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 9.4, 6.0
FRAME = {"left": 0.95, "bottom": 0.75, "width": 6.9, "height": 4.65}
NEAREST_POINTS = 4000
"""Single candidates are drawn up to here; more would hide the cells."""
LABEL_SIZE = 12.0
LONGEST_NAME = 18
BEYOND = 0.06
"""Of an axis' length, left free around the cells: the tip of the triangle is to be seen."""
LEAST_SIGMA, MOST_SIGMA = 4.0, 5.0
NOTHING = "0.85"
COLOURS = ("#3f90da", "#bd1f01", "#e0a100", "#832db6", "#607641", "#717581", "#a96b59")


@dataclass(frozen=True)
class PlaneAxes:
    """What the axes of the plane are. masses, variables: of the first and of the second axis. power: of the masses.

    ordered: the second mass is below the first. total: energy that both masses share, GeV; infinite where not known.
    """

    masses: tuple[Quantity, Quantity]
    variables: tuple[Quantity, Quantity]
    power: tuple[int, int]
    ordered: bool
    total: float

    def outline(self, first: Array) -> Array:
        """``(n,)`` highest second mass at masses ``first`` ``(n,)``."""
        highest = np.maximum(self.total - first, 0)
        return np.asarray(np.minimum(highest, first) if self.ordered else highest, dtype=np.float64)


def draw_counts(
    experiments: Experiments, candidates: Array | None, plane: PlaneAxes, path: Path, *, caption: Caption, data_name: str
) -> Path:
    """Counts of all cells by colour, those that are expected where nothing was counted; few ``candidates`` ``(m, 2)`` as
    points."""
    counted = experiments.observed
    values = experiments.background if counted is None else counted.astype(np.float64)
    text = "Expected candidates in the cell" if counted is None else f"Candidates in the cell, {data_name}"
    with style.canvas(path, width=WIDTH, height=HEIGHT) as figure:
        axes = style.panel(figure, **FRAME)
        norm = _log_norm(values, whole=counted is not None)
        cells = _cells(axes, experiments.low, experiments.high, values, cmap=_palette("cividis"), norm=norm, edge="0.8")
        _colour_bar(figure, cells, text)
        if not values.all():
            _key(axes, "none", mfc="white", mec="0.8")
        if candidates is not None and len(candidates) <= NEAREST_POINTS:
            axes.plot(*candidates.T, "o", ms=1.3, color=style.SIGNAL, mew=0, label="candidates", scalex=False, scaley=False)
        _outline(axes, plane, variables=True)
        _frame(axes, experiments.low, experiments.high, plane.variables)
        _legend_above(figure, axes)
        _label(figure, caption)
    return path


def draw_significance(
    experiments: Experiments, found: Excesses, plane: PlaneAxes, path: Path, *, caption: Caption, data_name: str
) -> Path:
    """Local significances by colour; excesses are framed, the largest is marked, and what is expected by chance is told.

    A cell without any candidate is grey: its count could not be lower, whatever is expected. Colours end at 5σ, so that one
    large excess does not make all else look flat.
    """
    from matplotlib.colors import Normalize

    low, high = _in_masses(experiments, plane)
    some, excess = np.isfinite(found.z), found.z > found.above
    reach = min(max(LEAST_SIGMA, math.ceil(float(found.z.max()))), MOST_SIGMA)
    with style.canvas(path, width=WIDTH, height=HEIGHT) as figure:
        axes = style.panel(figure, **FRAME)
        _cells(axes, low[~some], high[~some], None, face=NOTHING, edge=NOTHING)
        norm = Normalize(-reach, reach)
        cells = _cells(axes, low[some], high[some], found.z[some], cmap=_palette("RdBu_r"), norm=norm, edge="face")
        beyond: Literal["max", "neither"] = "max" if found.z.max() > reach else "neither"
        _colour_bar(figure, cells, f"Local significance of an excess [σ], {data_name}", extend=beyond)
        _cells(axes, low[excess], high[excess], None, edge=style.INK, width=1.1)
        axes.plot(*experiments.masses[found.largest], "o", ms=13, mfc="none", mec="white", mew=3.5)
        axes.plot(
            *experiments.masses[found.largest], "o", ms=13, mfc="none", mec=style.INK, mew=1.4,
            label=f"largest: {found.z[found.largest]:.1f}σ, global p value {found.global_p:.2g}",
        )  # fmt: skip
        text = f"above {found.above:g}σ: {found.observed_above}, by chance {found.expected_above:.2g}"
        _key(axes, text, mfc="none", mec=style.INK)
        if not some.all():
            _key(axes, "no candidate", mfc=NOTHING, mec=NOTHING)
        _outline(axes, plane, variables=False)
        _frame(axes, low, high, plane.masses)
        _legend_above(figure, axes)
        _label(figure, caption)
    return path


def draw_limit_map(
    experiments: Experiments, limit: Array, quantity: Quantity, plane: PlaneAxes, path: Path, *, caption: Caption, told: str
) -> Path:
    """Upper ``limit`` ``(n,)`` of every cell by colour, hatched where there is none. ``told``: which limit it is."""
    low, high = _in_masses(experiments, plane)
    there = np.isfinite(limit)
    with style.canvas(path, width=WIDTH, height=HEIGHT) as figure:
        axes = style.panel(figure, **FRAME)
        norm = _log_norm(limit[there], whole=False)
        cells = _cells(axes, low[there], high[there], limit[there], cmap=_palette("viridis_r"), norm=norm, edge="face")
        _colour_bar(figure, cells, f"{told} on {_with_unit(quantity)}")
        if not there.all():
            _cells(axes, low[~there], high[~there], None, edge="0.6", hatch="////")
            _key(axes, "no limit (hatched)", mfc="none", mec="0.6")
        _outline(axes, plane, variables=False)
        _frame(axes, low, high, plane.masses)
        _legend_above(figure, axes)
        _label(figure, caption)
    return path


def draw_projections(
    lines: Mapping[str, Sequence[Projection]],
    quantity: Quantity,
    plane: PlaneAxes,
    path: Path,
    *,
    caption: Caption,
    told: str,
) -> Path:
    """Limits along each axis at several values of the other mass. ``lines``: label -> projections, told apart by dashes."""
    with style.canvas(path, width=14.0, height=5.4) as figure:
        for along in (0, 1):
            left = 0.95 + 6.9 * along
            axes = style.panel(figure, left=left, bottom=0.75, width=4.2, height=3.95)
            _draw_along(axes, lines, plane, along=along)
            if len(lines) > 1:
                for name, dashes in zip(lines, style.LINES, strict=False):
                    axes.plot(
                        [], [], color=style.INK, lw=1.2, ls=dashes, label=style.literal(style.short(name, LONGEST_NAME))
                    )
            limits = np.concatenate([found.limit for own in lines.values() for found in own])
            axes.set(yscale="log", xlabel=_with_unit(plane.masses[along]), ylim=_log_range(limits))
            log_ticks(axes, *axes.get_ylim())
            axes.set_ylabel(style.literal(f"{told} on {_with_unit(quantity)}"))
            _shrink_to(axes, 3.95)
            style.legend_beside(figure, axes, left=left + 4.35, top=4.7)
        style.label(figure, caption, left=0.95, right=13.8, top=4.87)
    return path


def _draw_along(axes: Axes, lines: Mapping[str, Sequence[Projection]], plane: PlaneAxes, *, along: int) -> None:
    """One colour for each fixed mass, the same under every label."""
    other = plane.masses[1 - along]
    fixed = sorted({found.fixed for own in lines.values() for found in own if found.along == along})
    for value, colour in zip(fixed, COLOURS, strict=False):
        axes.plot([], [], color=colour, label=style.literal(f"{other.symbol} = {value:.3g} {other.unit}"))
    for own, dashes in zip(lines.values(), style.LINES, strict=False):
        for found in own:
            if found.along == along:
                colour = COLOURS[fixed.index(found.fixed) % len(COLOURS)]
                axes.plot(found.mass, _finite(found.limit), color=colour, lw=1.4, ls=dashes)


def _cells(
    axes: Axes,
    low: Array,
    high: Array,
    values: Array | None,
    *,
    edge: str,
    cmap: Any = None,
    norm: Any = None,
    width: float = 0.3,
    hatch: str | None = None,
    face: str = "none",
) -> Any:
    """Rectangles between the corners ``(n, 2)``, coloured by ``values`` or all of one ``face``."""
    from matplotlib.collections import PolyCollection

    corners = np.stack(
        [low, np.stack([high[:, 0], low[:, 1]], axis=1), high, np.stack([low[:, 0], high[:, 1]], axis=1)], axis=1
    )
    look = {"facecolors": face} if values is None else {"array": values, "cmap": cmap, "norm": norm}
    drawn = PolyCollection(list(corners), edgecolors=edge, linewidths=width, hatch=hatch, **look)
    axes.add_collection(drawn)
    return drawn


def _key(axes: Axes, text: str, **look: Any) -> None:
    """A square for the legend."""
    axes.plot([], [], "s", ms=8, label=text, **look)


def _palette(name: str) -> Any:
    """White below its lowest value."""
    import matplotlib

    return matplotlib.colormaps[name].with_extremes(under="white")


def _log_norm(values: Array, *, whole: bool) -> Any:
    """Counts begin at 1, and none is white; else the range of all values that are there."""
    from matplotlib.colors import LogNorm

    some = values[values > 0]
    if not len(some):
        return LogNorm(0.5, 1)
    if whole:
        return LogNorm(0.8, max(1.25, float(some.max())))
    low, high = float(some.min()), float(some.max())
    return LogNorm(low, max(high, 1.25 * low))


def _colour_bar(figure: Figure, drawn: Any, text: str, *, extend: Literal["max", "neither"] = "neither") -> None:
    left = FRAME["left"] + FRAME["width"] + 0.15
    beside = style.panel(figure, left=left, bottom=FRAME["bottom"], width=0.2, height=FRAME["height"])
    figure.colorbar(drawn, cax=beside, extend=extend)
    if beside.get_yscale() == "log":
        log_ticks(beside, drawn.norm.vmin, drawn.norm.vmax)
    beside.set_ylabel(style.literal(text))
    _shrink_to(beside, FRAME["height"])


def _outline(axes: Axes, plane: PlaneAxes, *, variables: bool) -> None:
    """Where both masses are possible."""
    end = plane.total if math.isfinite(plane.total) else 1e3
    first = np.linspace(0, end, 2000)
    x, y = first, plane.outline(first)
    if variables:
        x, y = x ** plane.power[0], y ** plane.power[1]
    axes.plot(x, y, color=style.INK, lw=1.2, ls="--", label="kinematic limit", scalex=False, scaley=False)


def _frame(axes: Axes, low: Array, high: Array, quantities: tuple[Quantity, Quantity]) -> None:
    lowest, highest = low.min(axis=0), high.max(axis=0)
    margin = BEYOND * (highest - lowest)
    axes.set_xlim(lowest[0] - margin[0] / 2, highest[0] + margin[0] / 2)
    axes.set_ylim(lowest[1] - margin[1] / 2 if lowest[1] < 0 else 0.0, highest[1] + 1.5 * margin[1])
    axes.set(xlabel=_with_unit(quantities[0]), ylabel=_with_unit(quantities[1]))


def _in_masses(experiments: Experiments, plane: PlaneAxes) -> tuple[Array, Array]:
    """Corners of the cells, ``(n, 2)`` GeV."""
    root = 1 / np.array(plane.power)
    low, high = (np.maximum(edges, 0.0) ** root for edges in (experiments.low, experiments.high))
    return low, high


def _legend_above(figure: Figure, axes: Axes) -> None:
    """In the free strip between frame and label line, over the whole width: cells may fill every corner."""
    across, up = figure.get_size_inches()
    figure.legend(
        *axes.get_legend_handles_labels(), loc="lower left", ncols=4, fontsize=9.5, borderpad=0, borderaxespad=0,
        bbox_to_anchor=(FRAME["left"] / across, (FRAME["bottom"] + FRAME["height"] + 0.06) / up), columnspacing=1.4,
    )  # fmt: skip


def _label(figure: Figure, caption: Caption) -> None:
    style.label(figure, caption, left=FRAME["left"], right=WIDTH - 0.2, top=HEIGHT - 0.27)


def _with_unit(quantity: Quantity) -> str:
    return style.literal(f"{quantity.symbol} [{style.unit_text(quantity.unit)}]" if quantity.unit else quantity.symbol)


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, np.nan)


def _log_range(values: Array) -> tuple[float, float]:
    some = values[np.isfinite(values) & (values > 0)]
    return (float(some.min()) / 1.5, float(some.max()) * 1.5) if len(some) else (0.1, 1.0)


def log_ticks(axes: Axes, low: float, high: float) -> None:
    """Plain numbers where they are short; those between powers of ten where there are few powers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    decades = math.log10(high / low)
    subs = (
        (1.0,) if decades > 4 else (1.0, 3.0) if decades > 2 else (1.0, 2.0, 5.0) if decades > 0.5 else tuple(range(1, 10))
    )
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=50))
    axes.yaxis.set_minor_locator(LogLocator(subs=tuple(range(1, 10)), numticks=100))
    axes.yaxis.set_major_formatter(lambda value, _: power_text(value))
    axes.yaxis.set_minor_formatter(NullFormatter())


def power_text(value: float) -> str:
    """``"0.002"``, ``"500"``, ``"2 × 10⁻⁷"``."""
    if 1e-3 <= value < 1e4:
        return f"{value:g}"
    mantissa, power = f"{value:.0e}".split("e")
    return ten_to(int(power)) if mantissa == "1" else f"{mantissa} × {ten_to(int(power))}"


def _shrink_to(axes: Axes, inches: float) -> None:
    """A long label of the vertical axis becomes small enough for the height of its frame."""
    text = axes.yaxis.label
    tall = text.get_window_extent(axes.figure.canvas.get_renderer()).height / style.DPI  # type: ignore[attr-defined]
    text.set_fontsize(LABEL_SIZE * min(1.0, inches / max(tall, 0.1)))
