"""What a classifier reaches over the masses of a scan: Punzi's figure of merit in the window of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.cross_fit import CrossFit
from mlbkg.config.scan import Scan
from mlbkg.config.schema import Config
from mlbkg.errors import ConfigError
from mlbkg.evaluation.compared_cuts import CutComparison, CutFeatures, compare_cuts
from mlbkg.evaluation.estimates import to_plain
from mlbkg.evaluation.mass_scan import MassRanking, MassScan, MeanPunzi, mean_punzi, scan_masses
from mlbkg.evaluation.peaks import Peaks, evenly_spaced, interpolate, measure_peaks
from mlbkg.evaluation.window_search import SearchPoints, WindowSearch, window_search
from mlbkg.evaluation.working_point import ByCurve, ByPunzi, Found, Rule
from mlbkg.ntuples.expression_functions import truth
from mlbkg.ntuples.expressions import Expression
from mlbkg.stages.progress import Progress
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.training_evaluation import probability, punzi_of
from mlbkg.stages.training_masses import SearchedSignal

Array = NDArray[np.float64]


@dataclass(frozen=True)
class OverMasses:
    """Of one classifier, out of fold.

    masses: ``(m, n_axes)`` hypotheses, GeV. points: what is kept and reached at each, by the cut that a search applies.
    per_window: where one mass is looked for, a cut for each window. one_cut: where one for all is asked for, or two masses
    are looked for.
    """

    masses: Array
    points: SearchPoints
    per_window: MassScan | None
    one_cut: MeanPunzi | None

    @property
    def punzi_fb(self) -> float:
        """The mean over the hypotheses of the cross section that a discovery needs: the smaller, the better."""
        return self.points.mean_sensitivity


@dataclass(frozen=True)
class MassSearch:
    """All of a search over masses but the classifier, so that one after the other can be tried.

    values: ``(n, n_axes)`` of the scanned variables. hypotheses: ``(m, n_axes)``. window: its half width in resolutions.
    """

    data: TrainingData
    signal: SearchedSignal
    variables: tuple[str, ...]
    values: Array
    peaks: Peaks
    hypotheses: Array
    luminosity_per_fb: float
    punzi: ByPunzi
    window: float
    one_cut: bool

    def reached_by(self, score: Array) -> OverMasses:
        """``score``: ``(n,)``, out of fold, as :func:`~mlbkg.stages.training_evaluation.probability` rounds it."""
        search = self.windows(score, self.hypotheses)
        scan = scan_masses(search, variable=self.variables[0]) if len(self.variables) == 1 else None
        mean = mean_punzi(search) if self.one_cut else None
        if mean is not None:
            return OverMasses(mean.masses, mean.points, scan, mean)
        assert scan is not None
        return OverMasses(scan.masses, scan.smooth, scan, None)

    def rule(self, found: OverMasses, *, name: str) -> Rule:
        """The working point that ``found`` stands for."""
        if found.one_cut is not None:
            return Found(name, float(found.one_cut.threshold[found.one_cut.best]))
        assert found.per_window is not None
        return ByCurve(name, found.per_window.curve, self.values[:, 0])

    def windows(self, score: Array, hypotheses: Array) -> WindowSearch:
        """The candidates with this ``score``, and windows around ``hypotheses``."""
        return window_search(
            score,
            self.data.sample.label,
            self.signal.weight,
            self.data.event_index,
            masses=self.signal.mass,
            values=self.values,
            peaks=self.peaks,
            hypotheses=hypotheses,
            generated=self.signal.generated,
            luminosity_per_fb=self.luminosity_per_fb,
            a=self.punzi.a,
            b=self.punzi.b,
            window=self.window,
        )


def mass_search(data: TrainingData, config: Config) -> MassSearch | None:
    """None without the section ``scan``. Raises :class:`EmptySampleError` for a mass with too little signal."""
    scan, signal = config.scan, data.searched
    if scan is None or signal is None:
        return None
    assert config.luminosity_per_fb is not None
    variables = tuple(axis.variable for axis in scan.axes)
    values = np.column_stack([data.values_of(name) for name in variables])
    rows = data.sample.label == 1
    peaks = measure_peaks(
        signal.mass[rows], values[rows], signal.weight[rows], power=tuple(axis.power for axis in scan.axes)
    )
    punzi = config.selection.working_point.punzi
    return MassSearch(
        data=data,
        signal=signal,
        variables=variables,
        values=values,
        peaks=peaks,
        hypotheses=_hypotheses(scan, peaks),
        luminosity_per_fb=config.luminosity_per_fb,
        punzi=punzi_of(config),
        window=scan.window if len(variables) == 1 else math.sqrt(math.prod(scan.bins.width)) / 2,
        one_cut=len(variables) > 1 or (punzi is not None and punzi.per == "selection"),
    )


def search_masses(fits: Sequence[CrossFit], search: MassSearch | None, *, progress: Progress) -> dict[str, OverMasses]:
    """Classifier -> what it reaches; empty where no masses are searched."""
    if search is None:
        return {}
    advance, found = progress.step("Punzi's figure over the masses", total=len(fits), unit="classifiers"), {}
    for fit in fits:
        found[fit.contender.label] = search.reached_by(probability(fit.margin))
        advance(1)
    return found


def compared_with_cuts(fit: CrossFit, search: MassSearch | None, config: Config) -> CutComparison | None:
    """``evaluation.compare_cuts`` beside the classifier; None where no cuts are to be compared."""
    wanted = config.evaluation.compare_cuts
    if wanted is None or search is None:
        return None
    columns = {name: search.data.values_of(name) for name in (*wanted.line, *wanted.above)}
    # a candidate without one of the line's features passes no line
    columns[wanted.line[0]] = np.where(_required(search.data, wanted.requires), columns[wanted.line[0]], np.nan)
    return compare_cuts(
        search.windows(probability(fit.margin), search.peaks.masses),
        features=CutFeatures(wanted.name, wanted.line, wanted.above, columns),
        replicas=config.evaluation.bootstrap,
        seed=config.seed,
    )


def _required(data: TrainingData, conditions: Sequence[str]) -> NDArray[np.bool_]:
    """``(n,)``: candidates for which all of them hold."""
    passed = np.ones(len(data.sample), dtype=bool)
    for text in conditions:
        expression = Expression.parse(text)
        passed &= truth(expression.evaluate({name: data.values_of(name) for name in expression.names}))
    return passed


def masses_json(found: OverMasses | None, scan: Scan | None) -> list[dict[str, Any]] | None:
    """One entry for each hypothesis; None without a scan. ``auc``: known at the simulated masses, interpolated between."""
    if found is None or scan is None:
        return None
    points, names = found.points, [axis.name for axis in scan.axes]
    columns = {
        **dict(zip(names, found.masses.T, strict=True)),
        **({"auc": _auc_at(found.masses, found.per_window.ranking)} if found.per_window else {}),
        "threshold": points.threshold,
        "signal_efficiency": points.absolute_efficiency,
        "signal_efficiency_error": points.absolute_efficiency_error,
        "signal_kept": points.efficiency,
        "background": points.background,
        "background_error": points.background_error,
        "punzi": points.sensitivity,
    }
    return [to_plain(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def _auc_at(masses: Array, ranking: MassRanking) -> Array:
    known = np.isfinite(ranking.auc)
    if not known.any():
        return np.full(len(masses), np.nan)
    return interpolate(ranking.masses[known][:, None], ranking.auc[known], masses)


def _hypotheses(scan: Scan, peaks: Peaks) -> Array:
    """One axis: those of the scan. Two: the pairs of masses that were simulated, where they are looked for."""
    low, high = np.array([axis.range for axis in scan.axes]).T
    if len(scan.axes) == 1:
        return evenly_spaced(peaks, low=float(low[0]), high=float(high[0]), number=scan.hypotheses)
    inside = ((peaks.masses >= low) & (peaks.masses <= high)).all(axis=1)
    if not inside.any():
        raise ConfigError("no simulated masses are within the ranges of scan.axes", where="scan.axes")
    return np.asarray(peaks.masses[inside])
