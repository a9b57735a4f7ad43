"""The command that tells of a run on one page."""

from __future__ import annotations

import typer

from mlbkg.cli.analysis import ConfigArgument
from mlbkg.cli.extraction import RunOption
from mlbkg.cli.output import Answer, JsonOption, QuietOption, answers


def add_to(app: typer.Typer) -> None:
    app.command("report")(answers(report))


def report(
    config: ConfigArgument,
    run: RunOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Write one self-contained HTML page with the tables, figures and provenance of a run."""
    from mlbkg.stages.report import report as run_stage

    result = run_stage(config, run=run)
    text = f"Wrote {result.path} ({', '.join(result.told)})."
    if result.missing:
        text += f"\nNot in it, for it was not done: {', '.join(result.missing)}."
    return Answer(result.to_json(), text)
