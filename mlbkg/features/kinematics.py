"""Features of the pair and of what recoils against it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.candidates.daughters import four_vector, named
from mlbkg.features.base import Columns, feature
from mlbkg.physics.lorentz import FourVector
from mlbkg.physics.recoil import recoil, recoil_mass_squared, signed_root

PAIR = named("pair")
PAIR_CMS = named("pair_cms")
RECOIL = (*named("beam"), *PAIR)
DAUGHTERS = (*named("daughter0"), *named("daughter1"))


def ratio(numerator: Any, denominator: Any) -> NDArray[np.float64]:
    """NaN where the denominator is 0: a direction that does not exist."""
    quotient: NDArray[np.float64] = numerator / np.where(denominator > 0, denominator, np.nan)
    return quotient


def polar_angle(vector: FourVector) -> NDArray[np.float64]:
    """In rad; NaN for a vector of no length."""
    return np.where(vector.p > 0, np.arctan2(vector.pt, vector.pz), np.nan)


@feature(
    "m2Recoil", unit="GeV^2", needs=RECOIL, description="squared mass of what recoils against the pair", basf2="m2Recoil"
)
def m2_recoil(columns: Columns) -> NDArray[Any]:
    mass_squared: NDArray[Any] = recoil_mass_squared(four_vector(columns, "beam"), four_vector(columns, "pair"))
    return mass_squared


@feature(
    "mRecoil",
    unit="GeV",
    needs=RECOIL,
    description="mass of what recoils against the pair; negative where its square is",
    basf2="mRecoil",
)
def m_recoil(columns: Columns) -> NDArray[Any]:
    mass: NDArray[Any] = signed_root(m2_recoil(columns))
    return mass


@feature("PRecoil", unit="GeV", needs=RECOIL, description="momentum that recoils against the pair", basf2="pRecoil")
def p_recoil(columns: Columns) -> NDArray[Any]:
    p: NDArray[Any] = recoil(four_vector(columns, "beam"), four_vector(columns, "pair")).p
    return p


@feature(
    "ThetaRecoil",
    unit="rad",
    needs=RECOIL,
    description="polar angle of the momentum that recoils against the pair",
    basf2="pRecoilTheta",
)
def theta_recoil(columns: Columns) -> NDArray[Any]:
    return polar_angle(recoil(four_vector(columns, "beam"), four_vector(columns, "pair")))


@feature(
    "EPiPi",
    unit="GeV",
    needs=("pair_cms_energy",),
    description="energy of the pair, centre-of-mass frame",
    basf2="useCMSFrame(E)",
)
def energy(columns: Columns) -> NDArray[Any]:
    energy: NDArray[Any] = columns["pair_cms_energy"]
    return energy


@feature(
    "PPiPi",
    unit="GeV",
    needs=PAIR_CMS,
    description="momentum of the pair, centre-of-mass frame",
    basf2="useCMSFrame(p)",
)
def momentum(columns: Columns) -> NDArray[Any]:
    p: NDArray[Any] = four_vector(columns, "pair_cms").p
    return p


@feature("MPiPi", unit="GeV", needs=PAIR, description="invariant mass of the pair", basf2="InvM")
def mass(columns: Columns) -> NDArray[Any]:
    mass: NDArray[Any] = np.sqrt(np.maximum(four_vector(columns, "pair").mass_squared, 0.0))
    return mass


@feature("PtPiPi", unit="GeV", needs=("pair_px", "pair_py"), description="transverse momentum of the pair", basf2="pt")
def transverse_momentum(columns: Columns) -> NDArray[Any]:
    pt: NDArray[Any] = np.hypot(columns["pair_px"], columns["pair_py"])
    return pt


@feature("CosThetaPiPi", needs=PAIR, description="cosine of the pair's polar angle", basf2="cosTheta")
def cos_theta(columns: Columns) -> NDArray[Any]:
    pair = four_vector(columns, "pair")
    return ratio(pair.pz, pair.p)


@feature(
    "CosHelicityPiPi",
    needs=DAUGHTERS,
    description="cosine of the angle between daughter 0, in the pair's rest frame, and the pair's laboratory momentum",
    basf2="cosHelicityAngleMomentum",
)
def cos_helicity(columns: Columns) -> NDArray[Any]:
    first, second = four_vector(columns, "daughter0"), four_vector(columns, "daughter1")
    pair = first.plus(second)
    p, m = pair.p, np.sqrt(np.maximum(pair.mass_squared, 0.0))
    # momentum of daughter 0 along the flight direction, and its size, in the rest frame, both times the pair's mass
    along = (first.px * pair.px + first.py * pair.py + first.pz * pair.pz) / np.where(p > 0, p, 1.0) * pair.e - p * first.e
    square0, square1 = first.mass_squared, second.mass_squared
    size = 0.5 * np.sqrt(np.maximum((m**2 - square0 - square1) ** 2 - 4.0 * square0 * square1, 0.0))
    return np.clip(ratio(along, np.where(p > 0, size, 0.0)), -1.0, 1.0)


@feature(
    "AnglePiPi",
    unit="rad",
    needs=DAUGHTERS,
    description="angle between the daughters; near 0 for a photon that converted",
    basf2="daughterAngle(0,1)",
)
def opening_angle(columns: Columns) -> NDArray[Any]:
    first, second = four_vector(columns, "daughter0"), four_vector(columns, "daughter1")
    scalar = first.px * second.px + first.py * second.py + first.pz * second.pz
    # the arc tangent keeps small angles exact, where the arc cosine of the same cosine loses half the digits
    angle: NDArray[Any] = np.arctan2(np.sqrt(cross_squared(first, second)), scalar)
    return angle


def cross_squared(a: FourVector, b: FourVector) -> NDArray[Any]:
    """Of the vector product of the momenta."""
    square: NDArray[Any] = (
        (a.py * b.pz - a.pz * b.py) ** 2 + (a.pz * b.px - a.px * b.pz) ** 2 + (a.px * b.py - a.py * b.px) ** 2
    )
    return square
