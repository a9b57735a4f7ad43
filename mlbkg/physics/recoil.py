"""The system that recoils against what was reconstructed."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlbkg.physics.lorentz import FourVector


def recoil(beam: FourVector, seen: FourVector) -> FourVector:
    """Four-momentum that is left of ``beam``, in the frame that both are given in."""
    return beam.minus(seen)


def recoil_mass_squared(beam: FourVector, seen: FourVector) -> Any:
    """``(p_beam - p_seen)^2`` in GeV^2, in any one frame; negative where ``seen`` carries more than the beams brought."""
    return recoil(beam, seen).mass_squared


def recoil_mass_squared_cms(*, sqrt_s: Any, energy: Any, mass_squared: Any) -> Any:
    """``s + M^2 - 2 sqrt(s) E*`` in GeV^2, from the centre-of-mass energy and squared mass of what was seen.

    The formula of the talk on dark-sector searches at Belle II: with E* and M both known, the recoil mass is.
    """
    return sqrt_s**2 + mass_squared - 2.0 * sqrt_s * energy


def signed_root(mass_squared: Any) -> Any:
    """``sqrt`` that keeps the sign, so that an unphysical squared mass stays ordered below a physical one."""
    return np.copysign(np.sqrt(np.abs(mass_squared)), mass_squared)
