"""Features of what the whole event misses: beams minus all tracks, as pions, and photon candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.candidates.daughters import four_vector, named
from mlbkg.features.base import Columns, feature
from mlbkg.features.kinematics import polar_angle
from mlbkg.physics.lorentz import FourVector
from mlbkg.physics.recoil import recoil

VISIBLE = (*named("visible_cms"), "event_index")


@feature(
    "EVisible",
    unit="GeV",
    needs=("visible_cms_energy", "event_index"),
    description="energy of all tracks and photon candidates, centre-of-mass frame",
    basf2="visibleEnergyOfEventCMS",
)
def visible_energy(columns: Columns) -> NDArray[Any]:
    return np.asarray(columns["visible_cms_energy"][columns["event_index"]])


@feature(
    "EMissing",
    unit="GeV",
    needs=("visible_cms_energy", "event_index", "sqrt_s"),
    description="missing energy, centre-of-mass frame",
    basf2="missingEnergyOfEventCMS",
)
def missing_energy(columns: Columns) -> NDArray[Any]:
    return np.asarray(columns["sqrt_s"]) - visible_energy(columns)


@feature(
    "M2Missing",
    unit="GeV^2",
    needs=(*VISIBLE, "sqrt_s"),
    description="squared missing mass",
    basf2="missingMass2OfEvent",
)
def missing_mass_squared(columns: Columns) -> NDArray[Any]:
    momentum = four_vector(columns, "visible_cms").p[columns["event_index"]]
    return np.asarray(missing_energy(columns) ** 2 - momentum**2)


@feature(
    "ThetaMissing",
    unit="rad",
    needs=(*named("beam"), *named("pair"), *named("roe")),
    description="polar angle of the missing momentum, laboratory",
    basf2="missingMomentumOfEvent_theta",
)
def missing_theta(columns: Columns) -> NDArray[Any]:
    seen = four_vector(columns, "pair").plus(four_vector(columns, "roe"))
    return polar_angle(recoil(four_vector(columns, "beam"), seen))


@feature(
    "ThetaMissingCMS",
    unit="rad",
    needs=VISIBLE,
    description="polar angle of the missing momentum, centre-of-mass frame, z along the electron beam",
    basf2="missingMomentumOfEventCMS_theta",
)
def missing_theta_cms(columns: Columns) -> NDArray[Any]:
    visible = four_vector(columns, "visible_cms")
    return polar_angle(FourVector(visible.e, -visible.px, -visible.py, -visible.pz))[columns["event_index"]]
