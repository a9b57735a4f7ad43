"""One simulated sample: blocks of events in worker processes, written in order to one ROOT file."""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator, Philox, SeedSequence
from numpy.typing import NDArray

from mlbkg.errors import ConfigError
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.parallel import advance, parallel_map
from mlbkg.simulation.base import PROCESSES
from mlbkg.simulation.collisions import collide
from mlbkg.simulation.detector import Events, detect

logger = logging.getLogger(__name__)

TREE = "events"
FORMAT_VERSION = 1
BLOCK_EVENTS = 10_000
"""Events that share one random stream. A fixed number, so that the events do not depend on how many workers make them."""

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


def generate(
    process: str,
    *,
    events: int,
    seed: int,
    sample: str,
    path: Path,
    workers: int,
    on_progress: Callable[[int], None] | None = None,
) -> SimulatedSample:
    """Generate ``events`` collisions and write those with at least one track of each charge.

    The events depend on ``process``, ``seed`` and ``sample``, not on ``workers``; a longer sample begins with the whole
    blocks of a shorter one. ``on_progress`` is told how many more events are done. Raises :class:`ConfigError` for an
    unknown process or an impossible number; after an error or Ctrl-C, ``path`` is as it was before.
    """
    chosen = PROCESSES[process]
    for name, value, least in (("events", events, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if value < least:
            raise ConfigError(f"{name} of sample '{sample}' must be at least {least}; got {value}", where=name)
    blocks = [
        Block(process, sample, seed, number, min(BLOCK_EVENTS, events - number * BLOCK_EVENTS))
        for number in range(-(-events // BLOCK_EVENTS))
    ]
    begun = time.monotonic()
    metadata = {
        "process": process,
        "events": events,
        "seed": seed,
        "sample": sample,
        "cross_section_nb": chosen.cross_section_nb,
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
    generated = process.generate_block(rng, block.events, pythia_seed)
    collisions = collide(rng, generated, process.nominal_beams, resonant=process.resonant)
    n = block.events
    identity = {
        "__experiment__": np.full(n, FIRST_EXPERIMENT + process.number),
        "__run__": np.full(n, run_number(block.seed, block.sample)),
        "__event__": block.number * BLOCK_EVENTS + np.arange(n),
    }
    return detect(rng, collisions, identity=identity)


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
