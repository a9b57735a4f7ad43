"""Numbers as aligned text: rounding as the Particle Data Group does it, and tables that fit a terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlbkg.evaluation.estimates import Efficiency, Estimate
from mlbkg.evaluation.evaluate import Evaluation
from mlbkg.evaluation.sculpting import Sculpting
from mlbkg.evaluation.two_samples import SMALLEST_P
from mlbkg.samples.cuts import CutCount

WIDTH = 100
MILLION = 1_000_000
THOUSANDTH, TEN_THOUSANDTH = 1e-3, 1e-4
# An AUC is not known better than this, whatever a sample without a single swapped pair says.
CLOSEST_TO_ONE = 1e-6
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Reference:
    """Another's result, to stand beside ours in tables and figures."""

    name: str
    signal_efficiency: float
    background_rejection: float


@dataclass(frozen=True)
class Table:
    """Plain data: names are read from the left, numbers from the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return self.text(WIDTH)

    def text(self, width: int) -> str:
        """At most ``width`` columns wide: long headings are folded, then the first column gives way; numbers stay whole."""
        cells = [max(map(len, column), default=0) for column in self._cells()]
        widths = [max(cell, len(heading)) for cell, heading in zip(cells, self.columns, strict=True)]
        gaps = 2 * (len(widths) - 1)
        if sum(widths) + gaps > width:
            words = [max(map(len, heading.split()), default=0) for heading in self.columns]
            widths = [max(cell, word) for cell, word in zip(cells, words, strict=True)]
            widths[0] = max(8, min(widths[0], width - sum(widths[1:]) - gaps))
        numeric = self.numeric
        rule = "─" * min(width, sum(widths) + gaps)
        lines = [*_headings(self.columns, widths, numeric), rule, *(_line(row, widths, numeric) for row in self.rows)]
        return "\n".join([self.title, *lines] if self.title else lines)

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers, and stand at the right."""
        return [any(_is_number(cell) for cell in column) for column in self._cells()]

    def _cells(self) -> list[list[str]]:
        return [[row[number] for row in self.rows] for number in range(len(self.columns))]


def format_number(value: float) -> str:
    """Three significant digits: ``"0.0123"``, ``"37,200"``; from a million on and below 0.001 ``"1.22 × 10⁹"``."""
    if not math.isfinite(value):
        return "-"
    if abs(value) >= MILLION or 0 < abs(value) < THOUSANDTH:
        mantissa, power = f"{value:.2e}".split("e")
        return f"{mantissa} × {ten_to(int(power))}"
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def format_value_error(value: float, error: float) -> str:
    """``"0.9932 ± 0.0004"``: the rule of the Review of Particle Physics (Introduction, sec. 5.3).

    The error's three leading digits decide: 100 to 354 keeps two digits, 355 to 949 one, 950 to 999 becomes 1000 and keeps
    two. The value is rounded to the same place. From a million on and below 0.0001 the power of ten is taken out.
    """
    size = max(abs(value), error)
    if math.isfinite(value + error) and error > 0 and (abs(value) >= MILLION or size < TEN_THOUSANDTH):
        power = math.floor(math.log10(size))
        return f"({format_value_error(value / 10.0**power, error / 10.0**power)}) × {ten_to(power)}"
    if not math.isfinite(value):
        return "-"
    if not math.isfinite(error) or error <= 0:
        return f"{value:.4g}" + (" ± 0" if error == 0 else "")
    power = math.floor(math.log10(error))
    leading = round(error / 10.0 ** (power - 2))
    if leading >= 950:
        error, power, leading = 10.0 ** (power + 1), power + 1, 100
    digits = (1 if leading < 355 else 0) - power
    # without the sign of a zero
    value, error = round(value, digits) + 0.0, round(error, digits)
    places = max(digits, 0)
    return f"{value:,.{places}f} ± {error:,.{places}f}"


def format_estimate(estimate: Estimate) -> str:
    return format_value_error(estimate.value, estimate.error)


def format_auc(auc: Estimate) -> str:
    """``"> 0.999999"`` from there on: nobody reads, or believes, more digits."""
    if 1 - CLOSEST_TO_ONE < auc.value < 1:
        return f"> {1 - CLOSEST_TO_ONE:.6f}"
    return format_estimate(auc)


def format_efficiency(efficiency: Efficiency) -> str:
    """In per cent; ``"< 0.05 %"`` at 90 % confidence where nothing passes, ``"no candidates"`` where there are none."""
    if not efficiency.candidates:
        return "no candidates"
    if efficiency.value == 0:
        return f"< {100 * efficiency.upper_90:.2g} %"
    return f"{format_value_error(100 * efficiency.value, 100 * efficiency.error)} %"


def classifier_table(
    evaluations: Mapping[str, Evaluation], *, reference: Reference | None, punzi_fb: Mapping[str, float] | None = None
) -> Table:
    """One line per classifier, and one for ``reference``. ``punzi_fb``: mean over the masses of a scan, by classifier."""
    columns: tuple[str, ...] = ("classifier", "AUC", "signal eff.", "background rejection")
    rows: list[tuple[str, ...]] = [
        (
            name,
            format_auc(e.ranking.auc),
            f"{100 * e.ranking.signal_efficiency:.1f} %",
            format_rejection(e.ranking.background_rejection, e.ranking.background_efficiency),
        )
        for name, e in evaluations.items()
    ]
    if reference:
        efficiency, rejection = (f"{100 * v:.1f} %" for v in (reference.signal_efficiency, reference.background_rejection))
        rows.append((reference.name, "-", efficiency, rejection))
    if punzi_fb:
        columns = (*columns, "mean Punzi [fb]")
        rows = [(*row, format_number(punzi_fb[row[0]]) if row[0] in punzi_fb else "-") for row in rows]
    return Table("Out-of-fold performance", columns, tuple(rows))


def category_table(evaluation: Evaluation) -> Table:
    """Background categories of one classifier at the signal efficiency where rejection is quoted."""
    share = f"{100 * evaluation.ranking.signal_efficiency:.1f} %"
    rows = tuple(
        (
            line.name,
            f"{line.candidates:,}",
            format_number(line.expected_yield),
            format_auc(line.auc),
            format_rejection(line.background_rejection, line.background_efficiency),
        )
        for line in evaluation.ranking.categories
    )
    columns = ("category", "candidates", "yield", "AUC", "background rejection")
    return Table(f"{evaluation.name}: background at {share} signal efficiency", columns, rows)


def working_point_table(evaluation: Evaluation) -> Table:
    """What the working point keeps, category by category, in events."""
    point = evaluation.working_point
    totals = {line.name: line.expected_yield for line in evaluation.ranking.categories}
    rows = [
        (
            line.name,
            format_efficiency(line.background_efficiency),
            _yield(line.background_efficiency, line.background_yield, totals[line.name]),
        )
        for line in point.categories
    ]
    rows.append(("all background", format_efficiency(point.background_efficiency), format_estimate(point.background_yield)))
    rows.append(("signal", format_efficiency(point.signal_efficiency), format_estimate(point.signal_yield)))
    title = f"{evaluation.name}: working point by {point.rule}, {point.cut}"
    return Table(title, ("category", "efficiency", "expected events"), tuple(rows))


def sculpting_table(evaluation: Evaluation, *, comparison: Evaluation | None = None) -> Table:
    """Spectators' background shapes before and after the working point; those of ``comparison`` behind its own."""
    columns = ("spectator", "KS distance", "p-value", "JS [bit]", "JS by chance", "correlation", "information [bit]")
    more = comparison.sculpting if comparison else ()
    rows = (
        *(_sculpting_row(line, line.spectator) for line in evaluation.sculpting),
        *(_sculpting_row(line, f"{line.spectator} (comparison)") for line in more),
    )
    return Table(f"{evaluation.name}: background shape at the working point", columns, rows)


def cutflow_table(title: str, counts: Sequence[CutCount]) -> Table:
    """Every sample or category with its cuts below it: candidates, and what they are expected to be in data."""
    rows = tuple(
        (count.sample if count.cut == "read" else f"\u2003{count.cut}", f"{count.events:,}", _expected(count))
        for count in counts
    )
    return Table(title, ("sample and cut", "candidates", "expected"), rows)


def format_p_value(p: float) -> str:
    """``"< 0.001"`` where the null experiments drawn cannot tell more."""
    return "< 0.001" if p < max(0.001, SMALLEST_P) else f"{p:.3f}"


def _expected(count: CutCount) -> str:
    if count.upper_90 is not None:
        return f"< {format_number(count.upper_90)} (90 %)"
    return format_value_error(count.weighted, count.error)


def _sculpting_row(line: Sculpting, name: str) -> tuple[str, ...]:
    test = line.test
    return (
        name,
        f"{test.distance:.4f}" if test else "-",
        format_p_value(test.p_value) if test else "too few",
        f"{line.jensen_shannon:.4f}",
        f"{line.jensen_shannon_expected:.4f}",
        f"{line.correlation:+.3f}" if math.isfinite(line.correlation) else "-",
        f"{line.mutual_information:.4f}",
    )


def format_rejection(rejection: Estimate, kept: Efficiency) -> str:
    """In per cent; a lower bound at 90 % confidence where nothing is kept."""
    if not math.isfinite(rejection.value):
        return "-"
    if kept.value == 0 and kept.upper_90 > 0:
        left = 100 * kept.upper_90
        return f"> {100 - left:.{max(0, -math.floor(math.log10(left)))}f} %"
    return f"{format_value_error(100 * rejection.value, 100 * rejection.error)} %"


def _yield(kept: Efficiency, events: Estimate, total: float) -> str:
    """An upper bound at 90 % confidence where nothing of ``total`` events is kept."""
    if kept.value == 0 and kept.candidates:
        return f"< {format_number(kept.upper_90 * total)}"
    return format_estimate(events)


def ten_to(power: int) -> str:
    """``"10⁻⁵"``."""
    return f"10{str(power).translate(SUPERSCRIPTS)}"


def _is_number(cell: str) -> bool:
    return cell.lstrip("<>(±+- ")[:1].isdigit()


def _headings(columns: tuple[str, ...], widths: list[int], numeric: list[bool]) -> list[str]:
    folded = [textwrap.wrap(heading, width) or [""] for heading, width in zip(columns, widths, strict=True)]
    tall = max(map(len, folded))
    filled = [[""] * (tall - len(lines)) + lines for lines in folded]
    return [_line(row, widths, numeric) for row in zip(*filled, strict=True)]


def _line(cells: tuple[str, ...], widths: list[int], numeric: list[bool]) -> str:
    fitted = [cell if len(cell) <= width else f"{cell[: width - 1]}…" for cell, width in zip(cells, widths, strict=True)]
    aligned = (
        cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(fitted, widths, numeric, strict=True)
    )
    return "  ".join(aligned).rstrip()
