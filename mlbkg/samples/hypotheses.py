"""Which signal candidates have the same true masses: the hypotheses of a search."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SAME_MASS = 1e-6
"""Masses are of one hypothesis where they differ by less than this, relative, or in GeV below 1 GeV: float noise."""


def group_masses(masses: Array) -> tuple[Array, NDArray[np.intp]]:
    """The different rows ``(k, n_axes)`` of ``masses`` ``(n, n_axes)``, rising, float noise aside, and ``(n,)`` which of
    them each row is. All are finite."""
    snapped = np.stack([_snapped(column) for column in masses.T], axis=1)
    different, number = np.unique(snapped, axis=0, return_inverse=True)
    return different, number.reshape(-1)


def number_among(known: Array, masses: Array) -> NDArray[np.intp]:
    """``(n,)``: which row of ``known`` ``(k, n_axes)``, rising, each row of ``masses`` ``(n, n_axes)`` is; -1 for none."""
    together, number = group_masses(np.concatenate([known, masses]))
    row = np.full(len(together), -1, dtype=np.intp)
    row[number[: len(known)]] = np.arange(len(known))
    return row[number[len(known) :]]


def _snapped(values: Array) -> Array:
    """``values``, those that differ by float noise made equal to the lowest of them."""
    different, number = np.unique(values, return_inverse=True)
    first = np.ones(len(different), dtype=bool)
    first[1:] = np.diff(different) > SAME_MASS * np.maximum(1.0, np.abs(different[1:]))
    return np.asarray(different[first][np.cumsum(first) - 1][number.reshape(-1)], dtype=np.float64)
