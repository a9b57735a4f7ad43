"""Whether a search over masses tells the truth: global p values without signal, and signals found again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import mlbkg.report.style as style
from mlbkg.evaluation.estimates import Array
from mlbkg.report.quantity import Quantity
from mlbkg.report.style import Caption
from mlbkg.report.tables import Table, format_value_error

BINS = 10


class FoundAgain(Protocol):
    """A signal in many experiments: what was injected, and means of what was found."""

    @property
    def mass(self) -> float: ...
    @property
    def injected(self) -> float: ...
    @property
    def significance(self) -> float: ...
    @property
    def significance_error(self) -> float: ...
    @property
    def found(self) -> float: ...
    @property
    def cross_section_fb(self) -> float: ...
    @property
    def estimated(self) -> float: ...
    @property
    def estimated_error(self) -> float: ...
    @property
    def pull(self) -> float: ...
    @property
    def pull_width(self) -> float: ...


def draw_scan_study(
    global_p: Array, uniformity: float, recovered: Sequence[FoundAgain], mass: Quantity, path: Path, *, caption: Caption
) -> Path:
    """Global p values without signal, significances over injected ones, and cross sections over injected ones."""
    with style.canvas(path, width=13.4, height=4.6) as figure:
        left, middle, right = (
            style.panel(figure, left=0.9 + 3.75 * number, bottom=0.75, width=2.9, height=3.1) for number in range(3)
        )
        counts, edges = np.histogram(global_p, BINS, (0, 1))
        left.stairs(counts, edges, fill=True, color="0.85")
        left.errorbar((edges[1:] + edges[:-1]) / 2, counts, yerr=np.sqrt(counts), fmt="o", ms=4, color=style.INK)
        left.axhline(len(global_p) / BINS, color=style.SIGNAL, lw=1.2)
        left.set(xlim=(0, 1), ylim=(0, 1.5 * counts.max()), xlabel="Global p value, no signal", ylabel="Experiments / 0.1")
        left.text(0.05, 0.93, f"uniform: p = {uniformity:.2g}", transform=left.transAxes, va="top", size=10)
        for number, value in enumerate(sorted({found.mass for found in recovered})):
            own = [found for found in recovered if found.mass == value]
            look: dict[str, Any] = {"fmt": style.MARKERS[number % 5], "ms": 5, "color": style.colour(style.BACKENDS, number)}
            x = np.array([found.injected for found in own]) + 0.08 * (number - 1)
            label = style.literal(f"{mass.symbol} = {value:.3g} {mass.unit}")
            spread = [found.significance_error for found in own]
            middle.errorbar(x, [found.significance for found in own], yerr=spread, label=label, **look)
            ratio = np.array([found.estimated / found.cross_section_fb for found in own])
            errors = np.array([found.estimated_error / found.cross_section_fb for found in own])
            right.errorbar(x, ratio, yerr=errors, label=label, **look)
        highest = 1.2 * max((found.injected for found in recovered), default=1.0)
        middle.plot([0, highest], [0, highest], color="0.6", lw=1)
        middle.set(xlim=(0, highest), ylim=(0, highest), xlabel="Injected [σ]", ylabel="Mean local significance [σ]")
        right.axhline(1, color="0.6", lw=1)
        right.set(xlim=(0, highest), ylim=(0, 2), xlabel="Injected [σ]", ylabel="Estimated / injected cross section")
        style.legend_beside(figure, middle, left=11.5, top=3.85, title="Signal at")
        style.label(figure, caption, left=0.9, right=13.2, top=4.05)
    return path


def scan_study_table(recovered: Sequence[FoundAgain], mass: Quantity) -> Table:
    """One line for each signal that was injected."""
    rows = tuple(
        (
            f"{found.mass:.4g}",
            f"{found.injected:g}",
            format_value_error(found.significance, found.significance_error),
            f"{100 * found.found:.0f} %",
            f"{found.cross_section_fb:.4g}",
            format_value_error(found.estimated, found.estimated_error),
            f"{found.pull:+.2f}, {found.pull_width:.2f}",
        )
        for found in recovered
    )
    columns = (
        f"{mass.symbol} [{mass.unit}]",
        "injected [σ]",
        "found [σ]",
        "largest there",
        "injected [fb]",
        "found [fb]",
        "pull, width",
    )
    return Table("Injected signals, means over the experiments", columns, rows)
