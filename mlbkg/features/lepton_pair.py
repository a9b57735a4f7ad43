"""Features of a pair of leptons and of what recoils against it; z is along the electron beam in the centre-of-mass frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.candidates.daughters import four_vector, named
from mlbkg.features.base import Columns, feature
from mlbkg.features.kinematics import (
    DAUGHTERS,
    PAIR,
    PAIR_CMS,
    cos_helicity,
    cross_squared,
    mass,
    momentum,
    opening_angle,
    ratio,
)
from mlbkg.physics.lorentz import FourVector

LEPTONS = (*named("daughter0_cms"), *named("daughter1_cms"))

feature("MLL", unit="GeV", needs=PAIR, description="invariant mass of the two leptons", basf2="InvM")(mass)
feature(
    "PLL",
    unit="GeV",
    needs=PAIR_CMS,
    description="momentum of the two leptons together, centre-of-mass frame",
    basf2="useCMSFrame(p)",
)(momentum)
feature(
    "AngleLL", unit="rad", needs=DAUGHTERS, description="angle between the leptons, laboratory", basf2="daughterAngle(0,1)"
)(opening_angle)
feature(
    "CosHelicityLL",
    needs=DAUGHTERS,
    description="cosine of the angle between lepton 0, in the pair's rest frame, and the pair's laboratory momentum",
    basf2="cosHelicityAngleMomentum",
)(cos_helicity)


@feature(
    "PtLL",
    unit="GeV",
    needs=("pair_cms_px", "pair_cms_py"),
    description="momentum of the two leptons together across the beams, centre-of-mass frame; also the recoil's",
    basf2="useCMSFrame(pt)",
)
def transverse_momentum(columns: Columns) -> NDArray[Any]:
    pt: NDArray[Any] = np.hypot(columns["pair_cms_px"], columns["pair_cms_py"])
    return pt


@feature(
    "CosThetaLL",
    needs=PAIR_CMS,
    description="cosine of the polar angle of the two leptons together, centre-of-mass frame",
    basf2="useCMSFrame(cosTheta)",
)
def cos_theta(columns: Columns) -> NDArray[Any]:
    pair = four_vector(columns, "pair_cms")
    return ratio(pair.pz, pair.p)


@feature(
    "DPhiLL",
    unit="rad",
    needs=tuple(f"daughter{i}_{component}" for i in (0, 1) for component in ("px", "py")),
    description="angle between the leptons across the detector's axis, laboratory; pi for back to back",
)
def transverse_opening_angle(columns: Columns) -> NDArray[Any]:
    return _angle_across_z(*(columns[f"daughter{i}_{component}"] for i in (0, 1) for component in ("px", "py")))


@feature(
    "AcoplanarityLL",
    unit="rad",
    needs=LEPTONS,
    description="pi minus the angle between the leptons across the beams, centre-of-mass frame; 0 also where photons went "
    "along the beams",
)
def acoplanarity(columns: Columns) -> NDArray[Any]:
    first, second = _leptons(columns)
    return np.pi - _angle_across_z(first.px, first.py, second.px, second.py)


@feature(
    "P1LL",
    unit="GeV",
    needs=LEPTONS,
    description="momentum of the lepton that has more of it, centre-of-mass frame",
)
def higher_momentum(columns: Columns) -> NDArray[Any]:
    first, second = _leptons(columns)
    p: NDArray[Any] = np.maximum(first.p, second.p)
    return p


@feature(
    "P2LL",
    unit="GeV",
    needs=LEPTONS,
    description="momentum of the lepton that has less of it, centre-of-mass frame",
)
def lower_momentum(columns: Columns) -> NDArray[Any]:
    first, second = _leptons(columns)
    p: NDArray[Any] = np.minimum(first.p, second.p)
    return p


@feature(
    "PtRecoilLMax",
    unit="GeV",
    needs=LEPTONS,
    description="momentum that recoils against the pair, across the lepton of more momentum, centre-of-mass frame "
    "(Belle II, arXiv:1912.11276)",
)
def recoil_across_higher(columns: Columns) -> NDArray[Any]:
    first, second = _leptons(columns)
    return _across(first, second, np.maximum(first.p, second.p))


@feature(
    "PtRecoilLMin",
    unit="GeV",
    needs=LEPTONS,
    description="momentum that recoils against the pair, across the lepton of less momentum, centre-of-mass frame "
    "(Belle II, arXiv:1912.11276)",
)
def recoil_across_lower(columns: Columns) -> NDArray[Any]:
    first, second = _leptons(columns)
    return _across(first, second, np.minimum(first.p, second.p))


def _leptons(columns: Columns) -> tuple[FourVector, FourVector]:
    return four_vector(columns, "daughter0_cms"), four_vector(columns, "daughter1_cms")


def _across(first: FourVector, second: FourVector, lepton_p: Any) -> NDArray[np.float64]:
    """The recoil has -(p1 + p2), so that across either lepton it has |p1 x p2| over that lepton's momentum; NaN at rest."""
    return ratio(np.sqrt(cross_squared(first, second)), lepton_p)


def _angle_across_z(ax: Any, ay: Any, bx: Any, by: Any) -> NDArray[Any]:
    angle: NDArray[Any] = np.arctan2(np.abs(ax * by - ay * bx), ax * bx + ay * by)
    return angle
