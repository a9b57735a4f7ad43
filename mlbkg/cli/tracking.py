"""Commands about tracking servers: the dashboard, and what a server was not told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlbkg.cli.output import Answer, JsonOption, QuietOption, answers
from mlbkg.cli.progress import progress_bars

if TYPE_CHECKING:
    from mlbkg.stages.upload import UploadResult


def add_to(app: typer.Typer) -> None:
    for command in (ui, upload):
        app.command(command.__name__)(answers(command))


def ui(
    config: Annotated[Path | None, typer.Argument(metavar="CONFIG", help="Whose tracking store to open.")] = None,
    port: Annotated[int, typer.Option(min=1024, max=65535)] = 5000,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Open the MLflow dashboard on the right store, on this machine only; Ctrl-C ends it."""
    from mlbkg.stages.ui import ui as run

    address = run(config, port=port)
    return Answer({"address": address}, f"The dashboard at {address} was closed.")


def upload(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="CONFIG", help="Only its analysis, to the store that it names now; all by default."),
    ] = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Send the runs that a tracking server was not told of while it was down."""
    from mlbkg.stages.upload import upload as run

    with progress_bars(quiet=quiet) as progress:
        result = run(config, progress=progress)
    return Answer(result.to_json(), _text(result), failure=result.failure)


def _text(result: UploadResult) -> str:
    from mlbkg.cli.show import listing

    if not result.uploaded and not result.kept:
        return "There is nothing to send: tracking servers were told of all runs."
    parts = []
    if result.uploaded:
        columns = ("run", "experiment", "nested", "models", "files", "run id", "store")
        rows = [[row[name] for name in _COLUMNS] for row in (one.to_json() for one in result.uploaded)]
        parts.append(listing("Sent", columns, rows))
    if result.kept:
        parts.append(listing("Still here", ("record", "why"), [(one.record, one.reason) for one in result.kept]))
    return "\n\n".join(parts)


_COLUMNS = ("name", "experiment", "nested_runs", "models", "files", "run_id", "uri")
