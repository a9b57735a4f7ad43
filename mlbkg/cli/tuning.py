"""``mlbkg tune``."""

from __future__ import annotations

from typing import Annotated

import typer

from mlbkg.cli.analysis import ConfigArgument, ScaleOption, WorkersOption
from mlbkg.cli.output import Answer, JsonOption, QuietOption, answers, finite
from mlbkg.cli.progress import progress_bars


def add_to(app: typer.Typer) -> None:
    app.command(tune.__name__)(answers(tune))


def tune(
    config: ConfigArgument,
    trials: Annotated[int | None, typer.Option("--trials", min=1, help="In place of tuning.trials.")] = None,
    then_train: Annotated[bool, typer.Option("--train/--no-train", help="Train the winner afterwards.")] = True,
    scale: ScaleOption = 1.0,
    workers: WorkersOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Search for better hyper-parameters, judge the winner on unseen events, train it; goes on where it was left."""
    from mlbkg.cli.show import train_text
    from mlbkg.cli.show_tune import tune_text
    from mlbkg.stages.tune import tune as run

    with progress_bars(quiet=quiet) as progress:
        result = run(config, scale=scale, trials=trials, then_train=then_train, workers=workers, progress=progress)
    texts = [tune_text(result.told, tuned_config=result.files.tuned_config)]
    if result.trained is not None:
        texts.append(train_text(result.trained))
    return Answer(finite(result.to_json()), "\n\n".join(texts))
