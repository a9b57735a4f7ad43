"""``mlbkg publish``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlbkg.cli.analysis import ConfigArgument
from mlbkg.cli.extraction import RunOption
from mlbkg.cli.output import Answer, JsonOption, QuietOption, answers, finite

if TYPE_CHECKING:
    from mlbkg.stages.publish import PublishResult


def add_to(app: typer.Typer) -> None:
    app.command(publish.__name__)(answers(publish))


def publish(
    config: ConfigArgument,
    to: Annotated[Path | None, typer.Option("--to", help="Folder of the model; models/ANALYSIS by default.")] = None,
    run: RunOption = None,
    made_by: Annotated[
        list[str] | None,
        typer.Option("--made-by", help="Command line that came before the training, for the manifest; may be given again."),
    ] = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Copy a training's champion to models/: ONNX files, card, and a manifest that says what it is and scores."""
    from mlbkg.stages.publish import publish as run_stage

    result = run_stage(config, to=to, run=run, made_by=made_by or ())
    return Answer(finite(result.to_json()), _text(result))


def _text(result: PublishResult) -> str:
    from mlbkg.cli.show import folded, table
    from mlbkg.evaluation.estimates import Estimate
    from mlbkg.report.tables import format_estimate

    told, score = result.manifest, result.manifest["score"]
    files = [(name, f"{file['bytes']:,}", file["sha256"][:16]) for name, file in told["files"].items()]
    rejection = f"background rejection at {100 * score['signal_efficiency']:.1f} % signal efficiency"
    stated = [
        ("AUC", format_estimate(Estimate(**score["auc"]))),
        (rejection, format_estimate(Estimate(**score["background_rejection"]))),
    ]
    point = told["working_point"]
    return "\n\n".join(
        [
            table(f"{result.folder}: {told['champion']['name']} of {result.run.name}", ("file", "bytes", "sha256"), files),
            table("Stated, out of fold", ("figure", "value"), stated),
            folded(f"Working point, {point['name']}: output at least {point['threshold']:.6g}"),
        ]
    )
