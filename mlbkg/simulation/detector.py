"""Collisions to what Belle II would reconstruct of them: the branches of :mod:`mlbkg.simulation.events`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.simulation.clusters import deposit, klm_clusters, neutral_clusters
from mlbkg.simulation.collisions import Collisions
from mlbkg.simulation.events import COLLECTIONS, EVENT
from mlbkg.simulation.tracks import reconstruct_tracks

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Events:
    """Reconstructed events.

    event: branch -> ``(n_events,)``. counts: collection -> entries in each event. collections: collection -> branch ->
    ``(sum of counts,)``, event by event, tracks by falling pT and clusters by falling energy.
    """

    event: Columns
    counts: Columns
    collections: dict[str, Columns]

    def __len__(self) -> int:
        return len(self.event["__event__"])

    def take(self, kept: NDArray[np.bool_]) -> Events:
        return Events(
            {name: values[kept] for name, values in self.event.items()},
            {name: counts[kept] for name, counts in self.counts.items()},
            {
                name: {branch: values[np.repeat(kept, self.counts[name])] for branch, values in columns.items()}
                for name, columns in self.collections.items()
            },
        )

    def to_columns(self) -> dict[str, Any]:
        """Branch of the file -> flat numpy or jagged awkward array."""
        import awkward as ak

        columns: dict[str, Any] = dict(self.event)
        for name, branches in self.collections.items():
            columns[f"n_{name}"] = self.counts[name].astype(np.int32)
            columns |= {f"{name}_{branch}": ak.unflatten(values, self.counts[name]) for branch, values in branches.items()}
        return columns


def detect(rng: Generator, collisions: Collisions, *, identity: Columns) -> Events:
    """``identity``: the branches that number the events, and the masses that are searched for, where there are any."""
    tracks = reconstruct_tracks(rng, collisions)
    deposits = deposit(rng, collisions)
    with_track = np.zeros(len(collisions.pdg), dtype=bool)
    with_track[tracks.particle] = True
    track_columns = {**tracks.columns, "cluster_energy": deposits.energy[tracks.particle]}
    clusters = neutral_clusters(rng, collisions, deposits, with_track=with_track)
    klm = klm_clusters(rng, collisions)
    pt = np.hypot(tracks.columns["px"], tracks.columns["py"])
    collections = {
        "track": (tracks.event, track_columns, pt),
        "cluster": (clusters.event, clusters.columns, clusters.columns["energy"]),
        "klm": (klm.event, klm.columns, np.zeros(len(klm.event))),
    }
    counts, ordered = {}, {}
    for name, (event, columns, key) in collections.items():
        order = np.lexsort((-key, event))
        counts[name] = np.bincount(event, minlength=collisions.n_events)
        ordered[name] = {
            branch: columns[branch][order].astype(description.dtype) for branch, description in COLLECTIONS[name].items()
        }
    return Events(_event_columns(collisions, identity), counts, ordered)


def _event_columns(collisions: Collisions, identity: Columns) -> Columns:
    values = {
        "mc_mass": np.full(collisions.n_events, np.nan),
        "mc_mass_h": np.full(collisions.n_events, np.nan),
        **identity,
        "__weight__": np.ones(collisions.n_events),
        "mc_her_energy": collisions.her_energy,
        "mc_ler_energy": collisions.ler_energy,
        "mc_sqrt_s": collisions.sqrt_s,
        "mc_mode": collisions.mode,
        "mc_dipion_mass": collisions.dipion_mass,
        "mc_n_leptons_in_cdc": collisions.n_leptons_in_cdc,
        "mc_n_leptons_in_ecl": collisions.n_leptons_in_ecl,
    }
    return {name: np.asarray(values[name]).astype(branch.dtype) for name, branch in EVENT.items()}
