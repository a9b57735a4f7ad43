"""What must hold for any event: rotations, boosts, and the order of particles change nothing that they should not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlbkg.candidates.build import build
from mlbkg.candidates.table import CandidateTable
from mlbkg.features.base import FEATURES
from mlbkg.physics.event_shape import fox_wolfram, sphericity_eigenvalues, thrust
from mlbkg.physics.lorentz import FourVector, boost
from mlbkg.physics.segments import Segments
from mlbkg.simulation.events import COLLECTIONS

seeds = st.integers(0, 2**32 - 1)
multiplicities = st.lists(st.integers(0, 7), min_size=1, max_size=6)
momenta = arrays(np.float64, st.tuples(st.just(3), st.integers(1, 12)), elements=st.floats(0.01, 5) | st.floats(-5, -0.01))


def _rotation(seed: int) -> np.ndarray:
    """A random orthogonal matrix of determinant one."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return np.asarray(q * np.linalg.det(q))


@given(momenta, seeds)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_event_shapes_do_not_turn_with_the_event(p: np.ndarray, seed: int) -> None:
    event = Segments(np.array([p.shape[1]]))
    turned = _rotation(seed) @ p
    # a near tie between two axes may be decided differently: the thrust itself is as good to the accuracy it states
    assert thrust(*turned, event).value == pytest.approx(thrust(*p, event).value, rel=1e-9 if p.shape[1] <= 5 else 0.05)
    assert fox_wolfram(*turned, event).r2 == pytest.approx(fox_wolfram(*p, event).r2, abs=1e-9)
    found, expected = sphericity_eigenvalues(*turned, event), sphericity_eigenvalues(*p, event)
    assert found == pytest.approx(expected, abs=1e-6)


@given(momenta)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_event_shapes_stay_in_their_ranges(p: np.ndarray) -> None:
    event = Segments(np.array([p.shape[1]]))
    # in three dimensions the mean |cos| to the best axis is at least that of a round event
    assert 0.5 - 1e-9 <= thrust(*p, event).value[0] <= 1 + 1e-12
    assert -1e-12 <= fox_wolfram(*p, event).r2[0] <= 1 + 1e-12
    eigenvalues = sphericity_eigenvalues(*p, event)[0]
    assert eigenvalues.sum() == pytest.approx(1)
    assert list(eigenvalues) == sorted(eigenvalues, reverse=True)


def _with_momenta(events: dict[str, Any], change: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    tracks = np.stack([ak.flatten(events[f"track_{c}"]).to_numpy().astype(np.float64) for c in ("px", "py", "pz")])
    counts = ak.num(events["track_px"])
    return events | {
        f"track_{c}": ak.unflatten(row, counts) for c, row in zip(("px", "py", "pz"), change(tracks), strict=True)
    }


def _by_tracks(table: CandidateTable, *names: str) -> dict[tuple[int, ...], list[float]]:
    """Features of the candidates, under the event and the marks that the tracks carry in ``mc_pdg``."""
    keys = np.column_stack([table[c] for c in ("__event__", "daughter0_mc_pdg", "daughter1_mc_pdg")])
    values = np.column_stack([FEATURES[name](table) for name in names])
    return {tuple(key): list(row) for key, row in zip(keys.tolist(), values, strict=True)}


def _marked(events: dict[str, Any]) -> dict[str, Any]:
    counts = ak.num(events["track_px"])
    return events | {"track_mc_pdg": ak.unflatten(np.arange(ak.sum(counts), dtype=np.int32), counts)}


@given(seeds, seeds)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_rotation_leaves_the_mass_of_the_pair(make_events: Any, seed: int, turn: int) -> None:
    events = _marked(make_events(n_tracks=[4, 5], seed=seed))
    before = _by_tracks(build(events, pair="pipi", beams="Y3S"), "MPiPi", "AnglePiPi")
    after = _by_tracks(
        build(_with_momenta(events, lambda p: _rotation(turn) @ p), pair="pipi", beams="Y3S"), "MPiPi", "AnglePiPi"
    )
    # the transverse momentum cut turns with the event, so that some candidates are in one only
    for key in before.keys() & after.keys():
        assert after[key] == pytest.approx(before[key], rel=1e-4, abs=1e-5)


@given(seeds, st.floats(-0.8, 0.8), st.floats(-0.5, 0.5))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_boost_leaves_the_mass_of_the_pair(make_events: Any, seed: int, bz: float, bx: float) -> None:
    events = _marked(make_events(n_tracks=[4, 5], seed=seed))
    # mass of the charged pion, PDG
    boosted = _with_momenta(
        events,
        lambda p: np.stack(
            boost(FourVector(np.sqrt(np.square(p).sum(axis=0) + 0.13957039**2), *p), bx=bx, by=0.0, bz=bz)[1:]
        ),
    )
    before = _by_tracks(build(events, pair="pipi", beams="Y3S"), "MPiPi")
    after = _by_tracks(build(boosted, pair="pipi", beams="Y3S"), "MPiPi")
    for key in before.keys() & after.keys():
        assert after[key] == pytest.approx(before[key], rel=1e-4)


def _shuffled(events: dict[str, Any], seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shuffled = dict(events)
    for collection, branches in COLLECTIONS.items():
        counts = ak.num(events[f"{collection}_{next(iter(branches))}"])
        order = ak.argsort(ak.unflatten(rng.uniform(size=ak.sum(counts)), counts), axis=1)
        for branch in branches:
            shuffled[f"{collection}_{branch}"] = events[f"{collection}_{branch}"][order]
    return shuffled


@given(multiplicities, seeds)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_order_of_tracks_and_clusters_changes_no_feature(make_events: Any, n_tracks: list[int], seed: int) -> None:
    # thrust is exact to five particles, so that no near tie of two local maxima is decided by the order
    events = _marked(make_events(n_tracks=n_tracks, n_clusters=[max(5 - n, 0) for n in n_tracks], n_klm=n_tracks, seed=seed))
    names = FEATURES.names()
    before = _by_tracks(build(events, pair="pipi", beams="Y3S"), *names)
    after = _by_tracks(build(_shuffled(events, seed + 1), pair="pipi", beams="Y3S"), *names)
    assert before.keys() == after.keys()
    for key, values in before.items():
        assert after[key] == pytest.approx(values, rel=1e-4, abs=1e-4, nan_ok=True)


@given(multiplicities, seeds)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_candidates_are_all_combinations(make_events: Any, n_tracks: list[int], seed: int) -> None:
    events = make_events(n_tracks=n_tracks, seed=seed)
    hard = np.hypot(events["track_px"], events["track_py"]) > 0.1
    n_plus, n_minus = (ak.sum((events["track_charge"] == sign) & hard, axis=1).to_numpy() for sign in (1, -1))
    assert build(events, pair="pipi", beams="Y3S").n_candidates == (n_plus * n_minus).sum()
