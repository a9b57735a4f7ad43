"""What commands print for people: tables that fit a terminal."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MAX_WIDTH = 120


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[int] = ()) -> str:
    """A plain table as text; ``right``: columns aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        drawn.add_column(column, justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(str(cell) for cell in row))
    console = Console(width=min(shutil.get_terminal_size((100, 24)).columns, MAX_WIDTH), highlight=False)
    with console.capture() as captured:
        console.print(drawn)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")


def percent(value: float | None, error: float | None, *, digits: int = 2) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.{digits}f}" + (f" ± {100 * error:.{digits}f} %" if error is not None else " %")


def number(value: float | None) -> str:
    """Enough digits to read, thousands apart."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def check_text(found: Mapping[str, Any]) -> str:
    rows = [
        (
            sample["name"],
            sample["role"],
            sample["files"],
            number(sample["entries"]) if sample["entries"] else "to be simulated",
        )
        for sample in found["samples"]
    ]
    lines = [table("Samples", ("sample", "role", "files", "entries"), rows, right=(2, 3))]
    lines.append(f"{len(found['features'])} features, {len(found['spectators'])} spectators: all there.")
    lines += [f"Note: {warning}" for warning in found["warnings"]]
    lines.append(f"{found['config']} is fine. Train: mlbkg train {found['config']}")
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
    return table("Simulated samples", ("sample", "file", "events", "time", "events/s"), rows, right=(2, 3, 4))


def train_text(found: Mapping[str, Any]) -> str:
    efficiency = next(iter(found["backends"].values()))["signal_efficiency"]
    rows = [
        (
            f"{name} *" if name == found["champion"] else name,
            f"{backend['auc']:.4f} ± {backend['auc_error']:.4f}",
            percent(backend["background_rejection"], backend["background_rejection_error"], digits=3),
            f"{backend['trees']:.0f}",
            f"{backend['fit_seconds']:.1f} s",
        )
        for name, backend in found["backends"].items()
    ]
    if reference := found["reference"]:
        rows.append((reference["name"], "–", percent(reference["background_rejection"], None, digits=1), "–", "–"))
    lines = [
        table(
            f"Out of fold, {found['folds']} folds; rejection at {percent(efficiency, None, digits=1)} signal efficiency",
            ("classifier", "AUC", "background rejection", "trees/fold", "fit (CPU)"),
            rows,
            right=(1, 2, 3, 4),
        ),
        _categories_text(found),
        _paths_text(found),
    ]
    return "\n\n".join(lines)


def _categories_text(found: Mapping[str, Any]) -> str:
    rows = [
        (
            name,
            f"{category['candidates']:,}",
            number(category["expected"]),
            percent(category["background_efficiency"], category["background_efficiency_error"], digits=3),
            number(category["expected_after"]),
        )
        for name, category in found["categories"].items()
    ]
    return table(
        f"Background of {found['champion']} (*), by category, at that efficiency",
        ("category", "candidates", "expected", "kept", "expected after"),
        rows,
        right=(1, 2, 3, 4),
    )


def _paths_text(found: Mapping[str, Any]) -> str:
    seconds = found["seconds"]
    parts = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items() if name != "total")
    lines = [
        f"model    {found['model']}",
        f"folds    {found['folds_model']}",
        f"figures  {found['figures']}",
        f"run      {found['run_dir']}",
        f"MLflow   {found['mlflow_run_id'] or found['tracking_failure'] or 'not tracked'}",
        f"seconds  {seconds['total']:.1f} ({parts})",
    ]
    return "\n".join(lines)


def select_text(found: Mapping[str, Any]) -> str:
    rows = [
        (
            row["sample"] if row["cut"] == "read" else "",
            row["cut"],
            f"{row['events']:,}",
            f"{number(row['weighted'])} ± {number(row['error'])}",
        )
        for row in found["cutflow"]
    ]
    lines = [
        table("Cutflow", ("sample", "cut", "candidates", "expected"), rows, right=(2, 3)),
        *(f"wrote {file['skim']}" for file in found["files"]),
        f"{found['candidates_selected']:,} of {found['candidates_read']:,} candidates selected "
        f"in {found['seconds']:.1f} s with {found['model']}",
    ]
    return "\n".join(lines)


def features_text(rows: Sequence[Mapping[str, Any]]) -> str:
    return table(
        f"{len(rows)} features",
        ("name", "unit", "basf2", "description"),
        [(row["name"], row["unit"], row["basf2"], row["description"]) for row in rows],
    )


def backends_text(rows: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join(
        table(
            f"{row['name']}: {row['description']}",
            ("parameter", "default", "meaning"),
            [(name, found["default"], found["description"]) for name, found in row["parameters"].items()],
        )
        for row in rows
    )


def branches_text(found: Mapping[str, Any]) -> str:
    rows = [(name, info["kind"], info["dtype"]) for name, info in found["branches"].items()]
    title = f"{found['file']}: {found['tree']}, {found['entries']:,} entries (trees: {', '.join(found['trees'])})"
    return table(title, ("branch", "kind", "type"), rows)


def inspect_text(found: Mapping[str, Any]) -> str:
    head = [(key, value) for key, value in found.items() if not isinstance(value, list | dict)]
    lines = [table(str(found.get("path", "model")), ("", ""), head)]
    if found.get("features"):
        rows = [(i, f["name"], f["unit"], f["basf2"]) for i, f in enumerate(found["features"], 1)]
        lines.append(table("Features, in the order of the input", ("", "name", "unit", "basf2"), rows, right=(0,)))
    for key, value in found.items():
        if isinstance(value, dict) and value:
            lines.append(table(key.replace("_", " "), ("", ""), value.items()))
    return "\n\n".join(lines)
