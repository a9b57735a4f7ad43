"""Particle identification: likelihood ratios in [0, 1], drawn so that a cut at 0.5 has a given efficiency.

Efficiencies at that cut are of the size that Belle II quotes: muons .92 with .04 of the pions above 0.7 GeV, electrons .94
with .0075 of the pions above 0.5 GeV, pions .90 with .065 of the kaons. Below those momenta, and where no subdetector
is, the ratios say little. The shape away from 0.5 is a choice: both halves fall as a cubic from the sure end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlbkg.simulation.acceptance import ECL, KLM, inside
from mlbkg.simulation.particles import ELECTRON, KAON, MUON, PION, PROTON

Array = NDArray[np.float64]

KINDS = (ELECTRON, MUON, PION, KAON, PROTON)


@dataclass(frozen=True)
class Hypothesis:
    """Fractions above 0.5 by true kind (in the order of ``KINDS``) where it can be told (``near``), and where not (``far``).

    It can be told above ``momenta[1]`` and cannot below ``momenta[0]`` (GeV), inside ``degrees`` of polar angle.
    """

    near: tuple[float, ...]
    far: tuple[float, ...]
    momenta: tuple[float, float]
    degrees: tuple[float, float]


#                           e       mu     pi     K     p
MUON_ID = Hypothesis((0.010, 0.920, 0.040, 0.040, 0.02), (0.10, 0.60, 0.40, 0.20, 0.05), (0.6, 0.7), KLM)
ELECTRON_ID = Hypothesis((0.940, 0.005, 0.0075, 0.010, 0.01), (0.80, 0.03, 0.03, 0.05, 0.05), (0.3, 0.5), ECL)
PION_ID = Hypothesis((0.030, 0.150, 0.900, 0.065, 0.03), (0.10, 0.55, 0.90, 0.05, 0.03), (0.6, 0.7), KLM)


def identify(rng: Generator, pdg: NDArray[np.int64], p: Array, theta: Array) -> dict[str, Array]:
    """``pion_id``, ``electron_id`` and ``muon_id`` of tracks with true momentum ``p`` (GeV)."""
    kind = np.select([np.abs(pdg) == code for code in KINDS], range(len(KINDS)))
    return {
        name: _ratio(rng, _fraction_above(hypothesis, kind, p, theta))
        for name, hypothesis in (("pion_id", PION_ID), ("electron_id", ELECTRON_ID), ("muon_id", MUON_ID))
    }


def _fraction_above(hypothesis: Hypothesis, kind: NDArray[np.int64], p: Array, theta: Array) -> Array:
    reach = np.where(inside(theta, hypothesis.degrees), np.interp(p, hypothesis.momenta, (0.0, 1.0)), 0.0)
    return np.asarray(reach * np.array(hypothesis.near)[kind] + (1.0 - reach) * np.array(hypothesis.far)[kind])


def _ratio(rng: Generator, fraction_above: Array) -> Array:
    depth = 0.5 * rng.random(len(fraction_above)) ** 3
    return np.where(rng.random(len(fraction_above)) < fraction_above, 1.0 - depth, depth)
