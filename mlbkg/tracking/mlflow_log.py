"""A run in MLflow, written in the background so that a slow or broken server costs seconds and never a result."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from mlbkg.tracking.background import Background, without_password
from mlbkg.tracking.base import NullLog, RunLog
from mlbkg.tracking.mlflow_store import (
    MAX_KEY,
    MAX_METRICS,
    MAX_PARAMETER,
    MAX_TAG,
    MlflowRun,
    import_mlflow,
    prepare_database,
    quiet_mlflow,
)

TIMEOUT_S = 30.0
_AFTER_CTRL_C_S = 5.0


def open_log(
    *,
    enabled: bool,
    uri: str,
    experiment: str,
    run_name: str,
    description: str = "",
    timeout_s: float = TIMEOUT_S,
) -> RunLog:
    """The log that a config asks for; enter it to begin the run."""
    if not enabled:
        return NullLog()
    return MlflowLog(uri, experiment, run_name=run_name, description=description, timeout_s=timeout_s)


def warm_up(uri: str | None = None) -> None:
    """Begin to import MLflow, and to make its database where ``uri`` is an embedded one, beside other work."""

    def work() -> None:
        with quiet_mlflow(timeout_s=TIMEOUT_S):
            import_mlflow()
            if uri is not None:
                # The log that is opened later meets the same trouble, and tells it.
                with suppress(Exception):
                    prepare_database(uri)

    threading.Thread(target=work, name="mlbkg-import-mlflow", daemon=True).start()


class MlflowLog:
    """A :class:`~mlbkg.tracking.base.RunLog`; a run begins with ``with`` and ends with its block.

    Calls return at once; files are copied when they are logged, so they may move afterwards. Leaving the block waits for
    what is not written yet. ``run_id`` waits for the server, too; all waiting together takes at most ``timeout_s``. The
    first failure is told once by ``logging``, is kept as ``failure``, and ends tracking for this run.
    """

    def __init__(self, uri: str, experiment: str, *, run_name: str, description: str, timeout_s: float = TIMEOUT_S) -> None:
        self._uri = uri
        self._experiment = experiment
        self._run_name = run_name
        self._description = description
        self._timeout_s = timeout_s
        self._run: MlflowRun | None = None
        self._started = threading.Event()
        self._background: Background | None = None
        self._parameters: dict[str, str] = {}
        self._metrics: list[tuple[str, float, int, int]] = []
        self._staging = Path()
        self._models = 0
        self._open = ExitStack()

    @property
    def failure(self) -> str | None:
        """Why tracking gave up; None while all is well."""
        return self._background.failure if self._background else None

    @property
    def run_id(self) -> str | None:
        if self._background is not None:
            self._background.wait(self._started)
        return self._run.run_id if self._run else None

    def __enter__(self) -> Self:
        self._open.enter_context(quiet_mlflow(timeout_s=self._timeout_s))
        self._staging = Path(tempfile.mkdtemp(prefix="mlbkg-tracking-"))
        self._open.callback(shutil.rmtree, self._staging, ignore_errors=True)
        self._background = Background(f"Tracking to {without_password(self._uri)}", timeout_s=self._timeout_s)
        self._background.submit(self._begin)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._background is not None
        if error is None:
            status = "FINISHED"
        else:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            self.tags({"error": f"{type(error).__name__}: {error}"})
        self._flush_metrics()
        self._do(lambda run: run.artifacts(self._staging / "artifacts") if self._has_artifacts else None)
        self._background.finish(
            last=lambda: self._run.end(status if self.failure is None else "FAILED") if self._run else None,
            at_most_s=_AFTER_CTRL_C_S if status == "KILLED" else None,
        )
        self._open.close()

    def parameters(self, values: Mapping[str, object]) -> None:
        new = {_key(key): _short(value, MAX_PARAMETER) for key, value in values.items()}
        # A server refuses a second value of a parameter; the first stays.
        new = {key: value for key, value in new.items() if key not in self._parameters}
        self._parameters.update(new)
        self._do(lambda run: run.parameters(new))

    def metrics(self, values: Mapping[str, float], *, step: int | None = None) -> None:
        now_ms = int(time.time() * 1000)
        self._metrics += [(_key(key), float(value), step or 0, now_ms) for key, value in values.items()]
        if len(self._metrics) >= MAX_METRICS:
            self._flush_metrics()

    def tags(self, values: Mapping[str, str]) -> None:
        short = {_key(key): _short(value, MAX_TAG) for key, value in values.items()}
        self._do(lambda run: run.tags(short))

    def dataset(self, name: str, *, fingerprint: str, source: str, rows: int) -> None:
        self._do(lambda run: run.dataset(name, fingerprint=fingerprint, source=source, rows=rows))

    def artifact(self, path: Path, *, folder: str = "") -> None:
        self._copy(path, self._staging / "artifacts" / folder)

    def onnx_model(self, path: Path, *, name: str, alias: str | None, description: str) -> None:
        self._models += 1
        work = self._staging / f"model{self._models}"
        copy = self._copy(path, work)
        self._do(lambda run: run.onnx_model(copy, name=name, alias=alias, description=description, work=work))

    def _copy(self, path: Path, folder: Path) -> Path:
        """``path``, a file or a folder, copied into ``folder``; the answer is the copy."""
        copy = folder / path.name
        if self._background is None or self._background.failure is not None:
            return copy
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, copy, dirs_exist_ok=True)
            else:
                shutil.copy2(path, copy)
        except OSError as error:
            self._background.fail(error)
        return copy

    @property
    def _has_artifacts(self) -> bool:
        return (self._staging / "artifacts").is_dir()

    def _begin(self) -> None:
        import_mlflow()
        self._run = MlflowRun(
            uri=self._uri, experiment=self._experiment, run_name=self._run_name, description=self._description
        )
        self._started.set()

    def _do(self, work: Callable[[MlflowRun], None]) -> None:
        if self._background is not None:
            self._background.submit(lambda: work(self._run) if self._run else None)

    def _flush_metrics(self) -> None:
        metrics, self._metrics = self._metrics, []
        self._do(lambda run: run.metrics(metrics))


def _key(key: str) -> str:
    """MLflow takes letters, digits and ``_-./ :`` in keys, and no path that leads elsewhere."""
    clean = re.sub(r"[^\w\-./ :]", "_", key, flags=re.ASCII)
    return re.sub(r"(^|/)[./]+", r"\1_", clean)[:MAX_KEY] or "_"


def _short(value: object, limit: int) -> str:
    text = str(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
