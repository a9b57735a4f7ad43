"""Local significances of a scan, and how often background alone gives one as large anywhere in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from mlbkg.limits.look_elsewhere import GrossVitells, global_p_value

Array = NDArray[np.float64]

LOW_LEVEL = math.sqrt(0.5)
"""Standard deviations at which crossings are counted: c0 = 0.5, as in arXiv:1005.1891."""


@dataclass(frozen=True)
class Excesses:
    """p_value, z: ``(n,)`` local, one-sided; a deficit has z < 0, and none at all -infinity. largest: the largest excess.

    global_p: share of ``toys`` experiments without signal whose largest excess is as large, counting the one at hand, so
    that it is never 0. global_p_low, global_p_high: interval of 68.27 %, of the toys alone. gross_vitells: an upper bound of
    the same, from crossings of a low level; None where hypotheses are not in a line. above: what is counted as an excess:
    ``observed_above`` hypotheses have more, ``expected_above`` by chance, on average.
    """

    p_value: Array
    z: Array
    largest: int
    global_p: float
    global_p_low: float
    global_p_high: float
    toys: int
    gross_vitells: float | None
    above: float
    observed_above: int
    expected_above: float

    @property
    def global_z(self) -> float:
        """Negative where most experiments without signal have a larger excess somewhere."""
        return float(norm.isf(self.global_p))


def excesses(z: Array, of_toys: Array, *, above: float, in_line: bool) -> Excesses:
    """``z``: ``(n,)`` local significances. ``of_toys``: ``(toys, n)`` those of experiments without signal.

    ``in_line``: whether neighbours in ``z`` are neighbours in mass.
    """
    largest, toys = int(np.argmax(z)), len(of_toys)
    highest = np.asarray(of_toys.max(axis=1)) + 1e-9
    found = global_p_value(float(z[largest]), highest)
    return Excesses(
        p_value=norm.sf(z),
        z=z,
        largest=largest,
        global_p=(float((highest >= z[largest]).sum()) + 1) / (toys + 1),
        global_p_low=found.low,
        global_p_high=found.high,
        toys=toys,
        gross_vitells=_gross_vitells(float(z[largest]), of_toys) if in_line else None,
        above=above,
        observed_above=int((z > above).sum()),
        expected_above=float((of_toys > above).sum() / toys),
    )


def _gross_vitells(z: float, of_toys: Array) -> float | None:
    """None below the level that crossings are counted at, where the formula says nothing."""
    return GrossVitells.of_toys(of_toys, reference=LOW_LEVEL).global_p_value(z).value if z > LOW_LEVEL else None
