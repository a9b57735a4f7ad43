"""Registered features are the same in the graph and in Python, and it is known which are not in the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlbkg.candidates.column import Setting
from mlbkg.candidates.daughters import COMPONENTS
from mlbkg.candidates.pairs import PAIRS
from mlbkg.candidates.table import GROUP_OF
from mlbkg.export.metadata import FeatureInfo
from mlbkg.features.base import FEATURES
from mlbkg.physics.beams import BEAMS

PAIR, BEAM = "pipi", "Y3S"
NAN, INF = np.nan, np.inf

OF_COLLECTIONS = {
    *("AngleGammaNearRecoil", "ChargeROE", "CleoCone0", "CleoCone1", "CleoCone2", "CosGammaNormal", "EExtra", "EGamma2"),
    *("EGammaMax", "EGammaNearRecoil", "EMissing", "ENeutralExtra", "EPhotons", "EROE", "EVisible", "M2Missing", "MEEROE"),
    *("MMuMuROE", "MROE", "R2", "ThetaMissingCMS", "aplanarity", "cosThrust", "nElectronsROE", "nHadronsROE", "nKLMROE"),
    *("nMuonsROE", "nPhotonsROE", "nTracks", "nTracksROE", "sphericity", "thrust"),
}
"""Made of the tracks, photons or shape of the whole event, or of the rest of it: these stay inputs."""
EXACT = {
    *("m2Recoil", "mRecoil", "PRecoil", "EPiPi", "PPiPi", "PLL", "MPiPi", "MLL", "CosThetaPiPi", "CosThetaLL"),
    *("CosHelicityPiPi", "CosHelicityLL", "P1LL", "P2LL", "PtRecoilLMax", "PtRecoilLMin", "drMax", "dzMax"),
    *(f"clusterE{end}" for end in ("0", "1", "Min", "Max")),
    *(f"clusterEoP{end}" for end in ("0", "1", "Min", "Max")),
    *(f"{kind}ID{end}" for kind in ("pion", "electron", "muon") for end in ("0", "1", "Min", "Max")),
}
"""Of + - * /, square root and comparisons alone."""
IN_GRAPH = sorted(set(FEATURES) - OF_COLLECTIONS)
MOMENTA = [f"daughter{i}_{axis}" for i in (0, 1) for axis in ("px", "py", "pz")]


class Columns(Mapping[str, Any]):
    """As a table of candidates has them: ``branches`` are float32, momenta become float64."""

    def __init__(self, branches: Mapping[str, NDArray[np.float32]]) -> None:
        self._branches = branches
        self._setting = Setting(PAIRS[PAIR], BEAMS[BEAM])

    def __getitem__(self, name: str) -> Any:
        if name == "event_index":
            return np.zeros(len(self._branches["daughter0_px"]), dtype=np.intp)
        if name in self._branches:
            values = self._branches[name]
            return values.astype(np.float64) if name.partition("_")[2] in COMPONENTS else values
        group = GROUP_OF[name]
        return dict(zip(group.names, group.compute(self, self._setting), strict=True))[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._branches)

    def __len__(self) -> int:
        return len(self._branches)


def branches(names: list[str], *, rows: int = 2000) -> dict[str, NDArray[np.float32]]:
    """Realistic candidates, then rows of zeros, of opposite and of equal momenta, and with NaN and infinities."""
    rng = np.random.default_rng(7)
    columns = {}
    for name in names:
        quantity = name.partition("_")[2]
        if quantity in ("px", "py", "pz"):
            values = rng.normal(0, 0.3, rows)
        elif quantity.endswith("error"):
            values = rng.exponential(0.01, rows) + 1e-3
        elif quantity in ("d0", "z0"):
            values = rng.normal(0, 0.02, rows)
        else:
            values = rng.choice([0.0, 0.5, 1.0, *rng.random(20)], rows)
        columns[name] = values.astype(np.float32)
        columns[name][:5] = 0
        columns[name][100:500] = rng.choice([0, 1, -1, 0.5, NAN, INF, -INF, 1e-30, 1e30], 400)
        if name.startswith("daughter1_") and f"daughter0_{quantity}" in columns:
            columns[name][5:10] = -columns[f"daughter0_{quantity}"][5:10]
            columns[name][10:15] = columns[f"daughter0_{quantity}"][10:15]
    for name in MOMENTA[:2]:
        columns[name][15:20] = 0
    return columns


@pytest.mark.parametrize("name", IN_GRAPH)
def test_graph_and_python_agree(name: str, make_graph: Callable[..., Any]) -> None:
    graph, run = make_graph([FeatureInfo(name)], candidates={"pair": PAIR, "beams": BEAM})
    given = branches(sorted({*MOMENTA, "roe_energy", *(one.name for one in graph.inputs)}))
    with np.errstate(all="ignore"):
        expected = FEATURES[name](Columns(given))
    found = run(given)[:, 0]
    assert graph.sources[0].made == "computed"
    assert np.isfinite(expected[500:]).mean() > 0.9
    if name in EXACT:
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
        near = np.isclose(found, expected, rtol=2 * np.finfo(np.float32).eps, atol=1e-6, equal_nan=True)
        assert near.all(), (found[~near], expected[~near], np.flatnonzero(~near))


def test_every_feature_is_in_the_graph_or_listed(make_graph: Callable[..., Any]) -> None:
    graph, _ = make_graph([FeatureInfo(name) for name in FEATURES], candidates={"pair": PAIR, "beams": BEAM})
    assert {source.name for source in graph.sources if source.made == "input"} == OF_COLLECTIONS
    assert {one.name for one in graph.inputs if one.feature} == OF_COLLECTIONS
    assert all(one.reason for one in graph.inputs if one.feature)
    assert not any(one.name.startswith(("pair_", "beam_", "sqrt_s")) for one in graph.inputs)
