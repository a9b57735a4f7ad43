"""The parametric detector against the numbers it is made from (physics.md 5.2-5.5), with single particles."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.physics.constants import M_ELECTRON, M_MUON, M_PION
from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.clusters import angular_resolution, energy_resolution
from mlbkg.simulation.collisions import Collisions
from mlbkg.simulation.detector import Events, detect
from mlbkg.simulation.events import COLLECTIONS, EVENT

MASS = {11: M_ELECTRON, 13: M_MUON, 211: M_PION, 321: 0.493677, 22: 0.0, 130: 0.497611}
N = 20_000


def shoot(pdg: int, *, p: float, degrees: float, n: int = N, vertex_x: float = 0.0) -> Events:
    """One particle in each of ``n`` events."""
    theta, phi = np.deg2rad(degrees), np.random.default_rng(1).uniform(-np.pi, np.pi, n)
    flat, zero = np.ones(n), np.zeros(n)
    energy = np.hypot(p, MASS[abs(pdg)])
    momentum = FourVector(
        energy * flat, p * np.sin(theta) * np.cos(phi), p * np.sin(theta) * np.sin(phi), p * np.cos(theta) * flat
    )
    collisions = Collisions(
        n_events=n,
        event=np.arange(n),
        pdg=np.full(n, pdg),
        momentum=momentum,
        vertex=FourVector(zero, vertex_x * flat, zero, zero),
        from_dipion=np.zeros(n, dtype=bool),
        her_energy=flat,
        ler_energy=flat,
        sqrt_s=flat,
        mode=np.zeros(n, dtype=np.int64),
        dipion_mass=zero,
        n_leptons_in_cdc=np.full(n, -1),
        n_leptons_in_ecl=np.full(n, -1),
    )
    identity = {"__experiment__": np.full(n, 1001), "__run__": np.full(n, 1), "__event__": np.arange(n)}
    return detect(np.random.default_rng(2), collisions, identity=identity)


def track(events: Events, branch: str) -> NDArray[np.float64]:
    return events.collections["track"][branch].astype(np.float64)


def signal_clusters(events: Events) -> NDArray[np.float64]:
    clusters = events.collections["cluster"]
    return clusters["energy"][clusters["mc_background"] == 0].astype(np.float64)


def binomial(fraction: float) -> float:
    return 5 * np.sqrt(fraction * (1 - fraction) / N)


def test_branches_are_those_of_the_contract() -> None:
    events = shoot(211, p=1.0, degrees=90.0, n=10)
    columns = events.to_columns()
    names = {f"{name}_{branch}" for name, branches in COLLECTIONS.items() for branch in branches}
    assert set(columns) == set(EVENT) | names | {f"n_{name}" for name in COLLECTIONS}
    for name, branch in EVENT.items():
        assert columns[name].dtype == branch.dtype
    assert str(columns["track_px"].type) == "10 * var * float32"


@pytest.mark.parametrize(("pt", "efficiency"), [(0.049, 0.0), (0.1, 0.85), (0.2, 0.95), (1.0, 0.975)])
def test_tracking_efficiency(pt: float, efficiency: float) -> None:
    found = shoot(211, p=pt, degrees=90.0).counts["track"].mean()
    assert found == pytest.approx(efficiency, abs=binomial(efficiency) + 1e-9)


@pytest.mark.parametrize(("degrees", "seen"), [(16.9, False), (17.1, True), (149.9, True), (150.1, False)])
def test_tracks_end_with_the_drift_chamber(degrees: float, seen: bool) -> None:
    assert (shoot(211, p=1.0, degrees=degrees, n=100).counts["track"].sum() > 0) == seen


@pytest.mark.parametrize("p", [0.3, 1.0, 4.0])
def test_momentum_and_angle_resolution(p: float) -> None:
    events = shoot(211, p=p, degrees=90.0)
    px, py, pz = (track(events, name) for name in ("px", "py", "pz"))
    beta = p / np.hypot(p, M_PION)
    expected = np.hypot(0.0011 * p, 0.0030 / beta)
    assert np.hypot(px, py).std() / p == pytest.approx(expected, rel=0.03)
    assert np.arctan2(np.hypot(px, py), pz).std() == pytest.approx(np.hypot(0.5e-3, 0.8e-3 / p), rel=0.03)


def test_impact_parameters_have_their_errors() -> None:
    events = shoot(211, p=1.0, degrees=60.0)
    assert (track(events, "d0") / track(events, "d0_error")).std() == pytest.approx(1.0, rel=0.03)
    # 10-15 um (+) 20-30 um / (p beta sin^1.5)
    assert 22e-4 < np.median(track(events, "d0_error")) < 38e-4


def test_displaced_particles_miss_the_origin() -> None:
    d0 = track(shoot(211, p=1.0, degrees=90.0, vertex_x=1.0), "d0")
    # |d0| = |sin(phi)| x 1 cm for a vertex on the x axis: mean 2/pi
    assert np.abs(d0).mean() == pytest.approx(2 / np.pi, abs=0.01)
    assert shoot(211, p=1.0, degrees=90.0, vertex_x=30.0, n=100).counts["track"].sum() == 0


@pytest.mark.parametrize(
    ("pdg", "p", "branch", "fraction"),
    [
        (13, 1.5, "muon_id", 0.92),
        (211, 1.5, "muon_id", 0.04),
        (11, 1.5, "electron_id", 0.94),
        (211, 1.5, "electron_id", 0.0075),
        (211, 1.5, "pion_id", 0.90),
        (321, 1.5, "pion_id", 0.065),
    ],
)
def test_identification_at_one_half(pdg: int, p: float, branch: str, fraction: float) -> None:
    ratio = track(shoot(pdg, p=p, degrees=90.0), branch)
    assert 0.0 <= ratio.min() < ratio.max() <= 1.0
    assert (ratio > 0.5).mean() == pytest.approx(fraction, abs=1.1 * binomial(fraction))


def test_slow_muons_are_not_told_from_pions() -> None:
    muons, pions = (track(shoot(pdg, p=0.4, degrees=90.0), "muon_id") for pdg in (13, 211))
    assert (muons > 0.5).mean() - (pions > 0.5).mean() < 0.25


def test_calorimeter_resolution() -> None:
    np.testing.assert_allclose(energy_resolution(np.array([0.1, 1.0, 8.0])), [0.040, 0.016, 0.014], atol=6e-4)
    np.testing.assert_allclose(angular_resolution(np.array([0.1, 8.0])), [0.013, 0.0033], atol=3e-4)
    energy = signal_clusters(shoot(22, p=1.0, degrees=90.0))
    assert energy.mean() == pytest.approx(1.0, abs=0.001)
    assert energy.std() == pytest.approx(0.016, rel=0.05)


def test_photons_in_gaps_leak_into_the_klm() -> None:
    gap, inside = (shoot(22, p=1.0, degrees=degrees) for degrees in (129.7, 90.0))
    # half of them are lost, and a third of the energy is seen of the others
    assert signal_clusters(gap).size / N == pytest.approx(0.99 * 0.5, abs=binomial(0.5))
    assert signal_clusters(gap).mean() == pytest.approx(0.30, abs=0.01)
    assert gap.counts["klm"].mean() == pytest.approx(0.8, abs=binomial(0.8))
    assert inside.counts["klm"].sum() == 0
    assert signal_clusters(shoot(22, p=1.0, degrees=12.0)).size == 0


def test_beam_background() -> None:
    events = shoot(22, p=1.0, degrees=5.0)
    clusters = events.collections["cluster"]
    assert clusters["mc_background"].all()
    assert events.counts["cluster"].mean() == pytest.approx(3.0, abs=5 * np.sqrt(3.0 / N))
    assert clusters["energy"].min() > 0.020
    assert clusters["energy"].mean() - 0.020 == pytest.approx(0.040, rel=0.03)


def test_muons_beyond_the_drift_chamber_leave_only_a_small_cluster() -> None:
    for degrees in (15.0, 152.0):
        events = shoot(13, p=4.0, degrees=degrees)
        assert events.counts["track"].sum() == 0
        energy = signal_clusters(events)
        assert energy.size / N > 0.99
        # Minimum ionising: 0.20 +- 0.03 GeV
        assert energy.mean() == pytest.approx(0.20, abs=0.01)
        assert energy.std() == pytest.approx(0.03, rel=0.1)


def test_electrons_are_lost_only_beyond_the_calorimeter() -> None:
    assert signal_clusters(shoot(11, p=4.0, degrees=15.0)).min() > 3.0
    lost = shoot(11, p=4.0, degrees=12.0)
    assert lost.counts["track"].sum() == 0
    assert signal_clusters(lost).size == 0


def test_track_clusters() -> None:
    muon, electron, pion = (shoot(pdg, p=2.0, degrees=90.0) for pdg in (13, 11, 211))
    assert np.median(track(muon, "cluster_energy")) == pytest.approx(0.20, abs=0.01)
    assert np.median(track(electron, "cluster_energy")) == pytest.approx(2.0, rel=0.01)
    # Half of the hadrons shower
    assert (track(pion, "cluster_energy") > 0.35).mean() == pytest.approx(0.5, abs=0.05)
    # Nothing that is matched to a track is a cluster of its own
    assert signal_clusters(muon).size == pytest.approx(N - muon.counts["track"].sum(), abs=5)
    slow = shoot(211, p=0.25, degrees=90.0)
    assert track(slow, "cluster_energy").max() == 0.0


def test_neutral_kaons() -> None:
    events = shoot(130, p=1.5, degrees=90.0)
    assert events.counts["klm"].mean() == pytest.approx(0.6, abs=binomial(0.6))
    assert events.counts["track"].sum() == 0
    clusters = events.collections["cluster"]
    assert clusters["hadronic"][clusters["mc_background"] == 0].mean() == pytest.approx(0.8, abs=0.03)
