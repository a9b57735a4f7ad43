"""Radiation off the beams: how much, and what it does to cross sections that can be integrated by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlbkg.physics.constants import ALPHA
from mlbkg.physics.radiation import beta, radiated


@pytest.mark.parametrize(("sqrt_s", "value"), [(10.58, 0.0877), (1.0194, 0.0660)])
def test_beta(sqrt_s: float, value: float) -> None:
    assert beta(sqrt_s) == pytest.approx(value, abs=5e-5)  # 2 alpha/pi (ln s/m_e^2 - 1)


@pytest.mark.parametrize("most", [0.01, 0.1, 0.5, 0.9])
def test_constant_cross_section(most: float) -> None:
    """The integral of the radiator: (1 + 3 beta/4 + ...) x^beta - beta (x - x^2/4)."""
    sqrt_s = 10.58
    b = beta(sqrt_s)
    soft = 1 + 0.75 * b + ALPHA / math.pi * (math.pi**2 / 3 - 0.5)
    expected = soft * most**b - b * (most - most**2 / 4)
    found = radiated(lambda energies: np.full(len(energies), 3.0), sqrt_s=sqrt_s, threshold=sqrt_s * math.sqrt(1 - most))
    assert found == pytest.approx(3 * expected, rel=1e-6)


def test_energy_is_lost_only() -> None:
    seen = []

    def born(energies: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        seen.extend(energies)
        return np.ones(len(energies))

    radiated(born, sqrt_s=10.58, threshold=3.0)
    assert 3.0 < min(seen) < max(seen) <= 10.58


def test_nothing_beyond_the_threshold() -> None:
    assert radiated(np.ones_like, sqrt_s=10.0, threshold=10.0) == 0.0
