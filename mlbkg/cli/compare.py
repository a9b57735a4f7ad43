"""``mlbkg compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlbkg.cli.output import Answer, JsonOption, QuietOption, answers, finite
from mlbkg.cli.progress import progress_bars

if TYPE_CHECKING:
    from mlbkg.report.tables import Table
    from mlbkg.stages.compare import ComparisonOfRuns


def add_to(app: typer.Typer) -> None:
    app.command(compare.__name__)(answers(compare))


def compare(
    experiment: Annotated[
        str, typer.Argument(metavar="EXPERIMENT", help="Its name, or a config whose tracking section names it.")
    ],
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="METRIC", help="Best first by it; see --json for names.")
    ] = None,
    asked: Annotated[
        str,
        typer.Option("--filter", metavar="TEXT", help="As MLflow writes it: \"metrics.auc > 0.9 AND params.folds = '5'\"."),
    ] = "",
    metric: Annotated[list[str] | None, typer.Option("--metric", metavar="NAME", help="Show it; may be repeated.")] = None,
    last: Annotated[int | None, typer.Option("--last", min=1, metavar="N", help="Only the latest N runs.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Show no more than N, the best.")] = 20,
    runs: Annotated[
        list[str] | None, typer.Option("--runs", metavar="RUN", help="This id or name, or what begins so; may be repeated.")
    ] = None,
    trials: Annotated[bool, typer.Option("--trials", help="The trials within studies, too.")] = False,
    against: Annotated[
        str | None, typer.Option("--against", metavar="RUN", help="Compare the others with it; the best by default.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with the curves, too.")] = None,
    uri: Annotated[str | None, typer.Option("--uri", help="Tracking store; the config's, or sqlite:///mlflow.db.")] = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
) -> Answer:
    """Show MLflow runs side by side: metrics, the parameters that differ, and whether a difference is more than noise."""
    from mlbkg.stages.compare import compare as run

    with progress_bars(quiet=quiet) as progress:
        found = run(
            experiment,
            uri=uri,
            sort=sort,
            asked=asked,
            metrics=tuple(metric or ()),
            last=last,
            limit=limit,
            runs=tuple(runs or ()),
            trials=trials,
            against=against,
            html=html,
            progress=progress,
        )
    return Answer(finite(found.to_json()), _text(found, asked_for=bool(metric)))


def _text(found: ComparisonOfRuns, *, asked_for: bool) -> str:
    from mlbkg.cli.show import joined, terminal_width
    from mlbkg.report.compared_metrics import known
    from mlbkg.report.compared_runs import count_of
    from mlbkg.report.compared_tables import (
        differences_table,
        fitting_runs_table,
        only_in_some,
        parameter_tables,
        runs_table,
    )

    width = terminal_width()
    order = f"best first by {known(found.sort).label}" if found.sort else "the latest first"
    title = f"{found.experiment}: {count_of(found.runs)}, {order}"
    parts: list[Table | str] = [
        runs_table(title, found.runs, found.metrics)
        if asked_for
        else fitting_runs_table(title, found.runs, found.metrics, width=width)
    ]
    if found.more:
        parts.append("There are more runs: --limit N shows more of them, --filter chooses.")
    if len(found.runs) > 1:
        parts.append(differences_table(found.runs, found.differences, against=found.against))
        parts += parameter_tables(found.runs, against=found.against, width=width)
        parts += filter(None, [only_in_some(found.runs)])
    parts += [f"{line}." for line in found.left_out]
    if found.html:
        parts.append(f"page  {found.html}")
    return joined(parts)
