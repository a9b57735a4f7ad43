"""Tables of runs side by side: what they reached, where their parameters differ, and whether that is more than noise."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlbkg.evaluation.estimates import Estimate
from mlbkg.report.compared_metrics import Column, known
from mlbkg.report.compared_runs import Compared, ComparedRun, Difference, Differences, differing, listed, sign_of
from mlbkg.report.style import short
from mlbkg.report.tables import Table, format_value_error

NOTHING = "-"
FINISHED = ("finished", "complete")
LONGEST_VALUE = 24
LONG_NUMBER = re.compile(r"-?\d+\.\d{4,}(e[-+]?\d+)?")
HEAD_LINES = 4
"""Of a table: heading, rule and the gap before it."""


def runs_table(title: str, runs: Sequence[ComparedRun], metrics: Sequence[str]) -> Table:
    """One line for each run."""
    columns = [Column.of(name, [run.estimate(name) for run in runs]) for name in metrics]
    with_status = any(run.status not in FINISHED for run in runs)
    headings = ("run", "when (UTC)", "champion", *(("status",) if with_status else ()), *(of.heading for of in columns))
    rows = tuple(
        (
            run.label,
            run.when,
            run.classifier or NOTHING,
            *((run.status,) if with_status else ()),
            *(column.text(run.estimate(name)) for name, column in zip(metrics, columns, strict=True)),
        )
        for run in runs
    )
    return Table(title, headings, rows)


def identities_table(runs: Sequence[ComparedRun]) -> Table:
    """By what the store knows each run."""
    return Table("", ("run", "name", "run id", "status"), tuple((of.sign, of.name, of.run_id, of.status) for of in runs))


def everything_table(kind: str, runs: Sequence[ComparedRun], values: Sequence[Mapping[str, object]]) -> Table:
    """A line for each name that any of ``values`` has, one mapping for each run. ``kind``: what they are."""
    names = dict.fromkeys(name for of in values for name in of)
    rows = tuple((name, *(_plain(of.get(name)) for of in values)) for name in names)
    return Table("", (kind, *(run.sign for run in runs)), rows)


def fitting_runs_table(title: str, runs: Sequence[ComparedRun], metrics: Sequence[str], *, width: int) -> Table:
    """As many of ``metrics`` as there is room for, from the first on; at least one."""
    for n in range(len(metrics), 1, -1):
        table = runs_table(title, runs, metrics[:n])
        if text_width(table) <= width:
            return table
    return runs_table(title, runs, metrics[:1])


def text_width(table: Table) -> int:
    """Columns that it takes with nothing cut off."""
    cells = [(heading.split(), [row[i] for row in table.rows]) for i, heading in enumerate(table.columns)]
    return sum(max(map(len, (*words, *column)), default=0) for words, column in cells) + 2 * (len(cells) - 1)


def differences_table(runs: Sequence[ComparedRun], found: Differences, *, against: int) -> Table:
    """Each run minus run ``against``: by how much, how many standard deviations that is, and by which test."""
    metric = known(found.metric)
    rows = tuple(
        (run.label, *_difference_cells(_between(found.between, run.number, against), factor=metric.factor))
        for run in runs
        if run.number != against
    )
    unit = f" [{metric.unit}]" if metric.unit else ""
    better = {True: "negative is better", False: "positive is better", None: ""}[metric.smaller_is_better]
    title = f"{metric.label} minus that of {sign_of(against)}" + (f"; {better}" if better else "")
    return Table(title, ("run", f"difference{unit}", "p-value", "significance", "test over"), rows)


def matrix_table(runs: Sequence[ComparedRun], found: Differences) -> Table:
    """The significance of the run of each line minus the run of each column."""
    rows = tuple(
        (run.label, *(_matrix_cell(_between(found.between, run.number, other.number)) for other in runs)) for run in runs
    )
    columns = ("run minus", *(run.sign for run in runs))
    return Table(f"{known(found.metric).label}: significance of each difference", columns, rows)


def parameter_tables(runs: Sequence[ComparedRun], *, against: int, width: int | None = None) -> list[Table]:
    """Parameters that differ: a line for each run or for each parameter, whichever takes fewer lines.

    In as many tables as ``width`` asks for; in one without it.
    """
    names = shown_parameters(runs)
    if not names:
        return []
    reference = next(run for run in runs if run.number == against)
    cells = [[_parameter(run, name, reference) for name in names] for run in runs]
    headings = [name.replace(".", " ").replace("_", " ") for name in names] if width else names
    by_run = _Grid("run", [run.label for run in runs], headings, cells)
    turned = [list(column) for column in zip(*cells, strict=True)]
    by_name = _Grid("parameter", names, [run.sign for run in runs], turned)
    both = [grid.tables("Parameters that differ", width) for grid in (by_run, by_name)]
    return min(both, key=lambda tables: sum(len(table.rows) + HEAD_LINES for table in tables))


@dataclass(frozen=True)
class _Grid:
    """``cells``: a list for each of ``lines``, with one for each of ``columns``. ``corner``: what lines are."""

    corner: str
    lines: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[str]]

    def tables(self, title: str, width: int | None) -> list[Table]:
        """One below the other, each with as many columns as fit."""
        return [
            Table(
                "" if number else title,
                (self.corner, *(self.columns[i] for i in part)),
                tuple((line, *(row[i] for i in part)) for line, row in zip(self.lines, self.cells, strict=True)),
            )
            for number, part in enumerate(self._parts(width))
        ]

    def _parts(self, width: int | None) -> Iterator[list[int]]:
        room = math.inf if width is None else width - max(map(len, (self.corner, *self.lines)))
        part: list[int] = []
        taken = 0
        for i, heading in enumerate(self.columns):
            needed = 2 + max(map(len, (*heading.split(), *(row[i] for row in self.cells))))
            if part and taken + needed > room:
                yield part
                part, taken = [], 0
            part.append(i)
            taken += needed
        yield part


def shown_parameters(runs: Sequence[ComparedRun]) -> list[str]:
    """Those that differ among the runs that have them, or have others of their group: what stands before the dot."""
    shown = []
    for name in differing(runs):
        group = name.partition(".")[0]
        having = _with_group(runs, group) if "." in name else [run for run in runs if name in run.params]
        if len({run.params.get(name) for run in having}) > 1:
            shown.append(name)
    return shown


def only_in_some(runs: Sequence[ComparedRun]) -> str:
    """A sentence about groups of parameters that not all runs have; empty where all have all."""
    groups = dict.fromkeys(name.partition(".")[0] for run in runs for name in run.params if "." in name)
    having = {group: [run.number for run in _with_group(runs, group)] for group in groups}
    parts = [f"{group} ({listed(numbers)})" for group, numbers in having.items() if len(numbers) < len(runs)]
    return f"Not all runs have parameters of {', '.join(parts)}." if parts else ""


def _with_group(runs: Sequence[ComparedRun], group: str) -> list[ComparedRun]:
    return [run for run in runs if any(name.startswith(f"{group}.") for name in run.params)]


def _parameter(run: ComparedRun, name: str, reference: ComparedRun) -> str:
    """Short; of a long list, what is more and what is less than in the reference."""
    value, other = run.params.get(name), reference.params.get(name)
    if value is None:
        return NOTHING
    if LONG_NUMBER.fullmatch(value):
        return f"{float(value):.4g}"
    if len(value) <= LONGEST_VALUE:
        return value
    if other is not None and other != value and ", " in value + other:
        mine, theirs = value.split(", "), other.split(", ")
        more = [f"+{one}" for one in mine if one not in theirs]
        less = [f"−{one}" for one in theirs if one not in mine]
        return short(" ".join([*more, *less]) or "other order", LONGEST_VALUE)
    return f"{value.count(', ') + 1} of them" if ", " in value else short(value, LONGEST_VALUE)


def _plain(value: object) -> str:
    return NOTHING if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _between(between: Mapping[tuple[int, int], Compared], one: int, other: int) -> tuple[Compared | None, float]:
    """With the sign that turns what was found into ``one`` minus ``other``."""
    if (one, other) in between:
        return between[one, other], 1.0
    return between.get((other, one)), -1.0


def _difference_cells(found: tuple[Compared | None, float], *, factor: float) -> tuple[str, str, str, str]:
    compared, sign = found
    if compared is None:
        return NOTHING, NOTHING, NOTHING, NOTHING
    if not isinstance(compared, Difference):
        return NOTHING, NOTHING, NOTHING, f"({compared.reason})"
    paired = compared.paired
    if paired.difference == Estimate(0.0, 0.0):
        return "equal", NOTHING, NOTHING, compared.test
    value, error = factor * sign * paired.difference.value, factor * paired.difference.error
    return (
        _signed(format_value_error(value, error)),
        _p_value(paired.p_value),
        _sigma(sign * paired.significance),
        compared.test,
    )


def _matrix_cell(found: tuple[Compared | None, float]) -> str:
    compared, sign = found
    return _sigma(sign * compared.paired.significance) if isinstance(compared, Difference) else NOTHING


def _sigma(significance: float) -> str:
    if math.isinf(significance):
        return f"{'+' if significance > 0 else '-'}∞"
    return f"{round(significance, 1) + 0.0:+.1f} σ"


def _signed(text: str) -> str:
    return text if text.startswith(("-", "(-")) else f"+{text}"


def _p_value(p: float) -> str:
    return f"{p:.2g}" if p >= 1e-3 else "< 0.001"
