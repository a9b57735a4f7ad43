"""One simulated sample: blocks of events in worker processes, written in order to one ROOT file."""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator, Philox, SeedSequence
from numpy.typing import NDArray

from mlbkg.errors import ConfigError
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.parallel import advance, parallel_map
from mlbkg.physics.beams import Beams, beams_named
from mlbkg.simulation.base import PROCESSES, ProcessParams, Setting
from mlbkg.simulation.collisions import collide
from mlbkg.simulation.detector import Events, detect

logger = logging.getLogger(__name__)

TREE = "events"
FORMAT_VERSION = 2
BLOCK_EVENTS = 10_000
"""Events that share one random stream. A fixed number, so that the events do not depend on how many workers make them."""

MASSES = ("mc_mass", "mc_mass_h")
"""Branches that hold an event's hypothesis."""
FIRST_EXPERIMENT = 1000
FILTER = "at least one track of each charge"
_PYTHIA_SEEDS = 899_999_900


@dataclass(frozen=True)
class SimulatedSample:
    path: Path
    events_generated: int
    events_written: int
    seconds: float


@dataclass(frozen=True)
class Block:
    """Events ``number * BLOCK_EVENTS`` onwards of a sample."""

    process: str
    sample: str
    seed: int
    number: int
    events: int
    beams: Beams
    params: ProcessParams

    @property
    def event_numbers(self) -> NDArray[np.int64]:
        return self.number * BLOCK_EVENTS + np.arange(self.events)

    @property
    def hypothesis(self) -> NDArray[np.float64]:
        """``(events, n_masses)``"""
        masses = self.params.hypotheses
        return np.array(masses)[self.event_numbers % len(masses)] if masses else np.empty((self.events, 0))


def generate(
    process: str,
    *,
    events: int,
    seed: int,
    sample: str,
    path: Path,
    workers: int,
    beams: str | None = None,
    settings: Mapping[str, Any] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> SimulatedSample:
    """Generate ``events`` collisions and write those with at least one track of each charge.

    ``beams``: the process' own by default. ``settings``: of the process' parameters.

    The events depend on ``process``, ``seed`` and ``sample``, not on ``workers``; a longer sample begins with the whole
    blocks of a shorter one. ``on_progress`` is told how many more events are done. Raises :class:`ConfigError` for an
    unknown process or an impossible number; after an error or Ctrl-C, ``path`` is as it was before.
    """
    chosen = PROCESSES[process]
    for name, value, least in (("events", events, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if value < least:
            raise ConfigError(f"{name} of sample '{sample}' must be at least {least}; got {value}", where=name)
    params = chosen.params.model_validate(dict(settings or {}))
    nominal = beams_named(beams or chosen.beams)
    blocks = [
        Block(process, sample, seed, number, min(BLOCK_EVENTS, events - number * BLOCK_EVENTS), nominal, params)
        for number in range(-(-events // BLOCK_EVENTS))
    ]
    begun = time.monotonic()
    metadata = {
        "process": process,
        "events": events,
        "seed": seed,
        "sample": sample,
        "cross_section_nb": chosen.cross_section(nominal, params),
        "beams": nominal.name,
        "settings": params.model_dump(mode="json"),
        "generated": generated_by_hypothesis(events, params),
        "filter": FILTER,
        "version": FORMAT_VERSION,
    }
    written = 0
    with (
        AtomicRootWriter(path, tree=TREE, metadata=metadata) as writer,
        closing(parallel_map(_filtered, blocks, workers=workers, on_progress=on_progress)) as made,
    ):
        for block in made:
            writer.extend(block.to_columns())
            written += len(block)
        writer.metadata["filter_efficiency"] = written / events
    seconds = time.monotonic() - begun
    logger.info("%s: %d of %d events written in %.1f s (%.0f/s)", path, written, events, seconds, events / seconds)
    return SimulatedSample(path, events, written, seconds)


def simulate_block(block: Block) -> Events:
    """All events of one block, also those that are not written."""
    process = PROCESSES[block.process]
    sample = zlib.crc32(block.sample.encode())
    stream = SeedSequence([block.seed, sample, block.number])
    rng = Generator(Philox(stream))
    pythia_seed = 1 + int(stream.generate_state(2)[1]) % _PYTHIA_SEEDS
    setting = Setting(block.beams, pythia_seed, block.params, block.hypothesis)
    generated = process.generate_block(rng, block.events, setting)
    collisions = collide(rng, generated, block.beams, resonant=process.resonant)
    n = block.events
    identity = {
        "__experiment__": np.full(n, FIRST_EXPERIMENT + process.number),
        "__run__": np.full(n, run_number(block.seed, block.sample)),
        "__event__": block.event_numbers,
        **dict(zip(MASSES, setting.hypothesis.T, strict=False)),
    }
    return detect(rng, collisions, identity=identity)


def generated_by_hypothesis(events: int, params: ProcessParams) -> list[list[float]]:
    """``[mass, ..., events]`` for every hypothesis of a sample."""
    masses = params.hypotheses
    return [[*hypothesis, len(range(i, events, len(masses)))] for i, hypothesis in enumerate(masses)]


def run_number(seed: int, sample: str) -> int:
    """31 bits of the sample's seed: samples of the same process differ in it."""
    return int(SeedSequence([seed, zlib.crc32(sample.encode())]).generate_state(1)[0]) & 0x7FFFFFFF


def has_both_charges(events: Events) -> NDArray[np.bool_]:
    """Without a track of each charge there is no candidate of any kind."""
    charge, counts = events.collections["track"]["charge"], events.counts["track"]
    event = np.repeat(np.arange(len(events)), counts)
    positive, negative = (np.bincount(event[charge == sign], minlength=len(events)) for sign in (1, -1))
    return np.asarray((positive > 0) & (negative > 0))


def _filtered(block: Block) -> Events:
    events = simulate_block(block)
    advance(block.events)
    return events.take(has_both_charges(events))
