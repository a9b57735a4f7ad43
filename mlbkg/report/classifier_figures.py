"""Figures of how well classifiers separate: ROC, scores, train against out-of-fold, categories, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mlbkg.report.style as style
from mlbkg.evaluation.estimates import Array, Efficiency
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.evaluation.metrics import Roc
from mlbkg.evaluation.overtraining import Overtraining, ScorePair
from mlbkg.evaluation.working_point import WorkingPoint
from mlbkg.report.style import Caption
from mlbkg.report.tables import Reference, format_auc, format_estimate, format_number, format_p_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_roc(
    evaluations: Mapping[str, Evaluation], path: Path, *, caption: Caption, reference: Reference | None = None
) -> Path:
    """Rejection against efficiency, and background efficiency on a log scale, where rare-decay searches live."""
    with style.canvas(path, width=12.7, height=5.2) as figure:
        linear = style.panel(figure, left=0.8, bottom=0.75, width=4.1, height=3.9)
        tail = style.panel(figure, left=5.9, bottom=0.75, width=4.1, height=3.9)
        for number, (name, e) in enumerate(evaluations.items()):
            look: dict[str, Any] = {
                "color": style.colour(style.BACKENDS, number),
                "ls": style.LINES[number % len(style.LINES)],
            }
            text = f"{style.heading(name)}\nAUC {format_auc(e.ranking.auc)}"
            roc, point = e.ranking.roc, e.working_point
            linear.plot(roc.signal_efficiency, 1 - roc.background_efficiency, **look)
            tail.plot(roc.signal_efficiency, _positive(roc.background_efficiency), label=text, **look)
            kept_signal, kept = point.signal_efficiency.value, point.background_efficiency
            linear.plot(kept_signal, 1 - kept.value, "o", color=look["color"])
            tail.errorbar(kept_signal, kept.value, yerr=_bars([kept]), fmt="o", color=look["color"])
        tail.plot([], [], "o", color=style.INK, label="working point")
        if reference:
            star: dict[str, Any] = {
                "marker": "*",
                "ms": 15,
                "mfc": "none",
                "mec": style.INK,
                "mew": 1.5,
                "ls": "none",
                "zorder": 5,
            }
            linear.plot(reference.signal_efficiency, reference.background_rejection, **star)
            text = (
                f"{style.literal(reference.name)}\n{100 * reference.background_rejection:.1f} % "
                f"at {100 * reference.signal_efficiency:.1f} %"
            )
            tail.plot(reference.signal_efficiency, 1 - reference.background_rejection, label=text, **star)
        _zoomed(linear, [e.ranking.roc for e in evaluations.values()])
        _log_tail(tail, [e.ranking.roc for e in evaluations.values()])
        style.legend_beside(figure, tail, left=10.2, top=4.65)
        style.label(figure, caption, left=0.8, right=10.0, top=4.82)
    return path


def draw_category_roc(evaluation: Evaluation, path: Path, *, caption: Caption) -> Path:
    """Background efficiency of each category against signal efficiency."""
    with style.canvas(path, width=9.2, height=5.2) as figure:
        axes = style.panel(figure, left=0.95, bottom=0.75, width=5.1, height=3.9)
        curves = [evaluation.ranking.roc]
        axes.plot(
            evaluation.ranking.roc.signal_efficiency,
            _positive(evaluation.ranking.roc.background_efficiency),
            color=style.INK,
            lw=2.2,
            label=f"all background\nAUC {format_auc(evaluation.ranking.auc)}",
        )
        for number, line in enumerate(evaluation.ranking.categories):
            if line.roc is None:
                axes.plot([], [], ls="none", label=f"{style.literal(line.name)}\nno candidates")
                continue
            curves.append(line.roc)
            axes.plot(
                line.roc.signal_efficiency,
                _positive(line.roc.background_efficiency),
                color=style.colour(style.BACKGROUNDS, number),
                ls=style.LINES[number % len(style.LINES)],
                label=f"{style.literal(line.name)}\nAUC {format_auc(line.auc)}",
            )
        share = evaluation.working_point.signal_efficiency.value
        axes.axvline(share, color="0.5", lw=1, ls=":", label=f"working point\n{100 * share:.1f} % signal efficiency")
        _log_tail(axes, curves)
        style.legend_beside(figure, axes, left=6.25, top=4.65, title=style.heading(evaluation.name))
        style.label(figure, caption, left=0.95, right=9.0, top=4.82)
    return path


def draw_scores(evaluation: Evaluation, path: Path, *, caption: Caption) -> Path:
    """Out-of-fold scores in expected events: backgrounds stacked, the signal as a line."""
    scores = evaluation.scores
    with style.canvas(path, width=9.2, height=5.2) as figure:
        axes = style.panel(figure, left=0.95, bottom=0.75, width=5.5, height=3.9)
        edges = style.log_odds(scores.edges)
        below = np.zeros(len(edges) - 1)
        order = {line.name: number for number, line in enumerate(evaluation.ranking.categories)}
        stacked = sorted((c for c in scores.categories if not c.is_signal), key=lambda c: float(c.sums.sum()))
        for category in stacked:
            axes.stairs(
                below + category.sums,
                edges,
                baseline=below,
                fill=True,
                color=style.colour(style.BACKGROUNDS, order.get(category.name, 0)),
                label=f"{style.literal(category.name)}  {format_number(float(category.sums.sum()))}",
            )
            below = below + category.sums
        total, error = scores.total(is_signal=False)
        axes.stairs(
            total + error, edges, baseline=np.maximum(total - error, 1e-12), fill=True, facecolor="none",
            edgecolor="0.35", hatch="//////", lw=0, label="statistical uncertainty",
        )  # fmt: skip
        signal, _ = scores.total(is_signal=True)
        axes.stairs(signal, edges, color=style.SIGNAL, lw=2, label=f"signal  {format_number(float(signal.sum()))}")
        _mark_working_point(axes, evaluation.working_point)
        shown = np.concatenate([total[total > 0], signal[signal > 0]])
        axes.set(
            yscale="log", ylim=(max(shown.min(), shown.max() * 1e-7) / 2, shown.max() * 2.5), ylabel="Events / bin",
        )  # fmt: skip
        style.score_axis(axes, scores.edges, text="Score, out of fold (even in log-odds)")
        style.legend_beside(
            figure, axes, left=6.65, top=4.65, title=f"{style.heading(evaluation.name)}\nexpected events",
            first=("signal ", "working", *(style.literal(c.name) for c in reversed(stacked)), "statistical"),
        )  # fmt: skip
        style.label(figure, caption, left=0.95, right=9.0, top=4.82)
    return path


def _mark_working_point(axes: Axes, point: WorkingPoint) -> None:
    """A line, or two around the range of a cut that changes with the scanned variable."""
    if point.curve is None:
        at, text = [point.threshold], f"{point.threshold:.4g}"
    else:
        at = [min(point.curve.threshold), max(point.curve.threshold)]
        text = f"{at[0]:.4g} to {at[1]:.4g}"
    edges = style.log_odds(np.array(at))
    for edge, label in zip(edges, (f"working point  {text}", None), strict=False):
        axes.axvline(float(edge), color=style.INK, lw=1.2, ls="--", label=label)


def draw_overtraining(evaluation: Evaluation, path: Path, *, caption: Caption) -> Path:
    """Shapes of the scores by a model that saw the event and by one that did not, and their difference in errors."""
    result = evaluation.overtraining
    with style.canvas(path, width=9.2, height=6.0) as figure:
        axes = style.panel(figure, left=0.95, bottom=2.15, width=5.3, height=3.3)
        pulls = style.panel(figure, left=0.95, bottom=0.75, width=5.3, height=1.3, sharex=axes)
        pairs = (("signal", result.signal, style.SIGNAL), ("background", result.background, style.BACKGROUNDS[0]))
        for name, pair, colour in pairs:
            _draw_pair(axes, pulls, result, pair, name=name, colour=colour)
        difference = result.auc_difference
        axes.plot(
            [], [], ls="none",
            label=f"AUC, model saw it\n  {format_auc(result.auc_train)}\nAUC, out of fold\n  "
            f"{format_auc(result.auc_out_of_fold)}\ndifference\n  {format_estimate(difference)}",
        )  # fmt: skip
        shown = np.concatenate([values[values > 0] for _, p, _ in pairs for values in (p.out_of_fold, p.train)])
        axes.set(yscale="log", ylim=(shown.min() / 2, shown.max() * 2.5), ylabel="Share of class / bin")
        pulls.axhline(0, color="0.6", lw=1)
        widest = max(3.5, 1.15 * float(np.nanmax(np.abs(np.concatenate([_pull(p) for _, p, _ in pairs])))))
        pulls.set(ylim=(-widest, widest), ylabel="Pull")
        style.score_axis(pulls, result.edges, text="Score (even in log-odds)")
        axes.tick_params(labelbottom=False)
        style.legend_beside(
            figure, axes, left=6.45, top=5.45, title=style.heading(evaluation.name), first=("signal", "background", "AUC")
        )
        style.label(figure, caption, left=0.95, right=9.0, top=5.62)
    return path


def draw_background_efficiency(evaluations: Mapping[str, Evaluation], path: Path, *, caption: Caption) -> Path:
    """Background efficiency per category, all classifiers, at the signal efficiency where rejection is quoted."""
    first = next(iter(evaluations.values())).ranking
    names = ["all background", *(line.name for line in first.categories)]
    height = 1.75 + len(names) * max(0.4, 0.17 * len(evaluations))
    with style.canvas(path, width=10.0, height=height) as figure:
        axes = style.panel(figure, left=1.9, bottom=0.75, width=5.2, height=height - 1.3)
        rows = np.arange(len(names), dtype=float)
        apart = 0.7 / len(evaluations)
        smallest = 1.0
        for row in rows[::2]:
            axes.axhspan(row - 0.5, row + 0.5, color="0.955", lw=0, zorder=0)
        for number, (name, e) in enumerate(evaluations.items()):
            kept = [e.ranking.background_efficiency, *(line.background_efficiency for line in e.ranking.categories)]
            at = rows + (number - (len(evaluations) - 1) / 2) * apart
            look: dict[str, Any] = {"color": style.colour(style.BACKENDS, number), "lw": 1.4}
            some = [(k, y) for k, y in zip(kept, at, strict=True) if k.value > 0]
            axes.errorbar(
                [k.value for k, _ in some], [y for _, y in some], xerr=_bars([k for k, _ in some]),
                fmt=style.MARKERS[number % len(style.MARKERS)], ms=5, label=style.heading(name), **look,
            )  # fmt: skip
            none = [(k.upper_90, y) for k, y in zip(kept, at, strict=True) if k.value == 0]
            for upper, y in none:
                axes.errorbar(upper, y, xerr=0.5 * upper, xuplims=True, fmt="|", ms=7, **look)
            smallest = min(smallest, *(k.low for k in kept if k.low > 0), *(upper / 2 for upper, _ in none))
        for y, line in zip(rows[1:], first.categories, strict=True):
            if not line.candidates:
                axes.text(0.015, y, "no candidates", transform=axes.get_yaxis_transform(), va="center", size=9, color="0.4")
        axes.set(
            xscale="log", xlim=(smallest / 2, 1), ylim=(len(names) - 0.4, -0.6), yticks=rows,
            xlabel=f"Background efficiency at {100 * first.signal_efficiency:.1f} % signal efficiency",
        )  # fmt: skip
        axes.set_yticklabels([style.literal(name) for name in names])
        axes.tick_params(axis="y", which="both", length=0)
        axes.plot([], [], "<", color=style.INK, label="nothing kept:\n90 % upper bound")
        names_first = tuple(style.heading(name) for name in evaluations)
        style.legend_beside(figure, axes, left=7.3, top=height - 0.55, first=names_first)
        style.label(figure, caption, left=0.3, right=9.8, top=height - 0.38)
    return path


def draw_calibration(evaluations: Mapping[str, Evaluation], path: Path, *, caption: Caption) -> Path:
    """Share of signal against mean score, classes weighing the same."""
    with style.canvas(path, width=8.6, height=5.2) as figure:
        axes = style.panel(figure, left=0.95, bottom=0.75, width=3.9, height=3.9)
        axes.plot([0, 1], [0, 1], color="0.6", lw=1, label="perfect")
        for number, (name, e) in enumerate(evaluations.items()):
            result = e.calibration
            x = np.array([b.mean_score for b in result.bins])
            y = np.array([b.signal_fraction for b in result.bins])
            bars = np.array(
                [[b.signal_fraction - b.low for b in result.bins], [b.high - b.signal_fraction for b in result.bins]]
            )
            axes.errorbar(
                x, y, yerr=np.clip(bars, 0, None), fmt=style.MARKERS[number % len(style.MARKERS)], ms=4, lw=1.2,
                color=style.colour(style.BACKENDS, number),
                label=f"{style.heading(name)}\ncalibration error {format_estimate(result.expected_error)}"
                f"\nby chance {result.expected_error_if_perfect:.2g}",
            )  # fmt: skip
        axes.set(
            xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="Mean score (out of fold)",
            ylabel="Signal fraction, balanced classes",
        )  # fmt: skip
        style.legend_beside(figure, axes, left=5.05, top=4.65)
        style.label(figure, caption, left=0.95, right=8.4, top=4.82)
    return path


def _draw_pair(axes: Axes, pulls: Axes, result: Overtraining, pair: ScorePair, *, name: str, colour: str) -> None:
    edges = style.log_odds(result.edges)
    centres = (edges[1:] + edges[:-1]) / 2
    axes.stairs(pair.train, edges, fill=True, color=colour, alpha=0.3, label=f"{name}, model saw it")
    there = pair.out_of_fold > 0
    axes.errorbar(
        centres[there], pair.out_of_fold[there], yerr=pair.out_of_fold_error[there], fmt="o", ms=3.5, lw=1.2, color=colour,
        label=f"{name}, out of fold\nKS {pair.test.distance:.4f}, p {format_p_value(pair.test.p_value)}",
    )  # fmt: skip
    pulls.stairs(_pull(pair), edges, color=colour, lw=1.3)


def _pull(pair: ScorePair) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        pull = (pair.train - pair.out_of_fold) / pair.difference_error
    return np.nan_to_num(pull, nan=0.0, posinf=0.0, neginf=0.0)


def _zoomed(axes: Axes, curves: list[Roc]) -> None:
    """The whole square, or the corner where the curves bend if they hug it."""
    at_90 = max(float(np.interp(0.9, c.signal_efficiency, c.background_efficiency)) for c in curves)
    close = at_90 < 0.1
    axes.set(
        xlim=(0.5 if close else 0, 1), ylim=(1 - 3 * at_90 - 0.01 if close else 0, 1 + (at_90 if close else 0.5) / 10),
        xlabel="Signal efficiency", ylabel="Background rejection",
    )  # fmt: skip


def _log_tail(axes: Axes, curves: list[Roc]) -> None:
    """Down to where a background efficiency is still measured at 10 % signal efficiency, at most six decades."""
    deepest = [c.background_efficiency[(c.signal_efficiency > 0.1) & (c.background_efficiency > 0)] for c in curves]
    low = min(float(values.min()) if len(values) else 1.0 for values in deepest)
    axes.set(
        yscale="log", xlim=(0, 1), ylim=(min(max(low, 1e-6) / 2, 0.5), 1), xlabel="Signal efficiency",
        ylabel="Background efficiency",
    )  # fmt: skip


def _positive(values: Array) -> Array:
    """NaN where a log scale has no place."""
    return np.where(values > 0, values, np.nan)


def _bars(kept: list[Efficiency]) -> Array:
    """``(2, n)``: lengths of the bars below and above."""
    return np.clip([[k.value - k.low for k in kept], [k.high - k.value for k in kept]], 0, None)
