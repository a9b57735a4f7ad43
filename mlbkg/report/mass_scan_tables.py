"""Tables of a classifier over the masses of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mlbkg.evaluation.compared_cuts import ComparedMass, CutComparison
from mlbkg.evaluation.estimates import Array
from mlbkg.evaluation.mass_scan import MassScan
from mlbkg.evaluation.window_search import SearchPoints
from mlbkg.report.quantity import Quantity
from mlbkg.report.tables import Table, format_estimate, format_number, format_rejection, format_value_error

MOST_ROWS = 15


def search_table(masses: Array, points: SearchPoints, *, name: str, symbols: Sequence[Quantity]) -> Table:
    """At some of the hypotheses ``masses`` ``(m, n_axes)``: the cut, what it keeps, and the cross section it reaches."""
    shown = np.unique(np.linspace(0, len(masses) - 1, min(MOST_ROWS, len(masses))).round().astype(int))
    rows = tuple(
        (
            *(f"{value:.3g}" for value in masses[row]),
            f"{points.threshold[row]:.4g}",
            f"{100 * points.efficiency[row]:.1f} %",
            f"{format_value_error(100 * points.absolute_efficiency[row], 100 * points.absolute_efficiency_error[row])} %",
            format_value_error(points.background[row], points.background_error[row]),
            format_number(float(points.sensitivity[row])),
        )
        for row in shown
    )
    columns = (*map(_heading, symbols), "score >=", "kept", "signal efficiency", "background", "reach [fb]")
    some = f", {len(shown)} of {len(masses)} hypotheses" if len(shown) < len(masses) else ""
    return Table(f"{name}: Punzi's figure of merit{some}", columns, rows)


def mass_classifier_table(scans: Mapping[str, MassScan]) -> Table:
    """Mean over the hypotheses of the cross section that a discovery needs, in fb."""
    rows = tuple(
        (
            name,
            *(format_number(points.mean_sensitivity) for points in (scan.before, scan.optimum, scan.smooth)),
            f"{np.nanmean(scan.ranking.auc):.4f}",
        )
        for name, scan in scans.items()
    )
    columns = ("classifier", "no cut", "best cut at each mass", "smooth cut", "mean AUC in windows")
    return Table("Mean cross section that a discovery needs [fb]", columns, rows)


def cut_comparison_table(comparison: CutComparison, *, name: str, symbol: Quantity) -> Table:
    """Background rejection of cuts and of the classifier ``name`` where both keep the same signal."""
    columns = (_heading(symbol), "signal kept", "cuts", "classifier", "left over", "cuts [fb]", "classifier [fb]")
    title = f"Background rejection at the same signal efficiency: {comparison.name} and {name}"
    return Table(title, columns, tuple(map(_compared, comparison.masses)))


def _compared(line: ComparedMass) -> tuple[str, ...]:
    return (
        f"{line.mass:.3g}",
        f"{100 * line.signal_efficiency.value:.1f} %",
        format_rejection(line.cut_rejection, line.cut_background),
        format_rejection(line.classifier_rejection, line.classifier_background),
        format_estimate(line.left_over),
        format_number(line.sensitivity),
        format_number(line.classifier_sensitivity),
    )


def _heading(symbol: Quantity) -> str:
    return f"{symbol.symbol} [{symbol.unit}]" if symbol.unit else symbol.symbol
