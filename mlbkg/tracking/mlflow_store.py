"""What is done with MLflow, through its client: no global state of the library is used or changed.

Everything here may block and raise; :mod:`mlbkg.tracking.mlflow_log` runs it in the background.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sqlite3
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mlbkg.errors import MlbkgError
from mlbkg.export.metadata import ModelMetadata

MAX_BATCH = 100
MAX_METRICS = 1000
MAX_KEY = 250
MAX_PARAMETER = 6000
MAX_TAG = 8000
MAX_DIGEST = 36
MAX_ALIAS = 255
BUSY_S = 5.0
"""How long another program may hold the database."""

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}
_DTYPES = {1: "float32", 6: "int32", 7: "int64", 11: "float64"}
"""Numbers of ONNX's ``TensorProto.DataType``, those that inputs and outputs of forests have."""

_lock = threading.Lock()
_inside = 0
_before: dict[str, str | None] = {}


@contextmanager
def quiet_mlflow(*, timeout_s: float) -> Iterator[None]:
    """MLflow's settings for as long as it is used: no telemetry, nothing on stdout, few and short attempts."""
    global _inside
    settings = {**_SETTINGS, "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, int(timeout_s / 2)))}
    with _lock:
        if _inside == 0:
            _before.update({name: os.environ.get(name) for name in settings})
            os.environ.update(settings)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _restore()


def _restore() -> None:
    for name, value in _before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    _before.clear()


def import_mlflow() -> None:
    """Takes seconds. Call inside :func:`quiet_mlflow`."""
    for module in ("mlflow", "alembic", "sqlalchemy", "urllib3.connectionpool"):
        # Filters by module and not catch_warnings, which would also change what other threads do meanwhile.
        warnings.filterwarnings("ignore", module=rf"{module}(\.|$)")
        logging.getLogger(module).setLevel(logging.ERROR)
    import mlflow.onnx
    import mlflow.store.tracking.sqlalchemy_store
    import mlflow.tracking  # noqa: F401


def prepare_database(uri: str) -> None:
    """Make the tables of an embedded database, which takes seconds the first time; nothing for servers."""
    from mlflow.tracking import MlflowClient

    database = sqlite_path(uri)
    if database is not None:
        _check_usable(database)
        MlflowClient(tracking_uri=uri, registry_uri=uri).search_registered_models(max_results=1)


class MlflowRun:
    """One run on a server, from its creation to its end."""

    def __init__(self, *, uri: str, experiment: str, run_name: str, description: str) -> None:
        from mlflow.tracking import MlflowClient

        database = sqlite_path(uri)
        if database is not None:
            _check_usable(database)
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._experiment_id = self._find_or_create(experiment, database)
        tags = {"mlflow.note.content": description[:MAX_TAG], "mlflow.source.name": "mlbkg", "mlflow.source.type": "LOCAL"}
        run = self._client.create_run(self._experiment_id, run_name=run_name, tags=tags)
        self.run_id: str = run.info.run_id

    def parameters(self, values: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        for part in _parts(list(values.items()), MAX_BATCH):
            self._client.log_batch(self.run_id, params=[Param(key, value) for key, value in part])

    def metrics(self, values: Sequence[tuple[str, float, int, int]]) -> None:
        """Each is name, value, step and time in ms."""
        from mlflow.entities import Metric

        for part in _parts(values, MAX_METRICS):
            metrics = [Metric(key, value, time_ms, step) for key, value, step, time_ms in part]
            self._client.log_batch(self.run_id, metrics=metrics)

    def tags(self, values: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        for part in _parts(list(values.items()), MAX_BATCH):
            self._client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in part])

    def dataset(self, name: str, *, fingerprint: str, source: str, rows: int) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=name,
            digest=fingerprint[:MAX_DIGEST],
            source_type="local",
            source=json.dumps({"uri": source}),
            profile=json.dumps({"num_rows": rows, "fingerprint": fingerprint}),
        )
        tag = InputTag("mlflow.data.context", "training")
        self._client.log_inputs(self.run_id, [DatasetInput(dataset, [tag])])

    def artifacts(self, folder: Path) -> None:
        self._client.log_artifacts(self.run_id, str(folder))

    def onnx_model(self, path: Path, *, name: str, alias: str | None, description: str, work: Path) -> None:
        """``work``: an empty folder that MLflow's form of the model is put together in."""
        from mlflow.entities import LoggedModelOutput

        logged = self._client.create_logged_model(
            self._experiment_id, name=re.sub(r"[^A-Za-z0-9_-]", "_", name), source_run_id=self.run_id, model_type="onnx"
        )
        folder = save_onnx(path, work / "model", run_id=self.run_id, model_id=logged.model_id)
        self._client.log_model_artifacts(logged.model_id, str(folder))
        self._client.finalize_logged_model(logged.model_id, "READY")
        self._client.log_outputs(self.run_id, [LoggedModelOutput(logged.model_id, step=0)])
        self._register(logged, name=name, alias=alias, description=description)

    def end(self, status: str) -> None:
        """``FINISHED``, ``FAILED`` or ``KILLED``."""
        self._client.set_terminated(self.run_id, status)

    def _find_or_create(self, experiment: str, database: Path | None) -> str:
        found = self._client.get_experiment_by_name(experiment)
        if found is not None and found.lifecycle_stage != "active":
            raise RuntimeError(
                f"experiment '{experiment}' was deleted; restore it, or set tracking.experiment to another name"
            )
        if found is not None:
            return str(found.experiment_id)
        location = (database.parent / "mlartifacts" / _file_name(experiment)).as_uri() if database is not None else None
        return str(self._client.create_experiment(experiment, artifact_location=location))

    def _register(self, logged: Any, *, name: str, alias: str | None, description: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        # Not "models:/<id>": MLflow looks that up in the store that is its global default.
        version = self._client.create_model_version(
            name,
            logged.artifact_location,
            run_id=self.run_id,
            description=description,
            await_creation_for=0,
            model_id=logged.model_id,
        )
        if alias is not None:
            self._client.set_registered_model_alias(name, alias[:MAX_ALIAS], version.version)


def sqlite_path(uri: str) -> Path | None:
    """The absolute path of an sqlite database; None for other stores and for databases in memory."""
    found = re.fullmatch(r"sqlite:///(?P<path>[^?]+)(?:\?.*)?", uri)
    return Path(unquote(found["path"])).absolute() if found else None


def _check_usable(database: Path) -> None:
    """Raises :class:`sqlite3.Error` at once for what MLflow would try again and again for minutes, under a lock."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(database, timeout=BUSY_S)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT count(*) FROM sqlite_master")
        connection.rollback()


def save_onnx(path: Path, folder: Path, *, run_id: str, model_id: str) -> Path:
    """Write MLflow's ONNX flavour of ``path``, the file byte by byte, with its signature. Answer ``folder``."""
    import mlflow.onnx
    from mlflow.models import Model

    model = _parsed(path, folder.with_name("parsed"))
    mlflow.onnx.save_model(
        model,
        str(folder),
        mlflow_model=Model(run_id=run_id, model_id=model_id),
        signature=_signature(model),
        # Given, because MLflow would start a second Python for seconds to find out.
        pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", "onnx", "onnxruntime")],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )
    shutil.copyfile(path, folder / "model.onnx")
    return folder


def _parsed(path: Path, folder: Path) -> Any:
    """The file as MLflow itself loads it, checked by it."""
    import mlflow.onnx
    from mlflow.models import Model

    folder.mkdir()
    shutil.copyfile(path, folder / "model.onnx")
    bare = Model()
    bare.add_flavor("onnx", onnx_version=version("onnx"), data="model.onnx", code=None)
    bare.save(str(folder / "MLmodel"))
    return mlflow.onnx.load_model(str(folder))


def _signature(model: Any) -> Any:
    """Named float columns where the model has one input and its metadata name them; tensors otherwise."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    inputs = [_tensor(value) for value in model.graph.input]
    outputs = Schema([_tensor(value) for value in model.graph.output])
    names = _feature_names(model)
    if len(inputs) == 1 and names and inputs[0].shape == (-1, len(names)):
        return ModelSignature(Schema([ColSpec(DataType.float, name) for name in names]), outputs)
    return ModelSignature(Schema(inputs), outputs)


def _tensor(value: Any) -> Any:
    import numpy as np
    from mlflow.types import TensorSpec

    tensor = value.type.tensor_type
    shape = tuple(int(size.dim_value) if size.HasField("dim_value") else -1 for size in tensor.shape.dim)
    return TensorSpec(np.dtype(_DTYPES[tensor.elem_type]), shape, value.name)


def _feature_names(model: Any) -> tuple[str, ...]:
    """Nothing for a model that mlbkg did not write."""
    try:
        return ModelMetadata.from_props(
            {entry.key: entry.value for entry in model.metadata_props}, where="model"
        ).feature_names
    except MlbkgError:
        return ()


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", text).lstrip(".") or "experiment"


def _parts(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
