from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from mlbkg.candidates.build import build
from mlbkg.candidates.table import CandidateTable, known_columns, required_event_columns
from mlbkg.physics.constants import M_UPSILON_3S
from mlbkg.physics.lorentz import FourVector


@pytest.fixture
def table(make_events: Any) -> CandidateTable:
    multiplicities = [0, 4, 7, 1, 2, 9, 0, 5, 6]
    return build(make_events(n_tracks=multiplicities, n_klm=multiplicities[::-1]), pair="pipi", beams="Y3S")


def _columns(table: CandidateTable, level: str) -> list[str]:
    return [name for name, (its_level, _, _) in known_columns().items() if its_level == level]


def test_shapes_are_those_of_the_levels(table: CandidateTable) -> None:
    length = {"candidate": table.n_candidates, "constant": table.n_candidates, "rest": table.n_candidates}
    assert set(table) == set(known_columns())
    for name, (level, _, description) in known_columns().items():
        column = table[name]
        assert len(column) == length.get(level, table.n_events), name
        assert (column.ndim == 2) == (level in ("collection", "rest")), name
        assert description


def test_pair_and_rest_are_the_event(table: CandidateTable) -> None:
    index = table["event_index"]
    for component in ("energy", "px", "py", "pz"):
        photons = ak.to_numpy(ak.sum(table[f"photon_{component}"], axis=1))[index]
        momenta = [table[f"track_{c}"] for c in ("px", "py", "pz")]
        # pion mass, PDG
        energy = np.sqrt(sum(ak.values_astype(p, "float64") ** 2 for p in momenta) + 0.13957039**2)
        tracks = energy if component == "energy" else ak.values_astype(table[f"track_{component}"], "float64")
        whole = ak.to_numpy(ak.sum(tracks, axis=1))[index] + photons
        assert table[f"pair_{component}"] + table[f"roe_{component}"] == pytest.approx(whole), component


def test_rest_of_event_has_all_other_tracks_and_all_clusters(table: CandidateTable) -> None:
    index = table["event_index"]
    both = table["daughter0_pion_id"] + table["daughter1_pion_id"]
    assert ak.to_numpy(ak.sum(table["roe_track_pion_id"], axis=1)) + both == pytest.approx(
        ak.to_numpy(ak.sum(table["track_pion_id"], axis=1))[index], rel=1e-5
    )
    assert (ak.num(table["roe_track_px"]) == ak.num(table["track_px"])[index] - 2).to_numpy().all()
    for name in ("cluster_energy", "klm_phi"):
        assert ak.array_equal(table[f"roe_{name}"], table[name][index])


def test_centre_of_mass_sums(table: CandidateTable) -> None:
    beams_frame = [table[f"visible_cms_{c}"][table["event_index"]] for c in ("energy", "px", "py", "pz")]
    lab = [table[f"pair_{c}"] + table[f"roe_{c}"] for c in ("energy", "px", "py", "pz")]
    assert FourVector(*beams_frame).mass_squared == pytest.approx(FourVector(*lab).mass_squared)


def test_beams_have_the_nominal_mass(table: CandidateTable) -> None:
    beam = FourVector(*(table[f"beam_{c}"] for c in ("energy", "px", "py", "pz")))
    assert table["sqrt_s"] == pytest.approx(M_UPSILON_3S)
    assert np.sqrt(beam.mass_squared) == pytest.approx(M_UPSILON_3S)
    # beta gamma of SuperKEKB at the Y(3S): 0.28676
    assert beam.p / M_UPSILON_3S == pytest.approx(0.28676, abs=1e-5)


def test_photons_pass_their_thresholds(table: CandidateTable) -> None:
    energy, theta = ak.flatten(table["cluster_energy"]), np.degrees(ak.flatten(table["cluster_theta"]))
    barrel = (theta > 32.2) & (theta < 128.7)
    photon = (ak.flatten(table["cluster_hadronic"]) == 0) & (energy > np.where(barrel, 0.075, 0.1))
    assert 0 < ak.sum(photon) < len(photon)
    assert ak.flatten(table["photon_energy"]).to_list() == pytest.approx(energy[photon].to_list())
    momentum = sum(ak.flatten(table[f"photon_{c}"]) ** 2 for c in ("px", "py", "pz"))
    assert np.sqrt(momentum).to_list() == pytest.approx(ak.flatten(table["photon_energy"]).to_list())


@pytest.mark.parametrize("computed_before", [False, True])
@pytest.mark.parametrize("as_mask", [False, True])
def test_take_keeps_rows_of_every_column(table: CandidateTable, computed_before: bool, as_mask: bool) -> None:
    rows = np.array([3, 9, 10, 15]) if as_mask else np.array([10, 3, 15, 9])
    if computed_before:
        assert all(len(table[name]) for name in table)
    mask = np.zeros(table.n_candidates, dtype=np.bool_)
    mask[rows] = True
    taken = table.take(mask if as_mask else rows)
    assert taken.n_candidates == 4
    assert taken.n_events == len(set(table["event_index"][rows].tolist())) < table.n_events
    for level in ("candidate", "constant", "rest"):
        for name in set(_columns(table, level)) - {"event_index", "roe_track_row"}:
            assert ak.array_equal(taken[name], table[name][rows], equal_nan=True), name
    for level in ("event", "collection"):
        for name in _columns(table, level):
            expected = table[name][table["event_index"][rows]]
            assert ak.array_equal(taken[name][taken["event_index"]], expected, equal_nan=True), name


def test_take_nothing(table: CandidateTable) -> None:
    nothing = table.take(np.zeros(table.n_candidates, dtype=np.bool_))
    assert (nothing.n_candidates, nothing.n_events) == (0, 0)
    assert all(len(nothing[name]) == 0 for name in nothing)


def test_required_branches_are_enough_and_few(make_events: Any) -> None:
    events = make_events(n_tracks=[4, 3, 5])
    for name in known_columns():
        branches = required_event_columns([name], pair="pipi")
        assert set(branches) <= set(events)
        table = build({branch: events[branch] for branch in branches}, pair="pipi", beams="Y3S")
        assert name == "is_signal" or name in table
        assert len(table[name]) in (table.n_candidates, table.n_events)
    assert "cluster_energy" not in required_event_columns(["pair_energy"], pair="pipi")
    assert "track_mc_pdg" not in required_event_columns(["is_signal"], pair="pipi")
    assert "track_mc_pdg" in required_event_columns(["is_signal"], pair="mumu")


def test_other_flat_branches_are_handed_through(make_events: Any) -> None:
    events = make_events(n_tracks=[0, 4, 5]) | {"trigger": np.array([7, 8, 9])}
    table = build(events, pair="pipi", beams="Y3S")
    assert "trigger" in required_event_columns(["trigger"], pair="pipi")
    assert table["trigger"].tolist() == [7 + event - 1 for event in table["__event__"]]
    assert "no_such" not in table
    with pytest.raises(KeyError, match="no_such"):
        table["no_such"]
