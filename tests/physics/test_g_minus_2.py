"""The muon's anomalous magnetic moment."""

from __future__ import annotations

import numpy as np
import pytest

from mlbkg.physics.constants import M_MUON
from mlbkg.physics.g_minus_2 import (
    KNT_2018,
    MEASUREMENTS,
    WHITE_PAPER_2020,
    WHITE_PAPER_2025,
    coupling_for,
    delta_a_mu,
    favoured_band,
)


@pytest.mark.parametrize(
    ("mass", "value"),
    # the one-loop integral by adaptive quadrature, g' = 1e-3
    [
        (0.001, 1.2309e-8),
        (0.01, 9.9123e-9),
        (0.1, 2.8036e-9),
        (0.5, 2.9936e-10),
        (1, 8.6003e-11),
        (2, 2.2801e-11),
        (5, 3.7419e-12),
        (8, 1.4677e-12),
    ],
)
def test_delta_a(mass: float, value: float) -> None:
    assert delta_a_mu(np.array(mass), g_prime=1e-3) == pytest.approx(value, rel=5e-5)


def test_light_and_heavy_limits() -> None:
    assert delta_a_mu(np.array(1e-7)) == pytest.approx(1 / (8 * np.pi**2), rel=1e-5)
    assert delta_a_mu(np.array(1e3)) == pytest.approx(M_MUON**2 / (12 * np.pi**2 * 1e6), rel=1e-5)


@pytest.mark.parametrize(("mass", "coupling"), [(0.1, 9.886e-4), (1, 5.644e-3), (5, 2.706e-2)])
def test_coupling(mass: float, coupling: float) -> None:
    assert coupling_for(np.array(mass), 2.74e-9) == pytest.approx(coupling, rel=1e-4)  # inverted integral


def test_no_coupling_makes_a_negative_effect() -> None:
    assert coupling_for(np.array([0.1, 1.0]), -1e-9).tolist() == [0, 0]


@pytest.mark.parametrize("measurement", [KNT_2018, WHITE_PAPER_2020])
def test_band_gives_the_measurement_back(measurement) -> None:  # type: ignore[no-untyped-def]
    mass = np.array([0.01, 0.3, 5.0])
    low, high = favoured_band(mass, measurement, sigmas=1.5)
    edges = [delta_a_mu(mass) * edge**2 for edge in (low, high)]
    for edge, sign in zip(edges, (-1, 1), strict=True):
        np.testing.assert_allclose(edge, measurement.value + sign * 1.5 * measurement.error)


def test_published_values() -> None:
    # arXiv:1802.02995, arXiv:2104.03281, arXiv:2505.21476
    assert {name: (m.value, m.error) for name, m in MEASUREMENTS.items()} == {
        "2019": (27.1e-10, 7.3e-10),
        "2021": (25.1e-10, 5.9e-10),
        "2025": (3.8e-10, 6.3e-10),
    }
    assert MEASUREMENTS["2019"].label == "(27.1 ± 7.3) × 10⁻¹⁰"


def test_tension_is_gone_in_2025() -> None:
    low, high = favoured_band(np.array([0.1, 1.0]), WHITE_PAPER_2025)
    assert low.tolist() == [0, 0]
    assert (high > 0).all()
