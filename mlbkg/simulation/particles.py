"""Particle codes: charge, and the kinds that the detector tells apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ELECTRON, MUON, PHOTON, K_LONG, PION, KAON, NEUTRON, PROTON = 11, 13, 22, 130, 211, 321, 2112, 2212

CHARGED_LEPTONS = (ELECTRON, MUON)
CHARGED_HADRONS = (PION, KAON, PROTON)
NEUTRAL_HADRONS = (K_LONG, NEUTRON)


def charge(pdg: NDArray[np.int64]) -> NDArray[np.int64]:
    """+1, 0 or -1 for stable particles."""
    kind = np.abs(pdg)
    sign = np.sign(pdg)
    return np.where(np.isin(kind, CHARGED_HADRONS), sign, np.where(np.isin(kind, CHARGED_LEPTONS), -sign, 0))
