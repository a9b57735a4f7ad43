"""Polar angles that the subdetectors of Belle II cover in the laboratory: basf2, AcceptanceVariables.cc."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CDC = (17.0, 150.0)
ECL = (12.4, 155.1)
ECL_GAPS = ((31.4, 32.2), (128.7, 130.7))
ECL_BARREL_MINIMUM_PT = 0.28
"""GeV: a track with less curls up before it reaches the barrel calorimeter."""
KLM = (18.0, 155.0)


def inside(theta: Any, degrees: tuple[float, float]) -> NDArray[np.bool_]:
    """``theta`` in rad; NaN is outside."""
    low, high = np.deg2rad(degrees)
    return np.asarray((theta > low) & (theta < high))


def in_ecl_gap(theta: Any) -> NDArray[np.bool_]:
    return np.logical_or(*(inside(theta, gap) for gap in ECL_GAPS))


def in_ecl_barrel(theta: Any) -> NDArray[np.bool_]:
    return inside(theta, (ECL_GAPS[0][1], ECL_GAPS[1][0]))
