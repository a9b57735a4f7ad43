"""Features of lepton pairs: momenta written down by hand, and what follows from them in closed form."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from mlbkg.candidates.build import build
from mlbkg.candidates.table import CandidateTable
from mlbkg.features.base import FEATURES
from mlbkg.features.sets import SETS
from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import M_MUON
from mlbkg.physics.lorentz import FourVector

BEAMS_USED = BEAMS["Y4S"]
SQRT_S = float(BEAMS_USED.total_mass)

# Perpendicular momenta in the centre-of-mass frame, z along the electron beam: a pair of 5 GeV along (3, 0, 4)
HIGHER, LOWER = (0.0, 0.0, 4.0), (3.0, 0.0, 0.0)


def energy(momentum: tuple[float, float, float], mass: float = M_MUON) -> float:
    return float(np.sqrt(np.square(momentum).sum() + mass**2))


@pytest.fixture
def candidate(make_events: Any) -> Any:
    def make(positive: Any, negative: Any, *, frame: str = "cms", pair: str = "mumu", **branches: Any) -> CandidateTable:
        """One event of these two tracks, and of the photons in ``branches``."""
        momenta = np.array([positive, negative], dtype=np.float64).T
        if frame == "cms":
            vector = FourVector(np.sqrt(np.square(momenta).sum(axis=0) + M_MUON**2), *momenta)
            momenta = np.array(BEAMS_USED.to_lab(vector))[1:]
        events = make_events(n_tracks=[2], n_clusters=[len(branches.get("cluster_energy", ()))])
        events |= {f"track_{name}": ak.Array([values]) for name, values in zip(("px", "py", "pz"), momenta, strict=True)}
        events |= {"track_charge": ak.Array([[1, -1]])}
        events |= {name: ak.Array([values]) for name, values in branches.items()}
        return build(events, pair=pair, beams="Y4S")

    return make


def value(name: str, table: CandidateTable) -> float:
    return float(FEATURES[name](table)[0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("P1LL", 4.0),
        ("P2LL", 3.0),
        ("PLL", 5.0),
        ("PtLL", 3.0),
        ("CosThetaLL", 0.8),
        # |p_recoil x p_lepton| / p_lepton: the other lepton's own momentum, since the two are perpendicular
        ("PtRecoilLMax", 3.0),
        ("PtRecoilLMin", 4.0),
        ("MLL", np.sqrt((energy(HIGHER) + energy(LOWER)) ** 2 - 25.0)),
        ("m2Recoil", (SQRT_S - energy(HIGHER) - energy(LOWER)) ** 2 - 25.0),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_perpendicular_leptons(candidate: Any, name: str, expected: float, swapped: bool) -> None:
    leptons = (LOWER, HIGHER) if swapped else (HIGHER, LOWER)
    assert value(name, candidate(*leptons)) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_nothing_recoils_across_back_to_back_leptons(candidate: Any) -> None:
    direction = np.array([0.48, 0.6, 0.64])
    table = candidate(4.0 * direction, -2.5 * direction)
    for name in ("PtRecoilLMax", "PtRecoilLMin"):
        assert value(name, table) == pytest.approx(0.0, abs=1e-5)
    assert value("PLL", table) == pytest.approx(1.5, rel=1e-5)


def test_projections_of_a_three_body_decay_with_equal_energies(candidate: Any) -> None:
    # Mercedes star: equal momenta 120 degrees apart, so the recoil has p across either lepton p sin(60 degrees)
    p = 2.0
    table = candidate((p, 0.0, 0.0), (-0.5 * p, np.sqrt(0.75) * p, 0.0))
    for name in ("PtRecoilLMax", "PtRecoilLMin"):
        assert value(name, table) == pytest.approx(p * np.sqrt(0.75), rel=1e-5)
    assert value("PLL", table) == pytest.approx(p, rel=1e-5)


@pytest.mark.parametrize(("degrees", "expected"), [(0.0, 0.0), (90.0, 90.0), (172.0, 172.0), (270.0, 90.0)])
def test_angle_across_the_detector(candidate: Any, degrees: float, expected: float) -> None:
    phi = np.deg2rad(degrees)
    table = candidate((1.0, 0.0, 3.0), (2.0 * np.cos(phi), 2.0 * np.sin(phi), -0.5), frame="lab")
    assert np.rad2deg(value("DPhiLL", table)) == pytest.approx(expected, abs=1e-4)


def test_angle_between_the_leptons(candidate: Any) -> None:
    # cos = (1 * 2 + 2 * 1 + 2 * 2) / (3 * 3)
    table = candidate((1.0, 2.0, 2.0), (2.0, 1.0, 2.0), frame="lab")
    assert value("AngleLL", table) == pytest.approx(np.arccos(8 / 9), rel=1e-6)


def test_helicity_angle_of_equal_momenta(candidate: Any) -> None:
    assert value("CosHelicityLL", candidate((1.0, 2.0, 2.0), (2.0, 1.0, 2.0), frame="lab")) == pytest.approx(0.0, abs=1e-6)
    # along one line, the faster lepton goes forward in the pair's frame
    slow, fast = np.array([0.6, 0.0, 0.8]), np.array([1.8, 0.0, 2.4])
    assert value("CosHelicityLL", candidate(fast, slow, frame="lab")) == pytest.approx(1.0)
    assert value("CosHelicityLL", candidate(slow, fast, frame="lab")) == pytest.approx(-1.0)


def recoil_direction(table: CandidateTable) -> np.ndarray:
    recoil = np.array([table[f"beam_{axis}"][0] - table[f"pair_{axis}"][0] for axis in ("px", "py", "pz")])
    return np.asarray(recoil / np.linalg.norm(recoil))


def photons(directions: list[np.ndarray], energies: list[float]) -> dict[str, list[float]]:
    return {
        "cluster_energy": energies,
        "cluster_theta": [float(np.arccos(d[2])) for d in directions],
        "cluster_phi": [float(np.arctan2(d[1], d[0])) for d in directions],
        "cluster_hadronic": [0] * len(energies),
    }


def test_photon_near_the_recoil(candidate: Any) -> None:
    along = recoil_direction(candidate(HIGHER, LOWER))
    across = np.cross(along, [0.0, 1.0, 0.0])
    across /= np.linalg.norm(across)
    turned = [np.cos(angle) * along + np.sin(angle) * across for angle in (0.2, -0.5, 2.0)]
    table = candidate(HIGHER, LOWER, **photons(turned, [0.4, 1.5, 0.6]))
    assert value("AngleGammaNearRecoil", table) == pytest.approx(0.2, abs=1e-5)
    assert value("EGammaNearRecoil", table) == pytest.approx(0.4, rel=1e-5)


@pytest.mark.parametrize(("energies", "hadronic"), [([], []), ([0.05], [0]), ([2.0], [1])])
def test_no_photon_near_the_recoil(candidate: Any, energies: list[float], hadronic: list[int]) -> None:
    along = recoil_direction(candidate(HIGHER, LOWER))
    found = photons([along] * len(energies), energies) | {"cluster_hadronic": hadronic}
    table = candidate(HIGHER, LOWER, **(found if energies else {}))
    assert value("AngleGammaNearRecoil", table) == pytest.approx(np.pi)
    assert value("EGammaNearRecoil", table) == 0.0


def test_a_lost_photon_is_what_the_muons_recoil_against(candidate: Any) -> None:
    """mu+ mu- gamma with a photon across the beams: the recoil is massless and points at the photon."""
    k = 2.0
    lepton = np.array([-k / 2.0, 0.0, np.sqrt(((SQRT_S - k) / 2.0) ** 2 - M_MUON**2 - (k / 2.0) ** 2)])
    table = candidate(lepton, lepton * [1.0, 1.0, -1.0])
    assert value("m2Recoil", table) == pytest.approx(0.0, abs=1e-4)
    photon = BEAMS_USED.to_lab(FourVector(*(np.array([c]) for c in (k, k, 0.0, 0.0))))
    direction = np.array([float(c[0] / photon.e[0]) for c in photon[1:]])
    table = candidate(lepton, lepton * [1.0, 1.0, -1.0], **photons([direction], [float(photon.e[0])]))
    assert value("AngleGammaNearRecoil", table) == pytest.approx(0.0, abs=2e-3)
    assert value("EGammaNearRecoil", table) == pytest.approx(float(photon.e[0]), rel=1e-5)


def test_muon_and_electron_keep_their_places(candidate: Any) -> None:
    """Either charge may be the muon: two candidates, whose features belong to the particle and not to the charge."""
    track = {"muon_id": [0.9, 0.1], "electron_id": [0.2, 0.8], "cluster_energy": [0.2, 3.0]}
    table = candidate(
        (0.0, 2.4, 3.2), (3.0, 0.0, 0.0), frame="lab", pair="mue", **{f"track_{k}": v for k, v in track.items()}
    )
    by_name = {
        name: FEATURES[name](table).tolist()
        for name in ("muonID0", "muonID1", "electronID0", "electronID1", "clusterE0", "clusterEoP0", "clusterEoP1")
    }
    assert by_name["muonID0"] == pytest.approx([0.9, 0.1])
    assert by_name["muonID1"] == pytest.approx([0.1, 0.9])
    assert by_name["electronID0"] == pytest.approx([0.2, 0.8])
    assert by_name["electronID1"] == pytest.approx([0.8, 0.2])
    assert by_name["clusterE0"] == pytest.approx([0.2, 3.0])
    assert by_name["clusterEoP0"] == pytest.approx([0.2 / 4.0, 3.0 / 3.0])
    assert by_name["clusterEoP1"] == pytest.approx([3.0 / 3.0, 0.2 / 4.0])


def test_acoplanarity_is_seen_across_the_beams(candidate: Any) -> None:
    """A photon along a beam leaves the muons in one plane with the beams, but not with the axis of the detector."""
    along_beam = candidate((3.0, 0.0, 3.5), (-3.0, 0.0, 0.5))
    assert value("AcoplanarityLL", along_beam) == pytest.approx(0.0, abs=1e-5)
    crossing = candidate((0.0, 3.0, 3.5), (0.0, -3.0, 0.5))
    assert value("AcoplanarityLL", crossing) == pytest.approx(0.0, abs=1e-5)
    assert np.pi - value("DPhiLL", crossing) > 0.05
    turned = candidate((3.0, 0.0, 1.0), (-3.0 * np.cos(0.3), 3.0 * np.sin(0.3), -1.0))
    assert value("AcoplanarityLL", turned) == pytest.approx(0.3, rel=1e-5)


GIVES_MASSES_AWAY = {"MLL", "PLL", "PRecoil", "mRecoil", "m2Recoil", "P1LL", "P2LL", "EPiPi", "PPiPi", "MPiPi", "M2Missing"}


@pytest.mark.parametrize("name", ["zprime", "zprime_lfv", "dark_higgs"])
def test_sets_leave_out_what_is_scanned(name: str) -> None:
    assert not GIVES_MASSES_AWAY & set(SETS[name])
    assert {"nKLMROE", "EGammaNearRecoil", "AngleGammaNearRecoil", "ThetaRecoil"} <= set(SETS[name])
    assert name == "dark_higgs" or {"PtRecoilLMax", "PtRecoilLMin", "PtLL"} <= set(SETS[name])
