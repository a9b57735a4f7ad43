"""``mlbkg run``: every stage in order; what would come out the same is kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlbkg.config.load import LoadedConfig, load
from mlbkg.errors import MlbkgError
from mlbkg.stages.check import check
from mlbkg.stages.fit import fit
from mlbkg.stages.freshness import is_fresh, key_of
from mlbkg.stages.limit import limit
from mlbkg.stages.progress import NoProgress, Progress
from mlbkg.stages.run_folder import RunFolder, latest_run, stages_of
from mlbkg.stages.scan import scan
from mlbkg.stages.select import select
from mlbkg.stages.simulate import simulate_samples
from mlbkg.stages.train import train

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ran:
    """``kept``: what was there is what the stage would have made."""

    stage: str
    kept: bool
    seconds: float


@dataclass(frozen=True)
class RunResult:
    """``done``: stage -> its result, of stages that were not kept."""

    run: RunFolder
    stages: tuple[Ran, ...]
    done: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {
            "run_dir": str(self.run.path),
            "stages": [asdict(ran) for ran in self.stages],
            "seconds": sum(ran.seconds for ran in self.stages),
            **{stage: result.to_json() for stage, result in self.done.items()},
        }


def run(
    config_path: Path,
    *,
    scale: float = 1.0,
    unblind: bool = False,
    force: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Simulate what is missing, train, select, fit or scan, limit. A config with neither ends with the selection.

    A stage is kept where its config sections, its samples' files, the stages before it and the program's version are those
    that it was made with, and its files are whole; after a kill the stages that had finished are kept. ``force``: none is.
    """
    progress = progress or NoProgress()
    begin = time.perf_counter()
    loaded = load(config_path, scale=scale)
    check(config_path, scale=scale)
    simulate_samples(loaded, force=False, workers=workers, progress=progress)
    ran = [Ran("simulate", kept=False, seconds=time.perf_counter() - begin)]
    work: dict[str, Callable[[], Any]] = {
        "train": lambda: train(config_path, scale=scale, workers=workers, progress=progress),
        "select": lambda: select(config_path, scale=scale, unblind=unblind, workers=workers, progress=progress),
        "fit": lambda: fit(config_path, scale=scale, unblind=unblind, workers=workers, progress=progress),
        "scan": lambda: scan(config_path, scale=scale, unblind=unblind, workers=workers, progress=progress),
        "limit": lambda: limit(config_path, scale=scale, unblind=unblind, workers=workers, progress=progress),
    }
    done = {}
    for stage in stages_of(loaded.config):
        begin = time.perf_counter()
        kept = not force and _kept(stage, loaded, unblind=unblind)
        if not kept:
            done[stage] = work[stage]()
        ran.append(Ran(stage, kept, time.perf_counter() - begin))
    return RunResult(_latest(loaded), tuple(ran), done)


def _kept(stage: str, loaded: LoadedConfig, *, unblind: bool) -> bool:
    try:
        found = _latest(loaded)
    except MlbkgError:
        return False
    options = {} if stage == "train" else {"unblind": unblind}
    return is_fresh(stage, key_of(stage, loaded, found, **options), found)


def _latest(loaded: LoadedConfig) -> RunFolder:
    return latest_run(loaded.config.analysis, with_stage="train", config=str(loaded.path))
