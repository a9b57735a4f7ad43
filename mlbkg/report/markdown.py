"""Tables as Markdown, for dashboards."""

from __future__ import annotations

from collections.abc import Sequence

from mlbkg.report.tables import Table

_GAP = "&emsp;"
"""Behind each cell: MLflow draws the columns of a table without any room between them."""


def as_markdown(table: Table, *, strong: str | None = None) -> str:
    """GitHub's form, numbers to the right, without the title. ``strong``: first cell of the row that stands out."""
    rule = ["---:" if numeric else ":---" for numeric in table.numeric]
    rows = [[f"**{cell}**" if row[0] == strong else cell for cell in row] for row in table.rows]
    return "\n".join([_line(table.columns), f"| {' | '.join(rule)} |", *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') + _GAP for cell in cells)} |"
