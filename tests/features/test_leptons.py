"""Leptons beside the pair: counts and masses of events that are written down by hand."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from mlbkg.candidates.build import build
from mlbkg.candidates.table import CandidateTable
from mlbkg.features.base import FEATURES
from mlbkg.physics.constants import M_ELECTRON, M_MUON

# The two soft tracks come first and make the candidate that the tests look at; lepton + and - follow back to back.
PIONS = ((0.30, 0.0, 0.1, 1), (-0.25, 0.1, 0.0, -1))
LEPTONS = ((4.0, 1.0, 2.0, 1), (-4.0, -1.0, -2.0, -1))
DIRECTION = np.array([4.0, 1.0, 2.0]) / np.sqrt(21.0)


@pytest.fixture
def event(make_events: Any) -> Any:
    def make(tracks: tuple[tuple[float, float, float, int], ...], **branches: list[float]) -> CandidateTable:
        events = make_events(n_tracks=[len(tracks)], n_clusters=[len(branches.get("cluster_energy", ()))])
        columns: dict[str, Any] = dict(zip(("px", "py", "pz", "charge"), zip(*tracks, strict=True), strict=True))
        events |= {f"track_{name}": ak.Array([list(values)]) for name, values in columns.items()}
        events |= {f"track_{name}": ak.Array([[0.0] * len(tracks)]) for name in ("d0", "z0", "muon_id", "electron_id")}
        events |= {name: ak.Array([values]) for name, values in branches.items()}
        table = build(events, pair="pipi", beams="Y3S")
        pions = (table["daughter0_track"] == 0) & (table["daughter1_track"] == 1)
        return table.take(np.flatnonzero(pions))

    return make


def value(name: str, table: CandidateTable) -> float:
    (found,) = FEATURES[name](table).tolist()
    return float(found)


@pytest.mark.parametrize(("feature", "mass"), [("MMuMuROE", M_MUON), ("MEEROE", M_ELECTRON)])
def test_mass_of_two_back_to_back_leptons(event: Any, feature: str, mass: float) -> None:
    # 2 E of either, with p^2 = 21 GeV^2
    assert value(feature, event((*PIONS, *LEPTONS))) == pytest.approx(2 * np.sqrt(21.0 + mass**2), rel=1e-6)


@pytest.mark.parametrize("feature", ["MMuMuROE", "MEEROE"])
def test_no_mass_without_two_tracks_of_opposite_charge(event: Any, feature: str) -> None:
    same = (LEPTONS[0], (*LEPTONS[1][:3], 1))
    for leptons in ((), LEPTONS[:1], same, (*LEPTONS, (0.5, 0.5, 0.5, 1))):
        assert np.isnan(value(feature, event((*PIONS, *leptons))))


def photon(offset_rad: float, energy: float) -> tuple[float, float, float]:
    theta, phi = np.arccos(DIRECTION[2]), np.arctan2(DIRECTION[1], DIRECTION[0])
    return energy, theta + offset_rad, phi


@pytest.mark.parametrize(("offset", "hadronic", "added"), [(0.049, 0, True), (0.051, 0, False), (0.0, 1, False)])
def test_photons_near_an_electron_are_its_own(event: Any, offset: float, hadronic: int, added: bool) -> None:
    energy, theta, phi = photon(offset, 0.8)
    table = event(
        (*PIONS, *LEPTONS),
        cluster_energy=[energy],
        cluster_theta=[theta],
        cluster_phi=[phi],
        cluster_hadronic=[hadronic],
    )
    e, p = 2 * np.sqrt(21.0 + M_ELECTRON**2), 0.8 * added
    assert value("MEEROE", table) == pytest.approx(np.sqrt((e + p) ** 2 - p**2), rel=1e-6)
    assert value("MMuMuROE", table) == pytest.approx(2 * np.sqrt(21.0 + M_MUON**2), rel=1e-6)


def test_a_photon_between_two_electrons_counts_once(event: Any) -> None:
    near = ((4.0, 1.0, 2.0, 1), (4.0, 1.1, 2.0, -1))
    energy, theta, phi = photon(0.0, 0.8)
    table = event((*PIONS, *near), cluster_energy=[energy], cluster_theta=[theta], cluster_phi=[phi], cluster_hadronic=[0])
    p = np.array([8.0, 2.1, 4.0]) + 0.8 * DIRECTION
    e = np.sqrt(21.0) + np.sqrt(21.21) + 0.8
    assert value("MEEROE", table) == pytest.approx(np.sqrt(e**2 - p @ p), rel=1e-4)


@pytest.mark.parametrize(("feature", "ratio"), [("nMuonsROE", "muon_id"), ("nElectronsROE", "electron_id")])
def test_identified_tracks_from_the_interaction_point(event: Any, feature: str, ratio: str) -> None:
    slow = (0.3, 0.3, 0.2, 1)
    tracks = (*PIONS, *LEPTONS, slow, LEPTONS[0], LEPTONS[1])
    table = event(
        tracks,
        **{f"track_{ratio}": [0.9, 0.9, 0.6, 0.4, 0.9, 0.9, 0.9], "track_d0": [0, 0, 0, 0, 0, 3, 0], "track_z0": [0] * 7},
    )
    # one identified, one not, one too slow, one from elsewhere, one more identified; the pair's own are not counted
    assert value(feature, table) == 2
