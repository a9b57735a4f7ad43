"""Dark Higgsstrahlung: cross sections of Batell, Pospelov and Ritz, and the decays of the dark photon."""

from __future__ import annotations

import numpy as np
import pytest

from mlbkg.physics.constants import ALPHA
from mlbkg.physics.dark_higgs import angular_density, branching_fraction_mumu, branching_fractions, cross_section_fb


@pytest.mark.parametrize(
    ("sqrt_s", "mass_u", "mass_h", "value"),
    # Eq. (8) of arXiv:0903.0363, evaluated by another program, its prefactor checked against SM e+e- -> ZH
    [
        (1.0194, 0.3, 0.1, 5.7352e9),
        (1.0194, 0.5, 0.3, 9.8252e9),
        (1.0194, 0.8, 0.1, 4.97331e10),
        (1.0, 0.5, 0.3, 1.04041e10),
        (1.0, 0.8, 0.1, 5.55815e10),
        (10.58, 1, 0.5, 2.9033e7),
        (10.58, 4, 1, 7.4302e7),
        (10.58, 6, 2, 1.47897e8),
        (10.58, 8, 1, 4.00902e8),
        (10.58, 9, 1, 6.49187e8),
    ],
)
def test_cross_section(sqrt_s: float, mass_u: float, mass_h: float, value: float) -> None:
    found = cross_section_fb(np.array(mass_u), np.array(mass_h), sqrt_s=sqrt_s)
    assert found == pytest.approx(value, rel=2e-5)


def test_massless_limit() -> None:
    # Batell, Pospelov and Ritz quote about 20 fb at 10 GeV for alpha_D = alpha and epsilon^2 = 1e-4
    found = cross_section_fb(np.array(1e-6), np.array(0.0), sqrt_s=10.0) * ALPHA * 1e-4
    assert found == pytest.approx(21.71, abs=0.006)


def test_closed_beyond_the_threshold() -> None:
    found = cross_section_fb(np.array([9.0, 10.0, 10.58, 11.0]), np.array([1.5, 0.58, 0.0, 0.1]), sqrt_s=10.58)
    assert found[0] > 0
    assert found[1:] == pytest.approx([0, 0, 0], abs=1e3)


def test_plane_broadcasts() -> None:
    plane = cross_section_fb(np.linspace(1, 9, 5)[:, np.newaxis], np.linspace(0.1, 1, 3), sqrt_s=10.58)
    assert plane.shape == (5, 3)


def test_angles() -> None:
    cosine = np.linspace(-1, 1, 2001)
    density = angular_density(cosine, np.array(4.0), np.array(1.0), sqrt_s=10.58)
    assert np.trapezoid(density, cosine) == pytest.approx(1, rel=1e-6)
    # 8 u + lambda sin^2 with u = m_U^2/s: at 90 degrees over along the beam
    u, h = (4 / 10.58) ** 2, (1 / 10.58) ** 2
    triangle = 1 + u**2 + h**2 - 2 * (u + h + u * h)
    assert density[1000] / density[0] == pytest.approx(1 + triangle / (8 * u))


def test_published_limits_close() -> None:
    """Belle II, arXiv:2207.00509: the lowest limits, 1.7 fb and 1.7e-8, are of one point of the plane."""
    found = cross_section_fb(np.array(9.0), np.array(1.0), sqrt_s=10.58) * branching_fraction_mumu(np.array(9.0))
    assert 1.7e-8 * found == pytest.approx(1.7, rel=0.02)


def test_decays_to_muons() -> None:
    mass = np.array([4.0, 4.6, 5.5, 7.0, 8.5, 9.5])
    assert branching_fraction_mumu(mass) == pytest.approx(0.155, abs=0.02)  # 1/(3 + R), R = 3.5
    assert branching_fraction_mumu(np.array([0.26, 0.278])) == pytest.approx(0.45, abs=0.02)  # ee and mumu alone
    assert branching_fraction_mumu(np.array(0.77)) < 0.1  # the rho takes all
    assert branching_fraction_mumu(np.array([1e-4, 0.1, 0.211])).tolist() == [0, 0, 0]


@pytest.mark.parametrize("mass", [0.01, 0.5, 3.0, 10.0])
def test_decays_are_complete(mass: float) -> None:
    shares = branching_fractions(np.array(mass))
    assert set(shares) == {"ee", "mumu", "tautau", "hadrons"}
    assert sum(float(share) for share in shares.values()) == pytest.approx(1)
