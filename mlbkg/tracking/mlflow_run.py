"""What is done with a run in MLflow, through its client: no global state of the library is used or changed.

Everything here may block and raise, and may be done again: what is there already is left as it is.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import logging
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlbkg.errors import MlbkgError
from mlbkg.tracking.base import NestedRun
from mlbkg.tracking.calls import MAX_TAG, Begin, Call, Dataset, End, Metrics, Model, Nested, Parameters, Tags, short
from mlbkg.tracking.mlflow_model import save_onnx
from mlbkg.tracking.mlflow_store import check_usable, client_of, sqlite_path
from mlbkg.tracking.record import Record
from mlbkg.tracking.views import view_tags

MAX_METRICS = 1000
MAX_DIGEST = 36
MAX_ALIAS = 255
MAX_DESCRIPTION = 5000
CURVE_POINTS = 30
"""Of a curve of a nested run: each costs a database some 0.07 ms, and a study has thousands of curves."""
NOTE = "mlflow.note.content"
PARENT = "mlflow.parentRunId"
RECORD = "mlflow.mlbkg.record"
"""MLflow's pages do not show tags that begin with its name."""
CARD = "card.md"

log = logging.getLogger(__name__)


class MlflowRun:
    """One run on a server, from its creation to its end."""

    def __init__(self, record: Record, *, uri: str) -> None:
        """The run that the record is of, where the server still has it; a new one otherwise."""
        begin = record.begin
        database = sqlite_path(uri)
        if database is not None:
            check_usable(database)
        self._client = client_of(uri)
        self._experiment_id = self._find_or_create(begin, database)
        there = self._there(record)
        if there is None:
            run = self._client.create_run(
                self._experiment_id,
                start_time=begin.began_ms,
                run_name=begin.run_name,
                tags={RECORD: begin.id, NOTE: short(begin.description, MAX_TAG), **_origin()},
            )
        else:
            run = there
            self._client.update_run(run.info.run_id, status="RUNNING")
        self._continued = there is not None
        self._parameters = dict(run.data.params)
        self._models = {output.model_id for output in run.outputs.model_outputs} if run.outputs else set()
        self.run_id: str = run.info.run_id
        self.began_ms: int = run.info.start_time
        self._nested = dict(self._children()) if self._continued else {}

    def tell(self, call: Call, record: Record) -> None:
        match call:
            case Parameters():
                self._log_parameters(call.values)
            case Metrics():
                self.metrics(call.values)
            case Tags():
                self._log_tags(call.values)
            case Dataset():
                self._log_dataset(call)
            case Nested():
                self._log_nested(call.run)
            case Model():
                self._log_model(call, record.file(call.file), record.file(call.card) if call.card else None)
            case End():
                self._client.set_terminated(self.run_id, call.status, call.ended_ms)

    def metrics(self, values: Sequence[tuple[str, float, int, int]]) -> None:
        """Each is name, value, step and time in ms."""
        from mlflow.entities import Metric

        for start in range(0, len(values), MAX_METRICS):
            part = values[start : start + MAX_METRICS]
            metrics = [Metric(key, value, time_ms, step) for key, value, step, time_ms in part]
            self._client.log_batch(self.run_id, metrics=metrics)

    def artifact(self, path: Path, folder: str) -> None:
        self._client.log_artifact(self.run_id, str(path), folder or None)

    def _log_parameters(self, values: Mapping[str, str]) -> None:
        """A server refuses a second value of a parameter; the first stays."""
        from mlflow.entities import Param

        new = {name: value for name, value in values.items() if name not in self._parameters}
        self._client.log_batch(self.run_id, params=[Param(name, value) for name, value in new.items()])
        self._parameters |= new

    def _log_tags(self, values: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self._client.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in values.items()])

    def _log_dataset(self, call: Dataset) -> None:
        from mlflow.entities import Dataset as MlflowDataset
        from mlflow.entities import DatasetInput, InputTag

        dataset = MlflowDataset(
            name=call.name,
            digest=call.fingerprint[:MAX_DIGEST],
            source_type="local",
            source=json.dumps({"uri": call.source}),
            profile=json.dumps({"num_rows": call.rows, "fingerprint": call.fingerprint}),
        )
        tag = InputTag("mlflow.data.context", "training")
        self._client.log_inputs(self.run_id, [DatasetInput(dataset, [tag])])

    def _log_nested(self, run: NestedRun) -> None:
        """Three calls: all that MLflow needs for a run with its times."""
        from mlflow.entities import Metric, Param

        run_id, ended = self._nested.get(run.name, (None, False))
        if ended:
            return
        ended_ms = int(1000 * run.ended)
        if run_id is None:
            tags = {PARENT: self.run_id, NOTE: run.description, **_origin(), **run.tags}
            run_id = self._client.create_run(
                self._experiment_id, start_time=int(1000 * run.began), tags=tags, run_name=run.name
            ).info.run_id
        values = [(name, value, 0) for name, value in run.metrics.items()]
        values += [(name, curve[step], step) for name, curve in run.curves.items() for step in _steps(len(curve))]
        self._client.log_batch(
            run_id,
            params=[Param(name, str(value)) for name, value in run.parameters.items()],
            metrics=[Metric(name, value, ended_ms, step) for name, value, step in values],
        )
        self._client.set_terminated(run_id, run.status, ended_ms)
        self._nested[run.name] = (run_id, True)

    def _log_model(self, call: Model, path: Path, card: Path | None) -> None:
        from mlflow.entities import LoggedModelOutput

        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        logged = self._logged_before(call.name, sha256) or self._client.create_logged_model(
            self._experiment_id,
            name=re.sub(r"[^A-Za-z0-9_-]", "_", call.name),
            source_run_id=self.run_id,
            tags={"sha256": sha256},
            model_type="onnx",
        )
        if str(logged.status) != "READY":
            with tempfile.TemporaryDirectory(prefix="mlbkg-model-") as work:
                folder = save_onnx(path, Path(work) / "model", run_id=self.run_id, model_id=logged.model_id)
                if card is not None:
                    (folder / CARD).write_bytes(card.read_bytes())
                self._client.log_model_artifacts(logged.model_id, str(folder))
            if logged.model_id not in self._models:  # a database refuses the second
                self._client.log_outputs(self.run_id, [LoggedModelOutput(logged.model_id, step=0)])
            self._client.finalize_logged_model(logged.model_id, "READY")
        # Lists of versions show the first line.
        text = f"{call.description}\n\n{card.read_text(encoding='utf-8')}" if card is not None else call.description
        self._register(logged, call, description=short(text, MAX_DESCRIPTION), sha256=sha256)

    def _logged_before(self, name: str, sha256: str) -> Any:
        """The logged model of this run with the same bytes, which an earlier attempt may have left unfinished."""
        if not self._continued:
            return None
        asked = f"source_run_id = '{self.run_id}' AND tags.sha256 = '{sha256}'"
        found = self._client.search_logged_models([self._experiment_id], filter_string=asked)
        return next((model for model in found if model.name == re.sub(r"[^A-Za-z0-9_-]", "_", name)), None)

    def _register(self, logged: Any, call: Model, *, description: str, sha256: str) -> None:
        summary = short(call.description, MAX_DESCRIPTION)
        self._create_registered_model(call.name, summary)
        version = self._version_of(logged, call.name)
        if version is None:
            # Not "models:/<id>": MLflow looks that up in the store that is its global default.
            version = self._client.create_model_version(
                call.name,
                logged.artifact_location,
                run_id=self.run_id,
                tags={**call.tags, "sha256": sha256},
                description=description,
                await_creation_for=0,
                model_id=logged.model_id,
            ).version
        if call.alias is not None and not self._later_run_holds(call.name, call.alias[:MAX_ALIAS]):
            self._client.set_registered_model_alias(call.name, call.alias[:MAX_ALIAS], version)
            self._client.update_registered_model(call.name, summary)

    def _create_registered_model(self, name: str, description: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name, description=description)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _version_of(self, logged: Any, name: str) -> str | None:
        if not self._continued:
            return None
        found = self._client.search_model_versions(f"run_id = '{self.run_id}'")
        return next((one.version for one in found if one.name == name and one.source == logged.artifact_location), None)

    def _later_run_holds(self, name: str, alias: str) -> bool:
        """What is told late must not take the place of what was found since."""
        from mlflow.exceptions import MlflowException

        with suppress(MlflowException):  # nobody holds it, or the holder's run is gone
            holder = self._client.get_model_version_by_alias(name, alias)
            if holder.run_id and self._client.get_run(holder.run_id).info.start_time > self.began_ms:
                log.info("alias '%s' of model '%s' stays with version %s, of a later run", alias, name, holder.version)
                return True
        return False

    def _find_or_create(self, begin: Begin, database: Path | None) -> str:
        from mlflow.exceptions import MlflowException

        name, description = begin.experiment, short(begin.experiment_description, MAX_TAG)
        found = self._client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage != "active":
            raise MlbkgError(f"experiment '{name}' was deleted; restore it, or set tracking.experiment to another name")
        tags = {**({NOTE: description} if description else {}), **view_tags(created_ms=begin.began_ms)}
        if found is None:
            location = (database.parent / "mlartifacts" / _file_name(name)).as_uri() if database is not None else None
            try:
                return str(self._client.create_experiment(name, artifact_location=location, tags=tags))
            except MlflowException as error:
                found = self._client.get_experiment_by_name(name)  # another process was faster
                if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
                    raise
        for tag, value in tags.items():
            if not found.tags.get(tag):  # what people wrote there stays
                self._client.set_experiment_tag(found.experiment_id, tag, value)
        return str(found.experiment_id)

    def _there(self, record: Record) -> Any:
        from mlflow.exceptions import MlflowException

        if record.run_id is not None:
            try:
                run = self._client.get_run(record.run_id)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
            else:
                if run.info.lifecycle_stage == "active" and run.info.experiment_id == self._experiment_id:
                    return run
        if not record.continued:
            return None
        found = self._client.search_runs([self._experiment_id], f"tags.`{RECORD}` = '{record.begin.id}'", max_results=1)
        return found[0] if found else None

    def _children(self) -> Iterator[tuple[str, tuple[str, bool]]]:
        """Name -> id, and whether it has ended; deleted ones, too: who deleted them does not want them back."""
        from mlflow.entities import ViewType

        asked, token = f"tags.`{PARENT}` = '{self.run_id}'", None
        while True:
            page = self._client.search_runs([self._experiment_id], asked, ViewType.ALL, max_results=1000, page_token=token)
            for run in page:
                yield run.info.run_name, (run.info.run_id, run.info.status != "RUNNING")
            token = page.token
            if not token:
                return


def tell_again(run: MlflowRun, record: Record, *, on_call: Callable[[Call], None]) -> End | None:
    """What an earlier process left in the record, metrics in large batches; the last end is the answer, for the caller."""
    end: End | None = None
    metrics: list[tuple[str, float, int, int]] = []
    for call in record.left():
        match call:
            case End():
                end = call
            case Metrics():
                metrics += call.values
                if len(metrics) >= MAX_METRICS:
                    run.metrics(metrics)
                    metrics = []
            case _:
                run.tell(call, record)
        on_call(call)
    run.metrics(metrics)
    return end


def tell_artifacts(run: MlflowRun, files: Iterable[tuple[Path, str]], *, on_file: Callable[[], None]) -> None:
    for path, folder in files:
        run.artifact(path, folder)
        on_file()


def _steps(n: int) -> list[int]:
    """The first, the last, and those that lie evenly between them."""
    if n <= CURVE_POINTS:
        return list(range(n))
    return [round(i * (n - 1) / (CURVE_POINTS - 1)) for i in range(CURVE_POINTS)]


def _origin() -> dict[str, str]:
    origin = {"mlflow.source.name": "mlbkg", "mlflow.source.type": "LOCAL"}
    with suppress(KeyError, OSError):  # containers may run without a name for their user
        origin["mlflow.user"] = getpass.getuser()
    return origin


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", text).lstrip(".") or "experiment"
