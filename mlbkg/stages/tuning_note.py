"""What the page of a study's run shows first on the tracking server."""

from __future__ import annotations

from pathlib import Path

from mlbkg.config.schema import Config
from mlbkg.evaluation.estimates import Estimate
from mlbkg.report.markdown import as_markdown
from mlbkg.report.tables import Table, format_estimate
from mlbkg.report.tuning_result import Contestant, FigureOfMerit, SearchTold, TuningTold


def note_before(config: Config, folder: Path) -> str:
    """While the search runs: what it looks for, and where its files are."""
    tuning = config.tuning
    backends = ", ".join(tuning.backends or tuple(dict.fromkeys(of.backend for of in config.training.classifiers)))
    budget = f"{tuning.trials} trials" + (f" or {tuning.minutes:g} minutes" if tuning.minutes else "")
    return (
        f"**{config.title or config.analysis}**: search for better {', '.join(tuning.objective)} by {backends}, {budget} of "
        f"{tuning.folds} folds, judged on one part of {tuning.outer_folds} of the events that it never sees\n\n"
        f"Study folder `{folder}`"
    )


def note_of(search: SearchTold, told: TuningTold, before: str) -> str:
    """The winner beside those that it had to beat, on events that the search never saw; then how it was found."""
    goal, winner = told.judged_by[0], search.contestants[0]
    judged = winner.figures[goal.name]
    lines = [
        as_markdown(_table(search, told), strong=winner.name),
        f"Winner: trial **{search.winner:04d} {winner.backend}**, `{_spelled(winner)}`",
    ]
    if judged.search is not None and judged.gap is not None:
        lines.append(
            f"{_capital(goal.label)} of the search {_with_unit(judged.search, goal)}, on unseen events "
            f"{_with_unit(judged.honest, goal)}: optimism {format_estimate(judged.gap)}"
        )
    states = ", ".join(f"{len(search.ended(state))} {state}" for state in ("complete", "pruned", "failed"))
    return "\n\n".join([*lines, f"{len(search.trials)} trials: {states}", before])


def _table(search: SearchTold, told: TuningTold) -> Table:
    goal = told.judged_by[0]
    columns = ("on unseen events", *map(_short, told.judged_by), "to the winner")
    rows = []
    for of in search.contestants:
        difference = of.figures[goal.name].to_winner
        values = [format_estimate(of.figures[figure.name].honest) for figure in told.judged_by]
        rows.append((of.name, *values, format_estimate(difference) if difference else "–"))
    return Table("", columns, tuple(rows))


def _short(figure: FigureOfMerit) -> str:
    """Labels fold a table whose page is narrow."""
    name = figure.name.replace("_", " ")
    return f"{name} [{figure.unit}]" if figure.unit else name


def _with_unit(estimate: Estimate, figure: FigureOfMerit) -> str:
    return f"{format_estimate(estimate)} {figure.unit}".rstrip()


def _spelled(contestant: Contestant) -> str:
    values = contestant.parameters.items()
    return ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
