"""CLs upper limits from toy experiments: right also where the asymptotic formulae are not.

Frequentist: the experiments are drawn with nuisance parameters at their conditional best fit to the data, their constraints
fluctuate with the counts, and all nuisance parameters are fitted anew in each. The test statistic is q tilde, Eq. (16) of
arXiv:1007.1727.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlbkg.errors import LimitError
from mlbkg.fitting.base import Array
from mlbkg.fitting.toys import Experiments, seeds
from mlbkg.limits.asymptotic import cls_asymptotic, p_with_signal
from mlbkg.limits.experiments import asimov_profile, conditional
from mlbkg.limits.profiling import Profiled, observed
from mlbkg.limits.result import Limit, Problem, Scan
from mlbkg.limits.scan import LINES, N_SIGMA, alpha_of, band
from mlbkg.parallel import advance, parallel_map

NEAR = 0.08
"""Guesses closer than this, relative, share their experiments."""

MAX_ROUNDS = 12
"""Of further values, where those of the asymptotic limits do not bracket an answer."""

EXPANSION = 1.3
EXPERIMENTS_PER_TASK = 20

TAIL = 25
"""Experiments with signal that a p value is counted from."""

SAME = 1e-4
"""Test statistics this close are equal: a count that is the observed one must count as it, whatever its fit's rounding."""


@dataclass(frozen=True)
class ToyPoint:
    """One value of the parameter of interest. ``cls`` and its binomial ``error``: ``(6,)``, in the order of the lines."""

    value: float
    cls: Array
    error: Array


def cls_toys(
    problem: Problem,
    *,
    confidence_level: float,
    toys: int,
    seed: int = 0,
    workers: int = 1,
    on_toy: Callable[[int], None] | None = None,
) -> Limit:
    """Observed limit with its statistical error, expected band, and the scan of CLs at the values that were tried.

    toys: experiments with signal at each value, and as many without, counted in the problem's bins. Each has its own random
    numbers from ``seed``, so that the answer is the same for any number of ``workers``. ``on_toy`` is told how many more are
    done. The band's low end, which rests on the last 2 % of them, needs some thousands to be better than 20 %. Raises
    :class:`LimitError` where no values bracket the limit, and for too few toys.
    """
    alpha = alpha_of(confidence_level)
    if toys < 2 / alpha:
        raise LimitError(
            f"{toys} toys cannot tell a p value of {alpha:.3g}", hint=f"Use at least {round(20 / alpha)} (limit.toys)."
        )
    hypotheses = _Hypotheses(problem, toys, seed, workers, on_toy)
    points = _bracketing_points(problem, hypotheses, confidence_level)
    crossed = [_crossing(points, line, alpha) for line in range(len(LINES))]
    limits, errors = np.array(crossed).T
    return Limit(
        method="cls_toys",
        confidence_level=confidence_level,
        observed=None if problem.data is None else float(limits[0]),
        expected=band(limits[1:]),
        toys=toys,
        scan=_scan(points, problem),
        error=None if problem.data is None else float(errors[0]),
    )


class _Hypotheses:
    """Experiments without signal, drawn once, and with signal, drawn for each value."""

    def __init__(self, problem: Problem, toys: int, seed: int, workers: int, on_toy: Callable[[int], None] | None) -> None:
        self._problem, self._toys, self._seed = problem, toys, seed
        self._workers, self._on_toy = workers, on_toy
        self._data = None if problem.data is None else observed(problem)
        self._background = conditional(problem, 0.0)
        self._asimov = asimov_profile(problem, theta=self._background)

    def at(self, value: float) -> ToyPoint:
        problem = self._problem
        with_signal = self._statistics(conditional(problem, value), value, stream=1)
        without = self._statistics(self._background, value, stream=0)
        seen = np.nan if self._data is None else self._data.q_tilde(value)
        expected = np.quantile(without, _fractions_above(), method="inverted_cdf")
        tail = _Tail(with_signal, self._asimov.q_tilde(value))
        return _point(value, np.array([seen, *expected]), tail, without)

    def _statistics(self, theta: Array, value: float, *, stream: int) -> Array:
        """``(toys,)`` q tilde of ``value`` in experiments at ``theta``."""
        own = seeds(self._seed, 2)[stream].spawn(self._toys)
        tasks = [
            _Task(self._problem, theta, value, tuple(own[first : first + EXPERIMENTS_PER_TASK]))
            for first in range(0, self._toys, EXPERIMENTS_PER_TASK)
        ]
        return np.concatenate(list(parallel_map(_run, tasks, workers=self._workers, on_progress=self._on_toy)))


@dataclass(frozen=True)
class _Task:
    problem: Problem
    theta: Array
    value: float
    seeds: tuple[np.random.SeedSequence, ...]


def _run(task: _Task) -> Array:
    theta = task.theta.tolist()
    experiments = Experiments(task.problem.model.starting_at(theta), theta, edges=task.problem.edges)
    found = []
    for seed in task.seeds:
        drawn = experiments.draw(np.random.default_rng(seed))
        found.append(Profiled(drawn.model, task.problem.poi, drawn.data).q_tilde(task.value))
        advance(1)
    return np.array(found)


def _point(value: float, q: Array, with_signal: _Tail, without: Array) -> ToyPoint:
    found = [(np.nan, np.nan) if np.isnan(each) else _ratio(with_signal.above(each), each, without) for each in q]
    cls, error = np.array(found).T
    return ToyPoint(value, cls, error)


def _ratio(signal_plus_background: tuple[float, float], q: float, without: Array) -> tuple[float, float]:
    """CLs and its binomial error."""
    fraction, relative = signal_plus_background
    background = max(_fraction(q, without), 1 / len(without))
    cls = min(fraction / background, 1.0)
    return cls, cls * float(np.hypot(relative, np.sqrt((1 - background) / background / len(without))))


@dataclass(frozen=True)
class _Tail:
    """``statistics``: of experiments with signal. ``q_asimov``: of the Asimov set without."""

    statistics: Array
    q_asimov: float

    def above(self, q: float) -> tuple[float, float]:
        """Fraction of the experiments at or above ``q``, and its relative error.

        Beyond the last :data:`TAIL` of them it falls as the asymptotic law does: the low end of the band asks for p values
        of a few in a thousand.
        """
        anchor = min(q, float(np.sort(self.statistics)[-min(TAIL, len(self.statistics))]))
        fraction = _fraction(anchor, self.statistics)
        falls = p_with_signal(q, self.q_asimov) / p_with_signal(anchor, self.q_asimov) if q > anchor + SAME else 1.0
        return fraction * falls, float(np.sqrt((1 - fraction) / fraction / len(self.statistics)))


def _fraction(q: float, statistics: Array) -> float:
    return float((statistics >= q - SAME).mean())


def _fractions_above() -> list[float]:
    """Quantiles of q tilde in background-only experiments: an upward fluctuation makes it small."""
    from scipy.stats import norm

    return [float(norm.sf(n_sigma)) for n_sigma in N_SIGMA]


def _bracketing_points(problem: Problem, hypotheses: _Hypotheses, confidence_level: float) -> list[ToyPoint]:
    """Sorted by value: at the asymptotic limits, and beyond until every line has values on either side of its answer."""
    alpha = alpha_of(confidence_level)
    guess = cls_asymptotic(problem, confidence_level=confidence_level)
    assert guess.expected is not None
    wanted = sorted([*vars(guess.expected).values(), *([] if guess.observed is None else [guess.observed])])
    points: list[ToyPoint] = []
    for value in wanted:
        if not points or value > (1 + NEAR) * points[-1].value:
            points.append(hypotheses.at(float(value)))
    ceiling = problem.model.parameters[problem.model.index(problem.poi)].high
    for _ in range(MAX_ROUNDS):
        lowest, highest = points[0], points[-1]
        below, above = np.nanmin(lowest.cls) <= alpha, np.nanmax(highest.cls) > alpha
        if not below and not above:
            return points
        points = [
            *([hypotheses.at(lowest.value / EXPANSION)] if below else []),
            *points,
            *([hypotheses.at(min(highest.value * EXPANSION, ceiling))] if above else []),
        ]
    raise LimitError(
        f"CLs by toys is {np.nanmin(points[0].cls):.3g} at {points[0].value:g} and {np.nanmax(points[-1].cls):.3g} at "
        f"{points[-1].value:g} of '{problem.poi}': it does not pass {alpha:.3g} in between",
        where=problem.poi,
        hint="Use more toys, or look at the bounds of the parameter.",
    )


def _crossing(points: list[ToyPoint], line: int, alpha: float) -> tuple[float, float]:
    """Value at which a line falls to ``alpha``, and its error; NaN without data. Linear in the normal quantile of CLs."""
    from scipy.stats import norm

    if np.isnan(points[0].cls[line]):
        return np.nan, np.nan
    last_above = max(i for i, point in enumerate(points[:-1]) if point.cls[line] > alpha)
    left, right = points[last_above], points[last_above + 1]
    kept = np.array([(point.cls[line], point.error[line]) for point in (left, right)]).T
    p_value = np.clip(kept[0], kept[1] / 2, 1 - kept[1] / 2)
    z, z_error = norm.isf(p_value), kept[1] / norm.pdf(norm.isf(p_value))
    share = (norm.isf(alpha) - z[0]) / (z[1] - z[0])
    distance = right.value - left.value
    # Both neighbours come from the same random numbers: their errors add up.
    error = ((1 - share) * z_error[0] + share * z_error[1]) * distance / (z[1] - z[0])
    return float(left.value + share * distance), float(error)


def _scan(points: list[ToyPoint], problem: Problem) -> Scan:
    lines = np.array([point.cls for point in points]).T
    values = np.array([point.value for point in points])
    return Scan(values, None if problem.data is None else lines[0], lines[1:])
