"""Upper limits and p values of many counting experiments at once: what the counting methods give for one, much faster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.special import ndtr, ndtri

from mlbkg.errors import LimitError
from mlbkg.limits.counting import LARGEST_UNCERTAINTY, Count, check_confidence_level, counting_interval
from mlbkg.limits.counting_expected import N_SIGMA
from mlbkg.limits.counting_marginal import count_quantile
from mlbkg.limits.hypotheses import Array, Counts, Experiments, UpperLimits
from mlbkg.limits.many_background import Backgrounds, check, log_probabilities, quantiles, tail_probabilities
from mlbkg.limits.many_posterior import Counted, solve

MOST_COUNTS = 20_000
"""Experiments of an uncertain background in which more are possible are computed one by one."""

PROBABILITIES_AT_ONCE = 2_000_000


def bayesian_limits(experiments: Experiments, *, confidence_level: float) -> UpperLimits:
    """On the cross section in fb, flat prior; infinite where no signal would be seen.

    Counting method "bayesian": log-normal uncertainties of background and signal, independent of each other, integrated out.
    The expected limits are those at the quantiles of the count without signal, the uncertain background averaged over.
    Where no simulated background is left, it is exponential: see :mod:`mlbkg.limits.many_background`.
    Raises :class:`LimitError` for numbers that cannot be.
    """
    return _limits(experiments, "bayesian", confidence_level)


def cls_limits(experiments: Experiments, *, confidence_level: float) -> UpperLimits:
    """As :func:`bayesian_limits`, by counting method "cls": P(N <= n | s + b) / P(N <= n | b), hybrid."""
    return _limits(experiments, "cls", confidence_level)


LIMITS = {"bayesian": bayesian_limits, "cls": cls_limits}


def local_p_values(experiments: Experiments, counts: Counts | None = None) -> Array:
    """P(N >= count) without signal, the uncertain background averaged over (prior predictive); 1 where nothing was counted.

    counts: ``(..., n)``, of toys for example; the observed ones where left out. Never below the smallest float, so that
    every significance is below 38. Raises :class:`LimitError` where nothing was observed.
    """
    if counts is None and experiments.observed is None:
        raise LimitError("nothing was observed: p values need counts", hint="Give data, or pseudo-data, to the scan.")
    asked = np.asarray(experiments.observed if counts is None else counts, dtype=np.int64)
    hypothesis = np.broadcast_to(np.arange(len(experiments)), asked.shape)
    different, number = np.unique(np.stack([hypothesis.ravel(), asked.ravel()]), axis=1, return_inverse=True)
    found = tail_probabilities(Backgrounds.of(experiments).take(different[0]), different[1])
    return np.asarray(found[number].reshape(asked.shape))


def significances(p_values: Array) -> Array:
    """One-sided, Z = Phi^-1(1 - p); negative for deficits, minus infinity where nothing was counted."""
    return np.asarray(-ndtri(p_values))


def chances_above(experiments: Experiments, z: float) -> Array:
    """``(n,)`` probabilities that background alone counts so much that the local significance is at least ``z``.

    Less than p(z), as counts come in steps. Their sum is the expected number of hypotheses above ``z``.
    """
    backgrounds, wanted = Backgrounds.of(experiments), ndtr(-z)
    low, high = np.zeros(len(experiments), dtype=np.int64), np.ones(len(experiments), dtype=np.int64)
    while (reached := tail_probabilities(backgrounds, high) > wanted).any():
        low, high = np.where(reached, high, low), np.where(reached, 2 * high, high)
    while ((high - low) > 1).any():
        middle = (low + high) // 2
        above = tail_probabilities(backgrounds, middle) > wanted
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return tail_probabilities(backgrounds, high)


def _limits(experiments: Experiments, method: str, confidence_level: float) -> UpperLimits:
    check_confidence_level(confidence_level)
    check(experiments, "signal_per_fb", experiments.signal_per_fb)
    spread = experiments.signal_uncertainty
    check(experiments, "signal's relative uncertainty", spread, most=LARGEST_UNCERTAINTY)
    backgrounds, observed = Backgrounds.of(experiments), experiments.observed
    needed = backgrounds.enough() if observed is None else np.maximum(backgrounds.enough(), observed)
    one_by_one = (needed > MOST_COUNTS) & (backgrounds.spread > 0)
    events = np.empty((len(N_SIGMA) + (observed is not None), len(experiments)))
    for rows in _portions(np.flatnonzero(~one_by_one), needed):
        looked = None if observed is None else observed[rows]
        events[:, rows] = _together(
            backgrounds.take(rows), needed[rows], looked, spread[rows], method=method, confidence_level=confidence_level
        )
    for row in np.flatnonzero(one_by_one):
        count = Count(0, float(backgrounds.median[row]), float(backgrounds.spread[row]), float(spread[row]))
        looked = None if observed is None else observed[row]
        events[:, row] = _alone(count, looked, method=method, confidence_level=confidence_level)
    with np.errstate(divide="ignore"):
        limits = events / experiments.signal_per_fb
    return UpperLimits(method, confidence_level, None if observed is None else limits[-1], limits[: len(N_SIGMA)])


def _together(
    backgrounds: Backgrounds, needed: Counts, observed: Counts | None, spread: Array, *, method: str, confidence_level: float
) -> Array:
    """``(5 or 6, n)`` limits in counts: at the quantiles of the count, and where it was ``observed``."""
    ends = np.cumsum(needed + 1)
    index = np.repeat(np.arange(len(needed)), needed + 1)
    tables = np.split(
        log_probabilities(backgrounds.take(index), np.arange(ends[-1]) - (ends - needed - 1)[index]), ends[:-1]
    )
    counts = np.stack([quantiles(table, N_SIGMA) for table in tables], axis=1)
    if observed is not None:
        counts = np.concatenate([counts, observed[None, :]])
    different, number = np.unique(
        np.stack([np.tile(np.arange(len(needed)), len(counts)), counts.ravel()]), axis=1, return_inverse=True
    )
    log_shift = -(spread**2) if method == "bayesian" else np.zeros(len(spread))
    counted = [
        Counted.of(tables[row], n, spread=float(spread[row]), log_shift=float(log_shift[row])) for row, n in different.T
    ]
    return solve(counted, confidence_level)[number].reshape(counts.shape)


def _alone(count: Count, observed: int | None, *, method: str, confidence_level: float) -> Array:
    """``(5 or 6,)`` as :func:`_together`."""
    counts = [count_quantile(count, float(ndtr(n_sigma))) for n_sigma in N_SIGMA]
    counts += [] if observed is None else [int(observed)]
    return np.array(
        [
            counting_interval(replace(count, observed=n), method=method, confidence_level=confidence_level).upper
            for n in counts
        ]
    )


def _portions(rows: Counts, needed: Counts) -> Iterator[Counts]:
    """Some rows at a time, so that the probabilities of their counts fit into memory."""
    number = np.cumsum(needed[rows] + 1) // PROBABILITIES_AT_ONCE
    yield from (part for part in np.split(rows, np.flatnonzero(np.diff(number)) + 1) if len(part))
