"""Does the selection change a spectator's background shape? A fit in that spectator relies on the answer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.correlations import weighted_pearson
from mlbkg.evaluation.estimates import Array, Events, effective_events
from mlbkg.evaluation.resampling import binned_sums, event_covariance, quantile_edges
from mlbkg.evaluation.two_samples import ShapeTest, project, split_test

SHAPE_BINS = 30
INFORMATION_BINS = 16
FEWEST_EVENTS = 5.0
CHANCE_DRAWS = 200


@dataclass(frozen=True)
class Sculpting:
    """One spectator's background before and after the working point, shapes of unit sum on ``edges (n+1,)``.

    ``test``: candidates that pass against those that fail, which have no candidate in common; None where fewer than 5
    effective events pass or fail. ``jensen_shannon``: divergence of after from before in bits (0 same, 1 disjoint), and
    ``jensen_shannon_expected`` its median for a selection that does not sculpt. ``correlation``: weighted Pearson of score
    and spectator. ``mutual_information``: of their ranks, in bits, less its bias (Miller-Madow). ``missing``: share of the
    weight without a finite value.
    """

    spectator: str
    edges: Array
    before: Array
    before_error: Array
    after: Array
    after_error: Array
    ratio: Array
    ratio_error: Array
    test: ShapeTest | None
    jensen_shannon: float
    jensen_shannon_expected: float
    correlation: float
    mutual_information: float
    missing: float


def sculpting(
    spectator: str, value: Array, score: Array, weight: Array, event_index: Events, *, threshold: float | Array, seed: int
) -> Sculpting:
    """Background rows only; the working point is ``score >= threshold``, one for all or one for each row."""
    passed = score >= threshold
    there = np.isfinite(value)
    missing = 1 - float(weight[there].sum() / weight.sum())
    value, score, weight, event_index = value[there], score[there], weight[there], event_index[there]
    passed = passed[there]
    enough = all(_effective(weight[rows], event_index[rows]) >= FEWEST_EVENTS for rows in (passed, ~passed))
    edges = shape_edges(value)
    before, after, covariance, kept = _shapes(value, passed, weight, event_index, edges=edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        # after - before = (1 - kept) (pass - fail), whose covariance knows that the passing are part of all
        ratio = after / before
        ratio_error = (1 - kept) * np.sqrt(np.diag(covariance)) / before
    chance = _by_chance(before, weight[passed], event_index[passed], kept=kept, seed=seed) if enough else math.nan
    return Sculpting(
        spectator=spectator,
        edges=edges,
        before=before,
        before_error=_shape_error(value, weight, event_index, edges=edges),
        after=after,
        after_error=_shape_error(value[passed], weight[passed], event_index[passed], edges=edges),
        ratio=ratio,
        ratio_error=ratio_error,
        test=split_test(value, passed, weight, event_index, seed=seed) if enough else None,
        jensen_shannon=jensen_shannon(after, before),
        jensen_shannon_expected=chance,
        correlation=float(weighted_pearson(np.column_stack([score, value]), weight)[0, 1]),
        mutual_information=mutual_information(score, value, weight, event_index),
        missing=missing,
    )


def jensen_shannon(first: Array, second: Array) -> float:
    """Jensen-Shannon divergence in bits of two binned shapes; negative bins count as empty. NaN for an empty shape."""
    p, q = (np.clip(shape, 0, None) for shape in (first, second))
    if not (p.sum() > 0 and q.sum() > 0):
        return math.nan
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    return (_entropy(middle) - (_entropy(p) + _entropy(q)) / 2) / math.log(2)


def mutual_information(first: Array, second: Array, weight: Array, event_index: Events) -> float:
    """Bits that the rank of one value tells about the other's: 16 x 16 bins of equal counts, bias taken off.

    The bias of the binned estimate is (rows - 1)(columns - 1) / (2 n) nats (Miller, in Information Theory in Psychology,
    1955), with the effective number of events for n; so independent values give zero on average, at times slightly less.
    """
    x, y = (np.searchsorted(quantile_edges(v, INFORMATION_BINS), v, side="right") for v in (first, second))
    joint = np.bincount(x * INFORMATION_BINS + y, weights=weight, minlength=INFORMATION_BINS**2)
    joint = np.clip(joint, 0, None).reshape(INFORMATION_BINS, INFORMATION_BINS)
    joint = joint / joint.sum()
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    nats = _entropy(rows) + _entropy(columns) - _entropy(joint.ravel())
    bias = ((rows > 0).sum() - 1) * ((columns > 0).sum() - 1) / (2 * effective_events(weight, event_index))
    return float((nats - bias) / math.log(2))


def shape_edges(value: Array) -> Array:
    """30 even bins over all but the outermost 0.1 % on either side; the rest goes into the outer bins."""
    low, high = np.quantile(value, [0.001, 0.999])
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, SHAPE_BINS + 1)


def _shapes(
    value: Array, passed: NDArray[np.bool_], weight: Array, event_index: Events, *, edges: Array
) -> tuple[Array, Array, Array, float]:
    """Shapes of all and of the passing, covariance of the shapes of passing minus failing, share that passes."""
    n = len(edges) - 1
    bins = np.searchsorted(edges[1:-1], value, side="right")
    sums = np.array([weight[passed].sum(), weight[~passed].sum()])
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(passed, weight / sums[0], weight / sums[1])
    cells = bins + np.where(passed, 0, n)
    both = binned_sums(cells, share, 2 * n)
    covariance = project(event_covariance(cells, share, event_index, n_cells=2 * n), both)
    before = binned_sums(bins, weight, n) / weight.sum()
    return before, both[:n], covariance, float(sums[0] / weight.sum())


def _shape_error(value: Array, weight: Array, event_index: Events, *, edges: Array) -> Array:
    n = len(edges) - 1
    if not len(value):
        return np.zeros(n)
    bins = np.searchsorted(edges[1:-1], value, side="right")
    return np.asarray(np.sqrt(np.diag(event_covariance(bins, weight / weight.sum(), event_index, n_cells=n))))


def _by_chance(before: Array, weight: Array, event_index: Events, *, kept: float, seed: int) -> float:
    """Median divergence of selections that take events at random, as many effective ones as ``weight`` holds.

    That the selected are part of all makes them resemble all more, by the factor 1 - ``kept`` in variance.
    """
    events = round(effective_events(weight, event_index) / (1 - kept))
    shape = np.clip(before, 0, None)
    drawn = np.random.default_rng(seed).multinomial(events, shape / shape.sum(), size=CHANCE_DRAWS)
    return float(np.median([jensen_shannon(one, before) for one in drawn.astype(np.float64)]))


def _effective(weight: Array, event_index: Events) -> float:
    return effective_events(weight, event_index) if len(weight) and weight.sum() > 0 else 0.0


def _entropy(p: Array) -> float:
    inside = p[p > 0]
    return float(-(inside * np.log(inside)).sum())
