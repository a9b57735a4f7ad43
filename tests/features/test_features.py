"""What holds for every registered feature, and single features against other ways to compute them."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from mlbkg.candidates.build import build
from mlbkg.candidates.table import CandidateTable, known_columns, required_event_columns
from mlbkg.features.base import FEATURES
from mlbkg.physics.lorentz import FourVector, boost

MULTIPLICITIES = [0, 4, 7, 1, 2, 9, 0, 5, 6, 2, 2, 4, 4]

# Names seen registered in basf2's sources
BASF2_NAMES = {
    "nROE_Charged",
    "nROE_Photons",
    "nROE_NeutralHadrons",
    "nROE_KLMClusters",
    "getVariableByRank(gamma:roe,E,E,1)",
    "roeEextra",
    "roeNeextra",
    "roeE",
    "roeM",
    "roeCharge",
    "InvM",
    "cosHelicityAngleMomentum",
    "chiProb",
    "pRecoil",
    "pRecoilTheta",
    "mRecoil",
    "m2Recoil",
    "missingMomentumOfEvent_theta",
    "foxWolframR2",
    "thrust",
    "sphericity",
    "aplanarity",
    "cleoConeThrust0",
    "nTracks",
}


@pytest.fixture
def events(make_events: Any) -> dict[str, Any]:
    made: dict[str, Any] = make_events(
        n_tracks=MULTIPLICITIES, n_clusters=MULTIPLICITIES[::-1], n_klm=MULTIPLICITIES, seed=2
    )
    return made


@pytest.fixture
def table(events: dict[str, Any]) -> CandidateTable:
    return build(events, pair="pipi", beams="Y3S")


@pytest.mark.parametrize("name", FEATURES.names())
def test_every_feature(name: str, events: dict[str, Any], table: CandidateTable) -> None:
    feature = FEATURES[name]
    values = feature(table)
    assert values.dtype == np.float32
    assert values.shape == (table.n_candidates,)
    assert np.isfinite(values).any()
    assert feature.description
    assert set(feature.needs) <= set(known_columns())
    only = feature({need: table[need] for need in feature.needs})
    assert np.array_equal(only, values, equal_nan=True)
    branches = required_event_columns(feature.needs, pair="pipi")
    read = build({branch: events[branch] for branch in branches}, pair="pipi", beams="Y3S")
    assert np.array_equal(feature(read), values, equal_nan=True)


@pytest.mark.parametrize("name", FEATURES.names())
def test_no_candidates_no_values(name: str, make_events: Any) -> None:
    for n_tracks in ([], [0, 1]):
        values = FEATURES[name](build(make_events(n_tracks=n_tracks), pair="pipi", beams="Y3S"))
        assert (values.dtype, values.shape) == (np.float32, (0,))


@pytest.mark.parametrize("name", FEATURES.names())
def test_value_does_not_depend_on_the_chunk(name: str, events: dict[str, Any], table: CandidateTable) -> None:
    whole = FEATURES[name](table)
    parts = [{branch: values[rows] for branch, values in events.items()} for rows in (slice(0, 5), slice(5, None))]
    split = np.concatenate([FEATURES[name](build(part, pair="pipi", beams="Y3S")) for part in parts])
    assert np.array_equal(split, whole, equal_nan=True)
    some = table.take(np.arange(table.n_candidates)[::3])
    assert np.array_equal(FEATURES[name](some), whole[::3], equal_nan=True)


# The same of any pair, named after what is in it
SYNONYMS = {"MLL": "MPiPi", "PLL": "PPiPi", "AngleLL": "AnglePiPi", "CosHelicityLL": "CosHelicityPiPi"}


def test_basf2_names() -> None:
    names = [FEATURES[name].basf2 for name in FEATURES if FEATURES[name].basf2 and name not in SYNONYMS]
    assert len(set(names)) == len(names)
    assert set(names) >= BASF2_NAMES


@pytest.mark.parametrize("name", SYNONYMS)
def test_synonyms(name: str, table: CandidateTable) -> None:
    of_leptons, of_pions = FEATURES[name], FEATURES[SYNONYMS[name]]
    assert (of_leptons.basf2, of_leptons.unit) == (of_pions.basf2, of_pions.unit)
    assert np.array_equal(of_leptons(table), of_pions(table), equal_nan=True)


def test_neutral_features_without_neutrals(make_events: Any) -> None:
    table = build(make_events(n_tracks=[4, 6], n_clusters=[0, 0]), pair="pipi", beams="Y3S")
    for name in ("EGammaMax", "EGamma2", "EPhotons", "ENeutralExtra", "nPhotonsROE", "nHadronsROE"):
        assert (FEATURES[name](table) == 0).all()
    assert np.isnan(FEATURES["CosGammaNormal"](table)).all()


def test_photons_are_ranked(make_events: Any) -> None:
    events = make_events(n_tracks=[2, 2, 2])
    events |= {"track_charge": ak.Array([[1, -1]] * 3), "track_px": ak.Array([[0.5, 0.5]] * 3)}
    energy = ak.Array([[0.2, 1.5, 0.7], [0.4], [0.3, 0.3]])
    events |= {"cluster_energy": energy, "cluster_theta": ak.full_like(energy, 1.5), "cluster_phi": ak.zeros_like(energy)}
    events["cluster_hadronic"] = ak.values_astype(ak.zeros_like(energy), np.int32)
    table = build(events, pair="pipi", beams="Y3S")
    assert FEATURES["EGammaMax"](table).tolist() == pytest.approx([1.5, 0.4, 0.3])
    assert FEATURES["EGamma2"](table).tolist() == pytest.approx([0.7, 0.0, 0.3])
    assert FEATURES["nPhotonsROE"](table).tolist() == [3, 1, 2]


def test_counts(table: CandidateTable) -> None:
    index = table["event_index"]
    assert (FEATURES["nTracksROE"](table) == ak.num(table["track_px"]).to_numpy()[index] - 2).all()
    assert (FEATURES["nKLMROE"](table) == ak.num(table["klm_theta"]).to_numpy()[index]).all()
    total = ak.sum(table["track_charge"], axis=1).to_numpy()[index]
    assert (FEATURES["ChargeROE"](table) == total).all()


def test_energy_over_momentum_is_taken_track_by_track(make_events: Any) -> None:
    """The larger energy and the larger ratio may be those of different tracks."""
    events = make_events(n_tracks=[2])
    components = {"px": [3.0, 0.0], "py": [0.0, 0.5], "pz": [4.0, 0.0], "cluster_energy": [0.5, 0.2], "charge": [1, -1]}
    events |= {f"track_{name}": ak.Array([values]) for name, values in components.items()}
    table = build(events, pair="pipi", beams="Y3S")
    found = [float(FEATURES[f"cluster{name}"](table)[0]) for name in ("EMin", "EMax", "EoPMin", "EoPMax")]
    assert found == pytest.approx([0.2, 0.5, 0.5 / 5, 0.2 / 0.5])


def test_recoil_mass_is_rebuilt_from_the_pair(table: CandidateTable) -> None:
    energy, mass, momentum = (FEATURES[name](table).astype(np.float64) for name in ("EPiPi", "MPiPi", "PPiPi"))
    sqrt_s = table["sqrt_s"]
    assert FEATURES["m2Recoil"](table) == pytest.approx(sqrt_s**2 + mass**2 - 2 * sqrt_s * energy, rel=1e-5, abs=1e-4)
    assert energy**2 - momentum**2 == pytest.approx(mass**2, rel=1e-4)


def test_pair_alone_is_what_the_missing_system_recoils_against(make_events: Any) -> None:
    table = build(make_events(n_tracks=[2] * 200, n_clusters=[0] * 200), pair="pipi", beams="Y3S")
    assert table.n_candidates > 20
    for missing, of_pair in (("M2Missing", "m2Recoil"), ("ThetaMissing", "ThetaRecoil"), ("EVisible", "EPiPi")):
        assert FEATURES[missing](table) == pytest.approx(FEATURES[of_pair](table), rel=1e-5)


def test_helicity_angle_by_boosting(table: CandidateTable) -> None:
    pair = FourVector(*(table[f"pair_{c}"] for c in ("energy", "px", "py", "pz")))
    daughter = FourVector(*(table[f"daughter0_{c}"] for c in ("energy", "px", "py", "pz")))
    rest = boost(daughter, bx=-pair.px / pair.e, by=-pair.py / pair.e, bz=-pair.pz / pair.e)
    along = (rest.px * pair.px + rest.py * pair.py + rest.pz * pair.pz) / (rest.p * pair.p)
    assert FEATURES["CosHelicityPiPi"](table) == pytest.approx(along, abs=1e-6)


def test_vertex_probability_against_scipy(table: CandidateTable) -> None:
    from scipy.stats import chi2

    d0, z0, d0_error, z0_error = (
        np.stack([table[f"daughter{i}_{name}"].astype(np.float64) for i in (0, 1)])
        for name in ("d0", "z0", "d0_error", "z0_error")
    )
    statistic = (z0[0] - z0[1]) ** 2 / np.square(z0_error).sum(axis=0) + np.square(d0 / d0_error).sum(axis=0)
    assert FEATURES["chiProb"](table) == pytest.approx(chi2.sf(statistic, 3), rel=1e-5, abs=1e-30)


def test_conversion_angle_stays_exact_when_small() -> None:
    angle = 1e-5
    columns = {f"daughter{i}_{c}": np.array([v]) for i in (0, 1) for c, v in (("energy", 1.0), ("px", 0.0), ("py", 0.0))}
    columns |= {"daughter0_pz": np.array([0.9]), "daughter1_pz": np.array([0.9 * np.cos(angle)])}
    columns["daughter1_px"] = np.array([0.9 * np.sin(angle)])
    assert FEATURES["AnglePiPi"](columns) == pytest.approx(angle, rel=1e-6)
