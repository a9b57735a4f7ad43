"""What MLflow's pages of an experiment offer under "Views": columns, order and charts for what mlbkg logs there.

MLflow keeps such views as tags of the experiment, and a page opens with one by its key in the address. Whoever changes one
in the browser saves it under a name of their own.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from mlbkg.tracking.mlflow_store import sqlite_path

TAG = "mlflow.sharedViewState."
FIGURES = ("auc", "background_rejection", "expected_limit", "punzi_fb", "punzi", "counting_limit")
"""Of merit, with an error each, or none."""
MORE = ("log_loss", "sculpting", "cost", "trees", "seconds")
UNCHARTED = (*(f"{name}_error" for name in (*FIGURES, *MORE)), "signal_efficiency", "statistical_limit", "fit_seconds")
"""Metrics without a group that are numbers to read, not bars to compare."""
PIXELS_PER_LETTER, PIXELS_OF_VALUE = 8, 110
CHAMPION_SECTION = "Model metrics"
"""MLflow's own name for metrics without a group, which it would show last."""


@dataclass(frozen=True)
class View:
    """stage: of the runs that are shown. order: column, falling. columns: such as ``metrics.`auc```, from left to right."""

    key: str
    name: str
    stage: str
    order: str
    columns: tuple[str, ...]

    @property
    def tag(self) -> str:
        return TAG + self.key

    def envelope(self, *, created_ms: int) -> str:
        """The tag's value."""
        state = json.dumps(self._state())
        return json.dumps({"name": self.name, "createdAt": created_ms, "updatedAt": created_ms, "state": state})

    def address(self, experiment_id: str) -> str:
        """Within the server, after its host and port."""
        return f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={self.key}"

    def _state(self) -> dict[str, object]:
        return {
            "searchFilter": f"tags.stage = '{self.stage}'",
            "orderByKey": self.order,
            "orderByAsc": False,
            "selectedColumns": list(self.columns),
            "columnOrder": list(self.columns),
            "columnWidths": {column: _width(column) for column in self.columns},
            "compareRunCharts": [*_bars(FIGURES + MORE), *_bars(UNCHARTED, deleted=True)],
            "compareRunSections": [_SECTION],
            "isAccordionReordered": True,
        }


_SECTION = {
    "uuid": CHAMPION_SECTION,
    "name": CHAMPION_SECTION,
    "display": True,
    "isReordered": False,
    "deleted": False,
    "isGenerated": True,
}


def _width(column: str) -> int:
    """Of the heading, or of a number."""
    return max(PIXELS_OF_VALUE, 40 + PIXELS_PER_LETTER * len(column.partition("`")[2]))


def _bars(metrics: Sequence[str], *, deleted: bool = False) -> list[dict[str, object]]:
    return [
        {
            "type": "BAR",
            "uuid": f"mlbkg-{metric}",
            "runsCountToCompare": 20,
            "metricSectionId": CHAMPION_SECTION,
            "deleted": deleted,
            "isGenerated": True,
            "metricKey": metric,
            "displayName": metric,
        }
        for metric in metrics
    ]


def _metrics(*names: str) -> tuple[str, ...]:
    return tuple(f"metrics.`{name}`" for name in names)


def _tags(*names: str) -> tuple[str, ...]:
    return tuple(f"tags.`{name}`" for name in names)


_WITH_ERRORS = tuple(column for name in FIGURES for column in _metrics(name, f"{name}_error"))
TRAININGS = View(
    "mlbkg-trainings",
    "Trainings, best first",
    "train",
    "metrics.`auc`",
    (*_tags("champion"), *_WITH_ERRORS, *_metrics(*MORE), "attributes.`Source`", "attributes.`Models`", "attributes.`User`"),
)
STUDIES = View(
    "mlbkg-studies",
    "Studies",
    "tune",
    "attributes.start_time",
    (
        *("params.`objective`", *_tags("winner"), *_WITH_ERRORS, *_metrics("log_loss", "cost", "trials", "seconds")),
        *("attributes.`Source`", "attributes.`User`"),
    ),
)
TRIALS = View(
    "mlbkg-trials",
    "Trials, best first",
    "trial",
    "metrics.`auc`",
    (*_tags("state", "start"), *_WITH_ERRORS, *_metrics(*MORE)),
)
VIEWS = (TRAININGS, STUDIES, TRIALS)


EXPERIMENTS = "/#/experiments?workflowType=machine_learning"
"""The list of all; without the last part, MLflow shows what it has for language models."""


def address_of(uri: str, experiment: str | None) -> str:
    """Where to open the dashboard, after its host and port: the trainings of an experiment, of the latest for None.

    The list of experiments where there is none yet, and for stores other than an embedded database.
    """
    database = sqlite_path(uri)
    found = None
    if database is not None and database.is_file():
        try:
            with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
                found = connection.execute(_LATEST, {"name": experiment}).fetchone()
        except sqlite3.Error:  # the server says what is wrong with it
            pass
    return TRAININGS.address(str(found[0])) if found else EXPERIMENTS


_LATEST = """
    SELECT experiment_id FROM experiments WHERE lifecycle_stage = 'active'
    AND (name = :name OR (:name IS NULL AND name != 'Default')) ORDER BY last_update_time DESC
"""
"""Without MLflow, which takes seconds to import, and would prepare the database while the server does."""


def view_tags(*, created_ms: int) -> dict[str, str]:
    """For an experiment that has none yet."""
    return {view.tag: view.envelope(created_ms=created_ms) for view in VIEWS}
