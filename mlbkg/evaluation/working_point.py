"""Where to cut: by score, by signal efficiency, by Punzi's figure of merit, or as found elsewhere; what the cut keeps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Array, Efficiency, Estimate, Events, check_weights, efficiency
from mlbkg.evaluation.metrics import float32_floor, threshold_at
from mlbkg.evaluation.threshold_curve import ThresholdCurve

SCAN_POINTS = 400
MINIMUM_EFFECTIVE_BACKGROUND = 10.0


@dataclass(frozen=True)
class ByScore:
    """``score >= threshold``."""

    threshold: float


@dataclass(frozen=True)
class BySignalEfficiency:
    """The highest threshold that keeps at least this share of the signal's weight; ties are kept."""

    signal_efficiency: float


@dataclass(frozen=True)
class ByPunzi:
    """The threshold of the smallest S_min / efficiency. ``a``: significance of a discovery, ``b``: confidence level of a
    limit, both in standard deviations (1.28155 is 90 % one-sided)."""

    a: float
    b: float


@dataclass(frozen=True)
class Found:
    """``score >= threshold``, found by something that is called ``name``."""

    name: str
    threshold: float


@dataclass(frozen=True)
class ByCurve:
    """``score >= curve(values)``, found by something that is called ``name``. values: ``(n,)`` of the curve's variable."""

    name: str
    curve: ThresholdCurve
    values: Array


Rule = ByScore | BySignalEfficiency | ByPunzi | Found | ByCurve


@dataclass(frozen=True)
class PunziScan:
    """Thresholds ``(n,)`` from loose to tight, what they keep, and the signal events a search then needs.

    ``sensitivity``: S_min / signal efficiency, proportional to the smallest cross section that is seen; inf where no signal
    is kept. ``measured``: whether enough background is kept for B to be known. ``best``: index of the optimum among these.
    """

    a: float
    b: float
    threshold: Array
    signal_efficiency: Array
    background: Array
    background_error: Array
    s_min: Array
    sensitivity: Array
    measured: NDArray[np.bool_]
    best: int


@dataclass(frozen=True)
class CategoryYield:
    """What the working point keeps of one background category, in events of the data's luminosity."""

    name: str
    background_efficiency: Efficiency
    background_yield: Estimate


@dataclass(frozen=True)
class WorkingPoint:
    """Selection ``score >= threshold``, or ``score >= curve(variable)``; ``threshold`` is then the curve's lowest.

    Yields are sums of physics weights.

    The background yield's error adds the categories' in quadrature: a category of which nothing is kept still counts with
    the error that its statistics leave open.
    """

    rule: str
    threshold: float
    signal_efficiency: Efficiency
    background_efficiency: Efficiency
    signal_yield: Estimate
    background_yield: Estimate
    categories: tuple[CategoryYield, ...]
    curve: ThresholdCurve | None = None

    @property
    def cut(self) -> str:
        """``"score >= 0.5"``, or ``"score >= t(m2Recoil)"``."""
        return self.curve.cut if self.curve else f"score >= {self.threshold:.6g}"


def punzi_s_min(background: Any, *, a: float, b: float) -> Any:
    """Signal events needed for an ``a`` sigma discovery and a limit at ``b`` sigma over ``background`` events.

    Punzi, physics/0308063, in the form with Poisson corrections that is good for any B >= 0:
    a^2/8 + 9 b^2/13 + a sqrt(B) + b/2 sqrt(b^2 + 4 a sqrt(B) + 4 B).
    """
    root = np.sqrt(background)
    return a**2 / 8 + 9 * b**2 / 13 + a * root + b / 2 * np.sqrt(b**2 + 4 * a * root + 4 * background)


def punzi_scan(
    score: Array, label: NDArray[np.int8], weight: Array, event_index: Events, *, a: float, b: float
) -> PunziScan:
    """S_min / efficiency at about 400 thresholds, even in signal efficiency.

    A threshold that keeps fewer than 10 effective background events is never the optimum: there B is a fluctuation, and the
    figure of merit would reward having run out of simulation. Where no threshold keeps as many, all count.
    """
    check_weights(weight, label)
    signal = label == 1
    steps = np.linspace(1, 0, SCAN_POINTS, endpoint=False)
    levels = thresholds_at(score[signal], weight[signal], steps)
    kept_signal = kept(score[signal], weight[signal], levels) / weight[signal].sum()
    background, variance = kept_events(score[~signal], weight[~signal], event_index[~signal], levels)
    with np.errstate(divide="ignore", invalid="ignore"):
        s_min = np.asarray(punzi_s_min(background, a=a, b=b))
        sensitivity = np.where(kept_signal > 0, s_min / kept_signal, np.inf)
    measured = is_measured(background, variance)
    allowed = measured if measured.any() else np.ones(len(levels), dtype=bool)
    return PunziScan(
        a=a,
        b=b,
        threshold=levels,
        signal_efficiency=kept_signal,
        background=background,
        background_error=np.sqrt(variance),
        s_min=s_min,
        sensitivity=sensitivity,
        measured=measured,
        best=int(np.argmin(np.where(allowed, sensitivity, np.inf))),
    )


def working_point(
    rule: Rule,
    score: Array,
    label: NDArray[np.int8],
    weight: Array,
    category: NDArray[np.int16],
    *,
    category_names: tuple[str, ...],
    event_index: Events,
) -> WorkingPoint:
    """Apply ``rule``, and measure what it keeps. Raises :class:`WeightError` for a class without weight."""
    check_weights(weight, label)
    signal = label == 1
    threshold = find_threshold(rule, score, label, weight, event_index)
    curve = rule.curve if isinstance(rule, ByCurve) else None
    passed = score >= (rule.curve(rule.values) if isinstance(rule, ByCurve) else threshold)
    categories = tuple(
        _category_yield(name, passed, weight, event_index, rows=~signal & (category == number))
        for number, name in enumerate(category_names)
        if not (signal & (category == number)).any()
    )
    kept_signal = efficiency(passed[signal], weight[signal], event_index[signal])
    return WorkingPoint(
        rule=spelled(rule),
        threshold=threshold,
        signal_efficiency=kept_signal,
        background_efficiency=efficiency(passed[~signal], weight[~signal], event_index[~signal]),
        signal_yield=_scaled(kept_signal, float(weight[signal].sum())),
        background_yield=Estimate(
            float(weight[~signal & passed].sum()),
            math.sqrt(sum(line.background_yield.error**2 for line in categories)),
        ),
        categories=categories,
        curve=curve,
    )


def find_threshold(rule: Rule, score: Array, label: NDArray[np.int8], weight: Array, event_index: Events) -> float:
    """The float32 number that ``rule`` stands for on these scores; the lowest of a curve."""
    signal = label == 1
    match rule:
        case ByScore(threshold) | Found(_, threshold):
            return float32_floor(threshold)
        case BySignalEfficiency(share):
            return threshold_at(score[signal], weight[signal], efficiency=share)
        case ByPunzi(a, b):
            scan = punzi_scan(score, label, weight, event_index, a=a, b=b)
            return float(scan.threshold[scan.best])
        case ByCurve(_, curve, _):
            return curve.lowest


def spelled(rule: Rule) -> str:
    """How a rule is called in tables and in models."""
    match rule:
        case ByScore(threshold):
            return f"score >= {threshold:g}"
        case BySignalEfficiency(share):
            return f"signal efficiency {share:g}"
        case ByPunzi(a, b):
            return f"Punzi a = {a:g}, b = {b:g}"
        case Found(name, _) | ByCurve(name, _, _):
            return name


def thresholds_at(score: Array, weight: Array, shares: Array) -> Array:
    """:func:`~mlbkg.evaluation.metrics.threshold_at` for many shares of the signal's weight at once; sorted, each once."""
    order = np.argsort(-score, kind="stable")
    reached = np.maximum.accumulate(np.cumsum(weight[order]))
    rows = np.minimum(np.searchsorted(reached, shares * reached[-1] * (1 - 1e-12)), len(reached) - 1)
    return np.unique([float32_floor(float(value)) for value in score[order[rows]]])


def kept(score: Array, weight: Array, thresholds: Array) -> Array:
    """Sum of ``weight`` where ``score >= threshold``, for each of the sorted thresholds."""
    passed = np.searchsorted(thresholds, score, side="right")
    sums = np.bincount(passed, weights=weight, minlength=len(thresholds) + 1)
    return np.asarray(np.cumsum(sums[::-1])[::-1][1:], dtype=np.float64)


def kept_events(score: Array, weight: Array, event_index: Events, thresholds: Array) -> tuple[Array, Array]:
    """Events kept above each of the sorted thresholds, and their variance.

    A kept candidate brings its whole event into the variance: exact for one candidate an event, an upper bound for more.
    """
    per_event = np.bincount(event_index, weights=np.abs(weight))[event_index]
    return np.maximum(kept(score, weight, thresholds), 0.0), kept(score, np.abs(weight) * per_event, thresholds)


def is_measured(events: Array, variance: Array, *, at_least: float = MINIMUM_EFFECTIVE_BACKGROUND) -> NDArray[np.bool_]:
    """Whether a cut and all looser ones keep ``at_least`` so many effective events, cuts from loose to tight.

    With fewer, a scan finds where the simulation fluctuates down. Samples of small weights can outlast one of large weights,
    which then only seems to be gone; so what is not measured once is not measured by any tighter cut.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        enough = np.where(variance > 0, events**2 / variance, 0.0) >= at_least
    return np.logical_and.accumulate(enough)


def _category_yield(
    name: str, passed: NDArray[np.bool_], weight: Array, event_index: Events, *, rows: NDArray[np.bool_]
) -> CategoryYield:
    share = efficiency(passed[rows], weight[rows], event_index[rows])
    return CategoryYield(name, share, _scaled(share, float(weight[rows].sum())))


def _scaled(share: Efficiency, total: float) -> Estimate:
    return Estimate(share.value * total, share.error * total) if total > 0 else Estimate(0.0, 0.0)
