"""MLflow as it is used here: quiet, imported late, on databases that are fit for it."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

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


def client_of(uri: str) -> MlflowClient:
    """MLflow keeps the first database of a process by its address, whatever folder a relative one was meant from."""
    from mlflow.tracking import MlflowClient

    uri = re.sub(r"^sqlite:///(?P<path>[^/?:][^?]*)", lambda found: f"sqlite:///{Path(found['path']).absolute()}", uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def prepare_database(uri: str) -> None:
    """Make the tables of an embedded database, which takes seconds the first time; nothing for servers."""
    database = sqlite_path(uri)
    if database is not None:
        check_usable(database)
        client_of(uri).search_registered_models(max_results=1)


def sqlite_path(uri: str) -> Path | None:
    """The absolute path of an sqlite database; None for other stores and for databases in memory."""
    found = re.fullmatch(r"sqlite:///(?P<path>[^?]+)(?:\?.*)?", uri)
    return Path(unquote(found["path"])).absolute() if found else None


def check_usable(database: Path) -> None:
    """Raises :class:`sqlite3.Error` at once for what MLflow would try again and again for minutes, under a lock."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(database, timeout=BUSY_S)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT count(*) FROM sqlite_master")
        connection.rollback()
