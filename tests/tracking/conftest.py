"""Tracking stores, a server on the loopback address, and a small ONNX model to log."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import psutil
import pytest
from mlflow.tracking import MlflowClient

from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.tracking.base import RunLog
from mlbkg.tracking.mlflow_log import open_log

START_SECONDS = 120
METADATA = ModelMetadata(
    analysis="upsilon1s",
    title="",
    backend="none",
    features=tuple(FeatureInfo(name) for name in "abc"),
    n_folds=5,
    salt="mlbkg",
    event_id=("__event__",),
    working_points=(),
    class_prior=0.5,
    config={},
    data_fingerprints={},
    versions={},
)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, made once: that takes seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(empty_store: Path, tmp_path: Path) -> str:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """output = 2 * input, for three named features."""
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["input", "input"], ["output"])],
        "double",
        [tensor("input", onnx.TensorProto.FLOAT, [None, 3])],
        [tensor("output", onnx.TensorProto.FLOAT, [None, 3])],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.helper.set_model_props(made, METADATA.to_props())
    onnx.save(made, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.fixture
def log_to() -> Callable[..., RunLog]:
    def make(uri: str, **settings: Any) -> RunLog:
        about = {"experiment": "upsilon1s", "run_name": "first", "description": "a test", "timeout_s": 60.0}
        return open_log(enabled=True, uri=uri, **{**about, **settings})

    return make


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def nowhere() -> str:
    """An address where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`mlflow server` on a database in ``folder``, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: psutil.Popen | None = None
        self.uri = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
        store = ["--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db"]
        files = ["--artifacts-destination", str(self._folder / "artifacts")]
        address = ["--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"]
        with (self._folder / "server.log").open("ab") as log:
            self._process = psutil.Popen(
                [sys.executable, "-m", "mlflow", "server", *store, *files, *address],
                env={**os.environ, **settings},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self._folder / "server.log").read_text(encoding="utf-8")
            assert self._process.poll() is None, (self._folder / "server.log").read_text(encoding="utf-8")
            time.sleep(0.2)

    def kill(self) -> None:
        if self._process is None:
            return
        family = [self._process, *self._process.children(recursive=True)]
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=20)
        self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health", timeout=5) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture
def server(empty_store: Path, tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    made = Server(folder)
    made.start()
    try:
        yield made
    finally:
        made.kill()
