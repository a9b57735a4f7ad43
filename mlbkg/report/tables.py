"""Numbers as aligned text: rounding as the Particle Data Group does it, and tables that fit a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mlbkg.evaluation.estimates import Efficiency, Estimate
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.evaluation.sculpting import Sculpting
from mlbkg.evaluation.two_samples import SMALLEST_P

WIDTH = 100


@dataclass(frozen=True)
class Reference:
    """Another's result, to stand beside ours in tables and figures."""

    name: str
    signal_efficiency: float
    background_rejection: float


@dataclass(frozen=True)
class Table:
    """Plain data: the first column is read from the left, numbers from the right. ``str`` is at most 100 columns wide."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        # the first column gives way: names are long, numbers must stay whole
        widths[0] = max(8, min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1)))
        rule = "─" * min(WIDTH, sum(widths) + 2 * (len(widths) - 1))
        lines = [_line(self.columns, widths), rule, *(_line(row, widths) for row in self.rows)]
        return "\n".join([self.title, *lines] if self.title else lines)


def format_value_error(value: float, error: float) -> str:
    """``"0.9932 ± 0.0004"``: the rule of the Review of Particle Physics (Introduction, sec. 5.3).

    The error's three leading digits decide: 100 to 354 keeps two digits, 355 to 949 one, 950 to 999 becomes 1000 and keeps
    two. The value is rounded to the same place.
    """
    if not math.isfinite(value):
        return "-"
    if not math.isfinite(error) or error <= 0:
        return f"{value:.4g}" + (" ± 0" if error == 0 else "")
    power = math.floor(math.log10(error))
    leading = round(error / 10.0 ** (power - 2))
    if leading >= 950:
        error, power, leading = 10.0 ** (power + 1), power + 1, 100
    digits = (1 if leading < 355 else 0) - power
    if digits < 0:
        value, error = round(value, digits), round(error, digits)
    places = max(digits, 0)
    return f"{value:.{places}f} ± {error:.{places}f}"


def format_estimate(estimate: Estimate) -> str:
    return format_value_error(estimate.value, estimate.error)


def format_efficiency(efficiency: Efficiency) -> str:
    """In per cent; ``"< 0.05 %"`` at 90 % confidence where nothing passes, ``"no candidates"`` where there are none."""
    if not efficiency.candidates:
        return "no candidates"
    if efficiency.value == 0:
        return f"< {100 * efficiency.upper_90:.2g} %"
    return f"{format_value_error(100 * efficiency.value, 100 * efficiency.error)} %"


def classifier_table(evaluations: Mapping[str, Evaluation], *, reference: Reference | None) -> Table:
    """One line per classifier, and one for ``reference``."""
    rows = [
        (
            name,
            format_estimate(e.ranking.auc),
            f"{100 * e.ranking.signal_efficiency:.1f} %",
            _percent(e.ranking.background_rejection),
        )
        for name, e in evaluations.items()
    ]
    if reference:
        efficiency, rejection = (f"{100 * v:.1f} %" for v in (reference.signal_efficiency, reference.background_rejection))
        rows.append((reference.name, "-", efficiency, rejection))
    columns = ("classifier", "AUC", "signal eff.", "background rejection")
    return Table("Out-of-fold performance", columns, tuple(rows))


def category_table(evaluation: Evaluation) -> Table:
    """Background categories of one classifier at the signal efficiency where rejection is quoted."""
    share = f"{100 * evaluation.ranking.signal_efficiency:.1f} %"
    rows = tuple(
        (
            line.name,
            f"{line.candidates}",
            f"{line.expected_yield:.4g}",
            format_estimate(line.auc),
            _percent(line.background_rejection) if line.candidates else "no candidates",
        )
        for line in evaluation.ranking.categories
    )
    columns = ("category", "candidates", "yield", "AUC", "background rejection")
    return Table(f"{evaluation.name}: background at {share} signal efficiency", columns, rows)


def working_point_table(evaluation: Evaluation) -> Table:
    """What the working point keeps, category by category, in events."""
    point = evaluation.working_point
    rows = [
        (line.name, format_efficiency(line.background_efficiency), format_estimate(line.background_yield))
        for line in point.categories
    ]
    rows.append(("all background", format_efficiency(point.background_efficiency), format_estimate(point.background_yield)))
    rows.append(("signal", format_efficiency(point.signal_efficiency), format_estimate(point.signal_yield)))
    title = f"{evaluation.name}: working point by {point.rule}, score >= {point.threshold:.6g}"
    return Table(title, ("category", "efficiency", "expected events"), tuple(rows))


def sculpting_table(evaluation: Evaluation) -> Table:
    """Spectators' background shapes before and after the working point."""
    columns = ("spectator", "KS distance", "p-value", "JS [bit]", "JS by chance", "correlation", "information [bit]")
    rows = tuple(_sculpting_row(line) for line in evaluation.sculpting)
    return Table(f"{evaluation.name}: background shape at the working point", columns, rows)


def format_p_value(p: float) -> str:
    """``"< 0.001"`` where the null experiments drawn cannot tell more."""
    return "< 0.001" if p < max(0.001, SMALLEST_P) else f"{p:.3f}"


def _sculpting_row(line: Sculpting) -> tuple[str, ...]:
    test = line.test
    return (
        line.spectator,
        f"{test.distance:.4f}" if test else "-",
        format_p_value(test.p_value) if test else "too few",
        f"{line.jensen_shannon:.4f}",
        f"{line.jensen_shannon_expected:.4f}",
        f"{line.correlation:+.3f}",
        f"{line.mutual_information:.4f}",
    )


def _percent(estimate: Estimate) -> str:
    if not math.isfinite(estimate.value):
        return "-"
    return f"{format_value_error(100 * estimate.value, 100 * estimate.error)} %"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first = cells[0] if len(cells[0]) <= widths[0] else cells[0][: widths[0] - 1] + "…"
    numbers = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join([first.ljust(widths[0]), *numbers]).rstrip()
