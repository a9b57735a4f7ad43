"""What searches for hyper-parameters of an analysis left in its folder, as a section of a run's report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbkg.config.schema import Config
from mlbkg.errors import MlbkgError
from mlbkg.report.html import Block, Fact, Folded, Paragraph
from mlbkg.report.tables import Table, format_estimate
from mlbkg.report.tuning_result import Contestant, TuningTold, significance
from mlbkg.report.tuning_tables import contestants_table, search_text, searches_table, verdicts
from mlbkg.stages.report_sections import Told, pictures
from mlbkg.stages.run_folder import RUNS
from mlbkg.stages.tuning_studies import RESULT, STUDIES, TUNING

FIGURES = {
    "contestants": "The winner beside others, on events that the search saw and on those that it did not",
    "history": "Trials, and the best so far",
    "front": "Pareto front",
    "importance": "Importance of the hyper-parameters",
    "slices": "Trials over each hyper-parameter",
    "pruning": "Where trials were pruned",
}
OPEN = ("contestants", "history", "front")


@dataclass(frozen=True)
class Finished:
    """A study that has ended. ``folder``: of its result."""

    name: str
    folder: Path
    told: TuningTold

    @property
    def winner(self) -> Contestant:
        return self.told.searches[0].contestants[0]

    def made(self, config: Config) -> bool:
        """Whether a classifier of ``config`` is the winner."""
        wanted = self.winner.backend, dict(self.winner.parameters)
        return any((of.backend, of.parameters) == wanted for of in config.training.classifiers)


def tuning_section(config: Config) -> Told | None:
    """Of the study whose winner the config trains, or the latest; None where there is no finished one.

    Raises :class:`MlbkgError` where another version of the program wrote it.
    """
    every = finished_studies(config.analysis)
    if not every:
        return None
    chosen = next((study for study in every if study.made(config)), every[0])
    others = [study.name for study in every if study is not chosen]
    return Told(tuple(_blocks(chosen, config, others)), tuple(_facts(chosen)) if chosen.made(config) else ())


def finished_studies(analysis: str) -> list[Finished]:
    """The latest first."""
    found = (RUNS / analysis / STUDIES).glob(f"*/{RESULT}/{TUNING}")
    return [_read(path) for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]


def _read(path: Path) -> Finished:
    content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    try:
        told = TuningTold.from_json(content)
    except (KeyError, TypeError, ValueError) as error:
        raise MlbkgError(
            f"{path} was not written by this version of mlbkg: {type(error).__name__}: {error}",
            where=str(path),
            hint="Make it again, from the trials that the study keeps: mlbkg tune CONFIG",
        ) from error
    return Finished(path.parent.parent.name, path.parent, told)


def _blocks(study: Finished, config: Config, others: Sequence[str]) -> list[Block]:
    told = study.told
    goals = ", ".join(goal.label for goal in told.goals)
    trained = "its winner is trained here" if study.made(config) else "its winner is not trained here"
    shown = pictures(study.folder / "figures", FIGURES)
    open_titles = tuple(FIGURES[kind] for kind in OPEN)
    blocks: list[Block] = [
        Paragraph(f"The study {study.name} searched by {goals}; {trained}."),
        *(Paragraph(verdict) for verdict in verdicts(told)),
        *([searches_table(told)] if len(told.searches) > 1 else []),
        *(contestants_table(told.contestants, of) for of in told.judged_by),
        *(picture for picture in shown if picture.title.startswith(open_titles)),
        Folded("Trials and hyper-parameters", tuple(_block(part) for part in search_text(told))),
    ]
    closed = [picture for picture in shown if not picture.title.startswith(open_titles)]
    if closed:
        blocks.append(Folded("Figures of the hyper-parameters", closed))
    if others:
        blocks.append(Paragraph(f"Other studies of this analysis: {', '.join(others)}.", kind="note"))
    return blocks


def _block(part: Table | str) -> Block:
    return Paragraph(part, kind="note") if isinstance(part, str) else part


def _facts(study: Finished) -> list[Fact]:
    """How much better the winner is than the config that was tuned."""
    goal = study.told.goals[0]
    first = next((one for one in study.told.contestants if one.origin == "config"), None)
    difference = first.figures[goal.name].to_winner if first else None
    if first is None or difference is None:
        return []
    gain = format_estimate(type(difference)(-goal.gain(difference.value), difference.error))
    about = f"{goal.title}, against '{first.name}' on unseen events; {abs(significance(difference)):.1f} σ"
    return [Fact("Better by tuning", f"{gain} {goal.unit}".rstrip(), about)]
