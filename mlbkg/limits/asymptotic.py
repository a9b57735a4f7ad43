"""CLs upper limits from the asymptotic distributions of the profile likelihood ratio (Cowan et al., arXiv:1007.1727).

Good to a few per cent from about ten candidates under the signal peak; below, :mod:`mlbkg.limits.toys` is right.
"""

from __future__ import annotations

import numpy as np

from mlbkg.limits.experiments import asimov_profile, typical_sigma
from mlbkg.limits.profiling import Profiled, observed
from mlbkg.limits.result import Limit, Problem
from mlbkg.limits.scan import N_SIGMA, PValues, alpha_of, band


def cls(q: float, q_asimov: float) -> float:
    """CLs for the test statistic ``q`` of data, given that of the background-only Asimov set. Eq. (65), arXiv:1007.1727.

    (mu / sigma)^2 is ``q_asimov``, Eq. (31).
    """
    from scipy.stats import norm

    if q_asimov <= 0:
        return 1.0
    root = np.sqrt(q_asimov)
    background = norm.sf(np.sqrt(q) - root if q <= q_asimov else (q - q_asimov) / (2 * root))
    return float(p_with_signal(q, q_asimov) / background) if background > 0 else 0.0


def p_with_signal(q: float, q_asimov: float) -> float:
    """CLs+b: probability of a test statistic of at least ``q`` with the signal tested. Eq. (66), arXiv:1007.1727."""
    from scipy.stats import norm

    if q <= q_asimov:
        return float(norm.sf(np.sqrt(q)))
    return float(norm.sf((q + q_asimov) / (2 * np.sqrt(q_asimov)))) if q_asimov > 0 else 0.0


def expected_cls(q_asimov: float, n_sigma: float) -> float:
    """CLs of a background-only experiment whose estimate lies ``n_sigma`` standard deviations up.

    Eq. (89), arXiv:1007.1727, for CLs: divided by the probability of the background alone.
    """
    from scipy.stats import norm

    return float(norm.sf(np.sqrt(q_asimov) - n_sigma) / norm.cdf(n_sigma))


def cls_asymptotic(problem: Problem, *, confidence_level: float, scan_range: tuple[float, float] | None = None) -> Limit:
    """Observed limit (None without data), expected band, and the scan of CLs.

    The background-only Asimov set has the nuisance parameters at their best fit to the data without signal, nominal where
    there are no data. ``scan_range``: found by itself where None. Raises :class:`LimitError` for a range that does not hold
    every limit and for a parameter whose upper bound is too low.
    """
    alpha = alpha_of(confidence_level)
    p_values = _p_values(problem, alpha)
    limits = p_values.crossings(alpha, scan_range=scan_range)
    return Limit(
        method="cls",
        confidence_level=confidence_level,
        observed=None if problem.data is None else float(limits[0]),
        expected=band(limits[1:]),
        scan=p_values.scan(limits),
    )


def expected_median(problem: Problem, *, confidence_level: float) -> float:
    """The median of :func:`cls_asymptotic`'s band alone, in a fifth of its time."""
    alpha = alpha_of(confidence_level)
    background = asimov_profile(problem)
    p_values = PValues(
        lambda value: (expected_cls(background.q_tilde(value), 0.0),),
        poi=problem.poi,
        start=_guess(background, alpha),
        ceiling=background.parameter.high,
        lines=("expected",),
    )
    return float(p_values.crossings(alpha)[0])


def _p_values(problem: Problem, alpha: float) -> PValues:
    data = None if problem.data is None else observed(problem)
    background = asimov_profile(problem)

    def compute(value: float) -> list[float]:
        q_asimov = background.q_tilde(value)
        seen = np.nan if data is None else cls(data.q_tilde(value), q_asimov)
        return [seen, *(expected_cls(q_asimov, n_sigma) for n_sigma in N_SIGMA)]

    return PValues(compute, poi=problem.poi, start=_guess(background, alpha), ceiling=background.parameter.high)


def _guess(background: Profiled, alpha: float) -> float:
    """The median limit of a parabolic -2 ln L."""
    from scipy.stats import norm

    return float(norm.isf(alpha / 2)) * typical_sigma(background)
