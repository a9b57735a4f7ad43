"""Champions of several runs in one figure: what they keep of signal and background, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import mlbkg.report.style as style
from mlbkg.evaluation.distributions import Distribution
from mlbkg.evaluation.estimates import Array, Efficiency, Estimate
from mlbkg.evaluation.metrics import Roc
from mlbkg.report.style import Caption
from mlbkg.report.tables import format_auc

MOST_RUNS = 8
"""In one figure; as many as colours and dashes tell apart."""
SHOWN_FROM = 0.1
"""Signal efficiency from which on the number of rejected events sets the scale."""
STEEPEST = 1e6
CLOSEST, WIDEST = 0.02, 0.9
"""How far the ratios are shown on either side of 1."""
LONGEST_NAME = 34
SCORE_BINS = 40
DEEPEST = 1e-4
"""Of a distribution, relative to its highest bin."""


@dataclass(frozen=True)
class ComparedCurves:
    """Of the champion of one run. ``sign``: its number. ``name``: in legends. The efficiencies are of its working point."""

    sign: str
    name: str
    auc: Estimate
    roc: Roc
    signal_efficiency: float
    background_efficiency: Efficiency
    scores: Distribution


def draw_compared_roc(curves: Sequence[ComparedCurves], path: Path, *, caption: Caption, reference: ComparedCurves) -> Path:
    """How many background events there are for one that is kept, over the signal efficiency; below, how many are kept for
    one that ``reference`` keeps."""
    with style.canvas(path, width=9.6, height=6.2) as figure:
        axes = style.panel(figure, left=0.95, bottom=2.25, width=5.1, height=3.4)
        ratios = style.panel(figure, left=0.95, bottom=0.75, width=5.1, height=1.35, sharex=axes)
        for number, one in enumerate(curves):
            look = _look(number)
            axes.plot(*_rejection(one.roc), label=f"{_legend(one)}\nAUC {format_auc(one.auc)}", **look)
            kept = one.background_efficiency.value
            if kept > 0:
                axes.plot(one.signal_efficiency, 1 / kept, "o", ms=5, color=look["color"])
            at, ratio = _relative(one.roc, reference.roc)
            ratios.plot(at, ratio, **look)
        axes.plot([], [], "o", color=style.INK, label="working point")
        highest = max(_highest(one.roc) for one in curves)
        axes.set(yscale="log", xlim=(0, 1), ylim=(1, 3 * highest), ylabel="1 / background efficiency")
        axes.tick_params(labelbottom=False)
        far = float(np.median([_far(one.roc, reference.roc) for one in curves if one is not reference] or [0.0]))
        spread = min(max(2 * far, CLOSEST), WIDEST)
        ratios.set(
            ylim=(1 - spread, 1 + spread), xlabel="Signal efficiency", ylabel=f"Background\nrelative to {reference.sign}"
        )
        style.legend_beside(figure, axes, left=6.25, top=5.65)
        style.label(figure, caption, left=0.95, right=9.4, top=5.82)
    return path


def draw_compared_scores(curves: Sequence[ComparedCurves], path: Path, *, caption: Caption) -> Path:
    """Shapes of the out-of-fold scores of signal and of background, per unit of log-odds."""
    ends = np.array([one.scores.edges[[0, -1]] for one in curves])
    shown = np.array([ends[:, 0].min(), ends[:, 1].max()])
    low, high = style.log_odds(shown).tolist()
    edges = np.linspace(low, high, SCORE_BINS + 1)
    with style.canvas(path, width=12.7, height=5.2) as figure:
        for column, (kind, is_signal) in enumerate((("Background", False), ("Signal", True))):
            axes = style.panel(figure, left=0.85 + 4.9 * column, bottom=0.75, width=4.1, height=3.9)
            highest = 0.0
            for number, one in enumerate(curves):
                density = _density(one.scores, edges, is_signal=is_signal)
                axes.stairs(density, edges, baseline=None, lw=1.6, label=_legend(one), **_look(number))
                highest = max(highest, float(density.max()))
            axes.set(yscale="log", ylim=(DEEPEST * highest, 3 * highest), ylabel=f"{kind} density, per unit of log-odds")
            style.score_axis(axes, shown, text="Score, out of fold (even in log-odds)")
        style.legend_beside(figure, axes, left=10.05, top=4.65)
        style.label(figure, caption, left=0.85, right=9.85, top=4.82)
    return path


def _look(number: int) -> dict[str, Any]:
    return {"color": style.colour(style.BACKENDS, number), "ls": style.LINES[number % len(style.LINES)]}


def _legend(one: ComparedCurves) -> str:
    return style.literal(style.short(one.name, LONGEST_NAME))


def _density(scores: Distribution, edges: Array, *, is_signal: bool) -> Array:
    """The share of the class per unit of log-odds, in bins that all runs have alike: a bin of its own is spread evenly."""
    own = style.log_odds(scores.edges)
    sums, _ = scores.total(is_signal=is_signal)
    below = np.concatenate([[0.0], np.cumsum(sums)]) / sums.sum()
    return np.asarray(np.diff(np.interp(edges, own, below)) / np.diff(edges), dtype=np.float64)


def _rejection(roc: Roc) -> tuple[Array, Array]:
    """Where something is kept of the background: nobody knows how much less nothing is."""
    some = roc.background_efficiency > 0
    return roc.signal_efficiency[some], 1 / roc.background_efficiency[some]


def _highest(roc: Roc) -> float:
    """1 / background efficiency where a search may cut."""
    at, rejection = _rejection(roc)
    shown = rejection[at >= SHOWN_FROM]
    return min(float(shown.max()) if len(shown) else 1.0, STEEPEST)


def _relative(roc: Roc, first: Roc) -> tuple[Array, Array]:
    """Background efficiency over that of ``first`` at the same signal efficiency, where both keep some."""
    at = np.linspace(SHOWN_FROM, 1, 181)
    mine, theirs = (np.interp(at, of.signal_efficiency, of.background_efficiency) for of in (roc, first))
    there = (mine > 0) & (theirs > 0)
    return at[there], mine[there] / theirs[there]


def _far(roc: Roc, first: Roc) -> float:
    """How far from 1 the ratio goes where half of the signal and more is kept."""
    at, ratio = _relative(roc, first)
    return float(np.abs(ratio[at >= 0.5] - 1).max(initial=0.0))
