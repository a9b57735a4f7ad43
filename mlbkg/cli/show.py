"""What commands print for people: tables that fit a terminal."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlbkg.report.tables import Table
    from mlbkg.stages.train import TrainResult

MIN_WIDTH, MAX_WIDTH = 60, 120
POWERS = {1: "", 2: "²", 3: "³", 4: "⁴"}


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A plain table as text."""
    from mlbkg.report.tables import Table

    return Table(title, tuple(columns), tuple(tuple(str(cell) for cell in row) for row in rows)).text(terminal_width())


def listing(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Texts side by side, the last folded to the width of the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(str(cell) for cell in row))
    console = Console(width=terminal_width(), highlight=False)
    with console.capture() as captured:
        console.print(drawn)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")


def terminal_width() -> int:
    return max(MIN_WIDTH, min(shutil.get_terminal_size((100, 24)).columns, MAX_WIDTH))


def folded(line: str) -> str:
    """A sentence over as many lines as it takes; what follows the first is set in."""
    return textwrap.fill(line, terminal_width(), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def paths(name: str, found: Sequence[Any]) -> list[str]:
    """The folder of some files, where there are any."""
    return [f"{name}  {found[0].parent}"] if found else []


def joined(parts: Sequence[Table | str]) -> str:
    """Tables and sentences, one below the other."""
    return "\n\n".join(folded(part) if isinstance(part, str) else part.text(terminal_width()) for part in parts)


def _count(things: Sequence[Any], name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"


def check_text(found: Mapping[str, Any]) -> str:
    rows = [
        (
            sample["name"],
            sample["role"],
            sample["files"],
            "to be simulated" if sample["to_be_simulated"] else f"{sample['entries']:,}",
        )
        for sample in found["samples"]
    ]
    lines = [table("Samples", ("sample", "role", "files", "entries"), rows)]
    lines.append(f"{_count(found['features'], 'feature')}, {_count(found['spectators'], 'spectator')}: all there.")
    lines += [folded(f"Note: {warning}") for warning in found["warnings"]]
    lines.append(folded(f"{found['config']} is fine. Train: mlbkg train {found['config']}"))
    return "\n".join(lines)


def simulate_text(found: Mapping[str, Any]) -> str:
    rows = [
        (
            file["sample"],
            file["path"],
            f"{file['events']:,}",
            f"{file['seconds']:.1f} s" if file["made"] else "was there",
            f"{file['events'] / file['seconds']:,.0f}" if file["made"] and file["seconds"] else "–",
        )
        for file in found["files"]
    ]
    return table("Simulated samples", ("sample", "file", "events", "time", "events/s"), rows)


def train_text(result: TrainResult) -> str:
    from mlbkg.report.tables import category_table, classifier_table, sculpting_table, working_point_table
    from mlbkg.report.training_tables import cut_scan_table, fake_signal_table
    from mlbkg.stages.training_mass_report import tables_over_masses

    trained = result.trained
    best, other = trained.best, trained.comparison.evaluation if trained.comparison else None
    side_by_side = [*trained.evaluations, *([other] if other else [])]
    tables = [
        classifier_table(
            {found.name: found for found in side_by_side}, reference=trained.reference, punzi_fb=trained.punzi_fb
        ),
        category_table(best),
        working_point_table(best),
        *([cut_scan_table(trained.scan, name=best.name, quantity=trained.quantity)] if trained.scan else []),
        *([sculpting_table(best, comparison=other)] if best.sculpting else []),
        *([fake_signal_table(trained.faked)] if trained.faked else []),
        *tables_over_masses(trained.masses, trained.cuts, best=best.name, config=trained.loaded.config),
    ]
    return "\n\n".join([*(found.text(terminal_width()) for found in tables), _paths_text(result.to_json())])


def _paths_text(found: Mapping[str, Any]) -> str:
    seconds = found["seconds"]
    parts = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items() if name != "total")
    lines = [
        f"champion {found['champion']}",
        f"model    {found['model']}",
        f"folds    {found['folds_model']}",
        f"figures  {found['figures']}",
        f"run      {found['run_dir']}",
        f"MLflow   {found['mlflow_run_id'] or found['tracking_failure'] or 'not tracked'}",
        folded(f"seconds  {seconds['total']:.1f} ({parts})"),
    ]
    return "\n".join(lines)


def select_text(found: Mapping[str, Any]) -> str:
    rows = [
        (
            row["sample"] if row["cut"] == "read" else f"  {row['cut']}",
            f"{row['events']:,}",
            _expected(row),
        )
        for row in found["cutflow"]
    ]
    lines = [
        table(f"Cutflow, {found['model']}", ("sample and cut", "candidates", "expected"), rows),
        "",
        *(f"wrote {file['skim']}" for file in found["files"]),
        f"{found['candidates_selected']:,} of {found['candidates_read']:,} candidates selected in {found['seconds']:.1f} s",
    ]
    return "\n".join(lines)


def _expected(row: Mapping[str, Any]) -> str:
    from mlbkg.report.tables import format_number, format_value_error

    if row["upper_90"] is not None:
        return f"< {format_number(row['upper_90'])} (90 %)"
    if row["weighted"] is None:
        return "–"
    return format_value_error(row["weighted"], row["error"])


def features_text(rows: Sequence[Mapping[str, Any]]) -> str:
    return listing(
        f"{len(rows)} features",
        ("name", "unit", "basf2", "description"),
        [(row["name"], row["unit"], row["basf2"], row["description"]) for row in rows],
    )


def couplings_text(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [
        (row["name"], row["symbol"], f"{row['symbol']}{POWERS[row['power']]}", row["favoured"] or "–", row["assumption"])
        for row in rows
    ]
    return listing("Couplings", ("name", "symbol", "cross section ∝", "drawn with", "assumption"), cells)


def settings_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """One table of settings for each of what can be chosen by name."""
    return "\n\n".join(
        listing(
            f"{row['name']}: {row['description']}",
            ("parameter", "default", "meaning"),
            [(name, _as_yaml(found["default"]), found["description"]) for name, found in row["parameters"].items()],
        )
        for row in rows
    )


def _as_yaml(value: object) -> str:
    return json.dumps(value)


def branches_text(found: Mapping[str, Any]) -> str:
    rows = [(name, info["kind"], info["dtype"]) for name, info in found["branches"].items()]
    title = f"{found['file']}: tree {found['tree']}, {found['entries']:,} entries"
    if len(found["trees"]) > 1:
        title += f" (trees: {', '.join(found['trees'])})"
    return listing(title, ("branch", "kind", "type"), rows)
