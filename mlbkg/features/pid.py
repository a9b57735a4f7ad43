"""Features of what the pair's two tracks look like."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.features.base import Columns, Compute, feature

MOMENTUM = ("px", "py", "pz")
CLUSTER_ENERGY = "cluster_energy"


def _extreme(of_two: Any, name: str) -> Compute:
    return lambda columns: of_two(columns[f"daughter0_{name}"], columns[f"daughter1_{name}"])


def _of_one(daughter: int, name: str) -> Compute:
    return lambda columns: columns[f"daughter{daughter}_{name}"]


def _extreme_ratio(of_two: Any) -> Compute:
    return lambda columns: of_two(_energy_over_momentum(columns, 0), _energy_over_momentum(columns, 1))


def _energy_over_momentum(columns: Columns, daughter: int) -> NDArray[Any]:
    squared = sum(columns[f"daughter{daughter}_{part}"].astype(np.float64) ** 2 for part in MOMENTUM)
    ratio: NDArray[Any] = columns[f"daughter{daughter}_{CLUSTER_ENERGY}"] / np.sqrt(squared)
    return ratio


for _end, _of_two in (("Min", np.minimum), ("Max", np.maximum)):
    _which = "smaller" if _end == "Min" else "larger"
    feature(
        f"clusterE{_end}",
        unit="GeV",
        needs=(f"daughter0_{CLUSTER_ENERGY}", f"daughter1_{CLUSTER_ENERGY}"),
        description=f"{_which} calorimeter energy of the two tracks; 0 for a track without a cluster",
        basf2=f"{_end.lower()}(daughter(0,clusterE),daughter(1,clusterE))",
    )(_extreme(_of_two, CLUSTER_ENERGY))
    feature(
        f"clusterEoP{_end}",
        needs=tuple(f"daughter{i}_{name}" for i in (0, 1) for name in (CLUSTER_ENERGY, *MOMENTUM)),
        description=f"{_which} ratio of calorimeter energy to momentum of the two tracks; 0 for a track without a cluster",
        basf2=f"{_end.lower()}(daughter(0,clusterEoP),daughter(1,clusterEoP))",
    )(_extreme_ratio(_of_two))
    for _hypothesis in ("pion", "electron", "muon"):
        _column, _basf2 = f"{_hypothesis}_id", f"{_hypothesis}ID"
        feature(
            f"{_hypothesis}ID{_end}",
            needs=(f"daughter0_{_column}", f"daughter1_{_column}"),
            description=f"{_which} {_hypothesis} likelihood ratio of the two tracks",
            basf2=f"{_end.lower()}(daughter(0,{_basf2}),daughter(1,{_basf2}))",
        )(_extreme(_of_two, _column))

for _i in (0, 1):
    feature(
        f"clusterE{_i}",
        unit="GeV",
        needs=(f"daughter{_i}_{CLUSTER_ENERGY}",),
        description=f"calorimeter energy of track {_i}; 0 without a cluster",
        basf2=f"daughter({_i},clusterE)",
    )(_of_one(_i, CLUSTER_ENERGY))
    feature(
        f"clusterEoP{_i}",
        needs=tuple(f"daughter{_i}_{name}" for name in (CLUSTER_ENERGY, *MOMENTUM)),
        description=f"ratio of calorimeter energy to momentum of track {_i}; 0 without a cluster",
        basf2=f"daughter({_i},clusterEoP)",
    )(partial(_energy_over_momentum, daughter=_i))
    for _hypothesis in ("pion", "electron", "muon"):
        feature(
            f"{_hypothesis}ID{_i}",
            needs=(f"daughter{_i}_{_hypothesis}_id",),
            description=f"{_hypothesis} likelihood ratio of track {_i}",
            basf2=f"daughter({_i},{_hypothesis}ID)",
        )(_of_one(_i, f"{_hypothesis}_id"))
