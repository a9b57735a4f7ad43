"""A run in MLflow, written in the background so that a slow or broken server costs seconds and never a result."""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from mlbkg.errors import MlbkgError
from mlbkg.tracking.background import Background, without_password
from mlbkg.tracking.base import NestedRun, NullLog, RunLog
from mlbkg.tracking.calls import (
    MAX_PARAMETER,
    MAX_TAG,
    Began,
    Begin,
    Call,
    Dataset,
    End,
    Metrics,
    Model,
    Nested,
    Parameters,
    Status,
    Tags,
    clean,
    key,
    short,
)
from mlbkg.tracking.mlflow_run import NOTE, MlflowRun, tell_again, tell_artifacts
from mlbkg.tracking.mlflow_store import import_mlflow, prepare_database, quiet_mlflow
from mlbkg.tracking.record import ARTIFACTS, Record
from mlbkg.tracking.system_metrics import SystemMetrics

TIMEOUT_S = 30.0
_AFTER_CTRL_C_S = 5.0


def open_log(
    *,
    enabled: bool,
    uri: str,
    experiment: str,
    run_name: str,
    description: str = "",
    experiment_description: str = "",
    run_id: str | None = None,
    spool: Path | None = None,
    system_metrics: bool = False,
    began: float | None = None,
    timeout_s: float = TIMEOUT_S,
) -> RunLog:
    """The log that a config asks for; enter it to begin the run.

    run_id: of a run that goes on, in place of a new one, which is made all the same where the server has it no more.
    spool: folder that keeps what the server is not told, by custom ``runs/<analysis>/unsent/<run name>``; it is there while
    the run goes on, is gone when all was told, and is what `mlbkg upload` sends otherwise. A run that is opened with the
    folder that an earlier one left tells what is in it first, and goes on in that run. Without it, what is not told is lost.
    system_metrics: sample processors and memory, too. experiment_description: taken where the experiment has none.
    began: when the work of the run began, in seconds since 1970; now by default.
    """
    if not enabled:
        return NullLog()
    begin = Begin(
        id=uuid.uuid4().hex,
        uri=uri,
        experiment=experiment,
        run_name=run_name,
        description=description,
        experiment_description=experiment_description,
        run_id=run_id,
        began_ms=_now_ms() if began is None else int(1000 * began),
    )
    return MlflowLog(begin, spool=spool, system_metrics=system_metrics, timeout_s=timeout_s)


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
    what is not written yet, as long as the server goes on with it. ``run_id`` waits for the server, too; all waiting without
    progress together takes at most ``timeout_s``. The first failure is told once by ``logging``, is kept as ``failure``, and
    ends tracking for this run; what is logged after it is still kept in the spool.
    """

    def __init__(
        self, begin: Begin, *, spool: Path | None = None, system_metrics: bool = False, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._about = begin
        self._spool = spool
        self._timeout_s = timeout_s
        self._run: MlflowRun | None = None
        self._started = threading.Event()
        self._parameters: dict[str, str] = {}
        self._metrics: list[tuple[str, float, int, int]] = []
        self._adding = threading.Lock()
        self._sampler = SystemMetrics(self._sampled) if system_metrics else None
        self._record: Record | None = None
        self._background: Background | None = None
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
        self._record = Record.claim(self._spool or Path(tempfile.mkdtemp(prefix="mlbkg-tracking-")), self._about)
        kept = f"What it is not told is kept in {self._record.folder}; send it later: mlbkg upload" if self._spool else ""
        what = f"Tracking to {without_password(self._about.uri)}"
        self._background = Background(what, timeout_s=self._timeout_s, then=kept)
        self._background.submit(self._begin)
        if (self._record.continued or self._about.run_id) and self._about.description:
            self.tags({NOTE: self._about.description})
        if self._sampler is not None:
            self._sampler.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._background is not None
        if self._sampler is not None:
            self._sampler.stop()
        status: Status = "FINISHED"
        if error is not None:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            self.tags({"error": f"{type(error).__name__}: {error}"})
        self._background.submit(self._tell_artifacts)
        end = End(status=status, ended_ms=_now_ms())
        self._keep(end)
        self._background.finish(last=lambda: self._end(end), at_most_s=_AFTER_CTRL_C_S if status == "KILLED" else None)
        self._put_away()
        self._open.close()

    def parameters(self, values: Mapping[str, object]) -> None:
        new = {key(name): short(value, MAX_PARAMETER) for name, value in values.items()}
        new = {name: value for name, value in new.items() if name not in self._parameters}
        self._parameters.update(new)
        self._tell(Parameters(values=new))

    def metrics(self, values: Mapping[str, float], *, step: int | None = None) -> None:
        now_ms = _now_ms()
        new = tuple((key(name), float(value), step or 0, now_ms) for name, value in values.items())
        self._keep(Metrics(values=new))
        with self._adding:
            idle = not self._metrics
            self._metrics += new
        if idle:
            self._do(self._tell_metrics)

    def tags(self, values: Mapping[str, str]) -> None:
        self._tell(Tags(values={key(name): short(value, MAX_TAG) for name, value in values.items()}))

    def dataset(self, name: str, *, fingerprint: str, source: str, rows: int) -> None:
        self._tell(Dataset(name=name, fingerprint=fingerprint, source=source, rows=rows))

    def artifact(self, path: Path, *, folder: str = "") -> None:
        self._copy(path, f"{ARTIFACTS}/{folder}")

    def nested(self, run: NestedRun) -> None:
        self._tell(Nested(run=clean(run)))

    def onnx_model(
        self,
        path: Path,
        *,
        name: str,
        alias: str | None,
        description: str,
        tags: Mapping[str, str] | None = None,
        card: Path | None = None,
    ) -> None:
        if self._record is None:
            return
        folder = self._record.model_folder()
        copied = [self._copy(file, folder) for file in (path, card) if file is not None]
        if all(copied):
            self._tell(
                Model(
                    file=f"{folder}/{path.name}",
                    card=f"{folder}/{card.name}" if card is not None else None,
                    name=name,
                    alias=alias,
                    description=description,
                    tags={key(tag): short(value, MAX_TAG) for tag, value in (tags or {}).items()},
                )
            )

    def _tell(self, call: Call) -> None:
        self._keep(call)
        self._do(lambda run, record: run.tell(call, record))

    def _do(self, work: Callable[[MlflowRun, Record], None]) -> None:
        if self._background is not None:
            self._background.submit(lambda: work(self._run, self._record) if self._run and self._record else None)

    def _keep(self, call: Call) -> None:
        self._on_disk(lambda record: record.append(call))

    def _copy(self, path: Path, folder: str) -> bool:
        return self._on_disk(lambda record: record.keep(path, folder))

    def _on_disk(self, work: Callable[[Record], object]) -> bool:
        """Whether it could be done. Without a spool nothing is kept for later, once tracking has failed."""
        if self._background is None or self._record is None or (self._spool is None and self.failure):
            return False
        try:
            work(self._record)
        except (OSError, MlbkgError) as error:
            self._background.fail(error)
            return False
        return True

    def _begin(self) -> None:
        assert self._record is not None
        assert self._background is not None
        import_mlflow()
        self._background.tick()
        left = self._record.continued
        self._run = MlflowRun(self._record, uri=self._about.uri)
        self._record.append(Began(run_id=self._run.run_id))
        self._started.set()
        if left:
            tick = self._background.tick
            tell_again(self._run, self._record, on_call=lambda _: tick())

    def _tell_metrics(self, run: MlflowRun, record: Record) -> None:
        """All that came while the server was busy, in one call."""
        with self._adding:
            metrics, self._metrics = self._metrics, []
        run.metrics(metrics)

    def _tell_artifacts(self) -> None:
        if self._run and self._record and self._background:
            tell_artifacts(self._run, self._record.artifacts(), on_file=self._background.tick)

    def _end(self, end: End) -> None:
        if self._run and self._record:
            self._run.tell(end if self.failure is None else end.model_copy(update={"status": "FAILED"}), self._record)

    def _sampled(self, values: Mapping[str, float]) -> None:
        """At the second of the run, so that a run that goes on does not go back."""
        began_ms = self._run.began_ms if self._run else self._about.began_ms
        self.metrics(values, step=(_now_ms() - began_ms) // 1000)

    def _put_away(self) -> None:
        assert self._record is not None
        if self.failure is None or self._spool is None:
            self._record.discard()
            if self._spool is not None:
                with suppress(OSError):  # others have records there
                    self._record.folder.parent.rmdir()
        else:
            self._record.close()


def _now_ms() -> int:
    return int(time.time() * 1000)
