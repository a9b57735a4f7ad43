"""Tell a server what it was not told when it was time: the records that runs left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlbkg.errors import MlbkgError
from mlbkg.tracking.background import reason_of, without_password
from mlbkg.tracking.calls import Began, Call, End, Metrics, Model, Nested
from mlbkg.tracking.mlflow_run import MlflowRun, tell_again, tell_artifacts
from mlbkg.tracking.mlflow_store import import_mlflow, quiet_mlflow
from mlbkg.tracking.record import Record

TIMEOUT_S = 30.0


class StoreError(MlbkgError):
    """A tracking store does not answer, or takes nothing."""


@dataclass(frozen=True)
class Sent:
    """How much the record held; the server may have had part of it already."""

    run_id: str
    nested: int
    models: int
    files: int


def send(record: Record, *, uri: str, on_call: Callable[[], None] = lambda: None) -> Sent:
    """All of it, in the run that holds part of it already where there is one; the record is gone afterwards.

    The run counts as going on until it has everything, and who is killed here sends it again. Raises :class:`StoreError`
    where the store does not answer, and :class:`MlbkgError` where the record is damaged or the store refuses what it says.
    """
    with quiet_mlflow(timeout_s=TIMEOUT_S):
        import_mlflow()
        try:
            run = MlflowRun(record, uri=uri)
        except MlbkgError:
            raise
        except Exception as error:
            raise StoreError(f"{without_password(uri)} takes nothing: {reason_of(error)}", where=uri) from error
        record.append(Began(run_id=run.run_id))
        try:
            sent = _send(run, record, on_call)
        except MlbkgError:
            raise
        except Exception as error:
            raise MlbkgError(f"{record.folder} was not sent: {reason_of(error)}", where=str(record.folder)) from error
    record.discard()
    return sent


def _send(run: MlflowRun, record: Record, on_call: Callable[[], None]) -> Sent:
    nested: set[str] = set()
    models: set[str] = set()
    last_ms = record.begin.began_ms

    def count(call: Call) -> None:
        nonlocal last_ms
        last_ms = max(last_ms, _latest_ms(call))
        if isinstance(call, Nested):
            nested.add(call.run.name)
        if isinstance(call, Model):
            models.add(call.file)
        on_call()

    end = tell_again(run, record, on_call=count)
    files = tuple(record.artifacts())
    tell_artifacts(run, files, on_file=on_call)
    run.tell(end or End(status="KILLED", ended_ms=last_ms), record)
    return Sent(run.run_id, len(nested), len(models), len(files))


def _latest_ms(call: Call) -> int:
    """The latest time that a call tells of; 0 where it tells of none."""
    match call:
        case Metrics():
            return max((time_ms for *_, time_ms in call.values), default=0)
        case Nested():
            return int(1000 * call.run.ended)
        case _:
            return 0
