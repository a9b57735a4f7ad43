from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from mlbkg.candidates.build import build
from mlbkg.candidates.table import CandidateTable
from mlbkg.errors import UnknownNameError
from mlbkg.features.base import FEATURES
from mlbkg.features.sets import SETS, expand
from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import M_PION
from mlbkg.physics.lorentz import FourVector, boost


def test_sets_name_features_once() -> None:
    for names in SETS.values():
        assert set(names) <= set(FEATURES)
        assert len(set(names)) == len(names)
    assert set(SETS["upsilon1s_decorrelated"]) < set(SETS["upsilon1s"])
    assert {"nTracksROE", "EPiPi", "EGammaMax"} <= set(SETS["upsilon1s"])
    assert not {"mRecoil", "m2Recoil"} & set(SETS["upsilon1s"])


def test_expand_keeps_order_and_drops_repeats() -> None:
    assert expand(["mRecoil", "EROE"]) == ("mRecoil", "EROE")
    expanded = expand(["EROE", "set:upsilon1s_decorrelated", "mine"])
    assert expanded[0] == "EROE"
    assert expanded[-1] == "mine"
    assert sorted(expanded) == sorted({*SETS["upsilon1s_decorrelated"], "mine"})


def test_unknown_set() -> None:
    with pytest.raises(UnknownNameError, match="unknown set of features 'upsilon1'; did you mean 'upsilon1s'"):
        expand(["set:upsilon1"])


def _unit(n: int, rng: np.random.Generator) -> np.ndarray:
    direction = rng.normal(size=(3, n))
    return np.asarray(direction / np.linalg.norm(direction, axis=0))


def _lone_dipions(make_events: Any, n: int) -> CandidateTable:
    """Events of nothing but a dipion: flat in its mass and in a recoil mass of 9.40 to 9.52 GeV, isotropic decays."""
    rng, beams = np.random.default_rng(11), BEAMS["Y3S"]
    mass, recoil_mass = rng.uniform(0.29, 0.80, n), rng.uniform(9.40, 9.52, n)
    energy = (beams.sqrt_s**2 + mass**2 - recoil_mass**2) / (2 * beams.sqrt_s)
    velocity = np.sqrt(np.maximum(energy**2 - mass**2, 0)) / energy * _unit(n, rng)
    pion = np.sqrt(mass**2 / 4 - M_PION**2) * _unit(n, rng)
    events = make_events(n_tracks=[2] * n, n_clusters=[0] * n)
    events["track_charge"] = ak.Array(np.tile([1, -1], (n, 1)))
    lab = [
        beams.to_lab(boost(FourVector(mass / 2, *(sign * pion)), bx=velocity[0], by=velocity[1], bz=velocity[2]))
        for sign in (1, -1)
    ]
    for component in ("px", "py", "pz"):
        stacked = np.stack([getattr(vector, component) for vector in lab], axis=1)
        events[f"track_{component}"] = ak.unflatten(stacked.ravel(), 2)
    return build(events, pair="pipi", beams="Y3S")


def test_decorrelated_set_does_not_know_the_recoil_mass(make_events: Any) -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    table = _lone_dipions(make_events, 12_000)
    recoil_mass = FEATURES["mRecoil"](table)
    train = np.arange(table.n_candidates) % 4 > 0

    def explained(names: tuple[str, ...]) -> float:
        X = np.nan_to_num(np.column_stack([FEATURES[name](table) for name in names]))
        model = HistGradientBoostingRegressor(random_state=0, max_iter=100).fit(X[train], recoil_mass[train])
        return float(model.score(X[~train], recoil_mass[~train]))

    assert explained(("EPiPi", "MPiPi")) > 0.98
    assert explained(SETS["upsilon1s"]) > 0.98
    kept = SETS["upsilon1s_decorrelated"]
    allowed = explained(kept)
    # the laboratory momentum says what p* alone does: larger recoil masses leave less of it
    assert allowed < explained(("PPiPi",)) < 0.25
    for leak in ("EPiPi", "PPiPi", "MPiPi", "AnglePiPi", "EMissing", "M2Missing", "R2", "thrust", "cosThrust"):
        assert explained((*kept, leak)) > allowed + 0.01, leak
