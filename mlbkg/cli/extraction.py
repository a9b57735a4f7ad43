"""Commands from the selection to the limit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlbkg.cli.analysis import ConfigArgument, ScaleOption, UnblindOption, WorkersOption
from mlbkg.cli.output import Answer, JsonOption, QuietOption, answers, finite
from mlbkg.cli.progress import progress_bars

RunOption = Annotated[Path | None, typer.Option("--run", help="Folder of the run; the latest by default.")]


def add_to(app: typer.Typer) -> None:
    for command in (fit, scan, limit, combine, study, run, shapes):
        app.command(command.__name__)(answers(command))


def fit(
    config: ConfigArgument,
    run: RunOption = None,
    unblind: UnblindOption = False,
    inject: Annotated[float, typer.Option("--inject", help="Signal candidates in the expected data.")] = 0.0,
    scale: ScaleOption = 1.0,
    workers: WorkersOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Fit signal, peaking and smooth background to the selected data, or to what is expected without data."""
    from mlbkg.cli.show_extraction import fit_text
    from mlbkg.stages.fit import fit as run_stage

    with progress_bars(quiet=quiet) as progress:
        result = run_stage(config, scale=scale, run=run, unblind=unblind, inject=inject, workers=workers, progress=progress)
    return Answer(finite(result.to_json()), fit_text(result))


def scan(
    config: ConfigArgument,
    run: RunOption = None,
    unblind: UnblindOption = False,
    scale: ScaleOption = 1.0,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Look for a particle of unknown mass, hypothesis by hypothesis, with local and global significances."""
    from mlbkg.cli.show_scan import scan_text
    from mlbkg.stages.scan import scan as run_stage

    with progress_bars(quiet=quiet) as progress:
        result = run_stage(config, scale=scale, run=run, unblind=unblind, progress=progress)
    return Answer(finite(result.to_json()), scan_text(result))


def limit(
    config: ConfigArgument,
    run: RunOption = None,
    unblind: UnblindOption = False,
    toys: Annotated[int | None, typer.Option("--toys", min=50, help="Per hypothesis; limit.toys by default.")] = None,
    scale: ScaleOption = 1.0,
    workers: WorkersOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Upper limits with expected bands: with the impact of every uncertainty, or of every hypothesis of a scan."""
    from mlbkg.cli.show_extraction import limit_text
    from mlbkg.stages.limit import limit as run_stage

    with progress_bars(quiet=quiet) as progress:
        result = run_stage(config, scale=scale, run=run, unblind=unblind, toys=toys, workers=workers, progress=progress)
    return Answer(finite(result.to_json()), limit_text(result))


def combine(
    configs: Annotated[list[Path], typer.Argument(metavar="CONFIG...", help="YAMLs of analyses whose scans have finished.")],
    coupling: Annotated[
        str | None, typer.Option("--coupling", help="Limits on it; the first that all configs have by default.")
    ] = None,
    scale: ScaleOption = 1.0,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Upper limits on a coupling from several data sets together, by their joint likelihood."""
    from mlbkg.cli.show_combine import combine_text
    from mlbkg.stages.combine import combine as run_stage

    with progress_bars(quiet=quiet) as progress:
        result = run_stage(configs, coupling=coupling, scale=scale, progress=progress)
    return Answer(finite(result.to_json()), combine_text(result))


def study(
    config: ConfigArgument,
    run: RunOption = None,
    toys: Annotated[int, typer.Option("--toys", min=10, help="Experiments per signal.")] = 500,
    signal: Annotated[
        list[float] | None,
        typer.Option("--signal", help="In units of the expected limit, of a scan in σ; may be given again."),
    ] = None,
    scale: ScaleOption = 1.0,
    workers: WorkersOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Bias and coverage of the config's fit, or whether its scan finds signals as they are, by toy experiments."""
    from mlbkg.cli.show_extraction import study_text
    from mlbkg.stages.study import study as run_stage

    with progress_bars(quiet=quiet) as progress:
        result = run_stage(config, scale=scale, run=run, toys=toys, signals=signal, workers=workers, progress=progress)
    return Answer(finite(result.to_json()), study_text(result))


def run(
    config: ConfigArgument,
    unblind: UnblindOption = False,
    force: Annotated[bool, typer.Option("--force", help="Do every stage again.")] = False,
    scale: ScaleOption = 1.0,
    workers: WorkersOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Simulate, train, select, fit or scan, and limit; a stage whose inputs did not change is kept."""
    from mlbkg.cli.show_extraction import run_text
    from mlbkg.stages.run import run as run_stages

    with progress_bars(quiet=quiet) as progress:
        result = run_stages(config, scale=scale, unblind=unblind, force=force, workers=workers, progress=progress)
    return Answer(finite(result.to_json()), run_text(result))


def shapes(json_output: JsonOption = False, quiet: QuietOption = False) -> Answer:
    """List the shapes that a fit can have, with their settings."""
    from mlbkg.cli.show import settings_text
    from mlbkg.stages.lists import list_shapes

    found = list_shapes()
    return Answer({"shapes": found}, settings_text(found))
