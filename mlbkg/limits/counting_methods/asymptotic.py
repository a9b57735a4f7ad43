"""CLs and CLs+b by the asymptotic distributions of the profile likelihood ratio (Cowan et al., arXiv:1007.1727)."""

from __future__ import annotations

import math

from scipy.special import log_ndtr

from mlbkg.limits.counting import COUNTING, Count, CountingInterval, CountingMethod
from mlbkg.limits.counting_likelihood import CountingLikelihood
from mlbkg.limits.roots import crossing

SMALLEST = 1e-6
"""Signals below it count as none."""


def cls_asymptotic(count: Count, confidence_level: float) -> CountingInterval:
    """Good to some per cent from about ten counts."""
    return _upper(count, confidence_level, of_background=True)


def clsb_asymptotic(count: Count, confidence_level: float) -> CountingInterval:
    """Good to some per cent from about ten counts."""
    return _upper(count, confidence_level, of_background=False)


def _upper(count: Count, confidence_level: float, *, of_background: bool) -> CountingInterval:
    observed, background = CountingLikelihood.of(count), CountingLikelihood.of_background(count)
    log_alpha = math.log1p(-confidence_level)

    def excess(signal: float) -> float:
        signal_p, background_p = log_p_values(observed.q_tilde(signal), background.q_tilde(signal))
        return signal_p - log_alpha - (background_p if of_background else 0.0)

    # At the best signal the p value is one half, and CLs+b of a low count less at any signal: the limit may be right there.
    start = max(observed.best_signal, SMALLEST)
    if excess(start) < 0:
        return CountingInterval(0.0, observed.best_signal)
    return CountingInterval(0.0, crossing(excess, start, step=1 + math.sqrt(count.observed)))


def log_p_values(q: float, q_asimov: float) -> tuple[float, float]:
    """ln CLs+b and ln CLb of the statistic q-tilde, given that of the background-only Asimov set.

    Eqs. (65) and (66) of arXiv:1007.1727, with (mu / sigma)^2 = ``q_asimov``, Eq. (31).
    """
    if q_asimov <= 0:
        return 0.0, 0.0
    root, root_asimov = math.sqrt(q), math.sqrt(q_asimov)
    z = root if q <= q_asimov else (q + q_asimov) / (2 * root_asimov)
    return float(log_ndtr(-z)), float(log_ndtr(root_asimov - z))


COUNTING.add("cls-asymptotic", CountingMethod("cls-asymptotic", "upper limit by CLs, asymptotic", cls_asymptotic))
COUNTING.add("clsb-asymptotic", CountingMethod("clsb-asymptotic", "upper limit by CLs+b, asymptotic", clsb_asymptotic))
