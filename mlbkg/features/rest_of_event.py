"""Features of what the event holds beside the pair: counts, charge, energy and mass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.candidates.daughters import four_vector, named
from mlbkg.candidates.jagged import flat, segments
from mlbkg.features.base import Columns, feature


@feature(
    "nTracks", needs=("track_charge", "event_index"), description="tracks of the event, the pair's included", basf2="nTracks"
)
def n_tracks(columns: Columns) -> NDArray[Any]:
    return segments(columns["track_charge"]).counts[columns["event_index"]]


@feature(
    "nTracksROE", needs=("track_charge", "event_index"), description="tracks beside the pair's two", basf2="nROE_Charged"
)
def n_tracks_roe(columns: Columns) -> NDArray[Any]:
    return n_tracks(columns) - 2


@feature(
    "nKLMROE",
    needs=("klm_theta", "event_index"),
    description="clusters in the muon and K_L detector without a track",
    basf2="nROE_KLMClusters",
)
def n_klm(columns: Columns) -> NDArray[Any]:
    return segments(columns["klm_theta"]).counts[columns["event_index"]]


@feature("ChargeROE", needs=("roe_track_charge",), description="sum of the other tracks' charges", basf2="roeCharge")
def charge(columns: Columns) -> NDArray[Any]:
    tracks = columns["roe_track_charge"]
    return segments(tracks).sum(flat(tracks))


@feature(
    "EROE",
    unit="GeV",
    needs=("roe_energy",),
    description="energy of the other tracks, as pions, and photon candidates; 0 without any",
    basf2="roeE",
)
def energy(columns: Columns) -> NDArray[Any]:
    return np.asarray(columns["roe_energy"])


@feature(
    "MROE",
    unit="GeV",
    needs=named("roe"),
    description="invariant mass of the other tracks, as pions, and photon candidates; 0 without any",
    basf2="roeM",
)
def mass(columns: Columns) -> NDArray[Any]:
    return np.asarray(np.sqrt(np.maximum(four_vector(columns, "roe").mass_squared, 0.0)))
