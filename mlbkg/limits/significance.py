"""How significant an excess of counts is, in standard deviations, one-sided: Z = Phi^-1(1 - p).

Backgrounds are known, or come with an absolute error, or from a measurement of ``off`` counts in a region where ``tau``
times as much background is expected as where ``on`` counts were seen. An error of the background stands for such a region,
with ``tau = background / error^2`` and ``off = tau * background`` (Cousins, Linnemann, Tucker, physics/0702156).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import betainc, gammaln, log_ndtr, ndtr, ndtri_exp

from mlbkg.errors import ConfigError
from mlbkg.limits.counting import not_negative, positive
from mlbkg.limits.poisson import TINY, deviance, log_sf

MAX_TERMS = 1_000_000


def z_of_p_value(p_value: float) -> float:
    """Raises :class:`ConfigError` outside (0, 1)."""
    if not 0 < p_value < 1:
        raise ConfigError(f"a p value must lie between 0 and 1; got {p_value:g}")
    return z_of_log_p_value(math.log(p_value)) if p_value < 0.5 else -z_of_log_p_value(math.log1p(-p_value))


def z_of_log_p_value(log_p_value: float) -> float:
    """For p values too small for a float as well: ``log_p_value`` is natural."""
    return -float(ndtri_exp(log_p_value))


def p_value_of_z(z: float) -> float:
    return float(ndtr(-z))


def log_p_value_of_z(z: float) -> float:
    """Natural logarithm; finite also where the p value is too small for a float."""
    return float(log_ndtr(-z))


def asymptotic(observed: float, background: float, *, background_error: float = 0.0) -> float:
    """Square root of the test statistic of discovery q0, Eqs. (52) and (53), arXiv:1007.1727; negative for a deficit.

    With an error of the background, the profile likelihood of the on/off measurement that it stands for.
    """
    not_negative(observed, "the observed count")
    positive(background, "the background")
    not_negative(background_error, "the error of the background")
    if background_error > 0:
        tau = background / background_error**2
        return li_ma(observed, tau * background, tau)
    return math.copysign(math.sqrt(2 * float(deviance(observed, background))), observed - background)


def asimov(signal: float, background: float, *, background_error: float = 0.0) -> float:
    """Median significance of a signal that is there: :func:`asymptotic` of the count ``signal + background``.

    Eq. (97), arXiv:1007.1727: sqrt(2 ((s + b) ln(1 + s/b) - s)). With an error of the background this is the formula
    of G. Cowan, "Discovery sensitivity for a counting experiment with background uncertainty" (2012).
    """
    not_negative(signal, "the signal")
    return asymptotic(signal + background, background, background_error=background_error)


def log_p_value_exact(observed: int, background: float) -> float:
    """ln P(N >= observed | background)."""
    not_negative(observed, "the observed count")
    not_negative(background, "the background")
    return float(log_sf(int(observed), background))


def li_ma(on: float, off: float, tau: float) -> float:
    """Eq. (17) of Li and Ma, Astrophys. J. 272 (1983) 317, with alpha = 1 / tau; negative for a deficit.

    Written as the deviances from the common best background, in which no large terms cancel.
    """
    _check_on_off(on, off, tau)
    expected_on, expected_off = (on + off) / (1 + tau), (on + off) * tau / (1 + tau)
    total = float(deviance(on, expected_on) + deviance(off, expected_off))
    return math.copysign(math.sqrt(2 * total), on * tau - off)


def z_bi(on: float, off: float, tau: float) -> float:
    """From the binomial p value of ``on`` of ``on + off`` counts, I_{1/(1 + tau)}(on, off + 1); physics/0702156.

    Raises :class:`ConfigError` where nothing was seen: every background is then compatible.
    """
    _check_on_off(on, off, tau)
    positive(on, "the observed count")
    return z_of_log_p_value(_log_betainc(on, off + 1.0, 1 / (1 + tau)))


def _check_on_off(on: float, off: float, tau: float) -> None:
    not_negative(on, "the observed count")
    not_negative(off, "the count off")
    positive(tau, "tau")


def _log_betainc(a: float, b: float, x: float) -> float:
    """ln of the regularised incomplete beta function, by its series of positive terms where a float cannot hold it."""
    direct = float(betainc(a, b, x))
    if direct > TINY:
        return math.log(direct)
    term, total = 1.0, 1.0
    for k in range(MAX_TERMS):
        term *= x * (a + b + k) / (a + 1 + k)
        total += term
        if term < 1e-17 * total:
            break
    log_beta = float(gammaln(a) + gammaln(b) - gammaln(a + b))
    return a * math.log(x) + b * float(np.log1p(-x)) - math.log(a) - log_beta + math.log(total)
