"""Features of clusters in the calorimeter. None of a candidate's tracks has one, so all but EExtra are the event's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.candidates.daughters import named
from mlbkg.candidates.event import above_photon_threshold
from mlbkg.candidates.jagged import flat, momentum, segments
from mlbkg.features.base import Columns, feature
from mlbkg.features.kinematics import ratio
from mlbkg.physics.segments import Segments

PHOTON_ENERGY = ("photon_energy", "event_index")
CLUSTERS = ("cluster_energy", "cluster_theta", "cluster_hadronic", "event_index")


@feature("nPhotonsROE", needs=PHOTON_ENERGY, description="photon candidates", basf2="nROE_Photons")
def n_photons(columns: Columns) -> NDArray[Any]:
    return segments(columns["photon_energy"]).counts[columns["event_index"]]


@feature(
    "nHadronsROE",
    needs=CLUSTERS,
    description="clusters that look like neutral hadrons, above the photon threshold",
    basf2="nROE_NeutralHadrons",
)
def n_hadrons(columns: Columns) -> NDArray[Any]:
    above, clusters = _above_threshold(columns)
    hadrons = above & (flat(columns["cluster_hadronic"]) != 0)
    return clusters.sum(hadrons)[columns["event_index"]]


def _above_threshold(columns: Columns) -> tuple[NDArray[np.bool_], Segments]:
    above = above_photon_threshold(momentum(columns["cluster_energy"]), flat(columns["cluster_theta"]))
    return above, segments(columns["cluster_energy"])


@feature(
    "EGammaMax",
    unit="GeV",
    needs=PHOTON_ENERGY,
    description="energy of the most energetic photon candidate; 0 without one",
    basf2="getVariableByRank(gamma:roe,E,E,1)",
)
def hardest_photon(columns: Columns) -> NDArray[Any]:
    energy = columns["photon_energy"]
    return segments(energy).max(flat(energy), empty=0.0)[columns["event_index"]]


@feature(
    "EGamma2",
    unit="GeV",
    needs=PHOTON_ENERGY,
    description="energy of the second most energetic photon candidate; 0 without two",
    basf2="getVariableByRank(gamma:roe,E,E,2)",
)
def second_photon(columns: Columns) -> NDArray[Any]:
    energy, photons = flat(columns["photon_energy"]), segments(columns["photon_energy"])
    others = energy.copy()
    others[_hardest(energy, photons)] = 0.0
    return photons.max(others, empty=0.0)[columns["event_index"]]


def _hardest(energy: NDArray[Any], photons: Segments) -> NDArray[np.intp]:
    """Flat position of each event's most energetic photon candidate, for events that have one."""
    largest = np.flatnonzero(energy == photons.repeat(photons.max(energy, empty=0.0)))
    event = photons.ids[largest]
    return largest[np.diff(event, prepend=-1) > 0]


@feature(
    "EExtra",
    unit="GeV",
    needs=("cluster_energy", "roe_track_cluster_energy", "event_index"),
    description="energy of all clusters, of any energy, that do not belong to the pair's tracks",
    basf2="roeEextra",
)
def extra_energy(columns: Columns) -> NDArray[Any]:
    neutral, charged = columns["cluster_energy"], columns["roe_track_cluster_energy"]
    return segments(neutral).sum(flat(neutral))[columns["event_index"]] + segments(charged).sum(flat(charged))


@feature(
    "ENeutralExtra",
    unit="GeV",
    needs=CLUSTERS,
    description="energy of the clusters without a track, hadronic or not, above the photon threshold",
    basf2="roeNeextra",
)
def neutral_extra_energy(columns: Columns) -> NDArray[Any]:
    above, clusters = _above_threshold(columns)
    return clusters.sum(np.where(above, momentum(columns["cluster_energy"]), 0.0))[columns["event_index"]]


@feature(
    "EPhotons",
    unit="GeV",
    needs=PHOTON_ENERGY,
    description="energy of all photon candidates of the event",
    basf2="totalPhotonsEnergyOfEvent",
)
def photon_energy(columns: Columns) -> NDArray[Any]:
    energy = columns["photon_energy"]
    return segments(energy).sum(flat(energy))[columns["event_index"]]


@feature(
    "CosGammaNormal",
    needs=(
        *named("photon"),
        "event_index",
        *(f"daughter{i}_{component}" for i in (0, 1) for component in ("px", "py", "pz")),
    ),
    description="|cosine| of the angle between the most energetic photon candidate and the normal of the plane of the two "
    "tracks' momenta (BaBar, arXiv:0908.2840); NaN without a photon candidate",
)
def cos_photon_normal(columns: Columns) -> NDArray[Any]:
    # the normal's sign would only say which daughter is called 0
    energy, photons = flat(columns["photon_energy"]), segments(columns["photon_energy"])
    hardest = _hardest(energy, photons)
    direction = np.full((3, len(photons)), np.nan)
    for row, component in enumerate(("px", "py", "pz")):
        direction[row, photons.ids[hardest]] = flat(columns[f"photon_{component}"])[hardest] / energy[hardest]
    x, y, z = direction[:, columns["event_index"]]
    ax, ay, az = (columns[f"daughter0_{component}"] for component in ("px", "py", "pz"))
    bx, by, bz = (columns[f"daughter1_{component}"] for component in ("px", "py", "pz"))
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return np.minimum(ratio(np.abs(nx * x + ny * y + nz * z), np.sqrt(nx * nx + ny * ny + nz * nz)), 1.0)
