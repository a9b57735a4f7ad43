from __future__ import annotations

import numpy as np
import pytest

from mlbkg.physics.beams import BEAMS
from mlbkg.physics.constants import M_PION, M_UPSILON_1S, M_UPSILON_3S
from mlbkg.physics.lorentz import FourVector
from mlbkg.physics.recoil import recoil, recoil_mass_squared, recoil_mass_squared_cms, signed_root

AT_REST = FourVector(M_UPSILON_3S, 0.0, 0.0, 0.0)


def test_two_body_decay_recoils_against_the_upsilon() -> None:
    mass = np.linspace(2 * M_PION, M_UPSILON_3S - M_UPSILON_1S, 50)
    # energy of a body of that mass in Y(3S) -> X Y(1S), two-body decay
    energy = (M_UPSILON_3S**2 + mass**2 - M_UPSILON_1S**2) / (2 * M_UPSILON_3S)
    momentum = np.sqrt(np.maximum(energy**2 - mass**2, 0))
    dipion = FourVector(energy, 0.6 * momentum, 0.0, 0.8 * momentum)
    assert np.sqrt(recoil_mass_squared(AT_REST, dipion)) == pytest.approx(M_UPSILON_1S)
    closed = recoil_mass_squared_cms(sqrt_s=M_UPSILON_3S, energy=energy, mass_squared=mass**2)
    assert closed == pytest.approx(recoil_mass_squared(AT_REST, dipion))
    # EvtGen's kinematics of the transition: E* lies in [0.8598, 0.8947] GeV
    assert (energy.min(), energy.max()) == (pytest.approx(0.8598, abs=1e-4), pytest.approx(0.8947, abs=1e-4))


def test_any_frame_gives_the_same_mass() -> None:
    beams = BEAMS["Y4S"]
    dipion = FourVector(0.9, 0.3, -0.2, 0.4)
    in_cms = recoil_mass_squared(FourVector(beams.sqrt_s, 0.0, 0.0, 0.0), dipion)
    assert recoil_mass_squared(beams.total, beams.to_lab(dipion)) == pytest.approx(in_cms)


def test_nothing_seen_leaves_the_beams() -> None:
    beams = BEAMS["Y4S"]
    nothing = FourVector(0.0, 0.0, 0.0, 0.0)
    assert recoil(beams.total, nothing) == beams.total
    # 7.004 and 4.002 GeV with 83 mrad between them
    assert np.sqrt(recoil_mass_squared(beams.total, nothing)) == pytest.approx(10.5796, abs=1e-4)


def test_root_keeps_the_sign() -> None:
    assert signed_root(np.array([-4.0, 0.0, 9.0])).tolist() == [-2.0, 0.0, 3.0]
