"""Features of leptons among the tracks beside the pair: what a control sample of Y(1S) -> l+l- with both seen is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.candidates.daughters import COMPONENTS, named
from mlbkg.candidates.jagged import flat, momentum, segments, take_rows
from mlbkg.candidates.pairs import MAX_D0_CM, MAX_Z0_CM
from mlbkg.features.base import Columns, feature
from mlbkg.physics.constants import M_ELECTRON, M_MUON
from mlbkg.physics.lorentz import FourVector
from mlbkg.physics.segments import Segments

MIN_LIKELIHOOD_RATIO = 0.5
# Below these momenta a muon does not reach the K_L and muon detector, and electrons and pions are hard to tell apart.
MIN_MUON_P_GEV = 0.7
MIN_ELECTRON_P_GEV = 0.5
BREMSSTRAHLUNG_CONE_RAD = 0.050
"""Photons this near to an electron are taken for its own: Belle's and Belle II's usual cone for J/psi -> e+e-."""

MOMENTUM = tuple(f"roe_track_{component}" for component in COMPONENTS[1:])
IMPACT = ("roe_track_d0", "roe_track_z0")
PHOTONS = (*named("photon"), "event_index")

Array = NDArray[np.float64]


@feature(
    "nMuonsROE",
    needs=("roe_track_muon_id", *MOMENTUM, *IMPACT),
    description="tracks beside the pair's two, from the interaction point, above 0.7 GeV with muonID above 0.5",
)
def n_muons(columns: Columns) -> NDArray[Any]:
    return _identified(columns, "muon", MIN_MUON_P_GEV)


@feature(
    "nElectronsROE",
    needs=("roe_track_electron_id", *MOMENTUM, *IMPACT),
    description="tracks beside the pair's two, from the interaction point, above 0.5 GeV with electronID above 0.5",
)
def n_electrons(columns: Columns) -> NDArray[Any]:
    return _identified(columns, "electron", MIN_ELECTRON_P_GEV)


@feature(
    "MMuMuROE",
    unit="GeV",
    needs=(*MOMENTUM, "roe_track_charge"),
    description="mass of the two tracks beside the pair as muons; NaN unless there are two, of opposite charge",
)
def dimuon_mass(columns: Columns) -> NDArray[Any]:
    rows, first, second = _two_tracks(columns, M_MUON)
    return _mass(_filled(rows, first.plus(second)))


@feature(
    "MEEROE",
    unit="GeV",
    needs=(*MOMENTUM, "roe_track_charge", *PHOTONS),
    description="mass of the two tracks beside the pair as electrons, with the photon candidates within 50 mrad of either; "
    "NaN unless there are two tracks, of opposite charge",
)
def dielectron_mass(columns: Columns) -> NDArray[Any]:
    rows, first, second = _two_tracks(columns, M_ELECTRON)
    return _mass(_filled(rows, first.plus(second).plus(_radiated(columns, rows, first, second))))


def _identified(columns: Columns, kind: str, minimum_p: float) -> NDArray[Any]:
    likelihood = columns[f"roe_track_{kind}_id"]
    p = np.sqrt(sum(np.square(momentum(columns[name])) for name in MOMENTUM))
    d0, z0 = (np.abs(flat(columns[name])) for name in IMPACT)
    chosen = (flat(likelihood) > MIN_LIKELIHOOD_RATIO) & (p > minimum_p) & (d0 < MAX_D0_CM) & (z0 < MAX_Z0_CM)
    return segments(likelihood).sum(chosen)


def _two_tracks(columns: Columns, mass: float) -> tuple[NDArray[np.bool_], FourVector, FourVector]:
    """Which candidates ``(n_candidates,)`` have two other tracks, of opposite charge, and those tracks' momenta
    ``(n_chosen,)`` each."""
    tracks, charge = segments(columns["roe_track_charge"]), flat(columns["roe_track_charge"])
    rows = (tracks.counts == 2) & (tracks.sum(charge) == 0)
    first = tracks.starts[rows]
    px, py, pz = (momentum(columns[name]) for name in MOMENTUM)
    energy = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
    one, other = (FourVector(*(c[at] for c in (energy, px, py, pz))) for at in (first, first + 1))
    return rows, one, other


def _radiated(columns: Columns, rows: NDArray[np.bool_], first: FourVector, second: FourVector) -> FourVector:
    """Sum of the photon candidates near either track, each counted once; ``(n_chosen,)``."""
    photons = [take_rows(columns[name], columns["event_index"][rows]) for name in named("photon")]
    per_candidate = segments(photons[0])
    photon = FourVector(*map(momentum, photons))
    near = _within_cone(photon, first, per_candidate) | _within_cone(photon, second, per_candidate)
    return FourVector(*(per_candidate.sum(np.where(near, component, 0.0)) for component in photon))


def _within_cone(photon: FourVector, track: FourVector, per_candidate: Segments) -> NDArray[np.bool_]:
    px, py, pz = (per_candidate.repeat(component) for component in (track.px, track.py, track.pz))
    along = photon.px * px + photon.py * py + photon.pz * pz
    return np.asarray(along > np.cos(BREMSSTRAHLUNG_CONE_RAD) * photon.p * np.sqrt(px**2 + py**2 + pz**2))


def _filled(rows: NDArray[np.bool_], chosen: FourVector) -> FourVector:
    """``(n_candidates,)`` from ``(n_chosen,)``, NaN elsewhere."""
    components = np.full((4, len(rows)), np.nan)
    components[:, rows] = chosen
    return FourVector(*components)


def _mass(vector: FourVector) -> Array:
    return np.asarray(np.sqrt(np.maximum(vector.mass_squared, 0.0)))
