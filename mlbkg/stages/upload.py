"""``mlbkg upload``: send what tracking servers were not told while they were down, or their program was killed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbkg.config.load import load
from mlbkg.errors import MlbkgError
from mlbkg.stages.progress import NoProgress, Progress
from mlbkg.stages.run_folder import RUNS
from mlbkg.tracking.background import without_password
from mlbkg.tracking.record import CALLS, Record
from mlbkg.tracking.upload import Sent, StoreError, send

UNSENT = "unsent"


def spool_of(analysis: str, run_name: str) -> Path:
    """Where a run of an analysis keeps what a server was not told; what ``open_log`` takes as ``spool``."""
    return RUNS / analysis / UNSENT / run_name


@dataclass(frozen=True)
class Uploaded:
    """A record that is on a server now."""

    record: Path
    run_name: str
    experiment: str
    uri: str
    sent: Sent

    def to_json(self) -> dict[str, Any]:
        return {
            "record": str(self.record),
            "name": self.run_name,
            "experiment": self.experiment,
            "uri": without_password(self.uri),
            "run_id": self.sent.run_id,
            "nested_runs": self.sent.nested,
            "models": self.sent.models,
            "files": self.sent.files,
        }


@dataclass(frozen=True)
class Kept:
    """A record that is still here. in_use: by a run that goes on, which is no failure."""

    record: Path
    reason: str
    in_use: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"record": str(self.record), "reason": self.reason, "in_use": self.in_use}


@dataclass(frozen=True)
class UploadResult:
    uploaded: tuple[Uploaded, ...]
    kept: tuple[Kept, ...]

    @property
    def failure(self) -> MlbkgError | None:
        """What could not be sent; None where all is well."""
        failed = [one for one in self.kept if not one.in_use]
        if not failed:
            return None
        runs = "1 run was" if len(failed) == 1 else f"{len(failed)} runs were"
        return MlbkgError(
            f"{runs} not sent",
            details=[one.reason for one in failed],
            where=str(failed[0].record),
            hint="Nothing is lost. When the store answers: mlbkg upload",
        )

    def to_json(self) -> dict[str, Any]:
        return {"uploaded": [one.to_json() for one in self.uploaded], "kept": [one.to_json() for one in self.kept]}


def upload(config_path: Path | None = None, *, progress: Progress | None = None) -> UploadResult:
    """Send every record under ``runs/`` to the store it was meant for, oldest first.

    With a config, those of its analysis, to the store that it names now. What cannot be sent is kept, with the reason.
    """
    config = load(config_path).config if config_path else None
    folders = RUNS / config.analysis if config else RUNS
    found = [path.parent for path in folders.glob(f"{UNSENT}/*/{CALLS}" if config else f"*/{UNSENT}/*/{CALLS}")]
    taken, kept = _take(sorted(found))
    uploaded: list[Uploaded] = []
    silent: dict[str, str] = {}
    advance = (progress if progress and taken else NoProgress()).step("upload", total=len(taken), unit="runs")
    for record in taken:
        uri = config.tracking.uri if config else record.begin.uri
        try:
            if uri in silent:
                raise StoreError(silent[uri], where=uri)
            sent = send(record, uri=uri)
        except MlbkgError as error:
            if isinstance(error, StoreError):
                silent[uri] = error.what
            kept.append(Kept(record.folder, error.what))
        else:
            uploaded.append(Uploaded(record.folder, record.begin.run_name, record.begin.experiment, uri, sent))
            _remove_if_empty(record.folder.parent)
        finally:
            record.close()
        advance(1)
    return UploadResult(tuple(uploaded), tuple(kept))


def _take(folders: list[Path]) -> tuple[list[Record], list[Kept]]:
    taken: list[Record] = []
    kept: list[Kept] = []
    for folder in folders:
        try:
            record = Record.take(folder)
        except FileNotFoundError:  # its run has told all of it just now
            continue
        except MlbkgError as error:
            kept.append(Kept(folder, error.what))
            continue
        if record is None:
            kept.append(Kept(folder, "a run that goes on writes it", in_use=True))
        else:
            taken.append(record)
    return sorted(taken, key=lambda record: record.begin.began_ms), kept


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # another record is there
        return
