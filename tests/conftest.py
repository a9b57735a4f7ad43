"""Toy chunks of events for tests of candidates and features: no physics in them, only the branches and their ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest

from mlbkg.simulation.events import CLUSTER, EVENT, KLM, TRACK

EventMaker = Callable[..., dict[str, Any]]


def _values(name: str, n: int, rng: np.random.Generator) -> np.ndarray:
    draws: dict[str, Callable[[], np.ndarray]] = {
        "charge": lambda: rng.choice([-1, 1], n),
        "d0": lambda: rng.normal(0, 0.01, n),
        "z0": lambda: rng.normal(0, 0.02, n),
        "d0_error": lambda: rng.uniform(0.001, 0.02, n),
        "z0_error": lambda: rng.uniform(0.002, 0.03, n),
        "energy": lambda: rng.exponential(0.3, n) + 0.02,
        "theta": lambda: np.arccos(rng.uniform(-0.9, 0.95, n)),
        "phi": lambda: rng.uniform(-np.pi, np.pi, n),
        "hadronic": lambda: rng.integers(0, 2, n),
        "mc_background": lambda: rng.integers(0, 2, n),
        "mc_from_dipion": lambda: rng.integers(0, 2, n),
        "mc_pdg": lambda: rng.choice([-211, 211, 13, -13, 11, -11], n),
    }
    if name in ("px", "py", "pz"):
        return rng.normal(0.1 if name == "pz" else 0.0, 0.5, n)
    return draws[name]() if name in draws else rng.uniform(0, 1, n)


def _make_events(*, n_tracks: Any, n_clusters: Any = None, n_klm: Any = None, seed: int = 1) -> dict[str, Any]:
    """A chunk with the given multiplicity of each event; as many clusters as tracks and no KLM cluster by default."""
    rng = np.random.default_rng(seed)
    counts = {"track": np.asarray(n_tracks, dtype=np.int64)}
    counts["cluster"] = counts["track"] if n_clusters is None else np.asarray(n_clusters, dtype=np.int64)
    counts["klm"] = 0 * counts["track"] if n_klm is None else np.asarray(n_klm, dtype=np.int64)
    n_events = len(counts["track"])
    events: dict[str, Any] = {
        name: np.arange(n_events).astype(branch.dtype) + (name == "__event__") for name, branch in EVENT.items()
    }
    for collection, branches in (("track", TRACK), ("cluster", CLUSTER), ("klm", KLM)):
        for name, branch in branches.items():
            values = _values(name, int(counts[collection].sum()), rng).astype(branch.dtype)
            events[f"{collection}_{name}"] = ak.unflatten(values, counts[collection])
    return events


@pytest.fixture(scope="session")
def make_events() -> EventMaker:
    return _make_events
