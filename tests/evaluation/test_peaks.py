"""Peaks: what is measured of known shapes, what is interpolated, and hypotheses at equal distances."""

from __future__ import annotations

import numpy as np
import pytest

from mlbkg.errors import EmptySampleError
from mlbkg.evaluation.peaks import Peaks, evenly_spaced, interpolate, measure_peaks


def _gaussians(masses: np.ndarray, *, n: int, power: int = 1, offset: float = 0.0, width: float = 0.1, seed: int = 1):
    random = np.random.default_rng(seed)
    true = np.repeat(masses, n)[:, None]
    return true, true**power + offset + width * random.standard_normal(true.shape)


def test_position_and_width_of_gaussians():
    # median = mean, half of the central 68.27 % = sigma; both errors are below 1.4 sigma / sqrt(n)
    true, values = _gaussians(np.array([1.0, 2.0, 3.0]), n=20_000, power=2, offset=0.05, width=0.2)
    peaks = measure_peaks(true, values, np.ones(len(true)), power=(2,))
    assert peaks.masses[:, 0] == pytest.approx([1, 2, 3])
    assert peaks.position[:, 0] == pytest.approx([1.05, 4.05, 9.05], abs=0.006)
    assert peaks.width[:, 0] == pytest.approx([0.2, 0.2, 0.2], abs=0.006)


def test_weights_and_axes():
    # even values 0..1 have the median 0.5 and a central 68.27 % of 0.6827; weight 2v has quantiles sqrt(p)
    values = np.stack([np.linspace(0, 1, 20_001), np.linspace(0, 2, 20_001)], axis=1)
    peaks = measure_peaks(np.ones((20_001, 2)), values, np.ones(20_001), power=(1, 1))
    assert peaks.position[0] == pytest.approx([0.5, 1.0], abs=1e-4)
    assert peaks.width[0] == pytest.approx([0.34135, 0.6827], abs=1e-4)
    weighted = measure_peaks(np.ones((20_001, 1)), values[:, :1], 2 * values[:, 0], power=(1,))
    assert weighted.position[0, 0] == pytest.approx(np.sqrt(0.5), abs=1e-4)
    assert weighted.width[0, 0] == pytest.approx((np.sqrt(0.84135) - np.sqrt(0.15865)) / 2, abs=1e-4)


def test_float_noise_makes_no_new_mass_and_missing_values_do_not_count():
    true, values = _gaussians(np.array([0.1, 7.25]), n=100)
    noisy = true * (1 + 1e-8 * np.random.default_rng(2).standard_normal(true.shape))
    values[::3] = np.nan
    peaks = measure_peaks(noisy, values, np.ones(len(true)), power=(1,))
    assert peaks.masses[:, 0] == pytest.approx([0.1, 7.25])
    there = np.isfinite(values[:, 0]) & (true[:, 0] == 7.25)
    assert peaks.position[1, 0] == pytest.approx(np.median(values[there]), abs=0.01)


def test_errors_name_the_mass():
    true, values = _gaussians(np.array([1.0, 8.5]), n=100)
    few = np.concatenate([np.arange(100), np.arange(100, 119)])
    with pytest.raises(EmptySampleError, match=r"mass 8\.5 GeV has 19 candidates"):
        measure_peaks(true[few], values[few], np.ones(119), power=(1,))
    with pytest.raises(EmptySampleError, match="mass 1 GeV has the same value"):
        measure_peaks(true, np.ones_like(values), np.ones(200), power=(1,))
    with pytest.raises(EmptySampleError, match="no signal candidate"):
        measure_peaks(true[:0], values[:0], np.ones(0), power=(1,))
    true[5] = np.nan
    with pytest.raises(EmptySampleError, match="1 of 200 signal candidates have no true mass"):
        measure_peaks(true, values, np.ones(200), power=(1,))


def _known(masses, offset, width, power=2) -> Peaks:
    masses = np.array(masses, dtype=float)[:, None]
    return Peaks(masses, (power,), masses**power + np.array(offset)[:, None], np.array(width)[:, None])


def test_the_offset_is_interpolated_not_the_position():
    peaks = _known([1, 3, 6], [0.1, 0.1, 0.1], [0.3, 0.2, 0.1])
    # a straight line between the positions 1.1 and 9.1 would put 2 GeV at 5.1
    assert peaks.position_at(np.array([[2.0], [5.5], [8.0]]))[:, 0] == pytest.approx([4.1, 30.35, 64.1])
    width = peaks.width_at(np.array([[0.1], [1.0], [2.0], [4.5], [6.0], [9.0]]))[:, 0]
    assert width[[0, 1, 4, 5]] == pytest.approx([0.3, 0.3, 0.1, 0.1])
    assert 0.1 < width[3] < 0.2 < width[2] < 0.3


def test_one_simulated_mass_is_everywhere():
    peaks = _known([2], [0.1], [0.3])
    assert peaks.position_at(np.array([[1.0], [3.0]]))[:, 0] == pytest.approx([1.1, 9.1])
    assert peaks.width_at(np.array([[1.0], [3.0]]))[:, 0] == pytest.approx([0.3, 0.3])


def test_hypotheses_are_evenly_spaced_in_resolutions():
    # constant width: even in the squared mass
    even = evenly_spaced(_known([0.1, 4, 8], [0, 0, 0], [0.2, 0.2, 0.2]), low=0.5, high=8.0, number=70)
    assert even[:, 0] ** 2 == pytest.approx(np.linspace(0.25, 64, 70), rel=1e-5)
    # width proportional to the mass: even in its logarithm
    geometric = evenly_spaced(_known([1, 10], [0, 0], [0.1, 1.0], power=1), low=1, high=10, number=11)
    assert geometric[:, 0] == pytest.approx(np.geomspace(1, 10, 11), rel=1e-5)
    assert geometric[0, 0] == 1
    assert geometric[-1, 0] == 10


def test_a_plane_is_met_inside_its_triangles_and_held_at_their_hull():
    random = np.random.default_rng(3)
    known = np.concatenate([np.array([[0, 0], [10, 0], [0, 1], [10, 1]]), random.random((30, 2)) * [10, 1]])
    value = 3 + 0.2 * known[:, 0] - 2 * known[:, 1]
    wanted = random.random((50, 2)) * [10, 1]
    assert interpolate(known, value, wanted) == pytest.approx(3 + 0.2 * wanted[:, 0] - 2 * wanted[:, 1])
    outside = np.array([[12, 0.5], [-1, 0.3], [5, 4], [20, -3]])
    # the nearest points of the rectangle
    assert interpolate(known, value, outside) == pytest.approx([4.0, 2.4, 2.0, 5.0])
    both = interpolate(known, np.stack([value, 2 * value], axis=1), outside)
    assert both == pytest.approx(np.array([[4, 8], [2.4, 4.8], [2, 4], [5, 10]]))


def test_masses_on_a_line_in_the_plane():
    known = np.array([[1.0, 0.5], [2.0, 1.0], [3.0, 1.5]])
    wanted = np.array([[2.5, 1.25], [9.0, 9.0], [0.0, 0.0]])
    assert interpolate(known, np.array([1.0, 2.0, 3.0]), wanted) == pytest.approx([2.5, 3.0, 1.0])


def test_never_beyond_the_range():
    random = np.random.default_rng(4)
    for axes in (1, 2):
        known, values = random.random((25, axes)), random.random(25)
        found = interpolate(known, values, 3 * random.random((500, axes)) - 1)
        assert values.min() <= found.min()
        assert found.max() <= values.max()
        assert interpolate(known, values, known) == pytest.approx(values)


def test_nothing_between_zeros_is_negative():
    """SciPy's own curve through these is -1e-16 somewhere, and a cross section over such an efficiency a huge gain."""
    known, values = np.arange(1.0, 5.0)[:, None], np.array([0.0, 0.48, 0.9, 0.0])
    found = interpolate(known, np.stack([values, 0 * values], axis=1), np.linspace(1, 4, 15)[:, None])
    assert (found >= 0).all()
    assert (found[:, 1] == 0).all()
