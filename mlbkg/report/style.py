"""The look of every figure: fonts, colours, the label line; sizes in inches, so that nothing is laid out by trial."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlbkg.atomic import atomic_path
from mlbkg.evaluation.estimates import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
# Petroff, arXiv:2107.02270: told apart with any colour vision, and in this order.
SIGNAL = "#bd1f01"
BACKGROUNDS = ("#3f90da", "#ffa90e", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")
BACKENDS = ("#3f90da", "#e76300", "#832db6", "#717581", "#a96b59", "#ffa90e", "#94a4a2", "#b9ac70", "#92dadd")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = "osD^v"
INK = "#222222"
# The finest that fits is taken.
SCORE_TICKS = (
    (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999),
    (1e-5, 1e-4, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999),
    (1e-5, 0.001, 0.1, 0.9, 0.999, 0.99999),
)
MOST_SCORE_TICKS = 9


@dataclass(frozen=True)
class Caption:
    """The line above every figure. ``luminosity_per_fb``: what the weights are scaled to; None where they are not."""

    title: str
    luminosity_per_fb: float | None
    origin: str = "Simulation"


@contextmanager
def canvas(path: Path, *, width: float, height: float) -> Iterator[Figure]:
    """An empty figure in the house style; when the block ends well it is written to ``path``, whole or not at all.

    The suffix decides the format. The same content gives the same bytes: no date, no program version.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_settings()):
        figure = Figure(figsize=(width, height), dpi=DPI)
        FigureCanvasAgg(figure)
        yield figure
        metadata = {"Software": None} if path.suffix == ".png" else {"CreationDate": None, "Producer": None}
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=DPI, metadata=metadata)


def panel(figure: Figure, *, left: float, bottom: float, width: float, height: float, **options: Any) -> Axes:
    """Axes whose frame lies where told, inches from the lower left corner."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up), **options)


def label(figure: Figure, caption: Caption, *, left: float, right: float, top: float) -> None:
    """Program and origin at the left, title and luminosity at the right; inches, baseline at ``top``."""
    across, up = figure.get_size_inches()
    y = top / up
    name = figure.text(left / across, y, "mlbkg", weight="bold", size=13, va="baseline")
    name_width = name.get_window_extent(figure.canvas.get_renderer()).width / DPI  # type: ignore[attr-defined]
    origin = figure.text((left + name_width + 0.08) / across, y, caption.origin, style="italic", size=11, va="baseline")
    origin_width = origin.get_window_extent(figure.canvas.get_renderer()).width / DPI  # type: ignore[attr-defined]
    parts = [literal(caption.title)] if caption.title else []
    if caption.luminosity_per_fb is not None:
        # no mathematics here: its fonts have no superscript signs, and titles such as "π⁺π⁻" share the line
        parts.append(f"∫ L dt = {caption.luminosity_per_fb:g} fb⁻¹")
    told = figure.text(right / across, y, ",  ".join(parts), size=10, ha="right", va="baseline")
    room = right - left - name_width - origin_width - 0.4
    told_width = told.get_window_extent(figure.canvas.get_renderer()).width / DPI  # type: ignore[attr-defined]
    told.set_fontsize(10 * min(1.0, room / max(told_width, 0.1)))


def legend_beside(
    figure: Figure, axes: Axes, *, left: float, top: float, title: str = "", first: tuple[str, ...] = ()
) -> None:
    """The legend of ``axes`` outside its frame, its upper left corner at ``left``, ``top`` inches.

    Entries that begin with one of ``first`` lead, in that order: matplotlib would put lines before bars before points.
    """
    across, up = figure.get_size_inches()
    handles, labels = ordered_entries(axes, first=first)
    figure.legend(
        handles, labels, title=title or None, loc="upper left", bbox_to_anchor=(left / across, top / up),
        borderaxespad=0, borderpad=0, fontsize=10, title_fontsize=10, alignment="left",
    )  # fmt: skip


def ordered_entries(axes: Axes, *, first: tuple[str, ...]) -> tuple[list[Any], list[str]]:
    """Handles and texts of a legend, those that begin with one of ``first`` in front and in that order."""
    handles, labels = axes.get_legend_handles_labels()
    places = [next((n for n, start in enumerate(first) if text.startswith(start)), len(first)) for text in labels]
    order = sorted(range(len(labels)), key=places.__getitem__)
    return [handles[n] for n in order], [labels[n] for n in order]


def literal(text: str) -> str:
    """``text`` as it is: no mathematics between dollar signs, no leading underscore that hides it from legends."""
    escaped = text.replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


def short(text: str, longest: int) -> str:
    """``text`` with its middle left out where it is longer: names of features often differ at the end."""
    if len(text) <= longest:
        return text
    head = (longest - 1) // 2
    return f"{text[:head]}…{text[len(text) - (longest - 1 - head) :]}"


def heading(name: str) -> str:
    """A classifier's name where room is short."""
    return literal(short(name, 28))


def log_odds(score: Array) -> Array:
    """Where a score stands on :func:`score_axis`; 0 and 1 stand where float32 scores end."""
    within = np.clip(score, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(within / (1 - within)), dtype=np.float64)


def score_axis(axes: Axes, edges: Array, *, text: str, upright: bool = False) -> None:
    """An axis even in log-odds, labelled with scores: both ends of a good classifier can be seen."""
    from matplotlib.ticker import FixedLocator

    low, high = log_odds(edges[[0, -1]])
    axis = axes.yaxis if upright else axes.xaxis
    axis.axes.set(**{f"{axis.axis_name}lim": (low, high)})
    axis.set_label_text(text)
    for ticks in SCORE_TICKS:
        shown = [tick for tick in ticks if low <= log_odds(np.array(tick)) <= high]
        if len(shown) <= MOST_SCORE_TICKS:
            break
    axis.set_ticks(log_odds(np.array(shown)), labels=[f"{tick:.6g}" for tick in shown])
    tenths = [digit * 10.0**-power for power in range(1, 7) for digit in range(1, 10)]
    minor = log_odds(np.array([*tenths, *(1 - tenth for tenth in tenths)]))
    axis.set_minor_locator(FixedLocator(minor[(minor > low) & (minor < high)]))


def with_unit(name: str, unit: str) -> str:
    """At most 36 characters and the unit."""
    return f"{literal(short(name, 36))} [{literal(unit_text(unit))}]" if unit else literal(short(name, 36))


def unit_text(unit: str) -> str:
    """Its powers written high."""
    return unit.replace("^2", "²").replace("^3", "³")


def colour(palette: tuple[str, ...], number: int) -> str:
    return palette[number % len(palette)]


def _settings() -> dict[Any, Any]:
    """mplhep's ATLAS style, which has ticks inside on all sides; smaller, and with a font that has every glyph behind it."""
    import mplhep

    return {
        **mplhep.style.ATLAS,
        "font.family": ["TeX Gyre Heros", "DejaVu Sans"],
        "font.size": 11,
        "axes.labelsize": 12,
        "axes.titlesize": 12,
        "axes.labelpad": 4,
        "axes.edgecolor": INK,
        "axes.autolimit_mode": "data",
        "axes.axisbelow": True,
        "xtick.labelsize": 11,
        "ytick.labelsize": 11,
        "ytick.major.size": 5,
        "ytick.minor.size": 3,
        "lines.linewidth": 1.6,
        "lines.markersize": 5,
        "legend.fontsize": 10,
        "legend.handlelength": 1.8,
        "errorbar.capsize": 0,
    }
