"""Beams against basf2's numbers and exact kinematics."""

import numpy as np
import pytest

from mlbkg.errors import UnknownNameError
from mlbkg.physics.beams import BEAMS, beams_named
from mlbkg.physics.constants import M_UPSILON_3S
from mlbkg.physics.lorentz import FourVector


def test_total_momentum_at_the_upsilon_4s() -> None:
    # basf2, generators/scripts/beamparameters.py: P = (11.006; 0.4566, 0, 2.9994) GeV, sqrt(s) = 10.5796,
    # beta gamma = 0.28678
    total = BEAMS["Y4S"].total
    assert total == pytest.approx((11.006, 0.4566, 0.0, 2.9994), abs=1e-4)
    assert BEAMS["Y4S"].sqrt_s == pytest.approx(10.5796, abs=1e-4)
    assert total.p / BEAMS["Y4S"].sqrt_s == pytest.approx(0.28678, abs=1e-5)


def test_upsilon_3s_beams_give_the_boost_and_the_resonance_gives_the_mass() -> None:
    # The same file: beams of 6.855 and 3.917 GeV have sqrt(s) = 10.3547, beta gamma = 0.28676
    beams = BEAMS["Y3S"]
    assert beams.total_mass == pytest.approx(10.3547, abs=1e-4)
    assert beams.total.p / beams.total_mass == pytest.approx(0.28676, abs=1e-5)
    assert beams.sqrt_s == M_UPSILON_3S


@pytest.mark.parametrize(
    ("lab_degrees", "cos_cms"),
    # Massless particles at the edges of the ECL and the CDC, for a head-on boost of beta gamma = 0.2868 (physics.md 5.2)
    [(12.4, 0.9593), (17.0, 0.9243), (31.4, 0.7557), (128.7, -0.7685), (150.0, -0.9217), (155.1, -0.9461)],
)
def test_acceptance_edges_in_the_centre_of_mass(lab_degrees: float, cos_cms: float) -> None:
    theta = np.deg2rad(lab_degrees)
    # Out of the plane of the beams the crossing angle matters least
    cms = BEAMS["Y4S"].to_cms(FourVector(1.0, 0.0, np.sin(theta), np.cos(theta)))
    assert cms.pz / cms.e == pytest.approx(cos_cms, abs=2e-3)


def test_frames_are_inverse_and_the_electron_beam_is_the_z_axis() -> None:
    beams = BEAMS["Y3S"]
    rng = np.random.default_rng(1)
    p = rng.normal(size=(3, 100))
    lab = FourVector(np.sqrt(1.0 + (p**2).sum(axis=0)), *p)
    for there, back in zip(lab, beams.to_lab(beams.to_cms(lab)), strict=True):
        np.testing.assert_allclose(back, there, atol=1e-12)
    angle = beams.half_crossing_angle
    electron = beams.to_cms(FourVector(6.855, 6.855 * np.sin(angle), 0.0, 6.855 * np.cos(angle)))
    assert electron == pytest.approx((beams.total_mass / 2, 0.0, 0.0, beams.total_mass / 2), abs=1e-12)
    assert beams.to_cms(beams.total) == pytest.approx((beams.total_mass, 0.0, 0.0, 0.0), abs=1e-12)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'Y3S'"):
        beams_named("Y3")
