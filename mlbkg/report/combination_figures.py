"""The limit of several data sets together beside those of each alone, along one mass."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

import mlbkg.report.style as style
from mlbkg.evaluation.estimates import Array
from mlbkg.limits.hypotheses import UpperLimits
from mlbkg.report.limit_figures import ONE_SIGMA, TWO_SIGMA
from mlbkg.report.plane_figures import log_ticks
from mlbkg.report.quantity import Quantity
from mlbkg.report.style import Caption

LONGEST_NAME = 24
EXPECTED = 2
"""Row of the median in a band from -2 to +2 standard deviations."""


def draw_combined(
    masses: Array,
    alone: Mapping[str, UpperLimits],
    combined: UpperLimits,
    quantity: Quantity,
    mass: Quantity,
    path: Path,
    *,
    caption: Caption,
) -> Path:
    """Limits over ``masses`` ``(n,)``: the combined one with its bands, each alone as a line, and below their ratios to it.

    Observed limits where all are there, else the expected medians.
    """
    observed = combined.observed is not None
    kind = "observed" if observed else "expected"
    with style.canvas(path, width=9.8, height=6.2) as figure:
        axes = style.panel(figure, left=0.95, bottom=2.0, width=5.55, height=3.6)
        ratio = style.panel(figure, left=0.95, bottom=0.75, width=5.55, height=1.15, sharex=axes)
        for inner, outer, colour, text in ((0, 4, TWO_SIGMA, "±2σ"), (1, 3, ONE_SIGMA, "±1σ")):
            low, high = _finite(combined.expected[inner]), _finite(combined.expected[outer])
            axes.fill_between(masses, low, high, color=colour, lw=0, label=f"combined, {text}")
        axes.plot(masses, _finite(combined.expected[EXPECTED]), color=style.INK, ls="--", label="combined, expected median")
        if combined.observed is not None:
            axes.plot(masses, _finite(combined.observed), color=style.INK, label="combined, observed")
        reference = _finite(_shown(combined, observed=observed))
        for number, (name, limits) in enumerate(alone.items()):
            line = _finite(_shown(limits, observed=observed))
            colour = style.colour(style.BACKENDS, number)
            axes.plot(masses, line, color=colour, lw=1.3, label=style.literal(f"{style.short(name, LONGEST_NAME)}, {kind}"))
            ratio.plot(masses, line / reference, color=colour, lw=1.3)
        ratio.axhline(1, color=style.INK, lw=1)
        level = 100 * combined.confidence_level
        axes.set(yscale="log", ylabel=style.literal(f"{level:g} % limit on {_with_unit(quantity)}"))
        axes.tick_params(labelbottom=False)
        ratio.set(
            xlim=(masses.min(), masses.max()), xlabel=_with_unit(mass), ylabel="Alone /\ncombined", yscale="log"
        )  # fmt: skip
        for panel in (axes, ratio):
            log_ticks(panel, *panel.get_ylim())
        style.legend_beside(figure, axes, left=6.7, top=5.6, first=("combined, observed", "combined"))
        style.label(figure, caption, left=0.95, right=9.6, top=5.77)
    return path


def _shown(limits: UpperLimits, *, observed: bool) -> Array:
    return limits.observed if observed and limits.observed is not None else np.asarray(limits.expected[EXPECTED])


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, np.nan)


def _with_unit(quantity: Quantity) -> str:
    return style.literal(f"{quantity.symbol} [{quantity.unit}]" if quantity.unit else quantity.symbol)
