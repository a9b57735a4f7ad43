"""Commands that do the work of an analysis, in its order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlbkg.cli.output import Answer, JsonOption, QuietOption, answers, finite
from mlbkg.cli.progress import progress_bars

ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML of the analysis.")]
WorkersOption = Annotated[int | None, typer.Option("--workers", "-j", min=1, help="Processes; all cores by default.")]
ScaleOption = Annotated[
    float, typer.Option("--scale", help="Times as many simulated events as the config says, in files of their own.")
]
UnblindOption = Annotated[
    bool, typer.Option("--unblind", help="Read data inside fit.blind, or of a blind scan; the run records it.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Do it again where the result exists.")]


def add_to(app: typer.Typer) -> None:
    for command in (init, check, simulate, train, select):
        app.command(command.__name__)(answers(command))


def init(
    path: Annotated[Path | None, typer.Argument(metavar="CONFIG", help="YAML to write.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a config, for editors.")] = False,
    force: ForceOption = False,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Write a fully commented config."""
    import json

    from mlbkg.config.load import json_schema
    from mlbkg.stages.init import init as run

    if schema:
        return Answer(json_schema(), json.dumps(json_schema(), indent=1))
    if path is None:
        raise typer.BadParameter("name the file to write, or give --schema", param_hint="CONFIG")
    written = run(path, force=force)
    return Answer({"config": str(written)}, f"Wrote {written}. Check it: mlbkg check {written}")


def check(config: ConfigArgument, json_output: JsonOption = False, quiet: QuietOption = False) -> Answer:
    """Validate a config and the files it names; read no events."""
    from mlbkg.cli.show import check_text
    from mlbkg.stages.check import check as run

    result = run(config)
    return Answer(finite(result.to_json()), check_text(result.to_json()))


def simulate(
    config: ConfigArgument,
    scale: ScaleOption = 1.0,
    force: ForceOption = False,
    workers: WorkersOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Make the toy samples that a config declares; those that exist are kept."""
    from mlbkg.cli.show import simulate_text
    from mlbkg.stages.simulate import simulate as run

    with progress_bars(quiet=quiet) as progress:
        result = run(config, scale=scale, force=force, workers=workers, progress=progress)
    return Answer(finite(result.to_json()), simulate_text(result.to_json()))


def train(
    config: ConfigArgument,
    scale: ScaleOption = 1.0,
    workers: WorkersOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Features, folds, classifiers, evaluation, MLflow and ONNX: the main job."""
    from mlbkg.cli.show import train_text
    from mlbkg.stages.train import train as run

    with progress_bars(quiet=quiet) as progress:
        result = run(config, scale=scale, workers=workers, progress=progress)
    return Answer(finite(result.to_json()), train_text(result))


def select(
    config: ConfigArgument,
    scale: ScaleOption = 1.0,
    model: Annotated[Path | None, typer.Option("--model", help="ONNX file; the latest training's by default.")] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Folder of the skims; the run's by default.")] = None,
    unblind: UnblindOption = False,
    workers: WorkersOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Apply the model to every sample; write ROOT skims and the cutflow."""
    from mlbkg.cli.show import select_text
    from mlbkg.errors import MlbkgError
    from mlbkg.stages.select import select as run

    with progress_bars(quiet=quiet) as progress:
        result = run(config, scale=scale, model=model, output=output, unblind=unblind, workers=workers, progress=progress)
    failure = None
    if result.failed:
        failure = MlbkgError(
            f"{len(result.failed)} of {len(result.failed) + len(result.files)} files failed; the rest is written",
            details=[f"{failed.path}: {failed.error}" for failed in result.failed],
            where=result.failed[0].path,
        )
    return Answer(finite(result.to_json()), select_text(result.to_json()), failure)
