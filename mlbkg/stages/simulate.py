"""``mlbkg simulate``: make the toy samples that a config declares and that do not exist yet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlbkg.config.load import LoadedConfig, load
from mlbkg.config.scale import OPTION
from mlbkg.config.schema import SampleConfig, Simulate
from mlbkg.errors import ConfigError
from mlbkg.ntuples.files import metadata
from mlbkg.simulation.base import PROCESSES
from mlbkg.simulation.generate import generate
from mlbkg.stages.progress import NoProgress, Progress


@dataclass(frozen=True)
class SimulatedFile:
    """``made`` is False where the file was there already."""

    sample: str
    path: str
    events: int
    made: bool
    seconds: float


@dataclass(frozen=True)
class SimulateResult:
    files: tuple[SimulatedFile, ...]

    def to_json(self) -> dict[str, Any]:
        return {"files": [asdict(file) for file in self.files], "seconds": sum(file.seconds for file in self.files)}


def simulate(
    config_path: Path,
    *,
    scale: float = 1.0,
    force: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> SimulateResult:
    """Make every sample with a ``simulate`` section; files that exist with the same settings are kept.

    ``scale``: times as many events as the config says, in files of their own.

    Raises :class:`ConfigError` where a file exists that was made with other settings and ``force`` is not given.
    """
    return simulate_samples(load(config_path, scale=scale), force=force, workers=workers, progress=progress or NoProgress())


def simulate_samples(loaded: LoadedConfig, *, force: bool, workers: int | None, progress: Progress) -> SimulateResult:
    wanted = [sample for sample in loaded.config.samples if sample.simulate is not None]
    if not force:
        _refuse_other_settings(loaded, wanted)
    workers = workers or os.cpu_count() or 1
    return SimulateResult(
        tuple(_make(sample, loaded.config.seed, force=force, workers=workers, progress=progress) for sample in wanted)
    )


def output_path(sample: SampleConfig) -> Path:
    """Where a simulated sample is written: its one pattern, with the star replaced."""
    return Path(sample.files[0].replace("*", "_0"))


def _make(sample: SampleConfig, seed: int, *, force: bool, workers: int, progress: Progress) -> SimulatedFile:
    assert sample.simulate is not None
    path = output_path(sample)
    if path.is_file() and not force:
        return SimulatedFile(sample.name, str(path), sample.simulate.events, made=False, seconds=0.0)
    advance = progress.step(f"simulate {sample.name}", total=sample.simulate.events, unit="events")
    made = generate(
        sample.simulate.process,
        events=sample.simulate.events,
        seed=seed,
        sample=sample.name,
        path=path,
        workers=workers,
        beams=sample.simulate.beams,
        settings=sample.simulate.settings,
        on_progress=advance,
    )
    return SimulatedFile(sample.name, str(path), made.events_generated, made=True, seconds=made.seconds)


def _settings(simulate: Simulate, seed: int) -> dict[str, Any]:
    """What a file must say of itself to be the one that is wanted."""
    process = PROCESSES[simulate.process]
    return {
        "process": simulate.process,
        "events": simulate.events,
        "seed": seed,
        "beams": simulate.beams or process.beams,
        "settings": process.params.model_validate(simulate.settings).model_dump(mode="json"),
    }


def _refuse_other_settings(loaded: LoadedConfig, samples: Sequence[SampleConfig]) -> None:
    problems = []
    for sample in samples:
        path = output_path(sample)
        if sample.simulate is None or not path.is_file():
            continue
        wanted = _settings(sample.simulate, loaded.config.seed)
        found = metadata(str(path))
        differing = [
            f"{key} {found.get(key)!r}, config says {value!r}" for key, value in wanted.items() if found.get(key) != value
        ]
        if differing:
            problems.append(f"{path} (sample '{sample.name}') was made with {'; '.join(differing)}")
    if problems:
        size = f" {OPTION} {loaded.scale:g}" if loaded.scale != 1 else ""
        raise ConfigError(
            f"{len(problems)} simulated file{'s' if len(problems) != 1 else ''} made with other settings",
            details=problems,
            where=str(loaded.path),
            hint=f"Make them again: mlbkg simulate {loaded.path}{size} --force",
        )
