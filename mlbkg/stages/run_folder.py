"""``runs/<analysis>/<UTC time>-<short id>/<nn-stage>/``: where a stage writes, and the manifest that makes it valid.

A stage writes into a hidden folder beside its place and renames it at the end, so a killed stage leaves the previous one.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from mlbkg.atomic import atomic_write
from mlbkg.config.schema import Config
from mlbkg.errors import MlbkgError

RUNS = Path("runs")
MANIFEST = "manifest.json"
FOLDERS = {
    "train": "01-train",
    "select": "02-select",
    "fit": "03-fit",
    "scan": "03-scan",
    "limit": "04-limit",
    "combine": "01-combine",
}
"""Stage -> its folder. A run has a fit or a scan; a combination of several is a run of its own."""
STAGES = tuple(FOLDERS)


@dataclass(frozen=True)
class RunFolder:
    """One run of one analysis."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def stage(self, stage: str) -> Path:
        return self.path / FOLDERS[stage]

    def manifest(self, stage: str) -> dict[str, Any] | None:
        """What the finished stage wrote of itself; None where it has not finished."""
        path = self.stage(stage) / MANIFEST
        if not path.is_file():
            return None
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return manifest

    @contextlib.contextmanager
    def writing(self, stage: str) -> Iterator[Path]:
        """A folder to fill; it takes the stage's place, with the old one gone, when the block ends without error."""
        try:
            with replacing(self.stage(stage)) as draft:
                yield draft
        except BaseException:
            with contextlib.suppress(OSError):  # other stages of the run are there
                self.path.rmdir()
            raise


@contextlib.contextmanager
def replacing(final: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of ``final`` when the block ends without error, and is gone otherwise."""
    _clear_up_after_the_killed(final)
    draft = final.with_name(f".{final.name}.{os.getpid()}")
    draft.mkdir(parents=True)
    try:
        yield draft
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    old = final.with_name(f".{final.name}.{os.getpid()}.old")
    if final.exists():
        final.rename(old)
    draft.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def _clear_up_after_the_killed(final: Path) -> None:
    """Drafts whose process is gone, and this one's own; where one was killed between its two renames, the old comes back."""
    for left in sorted(final.parent.glob(f".{final.name}.*")):
        owner = left.name.removesuffix(".old").rpartition(".")[2]
        if not owner.isdecimal() or (int(owner) != os.getpid() and psutil.pid_exists(int(owner))):
            continue
        if left.suffix == ".old" and not final.exists():
            left.rename(final)
        else:
            shutil.rmtree(left, ignore_errors=True)


def new_run(analysis: str) -> RunFolder:
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    path = RUNS / analysis / f"{stamp}-{secrets.token_hex(3)}"
    path.mkdir(parents=True)
    return RunFolder(path)


def latest_run(analysis: str, *, with_stage: str, config: str) -> RunFolder:
    """The newest run whose ``with_stage`` is finished. Raises :class:`MlbkgError` with the command that makes one."""
    folders = sorted((RUNS / analysis).glob("*-*"), reverse=True) if (RUNS / analysis).is_dir() else []
    for folder in folders:
        run = RunFolder(folder)
        if run.manifest(with_stage) is not None:
            return run
    raise MlbkgError(
        f"no finished '{with_stage}' of analysis '{analysis}' under {RUNS / analysis}",
        where=str(RUNS / analysis),
        hint=f"Make one: mlbkg {with_stage} {config}",
    )


def stages_of(config: Config) -> tuple[str, ...]:
    """The stages that a config asks for, in their order."""
    after = {"fit": config.fit, "scan": config.scan}
    looked_for = tuple(stage for stage, section in after.items() if section is not None)
    return ("train", "select", *looked_for, *(("limit",) if looked_for else ()))


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write ``manifest.json``: ``content``, and size and sha256 of every file in ``folder``."""
    files = {
        str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }
    with atomic_write(folder / MANIFEST) as file:
        file.write(json.dumps({**content, "files": files}, indent=1, sort_keys=True) + "\n")


def unblinding(unblind: bool) -> dict[str, Any]:
    """What a manifest says of it: whether data inside the blind range were read, and when."""
    return {"unblind": unblind, "unblinded_utc": datetime.datetime.now(datetime.UTC).isoformat() if unblind else None}


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
