"""How often background alone gives, anywhere in a scan, an excess as large as the largest that was seen.

Local significances Z are one-sided and normal without signal. A scan in one mass is a curve Z(m), one in two a field
Z(m, M); levels are of Z, above 0: the test statistic q0 is Z^2 there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtr

from mlbkg.errors import LimitError
from mlbkg.limits.counting import check_confidence_level
from mlbkg.limits.hypotheses import Array, Counts
from mlbkg.limits.poisson import log_sf

ONE_SIGMA = 0.6827
FEWEST_TOYS = 10
LEAST_PULL = 1e-3


@dataclass(frozen=True)
class GlobalPValue:
    """``low`` and ``high``: interval from the number of toys; both are the value where none were needed."""

    value: float
    low: float
    high: float


def global_p_value(observed_max: float, toys_max: ArrayLike, *, confidence_level: float = ONE_SIGMA) -> GlobalPValue:
    """Share of toys ``(toys,)`` whose largest local significance reaches the observed one.

    The interval is Clopper's and Pearson's. Where no toy reaches it, the value is 0: quote ``high``. Raises
    :class:`LimitError` without toys.
    """
    check_confidence_level(confidence_level)
    toys = np.asarray(toys_max, dtype=float)
    if not len(toys):
        raise LimitError("no toys: a global p value is a share of them", hint="Ask for scan.toys: 1000.")
    return _share(int((toys >= observed_max).sum()), len(toys), confidence_level)


def _share(passed: int, total: int, confidence_level: float) -> GlobalPValue:
    outside = (1 - confidence_level) / 2
    low = 0.0 if passed == 0 else float(betaincinv(passed, total - passed + 1, outside))
    high = 1.0 if passed == total else float(betaincinv(passed + 1, total - passed, 1 - outside))
    return GlobalPValue(passed / total, low, high)


def upcrossings(curves: Array, level: float) -> Counts:
    """``(toys,)``: how often each curve ``(toys, n)`` of significances rises through ``level`` between neighbours."""
    above = curves >= level
    return np.asarray((~above[:, :-1] & above[:, 1:]).sum(axis=1))


@dataclass(frozen=True)
class GrossVitells:
    """The global p value of a curve from its upcrossings of a low level, Gross and Vitells, Eur. Phys. J. C 70 (2010) 525,
    arXiv:1005.1891.

    reference: the level, in standard deviations (c0 = reference^2). mean, error: of the number of upcrossings.
    """

    reference: float
    mean: float
    error: float

    @classmethod
    def of_toys(cls, curves: Array, *, reference: float) -> GrossVitells:
        """``curves``: ``(toys, n)`` significances without signal. Raises :class:`LimitError` for too few toys."""
        crossings = upcrossings(curves, reference)
        _enough(len(crossings))
        return cls(reference, float(crossings.mean()), _standard_error(crossings))

    def global_p_value(self, z: float) -> GlobalPValue:
        """Eq. (3): p_local + <N(c0)> exp(-(c - c0) / 2) with c = z^2, for ``z`` above the reference.

        An upper bound, close to the truth where it is small. The interval is from the error of the number of upcrossings.
        """
        local, factor = float(ndtr(-z)), math.exp(-(z**2 - self.reference**2) / 2)
        return _bounded(local + self.mean * factor, self.error * factor, at_least=local)


def euler_characteristic(fields: Array, level: float) -> Counts:
    """``(toys,)``: components less holes of where fields ``(toys, nx, ny)`` are above ``level``; NaN is never above.

    Neighbouring cells are joined along edges, and four that meet are filled: vertices - edges + faces.
    """
    above = fields >= level
    right, up = above[:, 1:, :] & above[:, :-1, :], above[:, :, 1:] & above[:, :, :-1]
    faces = right[:, :, 1:] & right[:, :, :-1]
    parts = (part.sum(axis=(1, 2), dtype=np.int64) for part in (above, right, up, faces))
    vertices, rightwards, upwards, filled = parts
    return np.asarray(vertices - rightwards - upwards + filled)


@dataclass(frozen=True)
class EulerCharacteristic:
    """The global p value of a field from its Euler characteristic at two low levels, Vitells and Gross, Astropart. Phys. 35
    (2011) 230, arXiv:1105.4355.

    Of where a normal field is above z: E = chi p_local + exp(-z^2 / 2) (N1 + z N2), with chi that of the whole region.
    ``n_1``, ``n_2`` and their ``covariance`` ``(2, 2)``.
    """

    region: float
    n_1: float
    n_2: float
    covariance: Array

    @classmethod
    def of_toys(cls, fields: Array, *, levels: tuple[float, float], inside: NDArray[np.bool_]) -> EulerCharacteristic:
        """``fields``: ``(toys, nx, ny)`` significances without signal. ``inside``: ``(nx, ny)`` cells that are looked at.

        Raises :class:`LimitError` for too few toys and for levels that are one.
        """
        _enough(len(fields))
        if abs(levels[0] - levels[1]) < LEAST_PULL:
            raise LimitError(f"two different levels are needed; got {levels[0]:g} and {levels[1]:g}")
        masked = np.where(inside, fields, np.nan)
        region = int(euler_characteristic(np.where(inside, 0.0, np.nan)[None], -1.0)[0])
        z = np.array(levels)
        found = np.stack([euler_characteristic(masked, level) for level in levels])
        scaled = (found - region * ndtr(-z)[:, None]) * np.exp(z**2 / 2)[:, None]
        inverse = np.linalg.inv(np.stack([np.ones(2), z], axis=1))
        n_1, n_2 = inverse @ scaled.mean(axis=1)
        covariance = inverse @ (np.cov(scaled) / fields.shape[0]) @ inverse.T
        return cls(region, float(n_1), float(n_2), covariance)

    def global_p_value(self, z: float) -> GlobalPValue:
        """P(largest > z), close to the expected Euler characteristic where it is small; never below the local p value."""
        along = np.array([1.0, z])
        local, factor = float(ndtr(-z)), math.exp(-(z**2) / 2)
        value = self.region * local + factor * (self.n_1 + z * self.n_2)
        return _bounded(value, factor * math.sqrt(max(0.0, along @ self.covariance @ along)), at_least=local)


def _enough(toys: int) -> None:
    if toys < FEWEST_TOYS:
        raise LimitError(f"at least {FEWEST_TOYS} toys are needed; got {toys}", hint="Ask for scan.toys: 1000.")


def _standard_error(counts: Counts) -> float:
    """Of the mean; that of one in all toys where none was counted."""
    return max(float(counts.std(ddof=1)) / math.sqrt(len(counts)), 0.0 if counts.any() else 1 / len(counts))


def _bounded(value: float, error: float, *, at_least: float) -> GlobalPValue:
    """A probability, not below the local one."""
    value, low, high = (min(max(bound, at_least), 1.0) for bound in (value, value - error, value + error))
    return GlobalPValue(value, low, high)


def p_value_of_independent(p_local: float, n: float) -> float:
    """That the smallest of ``n`` independent p values is at most ``p_local``: 1 - (1 - p)^n."""
    return 1.0 if p_local >= 1 else -math.expm1(n * math.log1p(-p_local))


def expected_excesses(n: float, z: float) -> float:
    """How many of ``n`` hypotheses background alone takes above ``z``, independent of each other or not.

    Fewer where counts are few, which come in steps: see :func:`~mlbkg.limits.many.chances_above`.
    """
    return float(n * ndtr(-z))


def p_value_of_excesses(observed: int, expected: float) -> float:
    """P(N >= observed) of a Poisson distribution: for hypotheses that hardly overlap."""
    return float(np.exp(log_sf(observed, np.asarray(expected, dtype=float))))
