"""Masses that differ by float noise are one hypothesis."""

from __future__ import annotations

import numpy as np

from mlbkg.samples.hypotheses import group_masses, number_among

MASSES = np.array([[0.1, 4.0], [0.1, 9.7], [0.5, 4.0]])


def test_float_noise_makes_no_new_hypothesis() -> None:
    noisy = np.concatenate([MASSES, MASSES.astype("f4").astype("f8"), MASSES * (1 + 1e-15)])
    different, number = group_masses(noisy)
    assert len(different) == 3
    np.testing.assert_allclose(different, MASSES, rtol=1e-7)
    assert number.tolist() == [0, 1, 2] * 3


def test_masses_close_to_each_other_stay_apart() -> None:
    """10 keV: below the resolution of any detector, but more than float32 loses."""
    different, _ = group_masses(np.array([[9.70], [9.7001], [0.0], [1e-5]]))
    assert different[:, 0].tolist() == [0.0, 1e-5, 9.70, 9.7001]


def test_numbers_among_those_that_are_known() -> None:
    seen = np.array([[0.5, 4.0], [0.1, 5.0], [0.1, 4.0]])
    assert number_among(MASSES, seen.astype("f4").astype("f8")).tolist() == [2, -1, 0]
    assert number_among(MASSES, np.empty((0, 2))).tolist() == []
