"""Widths, branching fractions and cross sections of the Z', against tables made by other programs."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mlbkg.physics.constants import ALPHA, FB_GEV2, M_MUON
from mlbkg.physics.three_body_rate import integrated_rate
from mlbkg.physics.zprime import (
    branching_fraction_invisible,
    charged_phase_space,
    cross_section_fb,
    massless_cross_section_fb,
    massless_spectrum,
    widths,
)

SQRT_S = 10.58

# e+e- -> mu+ mu- Z' at 10.58 GeV, g' = 1: M in GeV, massless and massive cross section in fb. By Gauss quadrature of the
# contracted tensor and by a Monte Carlo of the full L_mn H^mn, two programs that agree within the statistical error.
TABLE = [
    (0.01, 1.51263e6, 1.25637e6),
    (0.1, 5.96280e5, 5.67764e5),
    (0.5, 2.04603e5, 2.02363e5),
    (1.0, 1.00166e5, 9.95635e4),
    (2.0, 3.48054e4, 3.46614e4),
    (3.0, 1.37670e4, 1.37109e4),
    (5.0, 2037.45, 2025.24),
    (8.0, 31.6023, 30.8109),
    (9.0, 2.54396, 2.37986),
]


@pytest.mark.parametrize(
    ("mass", "fraction"),
    # From Gamma(ll)/Gamma(nu nu) by hand: 1/(1 + G_mu + G_tau) with the masses of PDG 2026
    [
        (0.1, 1), (0.211, 1), (0.22, 0.71099), (0.3, 0.53025), (0.5, 0.50321), (1, 0.50019), (2, 0.50001), (3.5, 0.50000),
        (3.7, 0.41552), (4, 0.37878), (5, 0.34709), (8, 0.33509), (10, 0.33403),
    ],
)  # fmt: skip
def test_invisible_fraction(mass: float, fraction: float) -> None:
    assert branching_fraction_invisible(np.array(mass)) == pytest.approx(fraction, abs=5e-6)


def test_widths() -> None:
    # g'^2 M/(24 pi) for one flavour of neutrinos, g' = 0.1 and 1 GeV
    found = widths(np.array(1.0), g_prime=0.1)
    assert found.neutrinos / 2 == pytest.approx(1.32629e-4, rel=4e-6)
    assert found.muons == pytest.approx(2.65057e-4, rel=4e-6)
    assert found.taus == 0
    assert found.total == pytest.approx(5.30315e-4, rel=4e-6)
    assert found.invisible_fraction == pytest.approx(branching_fraction_invisible(np.array(1.0)))


def test_widths_grow_as_the_coupling_squared() -> None:
    mass = np.array([0.1, 1.0, 5.0])
    np.testing.assert_allclose(widths(mass, g_prime=0.3).total, 0.09 * widths(mass).total)


def test_phase_space_far_above_and_at_threshold() -> None:
    assert charged_phase_space(np.array(1e3), M_MUON) == pytest.approx(1, abs=1e-9)
    assert charged_phase_space(np.array(2 * M_MUON), M_MUON) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(
    ("epsilon", "value"),
    # The closed form, checked by quadrature to 1e-14 in another program
    [
        (1e-4, 58.92619),
        (1e-3, 28.79687),
        (0.01, 9.503950),
        (0.1, 1.0212842),
        (0.3, 0.08675229),
        (0.6, 2.13916e-3),
        (0.9, 1.16974e-6),
    ],
)
def test_massless_spectrum(epsilon: float, value: float) -> None:
    assert massless_spectrum(np.array([epsilon])) == pytest.approx([value], rel=4e-6)


def test_closed_form_is_the_integral() -> None:
    epsilon = np.array([1e-7, 1e-4, 1e-3, 0.01, 0.1, 0.3, 0.49])
    none = np.zeros(7)
    np.testing.assert_allclose(integrated_rate(np.sqrt(epsilon), none, none) / 8, massless_spectrum(epsilon), rtol=5e-9)


def test_lepton_masses_fade() -> None:
    mass = np.array([0.01, 0.1, 0.5, 0.9])
    light = np.full(4, 1e-6)
    np.testing.assert_allclose(integrated_rate(mass, light, light) / 8, massless_spectrum(mass**2), rtol=1e-6)


@pytest.mark.parametrize(("mass", "massless", "massive"), TABLE)
def test_cross_section(mass: float, massless: float, massive: float) -> None:
    at = np.array([mass])
    assert massless_cross_section_fb(at, sqrt_s=SQRT_S) == pytest.approx([massless], rel=1e-5)
    assert cross_section_fb(at, sqrt_s=SQRT_S) == pytest.approx([massive], rel=1e-5)


def test_cross_section_close_to_the_threshold() -> None:
    assert cross_section_fb(np.array([10.0]), sqrt_s=SQRT_S) == pytest.approx([0.009726], rel=1e-4)  # as TABLE
    closed = cross_section_fb(np.array([10.368, 10.3687, 10.5, 11.0]), sqrt_s=SQRT_S)  # the threshold is at 10.36868 GeV
    assert closed[0] > 0
    assert (closed[1:] == 0).all()


def test_rate_at_the_threshold_is_phase_space() -> None:
    """C and P of the photon ask for one P wave: with three-body phase space the cube of the energy that is left."""
    left = np.array([1e-3, 2e-3])
    low, high = cross_section_fb(SQRT_S - 2 * M_MUON - left, sqrt_s=SQRT_S)
    assert high / low == pytest.approx(8, rel=0.01)


def test_cross_section_is_that_of_muon_pairs_times_the_radiated_vector() -> None:
    """sigma_0 g'^2/(8 pi^2) F: with sigma_0 of e+e- -> mu+mu- = 86.8 nb GeV^2 / s."""
    point_like = 4 * np.pi * ALPHA**2 / 3 * FB_GEV2
    assert point_like == pytest.approx(86.85e6, rel=1e-3)  # PDG, Eq. (51.2)
    expected = point_like / SQRT_S**2 * 0.25 / (8 * np.pi**2) * massless_spectrum(np.array([0.01]))
    np.testing.assert_allclose(massless_cross_section_fb(np.array([0.1 * SQRT_S]), sqrt_s=SQRT_S, g_prime=0.5), expected)


def test_cross_section_grows_as_the_coupling_squared() -> None:
    # BaBar, arXiv:1606.03501: sub-femtobarn limits; g' = 0.1 gives 996 fb at 1 GeV and 20.3 fb at 5 GeV
    found = cross_section_fb(np.array([1.0, 5.0]), sqrt_s=SQRT_S, g_prime=0.1)
    np.testing.assert_allclose(found, [996, 20.3], rtol=3e-3)


def test_muon_and_electron_lie_between_two_muons_and_massless() -> None:
    mass = np.array([0.01, 0.1, 1.0, 5.0, 9.0, 10.0])
    mumu, mue = (cross_section_fb(mass, sqrt_s=SQRT_S, final_state=name) for name in ("mumu", "mue"))
    massless = massless_cross_section_fb(mass, sqrt_s=SQRT_S)
    assert (mumu < mue).all()
    assert (mue < massless).all()
    np.testing.assert_allclose(mue[2:4] / mumu[2:4], 1, atol=0.005)


def test_radiation_off_the_beams() -> None:
    mass = np.array([0.1, 1.0, 5.0, 8.0, 10.0, 10.4])
    plain, radiated = (cross_section_fb(mass, sqrt_s=SQRT_S, radiation=on) for on in (False, True))
    # adaptive quadrature (scipy.integrate.quad) of the radiator with the same cross section
    np.testing.assert_allclose(radiated[:5] / plain[:5], [1.1138, 1.0277, 0.9182, 0.8388, 0.7154], atol=1e-4)
    assert radiated[5] == 0


def test_seventy_masses_take_no_time() -> None:
    begin = time.perf_counter()
    cross_section_fb(np.linspace(0.1, 9, 70), sqrt_s=SQRT_S)
    assert time.perf_counter() - begin < 3
