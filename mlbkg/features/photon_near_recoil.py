"""The photon candidate that lies nearest to what recoils against the pair: a photon that was not quite lost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.candidates.daughters import named
from mlbkg.candidates.jagged import momentum, segments, take_rows
from mlbkg.features.base import Columns, feature
from mlbkg.physics.segments import Segments

MOMENTA = (*(f"{what}_{axis}" for what in ("beam", "pair") for axis in ("px", "py", "pz")),)
NEEDS = (*named("photon"), "event_index", *MOMENTA)


@feature(
    "AngleGammaNearRecoil",
    unit="rad",
    needs=NEEDS,
    description="angle between the momentum that recoils against the pair and the nearest photon candidate, laboratory; "
    "pi without one",
)
def angle(columns: Columns) -> NDArray[Any]:
    cosine, _, photons = _cosines(columns)
    return np.arccos(np.clip(photons.max(cosine, empty=-1.0), -1.0, 1.0))


@feature(
    "EGammaNearRecoil",
    unit="GeV",
    needs=NEEDS,
    description="energy of the photon candidate nearest to the momentum that recoils against the pair; 0 without one",
)
def energy(columns: Columns) -> NDArray[Any]:
    cosine, energies, photons = _cosines(columns)
    nearest = cosine == photons.repeat(photons.max(cosine, empty=-1.0))
    return photons.max(np.where(nearest, energies, 0.0), empty=0.0)


def _cosines(columns: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64], Segments]:
    """Of every candidate's every photon: the cosine of its angle to the recoil, and its energy."""
    rows = columns["event_index"]
    photon = [take_rows(columns[name], rows) for name in named("photon")]
    photons = segments(photon[0])
    energies, *directions = (momentum(component) for component in photon)
    recoil = [columns[f"beam_{axis}"] - columns[f"pair_{axis}"] for axis in ("px", "py", "pz")]
    size = np.sqrt(sum(np.square(component) for component in recoil))
    along = sum(photons.repeat(c) * d for c, d in zip(recoil, directions, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(size[photons.ids] > 0, along / (energies * photons.repeat(size)), -1.0), energies, photons
