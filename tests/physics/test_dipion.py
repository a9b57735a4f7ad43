"""The dipion matrix element against reference values of CLEO's fit, arXiv:0706.2317 (physics.md 1.2)."""

import numpy as np
import pytest

from mlbkg.physics.dipion import (
    UPSILON_2S_TO_1S,
    UPSILON_3S_TO_1S,
    UPSILON_3S_TO_2S,
    Transition,
    angular_density,
    dipion_energy,
    mass_spectrum,
    matrix_element_squared,
    sample,
)


def fine_grid(transition: Transition) -> np.ndarray:
    return np.linspace(*transition.mass_range, 100_001)


def test_spectrum_at_the_tabulated_masses() -> None:
    mass = np.array([0.30, 0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.88])
    expected = [1.470, 2.114, 2.200, 2.084, 1.871, 1.629, 1.413, 1.278, 1.264, 1.381, 1.572, 1.601, 1.171]
    np.testing.assert_allclose(mass_spectrum(mass, UPSILON_3S_TO_1S), expected, atol=1e-3)


def test_two_peaks_and_a_dip() -> None:
    mass = fine_grid(UPSILON_3S_TO_1S)
    density = mass_spectrum(mass, UPSILON_3S_TO_1S)
    low, middle, high = mass < 0.6, (mass > 0.5) & (mass < 0.8), mass > 0.7
    assert mass[low][density[low].argmax()] == pytest.approx(0.390, abs=1e-3)
    assert density[low].max() == pytest.approx(2.204, abs=1e-3)
    assert mass[high][density[high].argmax()] == pytest.approx(0.832, abs=1e-3)
    assert density[high].max() == pytest.approx(1.640, abs=1e-3)
    assert mass[middle][density[middle].argmin()] == pytest.approx(0.680, abs=1e-3)
    assert density[middle].min() == pytest.approx(1.253, abs=1e-3)


def test_moments_and_quantiles() -> None:
    mass = fine_grid(UPSILON_3S_TO_1S)
    density = mass_spectrum(mass, UPSILON_3S_TO_1S)
    mean = np.trapezoid(mass * density, mass)
    assert np.trapezoid(density, mass) == pytest.approx(1.0, abs=1e-4)
    assert mean == pytest.approx(0.5640, abs=1e-4)
    assert np.sqrt(np.trapezoid((mass - mean) ** 2 * density, mass)) == pytest.approx(0.1752, abs=1e-4)
    cumulative = np.cumsum(density) * (mass[1] - mass[0])
    quantiles = np.interp([0.10, 0.25, 0.50, 0.75, 0.90], cumulative, mass)
    np.testing.assert_allclose(quantiles, [0.3427, 0.4117, 0.5388, 0.7201, 0.8226], atol=2e-4)


@pytest.mark.parametrize(
    ("transition", "peak", "mean"), [(UPSILON_2S_TO_1S, 0.5276, 0.4916), (UPSILON_3S_TO_2S, 0.3187, 0.3103)]
)
def test_peak_and_mean_of_the_other_transitions(transition: Transition, peak: float, mean: float) -> None:
    mass = fine_grid(transition)
    density = mass_spectrum(mass, transition)
    assert mass[density.argmax()] == pytest.approx(peak, abs=1e-3)
    assert np.trapezoid(mass * density, mass) == pytest.approx(mean, abs=1e-3)


def test_angular_density() -> None:
    cos_theta = np.linspace(-1.0, 1.0, 2001)
    density = angular_density(cos_theta, UPSILON_3S_TO_1S)
    np.testing.assert_allclose(density[[1000, 1500, 2000]], [0.6484, 0.5173, 0.2938], atol=1e-4)
    assert np.trapezoid(density, cos_theta) == pytest.approx(1.0, abs=1e-6)
    assert np.trapezoid(cos_theta**2 * density, cos_theta) == pytest.approx(0.2645, abs=1e-4)


def test_a_heavy_bottomonium_leaves_little_energy_to_choose() -> None:
    low, high = dipion_energy(np.array(UPSILON_3S_TO_1S.mass_range), UPSILON_3S_TO_1S)
    assert (low, high) == pytest.approx((0.8598, 0.8947), abs=1e-4)


def test_the_sample_follows_the_joint_density() -> None:
    n = 200_000
    mass, cos_theta = sample(np.random.default_rng(11), n, UPSILON_3S_TO_1S)
    assert mass.mean() == pytest.approx(0.5640, abs=5 * 0.1752 / np.sqrt(n))
    assert mass.std() == pytest.approx(0.1752, rel=0.01)
    # sigma(cos^2) < 0.3 for any density on [0, 1]
    assert (cos_theta**2).mean() == pytest.approx(0.2645, abs=5 * 0.3 / np.sqrt(n))
    # Closed form of <cos^2> at a fixed mass, from the matrix element itself
    near = np.abs(mass - 0.68) < 0.01
    c = np.linspace(-1.0, 1.0, 2001)
    weight = matrix_element_squared(np.full_like(c, 0.68), c, UPSILON_3S_TO_1S)
    expected = np.trapezoid(c**2 * weight, c) / np.trapezoid(weight, c)
    assert (cos_theta[near] ** 2).mean() == pytest.approx(expected, abs=5 * 0.3 / np.sqrt(near.sum()))


def test_outside_the_kinematic_limits_there_is_nothing() -> None:
    assert mass_spectrum(np.array([0.27, 0.90]), UPSILON_3S_TO_1S).tolist() == [0.0, 0.0]
