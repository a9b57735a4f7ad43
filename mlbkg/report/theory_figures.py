"""Figures of models: cross sections, branching fractions, and what the muon's magnetic moment points to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import mlbkg.report.style as style
from mlbkg.evaluation.estimates import Array
from mlbkg.report.style import Caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".pdf", ".svg")
DECADES_SHOWN = 9
"""Of cross sections that fall to nothing at the kinematic limit."""
DECADES_OF_PLANE = 4
CALCULATION = "Calculation"


@dataclass(frozen=True)
class Curve:
    """y over the figure's x ``(n,)``; NaN where there is none."""

    label: str
    y: Array


@dataclass(frozen=True)
class Marked:
    """The point that was asked for; ``label`` in plain text."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class FavouredRegion:
    """Couplings between ``low`` and ``high`` ``(n,)``; ``low`` of 0 means that no effect at all is within."""

    label: str
    low: Array
    high: Array


@dataclass(frozen=True)
class Plane:
    """values: ``(n_h, n_u)`` over the masses ``(n_u,)`` and ``(n_h,)``, GeV; NaN where closed. sqrt_s: GeV for both."""

    mass_u: Array
    mass_h: Array
    values: Array
    sqrt_s: float


def draw_zprime(
    mass: Array,
    cross_sections: Sequence[Curve],
    branching_fractions: Sequence[Curve],
    path: Path,
    *,
    process: str,
    marked: Marked,
    caption: Caption,
) -> Path:
    """Cross sections over the mass ``(n,)`` in GeV, the talk's FIG. 2, above the branching fractions."""
    with style.canvas(path, width=9.6, height=7.2) as figure:
        upper = style.panel(figure, left=1.0, bottom=2.75, width=5.9, height=3.85)
        lower = style.panel(figure, left=1.0, bottom=0.75, width=5.9, height=1.8, sharex=upper)
        for curve, line in zip(cross_sections, style.LINES, strict=False):
            upper.plot(mass, curve.y, color=style.BACKENDS[0], ls=line, label=curve.label)
        top = max((float(np.nanmax(curve.y)) for curve in cross_sections if np.isfinite(curve.y).any()), default=1.0)
        if marked.y > 0:
            upper.plot(marked.x, marked.y, "o", ms=7, mfc="none", mec=style.INK, mew=1.5, label=marked.label, zorder=5)
        upper.set(yscale="log", xlim=(0, float(mass[-1])), ylim=(top * 10.0**-DECADES_SHOWN, 4 * top))
        upper.set_ylabel(f"σ({process}) [fb]")
        upper.tick_params(labelbottom=False)
        _draw_fractions(lower, mass, branching_fractions)
        lower.set_xlabel("M(Z′) [GeV]")
        style.legend_beside(figure, upper, left=7.1, top=6.6)
        style.legend_beside(figure, lower, left=7.1, top=2.55, title="Decays in $L_\\mu - L_\\tau$")
        style.label(figure, caption, left=1.0, right=9.4, top=6.76)
    return path


def draw_dark_higgs(
    plane: Plane, mass_u: Array, branching_fractions: Sequence[Curve], path: Path, *, marked: Marked, caption: Caption
) -> Path:
    """Cross section in the plane of both masses, above the branching fractions of U over its mass ``(n,)`` in GeV."""
    with style.canvas(path, width=9.6, height=8.0) as figure:
        upper = style.panel(figure, left=0.95, bottom=2.95, width=6.1, height=4.45)
        bar = style.panel(figure, left=7.25, bottom=2.95, width=0.22, height=4.45)
        lower = style.panel(figure, left=0.95, bottom=0.75, width=6.1, height=1.85, sharex=upper)
        _draw_plane(upper, bar, plane)
        upper.plot(marked.x, marked.y, "o", ms=8, mfc="none", mec=style.SIGNAL, mew=2, label=marked.label)
        upper.legend(loc="upper right")
        _draw_fractions(lower, mass_u, branching_fractions)
        lower.set_xlabel("m(U) [GeV]")
        style.legend_beside(figure, lower, left=7.25, top=2.6, title="Decays of U")
        style.label(figure, caption, left=0.95, right=9.4, top=7.56)
    return path


def draw_g_minus_2(
    mass: Array, regions: Sequence[FavouredRegion], path: Path, *, marked: Marked | None, caption: Caption
) -> Path:
    """Couplings over the mass ``(n,)`` in GeV that measurements of the muon's magnetic moment ask for."""
    with style.canvas(path, width=9.6, height=5.4) as figure:
        axes = style.panel(figure, left=1.0, bottom=0.75, width=5.4, height=4.1)
        for number, region in enumerate(regions):
            colour = style.colour(style.BACKENDS, number)
            if region.low.any():
                axes.fill_between(mass, region.low, region.high, color=colour, alpha=0.35, lw=0, label=region.label)
                axes.plot(mass, region.low, color=colour, lw=1)
                axes.plot(mass, region.high, color=colour, lw=1)
            else:
                axes.plot(mass, region.high, color=colour, ls="--", label=f"below, {region.label}")
        if marked is not None:
            axes.plot(marked.x, marked.y, "o", ms=7, mfc="none", mec=style.INK, mew=1.5, label=marked.label)
        axes.set(xscale="log", yscale="log", xlim=(mass[0], mass[-1]), ylim=_couplings_shown(regions, marked))
        axes.set(xlabel="M(Z′) [GeV]", ylabel="g′")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        style.legend_beside(figure, axes, left=6.55, top=4.85, title="g′ asked for by (g−2) of the muon")
        style.label(figure, caption, left=1.0, right=9.4, top=5.02)
    return path


def _draw_fractions(axes: Axes, mass: Array, curves: Sequence[Curve]) -> None:
    """With different dashes, because curves lie on each other over most of the range."""
    for number, (curve, line) in enumerate(zip(curves, style.LINES, strict=False)):
        axes.plot(mass, curve.y, color=style.colour(style.BACKENDS, number), ls=line, label=curve.label)
    axes.set(ylabel="Branching fraction", ylim=(0, 1.08))


def _draw_plane(axes: Axes, bar: Axes, plane: Plane) -> None:
    from matplotlib.colors import LogNorm

    highest = float(np.nanmax(plane.values))
    mesh = axes.pcolormesh(
        plane.mass_u, plane.mass_h, plane.values, norm=LogNorm(highest * 10.0**-DECADES_OF_PLANE, highest),
        cmap="viridis", shading="nearest", rasterized=True,
    )  # fmt: skip
    # the cells beyond the limit are cut along it
    ends, everything = (0.0, plane.sqrt_s), (plane.sqrt_s, plane.sqrt_s)
    axes.fill_between(ends, ends[::-1], everything, color="white", lw=0)
    axes.plot(ends, ends[::-1], color=style.INK, lw=1)
    half = 0.5 * plane.sqrt_s
    axes.plot((0.0, half), (0.0, half), color=style.INK, lw=1.2, ls="--", label="m(h′) = m(U): above, h′ is not invisible")
    axes.set(xlim=ends, ylim=ends, ylabel="m(h′) [GeV]")
    axes.tick_params(labelbottom=False)
    axes.figure.colorbar(mesh, cax=bar, label=r"$\sigma$ × B(U → μμ)  [fb × $\alpha_D\,\varepsilon^2$]", extend="min")


def _couplings_shown(regions: Sequence[FavouredRegion], marked: Marked | None) -> tuple[float, float]:
    edges = np.concatenate([[marked.y] if marked else [], *((region.low, region.high) for region in regions)], axis=None)
    edges = edges[edges > 0]
    return float(edges.min()) / 2, float(edges.max()) * 2
