"""Features of where the pair's tracks come from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.features.base import Columns, feature


def _both(name: str) -> tuple[str, str]:
    return f"daughter0_{name}", f"daughter1_{name}"


@feature(
    "chiProb",
    needs=(*_both("d0"), *_both("z0"), *_both("d0_error"), *_both("z0_error")),
    description="chi^2 probability that both tracks start at one point of the beam line; approximate: straight lines, "
    "independent d0 and z0, beam spot of no width",
    basf2="chiProb",
)
def chi_prob(columns: Columns) -> NDArray[Any]:
    """One degree of freedom for the common z0, two for d0 at the beam spot, whose 6 um are below any d0 resolution.

    The survival function of chi^2 with three degrees of freedom in closed form, five times faster than the general one.
    """
    from scipy.special import erfc

    z0, d0, z0_error, d0_error = (
        [columns[name].astype(np.float64) for name in _both(quantity)] for quantity in ("z0", "d0", "z0_error", "d0_error")
    )
    of_z0 = (z0[0] - z0[1]) ** 2 / (z0_error[0] ** 2 + z0_error[1] ** 2)
    chi2 = of_z0 + ((d0[0] / d0_error[0]) ** 2 + (d0[1] / d0_error[1]) ** 2)
    probability: NDArray[Any] = erfc(np.sqrt(chi2 / 2.0)) + np.sqrt(chi2 * (2.0 / np.pi)) * np.exp(-chi2 / 2.0)
    return probability


@feature(
    "drMax",
    unit="cm",
    needs=_both("d0"),
    description="larger transverse distance of the two tracks to the interaction point",
    basf2="max(abs(daughter(0,dr)),abs(daughter(1,dr)))",
)
def dr_max(columns: Columns) -> NDArray[Any]:
    return _largest(columns, "d0")


@feature(
    "dzMax",
    unit="cm",
    needs=_both("z0"),
    description="larger distance along z of the two tracks to the interaction point",
    basf2="max(abs(daughter(0,dz)),abs(daughter(1,dz)))",
)
def dz_max(columns: Columns) -> NDArray[Any]:
    return _largest(columns, "z0")


def _largest(columns: Columns, name: str) -> NDArray[Any]:
    first, second = _both(name)
    largest: NDArray[Any] = np.maximum(np.abs(columns[first]), np.abs(columns[second]))
    return largest
