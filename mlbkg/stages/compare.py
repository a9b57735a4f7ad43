"""``mlbkg compare``: runs of an experiment side by side, and whether they differ by more than noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbkg.config.load import load
from mlbkg.config.schema import Tracking
from mlbkg.report.compared_metrics import known
from mlbkg.report.compared_runs import ComparedRun, Differences, differing
from mlbkg.stages.compare_choice import LIMIT, Choice, choose
from mlbkg.stages.compare_differences import differences_between
from mlbkg.stages.compare_page import write_page
from mlbkg.stages.progress import NoProgress, Progress
from mlbkg.tracking.background import without_password
from mlbkg.tracking.mlflow_store import sqlite_path
from mlbkg.tracking.query import reading

CONFIGS = (".yaml", ".yml")


@dataclass(frozen=True)
class ComparisonOfRuns:
    """``runs``: the best first. ``more``: whether the experiment has others. ``sort``: metric; None where runs have none.

    ``metrics``: that are shown. ``against``: number of the run that the others are compared with. ``html``: the page.
    ``left_out``: of its figures, and why.
    """

    experiment: str
    uri: str
    runs: tuple[ComparedRun, ...]
    more: bool
    sort: str | None
    metrics: tuple[str, ...]
    against: int
    differences: Differences
    html: Path | None
    left_out: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        ids = {run.number: run.run_id for run in self.runs}
        return {
            "experiment": self.experiment,
            "uri": self.uri,
            "sort": self.sort,
            "smaller_is_better": known(self.sort).smaller_is_better if self.sort else None,
            "more": self.more,
            "shown_metrics": list(self.metrics),
            "differing_parameters": list(differing(self.runs)),
            "runs": [run.to_json() for run in self.runs],
            "against": ids[self.against],
            "tested_metric": self.differences.metric,
            "differences": [
                {"run_id": ids[one], "minus": ids[other], **found.to_json()}
                for (one, other), found in self.differences.between.items()
            ],
            "html": str(self.html) if self.html else None,
            "left_out": list(self.left_out),
        }


def compare(
    experiment: str,
    *,
    uri: str | None = None,
    sort: str | None = None,
    asked: str = "",
    metrics: Sequence[str] = (),
    last: int | None = None,
    limit: int = LIMIT,
    runs: Sequence[str] = (),
    trials: bool = False,
    against: str | None = None,
    html: Path | None = None,
    progress: Progress | None = None,
) -> ComparisonOfRuns:
    """Read the store; nothing in it is changed.

    ``experiment``: its name, or a config file, whose ``tracking`` names store and experiment. ``uri``: of the store; the
    config's, or the default of configs. ``html``: page to write. The others: as :class:`Choice` has them.

    Raises :class:`UnknownNameError` for names that are not there, :class:`ConfigError` for a filter that MLflow does not
    understand, and :class:`StoreError` for a store that is missing or does not answer.
    """
    name, store_uri = place_of(experiment, uri)
    shown_uri = without_password(store_uri)
    told = progress or NoProgress()
    opened = told.step("open the tracking store", total=1, unit="store")
    with reading(store_uri) as store:
        experiment_id = store.experiment(name)
        opened(1)
        read = told.step("read its runs", total=1, unit="experiment")
        choice = Choice(runs, asked, last, limit, trials, sort, metrics, against)
        chosen = choose(store, experiment_id, choice, experiment=name)
        read(1)
        differences = differences_between(
            chosen.found, store, metric=chosen.sort, against=chosen.against, folders=_folders(store_uri), progress=told
        )
        left_out: tuple[str, ...] = ()
        if html is not None:
            left_out = write_page(chosen, differences, store, html, experiment=name, uri=shown_uri, progress=told)
    return ComparisonOfRuns(
        name, shown_uri, chosen.runs, chosen.more, chosen.sort, chosen.metrics, chosen.against, differences, html, left_out
    )


def place_of(experiment: str, uri: str | None) -> tuple[str, str]:
    """Name and store of an experiment. Raises :class:`ConfigError` where a config is wrong."""
    if not experiment.endswith(CONFIGS):
        return experiment, uri or Tracking().uri
    config = load(Path(experiment)).config
    return config.tracking.experiment or config.analysis, uri or config.tracking.uri


def _folders(uri: str) -> tuple[Path, ...]:
    """Where run folders of a store may lie: here, and beside its database."""
    database = sqlite_path(uri)
    return tuple(dict.fromkeys([Path.cwd(), *([database.parent] if database else [])]))
