"""Which score cut gives the smallest expected limit: the fit to come, on what each cut keeps of the simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import LimitError
from mlbkg.evaluation.estimates import Events
from mlbkg.evaluation.working_point import is_measured, kept, kept_events, thresholds_at
from mlbkg.fitting.adjusted import Adjusted
from mlbkg.fitting.base import Array, Shape, Window
from mlbkg.fitting.model import Component, Constraint, Model, Parameter, Rate, nuisance
from mlbkg.fitting.shapes.template import Template
from mlbkg.limits.asymptotic import expected_median
from mlbkg.limits.result import Problem

Mask = NDArray[np.bool_]
STRENGTH = "strength"
EFFECTIVE_EVENTS = 100
"""Of simulated smooth background, that a cut must keep: fewer do not tell the fit to come what shape to expect."""


@dataclass(frozen=True)
class Candidates:
    """Simulated candidates, row by row ``(n,)``: out-of-fold score, fit variable ``x``, physics weight, event.

    signal, peaking: which rows are; all others are smooth background.
    """

    score: Array
    x: Array
    weight: Array
    event_index: Events
    signal: Mask
    peaking: Mask

    def take(self, rows: Mask) -> Candidates:
        return Candidates(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    @property
    def smooth(self) -> Mask:
        return ~(self.signal | self.peaking)


@dataclass(frozen=True)
class FitToCome:
    """The fit whose limit is expected.

    background: its smooth shape, free in the fit. signal_effects, peaking_effects: nuisance -> relative change of the rate
    at +1 standard deviation, a common name for a common nuisance. shift (unit of x), width (relative): uncertainties of the
    peaks' position and width. unit: what a signal of the simulation's size is in the quantity that the limit is on.
    """

    window: Window
    bins: int
    background: Shape
    signal_effects: Mapping[str, float] = field(default_factory=dict)
    peaking_effects: Mapping[str, float] = field(default_factory=dict)
    shift: float = 0.0
    width: float = 0.0
    confidence_level: float = 0.9
    unit: float = 1.0


@dataclass(frozen=True)
class CutScan:
    """Cuts ``score >= threshold`` from loose to tight, ``(n,)`` each.

    signal_efficiency: of all signal candidates. signal, peaking, background (smooth): events in the fit window; errors are
    those of the simulation's size. expected_limit: median without signal, systematic uncertainties counted;
    statistical_limit: without them. Limits are NaN where the background is not ``measured``. best: index of the smallest
    limit of the kind asked for by ``systematics``. marks: index of cuts that others chose, by their name.
    """

    threshold: Array
    signal_efficiency: Array
    signal: Array
    peaking: Array
    background: Array
    background_error: Array
    measured: Mask
    expected_limit: Array
    expected_limit_error: Array
    statistical_limit: Array
    statistical_limit_error: Array
    confidence_level: float
    systematics: bool
    best: int
    marks: Mapping[str, int]

    @property
    def optimised(self) -> Array:
        """``(n,)``: the limit that the best cut is best in."""
        return self.expected_limit if self.systematics else self.statistical_limit


def cut_scan(
    candidates: Candidates, fit: FitToCome, *, points: int, systematics: bool, also: Mapping[str, float]
) -> CutScan:
    """Expected limits at ``points`` cuts even in signal efficiency, and at the thresholds of ``also``.

    At each cut the peaks have the shape of the signal that passes; the smooth background has the fit's shape with the
    moments of the background that passes, and its yield. The limit is the median CLs limit without signal, from an Asimov
    set (arXiv:1007.1727). Cuts that keep fewer than 100 effective smooth background events in the window are refused: there
    the scan would find where the simulation has run out. Raises :class:`LimitError` where that is so for every cut.
    """
    signal = candidates.signal
    score, weight = candidates.score[signal], candidates.weight[signal]
    even = thresholds_at(score, weight, np.linspace(1, 0, points, endpoint=False))
    levels = np.unique([*even, *also.values()])
    inside = candidates.take(fit.window.holds(candidates.x))
    smooth = inside.smooth
    background, variance = kept_events(inside.score[smooth], inside.weight[smooth], inside.event_index[smooth], levels)
    measured = is_measured(background, variance, at_least=EFFECTIVE_EVENTS)
    limits = [
        _limits(inside, fit, level) if there else (np.nan, np.nan) for level, there in zip(levels, measured, strict=True)
    ]
    expected, statistical = np.array(limits).T
    optimised = expected if systematics else statistical
    if not np.isfinite(optimised).any():
        raise LimitError(
            f"no cut can be chosen by its expected limit: none of {len(levels)} keeps signal, and {EFFECTIVE_EVENTS} "
            f"effective events of smooth background in the fit window [{fit.window.low:g}, {fit.window.high:g}]",
            where="selection.working_point.expected_limit",
            hint="Simulate more background, widen fit.window, or choose selection.working_point: {signal_efficiency: 0.85}.",
        )
    peaking, peaking_variance = _peaking(inside, levels)
    errors = _errors(
        expected, statistical, _ratio(np.sqrt(variance), background), _ratio(np.sqrt(peaking_variance), peaking)
    )
    return CutScan(
        threshold=levels,
        signal_efficiency=kept(score, weight, levels) / weight.sum(),
        signal=kept(inside.score[inside.signal], inside.weight[inside.signal], levels),
        peaking=peaking,
        background=background,
        background_error=np.sqrt(variance),
        measured=measured,
        expected_limit=expected,
        expected_limit_error=errors[0],
        statistical_limit=statistical,
        statistical_limit_error=errors[1],
        confidence_level=fit.confidence_level,
        systematics=systematics,
        best=int(np.nanargmin(optimised)),
        marks={name: int(np.searchsorted(levels, threshold)) for name, threshold in also.items()},
    )


def _limits(inside: Candidates, fit: FitToCome, threshold: float) -> tuple[float, float]:
    """Expected limit with and without systematic uncertainties; NaN where no signal passes."""
    passing = inside.take(inside.score >= threshold)
    if not passing.weight[passing.signal].sum() > 0:
        return np.nan, np.nan
    model = _model(passing, fit)
    constrained = {p.name: p.constraint.mean for p in model.parameters if p.constraint is not None}
    with_systematics, without = (
        fit.unit
        * expected_median(Problem(asked, STRENGTH, fit.window.edges(fit.bins)), confidence_level=fit.confidence_level)
        for asked in (model, model.fixing(constrained))
    )
    return with_systematics, without


def _model(passing: Candidates, fit: FitToCome) -> Model:
    """Signal of free strength, peaking background that only nuisances move, free smooth background."""
    smooth = passing.smooth
    totals = {name: float(passing.weight[rows].sum()) for name, rows in _kinds(passing).items()}
    peak, peak_parameters = _peak(passing, fit)
    theta = fit.background.started(passing.x[smooth], passing.weight[smooth])
    shape_parameters = tuple(
        Parameter(f"background {p.name}", float(value), p.low, p.high, step=0.01 * (p.high - p.low))
        for p, value in zip(fit.background.parameters, theta, strict=True)
    )
    below = totals["background"] + totals["peaking"]
    names = tuple(p.name for p in peak_parameters)
    signal = Component("signal", peak, Rate(totals["signal"], STRENGTH, fit.signal_effects), names)
    peaking = Component("peaking", peak, Rate(totals["peaking"], None, fit.peaking_effects), names)
    background = Component(
        "background", fit.background, Rate(totals["background"], "background"), tuple(p.name for p in shape_parameters)
    )
    return Model(
        fit.window,
        (signal, *((peaking,) if totals["peaking"] > 0 else ()), background),
        (
            Parameter(STRENGTH, 0.0, step=float(np.sqrt(below)) / totals["signal"]),
            Parameter("background", 1.0, 0.0, step=float(1 / np.sqrt(totals["background"]))),
            *shape_parameters,
            *peak_parameters,
            *(nuisance(name) for name in dict.fromkeys((*fit.signal_effects, *fit.peaking_effects))),
        ),
    )


def _peak(passing: Candidates, fit: FitToCome) -> tuple[Shape, tuple[Parameter, ...]]:
    """Histogram of the signal that passes, and what may move it."""
    rows = passing.signal
    contents = np.histogram(passing.x[rows], fit.window.edges(fit.bins), weights=passing.weight[rows])[0]
    histogram = Template(fit.window, contents=np.maximum(contents.astype(np.float64), 0.0))
    if not (fit.shift or fit.width):
        return histogram, ()
    adjusted = Adjusted(histogram, ())
    uncertainties = {"shift": (0.0, fit.shift), "width": (1.0, fit.width)}
    return adjusted, tuple(
        Parameter(
            f"peak {p.name}", mean, p.low, p.high, step=sigma or 0.1, fixed=not sigma,
            constraint=Constraint(mean, sigma) if sigma else None,
        )
        for p, (mean, sigma) in ((p, uncertainties[p.name]) for p in adjusted.parameters)
    )  # fmt: skip


def _kinds(candidates: Candidates) -> dict[str, Mask]:
    return {"signal": candidates.signal, "peaking": candidates.peaking, "background": candidates.smooth}


def _peaking(inside: Candidates, levels: Array) -> tuple[Array, Array]:
    rows = inside.peaking
    if not rows.any():
        return np.zeros(len(levels)), np.zeros(len(levels))
    return kept_events(inside.score[rows], inside.weight[rows], inside.event_index[rows], levels)


def _errors(expected: Array, statistical: Array, background: Array, peaking: Array) -> tuple[Array, Array]:
    """Of both limits, from the relative errors of the simulated yields.

    A statistical limit grows as the root of the background below the signal; the rest of an expected limit, added in
    quadrature, as the peaking background.
    """
    of_statistical = statistical * background / 2
    systematic = np.maximum(expected**2 - statistical**2, 0.0)
    return np.hypot(statistical * of_statistical, systematic * peaking) / expected, of_statistical


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
