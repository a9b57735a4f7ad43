"""Read what runs told a tracking store; nothing in it is changed, and nothing that it holds is executed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlbkg.errors import ConfigError, MlbkgError, UnknownNameError, did_you_mean
from mlbkg.tracking.background import reason_of, without_password
from mlbkg.tracking.mlflow_run import PARENT
from mlbkg.tracking.mlflow_store import BUSY_S, client_of, import_mlflow, quiet_mlflow, sqlite_path
from mlbkg.tracking.upload import StoreError

TIMEOUT_S = 60.0
PAGE = 1000
TOP_LEVEL = f"tags.`{PARENT}` IS NULL"
LATEST = "attributes.start_time DESC"
"""An order; MLflow itself puts the latest first among equals."""
MOST_EXPERIMENTS = 1000
LARGEST_ARTIFACT_BYTES = 256_000_000
EXAMPLES = (
    "metrics.auc > 0.95 AND params.folds = '5'",
    "tags.champion = 'xgboost' AND attributes.status = 'FINISHED'",
    "metrics.`background_efficiency/qqbar` < 0.02",
)
"""Of MLflow's own way to write filters."""


@dataclass(frozen=True)
class FoundRun:
    """A run as the store has it. began: seconds since 1970. parent: run id of the study it belongs to.

    metrics: the last value of each. datasets: name -> digest.
    """

    run_id: str
    name: str
    status: str
    began: float
    parent: str | None
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    datasets: Mapping[str, str]


@dataclass(frozen=True)
class FoundRuns:
    """``more``: whether the store has others that fit."""

    runs: tuple[FoundRun, ...]
    more: bool


def by_metric(name: str, *, smaller_first: bool) -> str:
    """An order."""
    return f"metrics.`{name}` {'ASC' if smaller_first else 'DESC'}"


@contextmanager
def reading(uri: str) -> Iterator[TrackingStore]:
    """The store at ``uri``, while the block lasts. Importing MLflow and opening a database take seconds.

    Raises :class:`StoreError` where there is no store, or it does not answer.
    """
    _check_there(uri)
    with quiet_mlflow(timeout_s=TIMEOUT_S):
        import_mlflow()
        yield TrackingStore(uri)


class TrackingStore:
    """Questions to a store. All raise :class:`StoreError` where it does not answer."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        with self._answers():
            self._client = client_of(uri)

    def experiment(self, name: str) -> str:
        """Its id. Raises :class:`UnknownNameError`, with the names that there are."""
        with self._answers():
            found = self._client.get_experiment_by_name(name)
            if found is not None and found.lifecycle_stage == "active":
                return str(found.experiment_id)
            known = [one.name for one in self._client.search_experiments(max_results=MOST_EXPERIMENTS)]
        deleted = "; it was deleted" if found is not None else did_you_mean(name, known)
        raise UnknownNameError(
            f"no experiment '{name}' in {without_password(self._uri)}{deleted}",
            details=[f"there is: {', '.join(sorted(known)) or 'none'}"],
            where=name,
            hint="Another store: --uri. A training makes its experiment: mlbkg train CONFIG",
        )

    def runs(
        self, experiment_id: str, *, asked: str = "", order: str = LATEST, at_most: int | None = None, nested: bool = False
    ) -> FoundRuns:
        """In the ``order`` of the store; those without what it orders by come last.

        asked: a filter, as MLflow writes them. nested: the trials of studies, too. Raises :class:`ConfigError` for a filter
        that MLflow does not understand.
        """
        conditions = [asked] if asked else []
        filters = " AND ".join(conditions if nested else [TOP_LEVEL, *conditions])
        # One more than wanted tells whether there are more.
        found = self._paged(experiment_id, filters, order, None if at_most is None else at_most + 1, asked=asked)
        runs = tuple(map(_run, found if at_most is None else found[:at_most]))
        return FoundRuns(runs, more=len(found) > len(runs))

    def named(self, experiment_id: str, name: str) -> tuple[FoundRun, ...]:
        """Runs with this id or name; where there are none, those whose id or name begins so; the latest first."""
        text = _quoted(name)
        if text is None:
            return ()
        beginning = f"{text[:-1]}%{text[-1]}"
        for asked in (f"run_id = {text}", f"run_name = {text}", f"run_id LIKE {beginning}", f"run_name LIKE {beginning}"):
            found = self.runs(experiment_id, asked=f"attributes.{asked}", nested=True, at_most=PAGE).runs
            if found:
                return found
        return ()

    def steps(self, run_id: str, metric: str) -> tuple[float, ...]:
        """Values of a metric at steps 0, 1, ...; empty where it was not logged at each of them once or more."""
        with self._answers():
            history = self._client.get_metric_history(run_id, metric)
        latest = {one.step: one.value for one in sorted(history, key=lambda one: one.timestamp)}
        return tuple(latest[step] for step in range(len(latest))) if set(latest) == set(range(len(latest))) else ()

    def artifact(self, run_id: str, path: str, folder: Path) -> Path | None:
        """A copy in ``folder`` of a file that a run logged; None where it has none, or one that is no plain file."""
        from mlflow.exceptions import MlflowException

        try:
            listed = self._client.list_artifacts(run_id, path.rpartition("/")[0] or None)
            sizes = {one.path: one.file_size or 0 for one in listed if not one.is_dir}
            if sizes.get(path, LARGEST_ARTIFACT_BYTES) >= LARGEST_ARTIFACT_BYTES:
                return None
            copy = Path(self._client.download_artifacts(run_id, path, str(folder)))
        except (MlflowException, OSError):
            return None
        return copy if copy.is_file() and copy.resolve().is_relative_to(folder.resolve()) else None

    def _paged(self, experiment_id: str, filters: str, order: str, at_most: int | None, *, asked: str) -> list[Any]:
        from mlflow.exceptions import MlflowException

        found: list[Any] = []
        token = None
        while at_most is None or len(found) < at_most:
            size = PAGE if at_most is None else min(PAGE, at_most - len(found))
            try:
                page = self._client.search_runs(
                    [experiment_id], filters, max_results=size, order_by=[order], page_token=token
                )
            except MlflowException as error:
                if asked and error.error_code == "INVALID_PARAMETER_VALUE":
                    raise self._wrong_filter(experiment_id, asked, error) from None
                raise self._no_answer(error) from error
            except Exception as error:
                raise self._no_answer(error) from error
            found += page
            token = page.token
            if not token:
                break
        return found

    def _wrong_filter(self, experiment_id: str, asked: str, error: Exception) -> ConfigError:
        """MLflow's words about the filter alone, without the condition that stood before it."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.search_runs([experiment_id], asked, max_results=1)
        except MlflowException as alone:
            error = alone
        return ConfigError(
            f"MLflow does not understand the filter {asked!r}",
            details=[
                str(error).partition("\n")[0],
                "what it does understand, for example:",
                *(f"  {one}" for one in EXAMPLES),
            ],
            where="--filter",
            hint="Text stands between quotes, names with other signs than letters between backticks; there is no OR.",
        )

    @contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except MlbkgError:
            raise
        except Exception as error:
            raise self._no_answer(error) from error

    def _no_answer(self, error: Exception) -> StoreError:
        return StoreError(
            f"{without_password(self._uri)} cannot be read: {reason_of(error)}",
            where=without_password(self._uri),
            hint="Name another store: --uri URI",
        )


def _check_there(uri: str) -> None:
    """MLflow would make a store where there is none, and tables in any database."""
    database = sqlite_path(uri)
    if database is None:
        folder = _folder(uri)
        if folder is not None and not folder.is_dir():
            raise _nothing_at(uri, "there is no such folder")
        return
    if not database.is_file():
        raise _nothing_at(uri, "there is no such file")
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as connection:
            connection.execute("SELECT count(*) FROM experiments").fetchone()
    except sqlite3.Error as error:
        raise _nothing_at(uri, f"{database.name}: {error}") from error


def _folder(uri: str) -> Path | None:
    """Of a store in plain files; None for servers and databases."""
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return Path(url2pathname(parts.path) if parts.scheme else uri)
    return None


def _nothing_at(uri: str, reason: str) -> StoreError:
    return StoreError(
        f"no tracking store at {without_password(uri)}: {reason}",
        where=without_password(uri),
        hint="A training makes one: mlbkg train CONFIG. Name another store: --uri URI",
    )


def _run(run: Any) -> FoundRun:
    inputs: Sequence[Any] = run.inputs.dataset_inputs if run.inputs else ()
    return FoundRun(
        run_id=run.info.run_id,
        name=run.info.run_name or run.info.run_id,
        status=str(run.info.status),
        began=(run.info.start_time or 0) / 1000,
        parent=run.data.tags.get(PARENT),
        metrics=dict(run.data.metrics),
        params=dict(run.data.params),
        tags=dict(run.data.tags),
        datasets={one.dataset.name: one.dataset.digest for one in inputs},
    )


def _quoted(text: str) -> str | None:
    """As MLflow's filters take it; None where they cannot."""
    quote = next((quote for quote in "'\"" if quote not in text), None)
    return f"{quote}{text}{quote}" if quote and text else None
