"""Shape of the whole event: all tracks, as pions, and photon candidates, in the nominal centre-of-mass frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.candidates.event import N_CONES
from mlbkg.features.base import Columns, Compute, feature
from mlbkg.physics.event_shape import aplanarity, sphericity

EIGENVALUES = ("sphericity_eigenvalue0", "sphericity_eigenvalue1", "sphericity_eigenvalue2")


def _broadcast(column: str) -> Compute:
    return lambda columns: np.asarray(columns[column][columns["event_index"]])


feature(
    "R2",
    needs=("event_r2", "event_index"),
    description="second over zeroth Fox-Wolfram moment: 1 for back-to-back jets, near 0 for a round event",
    basf2="foxWolframR2",
)(_broadcast("event_r2"))

feature(
    "thrust",
    needs=("event_thrust", "event_index"),
    description="thrust: 1 for back-to-back jets, 1/2 for a round event",
    basf2="thrust",
)(_broadcast("event_thrust"))


@feature(
    "cosThrust",
    needs=("event_thrust_z", "event_index"),
    description="|cosine| of the thrust axis' polar angle, centre-of-mass frame, z along the electron beam",
    basf2="abs(thrustAxisCosTheta)",
)
def cos_thrust(columns: Columns) -> NDArray[Any]:
    return np.asarray(np.abs(columns["event_thrust_z"])[columns["event_index"]])


def _eigenvalues(columns: Columns) -> NDArray[np.float64]:
    return np.column_stack([columns[name] for name in EIGENVALUES])


@feature(
    "sphericity",
    needs=(*EIGENVALUES, "event_index"),
    description="sphericity: 0 for back-to-back jets, 1 for a round event",
    basf2="sphericity",
)
def event_sphericity(columns: Columns) -> NDArray[Any]:
    return np.asarray(sphericity(_eigenvalues(columns))[columns["event_index"]])


@feature(
    "aplanarity",
    needs=(*EIGENVALUES, "event_index"),
    description="aplanarity: 0 for a planar event, 1/2 for a round one",
    basf2="aplanarity",
)
def event_aplanarity(columns: Columns) -> NDArray[Any]:
    return np.asarray(aplanarity(_eigenvalues(columns))[columns["event_index"]])


for _cone in range(N_CONES):
    feature(
        f"CleoCone{_cone}",
        unit="GeV",
        needs=(f"event_cleo_cone{_cone}", "event_index"),
        description=f"momentum {10 * _cone} to {10 * _cone + 10} degrees from the thrust axis, on both sides",
        basf2=f"cleoConeThrust{_cone}",
    )(_broadcast(f"event_cleo_cone{_cone}"))
