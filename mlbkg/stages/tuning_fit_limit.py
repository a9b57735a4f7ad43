"""The expected limit of a trial through the fit to come, with what draws of the events make of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mlbkg.config.schema import Config, ExpectedLimit, WorkingPoint
from mlbkg.limits.cut_scan import EFFECTIVE_EVENTS, CutScan
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.training_fit import scan_cuts
from mlbkg.stages.tuning_yields import Kept, Yields, fold_draws, in_fit_window
from mlbkg.tuning.figures import Ground, is_known
from mlbkg.tuning.measured import Measured

Array = NDArray[np.float64]
CUTS = 15
"""At which a trial's expected limit is scanned: on 550,000 candidates of the search for Υ(1S), 80 cuts find 0.3 % less."""


@dataclass(frozen=True)
class FitLimit:
    """config: with a scan of few cuts. yields: in the fit window."""

    config: Config
    data: TrainingData
    yields: Yields

    @classmethod
    def of(cls, config: Config, data: TrainingData, ground: Ground, *, wanted: ExpectedLimit) -> FitLimit:
        point = WorkingPoint(expected_limit=wanted.model_copy(update={"points": CUTS}))
        selection = config.selection.model_copy(update={"working_point": point})
        return cls(config.model_copy(update={"selection": selection}), data, in_fit_window(config, data, ground))

    def measure(self, score: Array) -> Measured:
        """Replicas and folds are not fitted: at each cut, the limit changes as the yields that it is made of, and each
        draw has its own best cut."""
        ground = self.yields.ground
        scan = scan_cuts(score, self.data, self.config, marked=())
        draws = chain(ground.all_and_draws(), fold_draws(self.data))
        limits = propagated(scan, self.yields.kept(draws, score, scan.threshold))
        value, replicas, by_fold = np.split(limits, [1, 1 + ground.replicas])
        return Measured(float(value[0]), replicas, tuple(by_fold.tolist()))


def propagated(scan: CutScan, kept: Kept) -> Array:
    """``(d,)``: the smallest limit of each draw; the first draw is what was scanned.

    What a limit is without systematic uncertainties grows as the root of the smooth background, and what these add in
    quadrature as the peaking background; both fall with the efficiency.
    """
    systematic = np.sqrt(np.maximum(scan.optimised**2 - scan.statistical_limit**2, 0.0))
    smooth, peaking, efficiency = (_relative(part) for part in (kept.smooth, kept.peaking, kept.efficiency))
    known = is_known(kept.smooth, kept.smooth_variance, at_least=EFFECTIVE_EVENTS)
    usable = known & np.isfinite(scan.optimised) & (efficiency > 0)
    changed = np.hypot(scan.statistical_limit * np.sqrt(smooth), systematic * peaking)
    limits = np.divide(changed, efficiency, out=np.full(changed.shape, np.inf), where=usable)
    return np.asarray(limits.min(axis=1), dtype=np.float64)


def _relative(kept: Array) -> Array:
    """To the first draw; one where that keeps nothing."""
    return np.divide(kept, kept[:1], out=np.ones_like(kept), where=kept[:1] > 0)
