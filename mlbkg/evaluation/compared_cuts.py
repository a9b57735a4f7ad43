"""A selection by cuts beside the classifier's, mass by mass: what each leaves of the background at the same efficiency.

The cuts are those by which Belle II suppressed tau pairs in 2018 (arXiv:1912.11276): a straight line in the plane of two
features, lower cuts on others, all set for each mass by Punzi's figure of merit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mlbkg.evaluation.estimates import Array, Efficiency, Estimate, Flags, effective_events, efficiency
from mlbkg.evaluation.metrics import threshold_at
from mlbkg.evaluation.resampling import poisson_counts, spread
from mlbkg.evaluation.window_search import Candidates, WindowSearch
from mlbkg.evaluation.windows import ROUNDING, WIDER, Windows, background_in_windows, weight_groups
from mlbkg.evaluation.working_point import MINIMUM_EFFECTIVE_BACKGROUND

DIRECTIONS = 17
"""Of the line, from -80 to 80 degrees where both features are scaled to their spread."""
STEEPEST = math.radians(80)
LINE_LEVELS, ABOVE_LEVELS = 60, 12
"""Cuts that are tried along each direction and on each other feature, even in the signal's share."""
LOWEST_SHARE = 0.1
MOST_CELLS = 1_000_000
ENOUGH_EVENTS = 100.0
"""Effective background events that decide about cuts and measure them; from wider around a window that has fewer."""


@dataclass(frozen=True)
class CutFeatures:
    """``line[0] + slope * line[1] > offset`` and each of ``above`` higher than a cut. columns: name -> ``(n,)``."""

    name: str
    line: tuple[str, str]
    above: tuple[str, ...]
    columns: Mapping[str, Array]


@dataclass(frozen=True)
class Cuts:
    """slope, offset: of the line. above: one lower cut for each of the other features. -inf: no cut."""

    slope: float
    offset: float
    above: tuple[float, ...]


@dataclass(frozen=True)
class ComparedMass:
    """At one mass, in GeV.

    signal_efficiency: of the cuts, of the signal in the window; the classifier's threshold is the one that keeps as much.
    widened: by what factor, in the mean over the background, the ranges are wider than the window from which it was taken.
    left_over: the classifier's background over that of the cuts. background, sensitivity: events in the window and the cross
    section in fb that a discovery needs, with the cuts; classifier_...: with the classifier at the same signal efficiency.
    """

    mass: float
    cuts: Cuts
    threshold: float
    signal_efficiency: Efficiency
    widened: float
    cut_background: Efficiency
    classifier_background: Efficiency
    cut_rejection: Estimate
    classifier_rejection: Estimate
    left_over: Estimate
    background: float
    sensitivity: float
    classifier_sensitivity: float


@dataclass(frozen=True)
class CutComparison:
    """``name``: whose cuts these are. line, above: the features that are cut on."""

    name: str
    line: tuple[str, str]
    above: tuple[str, ...]
    masses: tuple[ComparedMass, ...]


def compare_cuts(search: WindowSearch, *, features: CutFeatures, replicas: int, seed: int) -> CutComparison:
    """At every mass in ``peaks``: the best cuts, and what a threshold on the score of the same signal efficiency does.

    search: its hypotheses are the masses in its ``peaks``. The cuts are chosen and measured on the same candidates, which is
    in their favour, while the score is out of fold. Cuts that leave fewer than 10 effective background events are not taken.
    Errors by Poisson bootstrap over events; the score's threshold follows.

    A window that has fewer than 100 effective background events takes candidates from around it, too, from up to 32 times as
    wide, with weights that sum to what is expected in the window. Candidates of very different weights, which are from
    different samples, do so separately, so that the composition stays that of the window.
    """
    sources = _sources(search)
    near = [_near(search.windows, sources, number) for number in range(len(search.peaks.masses))]
    compared = tuple(
        _compare(search, features, number, background, widened=widened, replicas=replicas, seed=seed + number)
        for number, (background, widened) in enumerate(near)
        if len(background.score)
    )
    return CutComparison(features.name, features.line, features.above, compared)


@dataclass(frozen=True)
class _Grid:
    """All cuts that are tried: slopes ``(d,)``, offsets ``(d, n)`` rising, lower cuts ``(n_above, k)`` rising."""

    slope: Array
    offset: Array
    above: Array

    def cuts(self, cell: tuple[int, ...]) -> Cuts:
        direction, level, *others = cell
        above = tuple(float(cuts[other]) for cuts, other in zip(self.above, others, strict=True))
        return Cuts(float(self.slope[direction]), float(self.offset[direction, level]), above)

    def kept(self, columns: Array, weight: Array) -> Array:
        """Sum of ``weight`` that passes, for every cell. columns: ``(2 + n_above, n)``, the line's features first."""
        x, y, *others = columns
        shape = (self.offset.shape[1] + 1, *(len(cuts) + 1 for cuts in self.above))
        higher = [np.searchsorted(cuts, column) for cuts, column in zip(self.above, others, strict=True)]
        sums = np.empty((len(self.slope), *shape))
        for number, (slope, offsets) in enumerate(zip(self.slope, self.offset, strict=True)):
            cell = np.ravel_multi_index((np.searchsorted(offsets, x + slope * y), *higher), shape)
            sums[number] = np.bincount(cell, weights=weight, minlength=math.prod(shape)).reshape(shape)
        for axis in range(1, sums.ndim):
            sums = np.flip(np.cumsum(np.flip(sums, axis), axis=axis), axis)
        return sums[(slice(None), *(slice(1, None),) * (sums.ndim - 1))]


def _compare(
    search: WindowSearch,
    features: CutFeatures,
    number: int,
    background: Candidates,
    *,
    widened: float,
    replicas: int,
    seed: int,
) -> ComparedMass:
    signal = search.signal.where(search.signal.number == number)
    expected = float(background.weight.sum())
    grid = _grid(_columns(features, signal))
    per_fb = signal.weight.sum() / search.luminosity_per_fb
    cuts = grid.cuts(_best_cell(grid, search, features, signal, background))
    by_cuts = [_passes(cuts, _columns(features, of)) for of in (signal, background)]
    share = efficiency(by_cuts[0], signal.weight, signal.event)
    threshold = threshold_at(signal.score, signal.weight, efficiency=share.value)
    cut_kept = efficiency(by_cuts[1], background.weight, background.event)
    score_kept = efficiency(background.score >= threshold, background.weight, background.event)
    replicated = _bootstrap(signal, background, by_cuts, replicas=replicas, seed=seed)
    reach = [
        float(search.sensitivity(per_fb * share.value, np.array(expected * kept.value))[1])
        for kept in (cut_kept, score_kept)
    ]
    return ComparedMass(
        mass=float(search.peaks.masses[number, 0]),
        cuts=cuts,
        threshold=threshold,
        signal_efficiency=share,
        widened=widened,
        cut_background=cut_kept,
        classifier_background=score_kept,
        cut_rejection=Estimate(1 - cut_kept.value, float(np.fmax(cut_kept.error, spread(replicated[0])))),
        classifier_rejection=Estimate(1 - score_kept.value, float(np.fmax(score_kept.error, spread(replicated[1])))),
        left_over=_ratio(score_kept, cut_kept, replicated),
        background=expected * cut_kept.value,
        sensitivity=reach[0],
        classifier_sensitivity=reach[1],
    )


def _sources(search: WindowSearch) -> list[tuple[Candidates, Array]]:
    """Background that stands apart by its weights, and how much of it is expected in each window ``(m,)``."""
    of = search.background
    group = weight_groups(of.weight)
    parts = [of.where(group == number) for number in range(int(group.max(initial=0)) + 1)]
    return [(part, _before_cuts(part, search.windows)) for part in parts]


def _before_cuts(of: Candidates, windows: Windows) -> Array:
    everything = np.ones(len(of.score), dtype=np.intp)
    found = background_in_windows(of.values, everything, of.weight, of.variance, windows, n_levels=1)
    return np.asarray(found.events[0], dtype=np.float64)


def _near(windows: Windows, sources: list[tuple[Candidates, Array]], number: int) -> tuple[Candidates, float]:
    """Background in or around a window, its weights as expected in the window; how much wider that is, in the mean."""
    found, factors = [], []
    for source, expected in sources:
        for factor in WIDER:
            part = source.where(source.inside(windows.widened(factor), number))
            if effective_events(part.weight, part.event) >= ENOUGH_EVENTS:
                break
        total = part.weight.sum()
        scale = expected[number] / total if total > 0 else 0.0
        found.append(replace(part, weight=part.weight * scale).where(np.full(len(part.score), scale > 0)))
        factors.append(float(factor))
    weights = [part.weight.sum() for part in found]
    merged = Candidates(*(np.concatenate(columns) for columns in zip(*(vars(part).values() for part in found), strict=True)))
    return merged, float(np.average(factors, weights=weights)) if sum(weights) > 0 else 1.0


def _columns(features: CutFeatures, of: Candidates) -> Array:
    """``(2 + n_above, n)``; a candidate without one of the features passes no line at all."""
    names = (*features.line, *features.above)
    columns = np.stack([np.asarray(features.columns[name], dtype=np.float64)[of.row] for name in names])
    missing = ~np.isfinite(columns).all(axis=0)
    columns[:, missing] = 0.0
    columns[0, missing] = -np.inf
    return columns


def _grid(columns: Array) -> _Grid:
    """Around signal with these ``columns``; each kind of cut begins with none."""
    x, y, *others = columns[:, np.isfinite(columns[0])]
    slope = np.tan(np.linspace(-STEEPEST, STEEPEST, DIRECTIONS)) * (np.std(x) or 1.0) / (np.std(y) or 1.0)
    levels = np.linspace(0, 1 - LOWEST_SHARE, LINE_LEVELS)
    offset = np.quantile(x + slope[:, None] * y, levels, axis=1).T
    offset[:, 0] = -np.inf
    cells = len(slope) * len(levels)
    number = int(np.clip((MOST_CELLS / cells) ** (1 / max(len(others), 1)), 2, ABOVE_LEVELS))
    above = np.empty((len(others), number))
    for row, column in zip(above, others, strict=True):
        row[:] = np.quantile(column, np.linspace(0, 1 - LOWEST_SHARE, number))
    above[:, 0] = -np.inf
    return _Grid(slope, offset, above)


def _best_cell(
    grid: _Grid, search: WindowSearch, features: CutFeatures, signal: Candidates, background: Candidates
) -> tuple[int, ...]:
    """By Punzi's figure of merit, among the cells in which enough background is left to be measured; if there is one."""
    kept_signal = grid.kept(_columns(features, signal), signal.weight)
    columns = _columns(features, background)
    events = np.maximum(grid.kept(columns, background.weight), 0.0)
    variance = grid.kept(columns, background.variance)
    measured = (events**2 >= MINIMUM_EFFECTIVE_BACKGROUND * (1 - ROUNDING) * variance) & (variance > 0)
    for axis in range(1, measured.ndim):
        measured = np.logical_and.accumulate(measured, axis=axis)
    _, sensitivity = search.sensitivity(kept_signal / search.luminosity_per_fb, events)
    best = np.argmin(np.where(measured | ~measured.any(), sensitivity, np.inf))
    return tuple(int(place) for place in np.unravel_index(best, sensitivity.shape))


def _passes(cuts: Cuts, columns: Array) -> Flags:
    x, y, *others = columns
    passed = x + cuts.slope * y > cuts.offset
    for cut, column in zip(cuts.above, others, strict=True):
        passed &= column > cut
    return np.asarray(passed)


def _bootstrap(
    signal: Candidates, background: Candidates, by_cuts: list[Flags], *, replicas: int, seed: int
) -> tuple[Array, Array]:
    """Background efficiencies of the cuts and of the score, ``(replicas,)`` each; the score keeps as much signal as the cuts
    in every replica."""
    order = np.argsort(-signal.score, kind="stable")
    score = signal.score[order]
    signal_weight, passed = signal.weight[order], by_cuts[0][order]
    events, place = np.unique(np.concatenate([signal.event[order], background.event]), return_inverse=True)
    of_signal, of_background = place[: len(order)], place[len(order) :]
    kept = np.full((2, replicas), np.nan)
    for replica, count in enumerate(poisson_counts(len(events), replicas=replicas, seed=seed)):
        weight = signal_weight * count[of_signal]
        reached = np.maximum.accumulate(np.cumsum(weight))
        last = min(int(np.searchsorted(reached, weight[passed].sum() * (1 - 1e-12))), len(score) - 1)
        weight = background.weight * count[of_background]
        if weight.sum() > 0:
            above = background.score >= score[last]
            kept[:, replica] = [weight[by_cuts[1]].sum() / weight.sum(), weight[above].sum() / weight.sum()]
    return kept[0], kept[1]


def _ratio(score_kept: Efficiency, cut_kept: Efficiency, replicated: tuple[Array, Array]) -> Estimate:
    """The bootstrap knows that both see the same events; where the score keeps nothing, it knows nothing."""
    if cut_kept.value <= 0:
        return Estimate(math.nan, math.nan)
    value = score_kept.value / cut_kept.value
    if score_kept.value == 0:
        return Estimate(value, score_kept.error / cut_kept.value)
    by_cuts, by_score = replicated
    some = by_cuts > 0
    return Estimate(value, spread(by_score[some] / by_cuts[some]))
