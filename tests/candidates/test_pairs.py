from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from mlbkg.candidates.build import build
from mlbkg.candidates.pairs import PAIRS
from mlbkg.errors import UnknownNameError
from mlbkg.physics.constants import M_ELECTRON, M_MUON

MULTIPLICITIES = [0, 1, 2, 8, 0, 5, 1, 3]


@pytest.mark.parametrize(("pair", "per_pair_of_tracks"), [("pipi", 1), ("mumu", 1), ("mue", 2)])
def test_every_opposite_pair_once(make_events: Any, pair: str, per_pair_of_tracks: int) -> None:
    events = make_events(n_tracks=MULTIPLICITIES)
    accepted = (
        (np.hypot(events["track_px"], events["track_py"]) > 0.1)
        & (abs(events["track_d0"]) < 2)
        & (abs(events["track_z0"]) < 5)
    )
    charge = events["track_charge"][accepted]
    expected = per_pair_of_tracks * ak.sum(charge > 0, axis=1) * ak.sum(charge < 0, axis=1)
    table = build(events, pair=pair, beams="Y3S")
    assert np.bincount(table["__event__"] - 1, minlength=8).tolist() == expected.tolist()
    assert (table["daughter0_charge"] == -table["daughter1_charge"]).all()
    rows = np.column_stack([table["__event__"], table["daughter0_track"], table["daughter1_track"]])
    assert len(np.unique(rows, axis=0)) == len(rows) == table.n_candidates


def test_positive_track_is_first_where_the_masses_are_equal(make_events: Any) -> None:
    table = build(make_events(n_tracks=MULTIPLICITIES), pair="pipi", beams="Y3S")
    assert (table["daughter0_charge"] == 1).all()


def test_muon_of_either_charge_is_first(make_events: Any) -> None:
    table = build(make_events(n_tracks=MULTIPLICITIES), pair="mue", beams="Y4S")
    assert set(table["daughter0_charge"].tolist()) == {-1, 1}
    for daughter, mass in enumerate((M_MUON, M_ELECTRON)):
        momentum = sum(table[f"daughter{daughter}_{c}"] ** 2 for c in ("px", "py", "pz"))
        assert np.sqrt(table[f"daughter{daughter}_energy"] ** 2 - momentum) == pytest.approx(mass, rel=1e-6)


@pytest.mark.parametrize(("branch", "inside", "outside"), [("d0", 1.99, -2.01), ("z0", -4.99, 5.01)])
def test_tracks_from_elsewhere_make_no_candidate(make_events: Any, branch: str, inside: float, outside: float) -> None:
    events = make_events(n_tracks=[2, 2])
    events |= {"track_charge": ak.Array([[1, -1], [1, -1]]), "track_px": ak.Array([[0.5, 0.5], [0.5, 0.5]])}
    events[f"track_{branch}"] = ak.Array([[0.0, inside], [0.0, outside]])
    assert build(events, pair="pipi", beams="Y3S")["__event__"].tolist() == [1]


def test_candidates_are_numbered_within_their_event(make_events: Any) -> None:
    table = build(make_events(n_tracks=[6] * 50), pair="pipi", beams="Y3S")
    for event in np.unique(table["__event__"]):
        of_event = table["__event__"] == event
        assert table["__candidate__"][of_event].tolist() == list(range(of_event.sum()))
        assert set(table["__ncandidates__"][of_event].tolist()) == {int(of_event.sum())}


@pytest.mark.parametrize("n_tracks", [[], [0, 0], [1, 1, 0]])
def test_no_candidate_is_no_error(make_events: Any, n_tracks: list[int]) -> None:
    table = build(make_events(n_tracks=n_tracks), pair="pipi", beams="Y3S")
    assert (table.n_candidates, table.n_events) == (0, 0)
    assert table["pair_energy"].shape == (0,)


def test_truth_follows_the_pair(make_events: Any) -> None:
    events = make_events(n_tracks=[2, 2, 2])
    events |= {"track_charge": ak.Array([[1, -1]] * 3), "track_px": ak.Array([[0.5, 0.5]] * 3)}
    events["track_mc_from_dipion"] = ak.Array([[1, 1], [1, 0], [0, 0]])
    events["track_mc_pdg"] = ak.Array([[-13, 13], [-13, 11], [-11, 13]])
    assert build(events, pair="pipi", beams="Y3S")["is_signal"].tolist() == [True, False, False]
    assert build(events, pair="mumu", beams="Y3S")["is_signal"].tolist() == [True, False, False]
    # either track may be the muon: of the second event's two candidates the first is right, of the third's the second
    assert build(events, pair="mue", beams="Y3S")["is_signal"].tolist() == [False, False, True, False, False, True]


def test_unknown_names(make_events: Any) -> None:
    assert PAIRS.names() == ("mue", "mumu", "pipi")
    with pytest.raises(UnknownNameError, match="unknown pair 'pippi'; did you mean 'pipi'"):
        build(make_events(n_tracks=[2]), pair="pippi", beams="Y3S")
    with pytest.raises(UnknownNameError, match="unknown beams 'Y3X'; did you mean 'Y3S'"):
        build(make_events(n_tracks=[2]), pair="pipi", beams="Y3X")
