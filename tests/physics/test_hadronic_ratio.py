"""R against the points that were measured, and against what must hold whatever is measured."""

from __future__ import annotations

import numpy as np
import pytest

from mlbkg.physics.constants import M_PION
from mlbkg.physics.hadronic_ratio import (
    EXCLUSIVE_BELOW,
    MEASURED,
    PERTURBATIVE_ABOVE,
    RHO,
    gounaris_sakurai,
    hadronic_ratio,
    perturbative_ratio,
    pion_form_factor_squared,
    strong_coupling,
)


@pytest.mark.parametrize(
    ("mass", "ratio", "tolerance"),
    # PDG, compilation of hadronic cross sections (exclusive channels, edition 2007): mass, R; relative tolerance
    [
        (0.36, 0.1202, 0.10),
        (0.45, 0.3186, 0.05),
        (0.50, 0.4792, 0.05),
        (0.60, 1.2760, 0.05),
        (0.70, 4.7360, 0.05),
        (0.77, 9.9929, 0.05),
        (0.782, 19.517, 0.05),
        (0.784, 17.371, 0.06),
        (0.97, 1.0266, 0.15),
        (1.01, 2.3856, 0.10),
        (1.01695, 21.142, 0.10),
        (1.0875, 0.9522, 0.05),
        (1.20, 0.9385, 0.05),
        (1.5125, 2.1828, 0.05),
        (1.70, 2.6481, 0.05),
    ],
)
def test_below_two_gev(mass: float, ratio: float, tolerance: float) -> None:
    assert hadronic_ratio(np.array(mass)) == pytest.approx(ratio, rel=tolerance)


@pytest.mark.parametrize(
    ("mass", "ratio"),
    # BES, hep-ex/0102003
    [
        (2.0, 2.18),
        (2.6, 2.38),
        (3.0, 2.21),
        (3.7, 2.23),
        (3.77, 3.55),
        (4.03, 4.58),
        (4.16, 4.12),
        (4.25, 2.71),
        (4.5, 3.49),
    ],
)
def test_bes(mass: float, ratio: float) -> None:
    assert hadronic_ratio(np.array(mass)) == pytest.approx(ratio, rel=0.10)


def test_perturbative() -> None:
    # CLEO, arXiv:0706.2813: R(10.538 GeV) = 3.591 ± 0.003 ± 0.067; the parton model's 10/3 is below
    assert hadronic_ratio(np.array(10.5)) == pytest.approx(3.56, abs=0.07)
    assert perturbative_ratio(np.array(1e6)) == pytest.approx(10 / 3, rel=0.03)
    # PDG's review of QCD: alpha_s at m_b and at 10 GeV for 0.118 at the Z's mass
    assert strong_coupling(np.array(4.8)) == pytest.approx(0.215, abs=0.003)
    assert strong_coupling(np.array(10.0)) == pytest.approx(0.178, abs=0.005)


def test_nothing_below_two_pions() -> None:
    assert hadronic_ratio(np.array([0.0, 0.1, 2 * M_PION])).tolist() == [0, 0, 0]
    assert hadronic_ratio(np.array(2 * M_PION + 0.01)) > 0


@pytest.mark.parametrize("mass", [EXCLUSIVE_BELOW, PERTURBATIVE_ABOVE])
def test_regions_join(mass: float) -> None:
    below, above = hadronic_ratio(np.array([mass - 1e-6, mass + 1e-6]))
    assert below == pytest.approx(above, rel=0.02)


def test_table_is_in_order() -> None:
    mass = MEASURED[:, 0]
    assert (np.diff(mass) > 0).all()
    assert mass[0] == EXCLUSIVE_BELOW
    assert mass[-1] < PERTURBATIVE_ABOVE


def test_form_factor() -> None:
    # F = 1 + <r^2> s/6 + c s^2: a radius of 0.659 fm (PDG) and c = 3.85 GeV^-4 (hep-ph/9805389) give 1.168 at the threshold
    assert pion_form_factor_squared(np.array(0.2792)) == pytest.approx(1.168**2, abs=0.02)
    assert abs(gounaris_sakurai(np.array(4 * M_PION**2 + 1e-9), RHO)) > 1
    # CMD-2, hep-ex/0610021: |F|^2 of 40 to 45 around the rho
    assert 38 < pion_form_factor_squared(np.array(0.76)) < 47
