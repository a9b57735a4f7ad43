"""Which events train together: folds and validation parts by a hash of the event id.

The hash is defined by arithmetic alone, so that any program on any machine gives an event the same fold:
``h = first 8 bytes (little endian) of SHA-256(salt)``; for each part ``v`` of the event id, as an unsigned 64-bit number,
``h = mix(h ^ v)``; the fold is ``h % n_folds``. ``mix`` is SplitMix64's step (Steele, Lea, Flood, OOPSLA 2014).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def event_hash(event_id: NDArray[np.int64], *, salt: str) -> NDArray[np.uint64]:
    """``(n,)`` hashes of the rows of ``event_id (n, n_id)``."""
    seed = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "little")
    hashes = np.full(len(event_id), seed, dtype=np.uint64)
    for part in np.ascontiguousarray(event_id.T, dtype=np.int64).view(np.uint64):
        hashes = _mix(hashes ^ part)
    return hashes


def assign_folds(event_id: NDArray[np.int64], *, n_folds: int, salt: str) -> NDArray[np.int8]:
    """``(n,)`` folds, 0 to ``n_folds - 1``; rows of one event have one fold."""
    return (event_hash(event_id, salt=salt) % np.uint64(n_folds)).astype(np.int8)


def validation_mask(event_id: NDArray[np.int64], *, fraction: float, salt: str) -> NDArray[np.bool_]:
    """True for the ``fraction`` of events kept for early stopping, independent of their folds."""
    share = event_hash(event_id, salt=f"{salt}/validation") >> np.uint64(11)
    return share < np.uint64(round(fraction * 2**53))


def event_index(event_id: NDArray[np.int64], group: NDArray[np.int16]) -> NDArray[np.int64]:
    """``(n,)`` numbers 0, 1, ... that are equal for candidates of one event of one ``group``.

    Simulated samples may number their events alike; ``group`` tells the samples apart.
    """
    hashes = event_hash(np.column_stack([event_id, group.astype(np.int64)]), salt="event")
    return np.unique(hashes, return_inverse=True)[1].astype(np.int64)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
