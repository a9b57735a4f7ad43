"""Punzi's figure of merit for every mass that is looked for: one cut on the score for each mass, smooth in between.

A cut is told by the share of the signal that it keeps, not by its score: a score means something else at every mass, a share
does not, and around the optimum the figure of merit hardly depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Array, Flags
from mlbkg.evaluation.metrics import auc_influence, event_error, float32_floor
from mlbkg.evaluation.score_plane import ScorePlane, score_plane
from mlbkg.evaluation.signal_shares import SignalShares, signal_shares
from mlbkg.evaluation.threshold_curve import ThresholdCurve
from mlbkg.evaluation.window_search import SearchPoints, WindowSearch
from mlbkg.evaluation.windows import WindowBackground, sums_in_windows, windows_around
from mlbkg.evaluation.working_point import SCAN_POINTS, thresholds_at

STIFFNESS = 0.005
"""Cost of a slope of the efficiency, beside the logarithm of the sensitivity. Where an efficiency that is wrong by 0.1 costs
1 % of the sensitivity, it smooths over 7 % of the hypotheses, and over less where a wrong efficiency costs more."""
ENOUGH_MEASURED = 0.5


@dataclass(frozen=True)
class MassRanking:
    """How well the signal of a simulated mass is told from the background in its window; each ``(k,)``, masses in GeV.

    NaN where the window has no background.
    """

    masses: Array
    auc: Array
    auc_error: Array


@dataclass(frozen=True)
class MassScan:
    """A bump hunt at ``m`` hypotheses.

    masses: ``(m, 1)`` GeV. low, high: ``(m,)`` edges of the windows in ``variable``. before: nothing but the window is asked
    for. optimum: each hypothesis has the best cut of its own, noise included. smooth: with ``curve``, as a search does it.
    """

    variable: str
    a: float
    b: float
    window: float
    luminosity_per_fb: float
    masses: Array
    low: Array
    high: Array
    before: SearchPoints
    optimum: SearchPoints
    smooth: SearchPoints
    curve: ThresholdCurve
    ranking: MassRanking
    plane: ScorePlane

    @property
    def mean_sensitivity(self) -> float:
        """fb, with the smooth cut."""
        return self.smooth.mean_sensitivity


@dataclass(frozen=True)
class MeanPunzi:
    """One cut for all ``m`` hypotheses of one or two masses.

    threshold, mean_sensitivity: ``(n,)`` from loose to tight; the mean over the hypotheses, fb. measured: whether background
    is known at half of the hypotheses or more. best: index of the smallest mean. masses: ``(m, n_axes)`` GeV.
    points: what the best cut does at them.
    """

    a: float
    b: float
    window: float
    luminosity_per_fb: float
    threshold: Array
    mean_sensitivity: Array
    measured: Flags
    best: int
    masses: Array
    points: SearchPoints


def scan_masses(search: WindowSearch, *, variable: str) -> MassScan:
    """The best cut for each of the search's hypotheses ``(m, 1)``, rising, and the smooth curve in ``variable`` that is
    applied.

    The curve's efficiencies make the mean logarithm of the sensitivity, plus ``STIFFNESS`` times the mean squared slope of
    the efficiency over the (evenly spaced) hypotheses, as small as can be; the minimum is found exactly, by dynamic
    programming. So each stretch of the curve rests on the background of many windows. Beyond the cut that leaves just enough
    background to be measured, in the window and around, background counts as if it fell no more: a cut there only loses.
    """
    peaks, hypotheses = search.peaks, search.hypotheses
    of, low, high = search.signal, search.windows.low[:, 0], search.windows.high[:, 0]
    shares = signal_shares(of.score, of.weight, of.number, at=peaks.position[:, 0], n_levels=SCAN_POINTS)
    position = peaks.position_at(hypotheses)[:, 0]
    levels = [shares.levels_passed(rows.score, rows.values[:, 0]) for rows in search.classes]
    signal = search.signal_kept(levels[0], n_levels=SCAN_POINTS)
    background = search.background_kept(levels[1], n_levels=SCAN_POINTS)
    cost = np.log(search.sensitivity(signal.absolute, background.events)[1])
    best, path = cost.argmin(axis=0), smooth_path(cost, shares.share, stiffness=STIFFNESS)
    curve = _curve(shares, position, shares.share[path], variable=variable)
    optimum = search.points(shares.threshold_at(position, shares.share[best]), signal, background, best)
    return MassScan(
        variable=variable,
        a=search.a,
        b=search.b,
        window=search.window,
        luminosity_per_fb=search.luminosity_per_fb,
        masses=hypotheses,
        low=low,
        high=high,
        before=_before(search),
        optimum=optimum,
        smooth=_smooth(search, curve, position, _along(background, path)),
        curve=curve,
        ranking=rank_masses(search),
        plane=score_plane(*search.classes, shares, low=float(low.min()), high=float(high.max())),
    )


def mean_punzi(search: WindowSearch) -> MeanPunzi:
    """The one cut with the smallest mean sensitivity over the windows of the search, with one or two axes."""
    of = search.signal
    alike = of.weight / np.bincount(of.number, weights=of.weight)[of.number]
    threshold = thresholds_at(of.score, alike, np.linspace(1, 0, SCAN_POINTS, endpoint=False))
    levels = [np.searchsorted(threshold, rows.score, side="right") for rows in search.classes]
    signal = search.signal_kept(levels[0], n_levels=len(threshold))
    background = search.background_kept(levels[1], n_levels=len(threshold))
    _, sensitivity = search.sensitivity(signal.absolute, background.events)
    mean = sensitivity.mean(axis=1)
    measured = background.measured.mean(axis=1) >= ENOUGH_MEASURED
    best = int(np.argmin(mean))
    everywhere = np.full(len(search.hypotheses), best)
    return MeanPunzi(
        a=search.a,
        b=search.b,
        window=search.window,
        luminosity_per_fb=search.luminosity_per_fb,
        threshold=threshold,
        mean_sensitivity=mean,
        measured=measured,
        best=best,
        masses=search.hypotheses,
        points=search.points(threshold[everywhere], signal, background, everywhere),
    )


def smooth_path(cost: Array, share: Array, *, stiffness: float) -> NDArray[np.intp]:
    """``(m,)``: the level of each hypothesis for which the mean ``cost`` ``(n_levels, m)`` plus ``stiffness`` times the mean
    squared slope of ``share`` ``(n_levels,)`` is smallest; the hypotheses span a length of one.

    Bellman's dynamic programming: exact.
    """
    n = cost.shape[1]
    step = stiffness * n**2 * (share[:, None] - share[None, :]) ** 2
    total = cost[:, 0]
    came_from = np.zeros((n, len(share)), dtype=np.intp)
    for j in range(1, n):
        ways = total[:, None] + step
        came_from[j] = ways.argmin(axis=0)
        total = ways.min(axis=0) + cost[:, j]
    path = np.empty(n, dtype=np.intp)
    path[-1] = total.argmin()
    for j in range(n - 1, 0, -1):
        path[j - 1] = came_from[j, path[j]]
    return path


def rank_masses(search: WindowSearch) -> MassRanking:
    """The AUC, by event, of each simulated mass against the background in its window."""
    peaks, signal, background = search.peaks, search.signal, search.background
    windows = windows_around(peaks, peaks.masses, resolutions=search.window)
    auc, error = np.full((2, len(peaks.masses)), np.nan)
    for row in range(len(peaks.masses)):
        mine = signal.number == row
        inside = background.inside(windows, row)
        if background.weight[inside].sum() > 0:
            label = np.repeat(np.array([1, 0], dtype=np.int8), [int(mine.sum()), int(inside.sum())])
            score, weight, event = (
                np.concatenate([of_signal[mine], of_background[inside]])
                for of_signal, of_background in (
                    (signal.score, background.score),
                    (signal.weight, background.weight),
                    (signal.event, background.event),
                )
            )
            auc[row], influence = auc_influence(score, label, weight)
            error[row] = event_error(influence, event)
    return MassRanking(peaks.masses[:, 0], auc, error)


def _curve(shares: SignalShares, position: Array, share: Array, *, variable: str) -> ThresholdCurve:
    """Through the cuts at ``position`` ``(m,)`` that keep ``share`` ``(m,)``; bent where a signal was simulated, too."""
    rising = np.argsort(position, kind="stable")
    at = np.unique(np.concatenate([position, shares.at]))
    threshold = shares.threshold_at(at, np.interp(at, position[rising], share[rising]))
    return ThresholdCurve(variable, tuple(at.tolist()), tuple(float32_floor(float(cut)) for cut in threshold))


def _before(search: WindowSearch) -> SearchPoints:
    everything = [np.ones(len(rows.score), dtype=np.intp) for rows in search.classes]
    first = np.zeros(len(search.hypotheses), dtype=np.intp)
    signal = search.signal_kept(everything[0], n_levels=1)
    return search.points(np.zeros(len(first)), signal, search.background_kept(everything[1], n_levels=1), first)


def _along(background: WindowBackground, path: NDArray[np.intp]) -> WindowBackground:
    """One level: that of ``path`` at each hypothesis."""
    return WindowBackground(*(np.take_along_axis(part, path[None], axis=0) for part in vars(background).values()))


def _smooth(search: WindowSearch, curve: ThresholdCurve, position: Array, background: WindowBackground) -> SearchPoints:
    """``curve`` applied to every candidate; but how thin background passes is known from ``background``'s neighbourhoods."""
    passed = [np.asarray(rows.score >= curve(rows.values[:, 0]), dtype=np.intp) for rows in search.classes]
    of = search.background
    (simulated,) = sums_in_windows(of.values, passed[1], (of.weight,), search.windows, n_levels=1)
    first = np.zeros(len(position), dtype=np.intp)
    threshold = np.asarray(curve(position), dtype=np.float64)
    kept = replace(background, simulated=simulated)
    return search.points(threshold, search.signal_kept(passed[0], n_levels=1), kept, first)
