"""The limit that counting candidates below the signal's peak would give: a quick stand-in for the fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc, gammainccinv, ndtri

from mlbkg.config.schema import Config
from mlbkg.evaluation.working_point import is_measured, kept, kept_events, thresholds_at
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.training_fit import peaking_uncertainty, simulated_quantity
from mlbkg.stages.tuning_yields import Yields, below_peak
from mlbkg.tuning.figures import Ground
from mlbkg.tuning.measured import Measured

Array = NDArray[np.float64]
CUTS = 100


@dataclass(frozen=True)
class Counting:
    """uncertainty: of the peaking background, relative. unit: what all of the simulated signal is in the quantity of the
    limit. An uncertain efficiency, which is nearly the same factor at every cut, is left out.
    """

    yields: Yields
    uncertainty: float
    unit: float
    confidence_level: float

    @classmethod
    def of(cls, config: Config, data: TrainingData, ground: Ground, *, systematics: bool) -> Counting:
        _, simulated = simulated_quantity(config)
        return cls(
            yields=below_peak(config, data, ground),
            uncertainty=peaking_uncertainty(config) if systematics else 0.0,
            unit=float(ground.weight[ground.signal].sum()) if simulated is None else simulated,
            confidence_level=config.limit.confidence_level,
        )

    def measure(self, margin: Array) -> Measured:
        """At the cut with the smallest limit, which replicas share."""
        limit, threshold = self._best(margin, np.arange(len(margin)))
        passed = margin >= threshold
        smooth, peaking = (float(weight[passed].sum()) for weight in (self.yields.smooth, self.yields.peaking))
        signal_share, smooth_share, peaking_share = self.yields.relative(passed, self.yields.ground.draws())
        with np.errstate(divide="ignore"):  # a replica may keep no signal
            replicas = self._events(smooth * smooth_share, peaking * peaking_share) / signal_share
        return Measured(limit, limit * replicas / float(self._events(np.array(smooth), np.array(peaking))))

    def of_fold(self, rows: NDArray[np.intp], margin: Array) -> float:
        """``margin`` of some rows, which stand for all."""
        return self._best(margin, rows)[0]

    def _best(self, margin: Array, rows: NDArray[np.intp]) -> tuple[float, float]:
        """Smallest limit and its threshold, on rows whose yields are scaled up to all.

        Cuts that keep fewer than 10 effective background events count only where none keeps more.
        """
        ground = self.yields.ground
        scale = len(ground.label) / len(rows)
        of_signal = ground.signal[rows]
        even = np.linspace(1, 0, CUTS, endpoint=False)
        levels = thresholds_at(margin[of_signal], ground.weight[rows][of_signal], even)
        signal, smooth, peaking = (
            scale * np.maximum(kept(margin, weight[rows], levels), 0.0)
            for weight in (self.yields.signal, self.yields.smooth, self.yields.peaking)
        )
        event_index = np.unique(ground.event_index[rows], return_inverse=True)[1]
        measured = is_measured(*kept_events(margin, (self.yields.smooth + self.yields.peaking)[rows], event_index, levels))
        usable = (measured if measured.any() else np.ones_like(measured)) & (signal > 0)
        limits = np.divide(self._events(smooth, peaking), signal, out=np.full(len(levels), np.inf), where=usable)
        best = int(np.argmin(limits))
        return self.unit * float(limits[best]), float(levels[best])

    def _events(self, smooth: Array, peaking: Array) -> Array:
        return expected_events(smooth + peaking, self.uncertainty * peaking, confidence_level=self.confidence_level)


def expected_events(background: Array, error: Array, *, confidence_level: float) -> Array:
    """``(n,)``: upper limit of the signal where as much is counted as the ``background`` ``(n,)`` that is expected.

    CLs, which for a count is the posterior of a flat prior (Helene, Nucl. Instrum. Meth. 212 (1983) 319):
    Q(b + 1, s + b) = (1 - confidence level) Q(b + 1, b), where the incomplete gamma function Q makes counts continuous. An
    ``error`` ``(n,)`` of the background is added in quadrature, as in Gauss's limit, in which the median without signal is
    where half of 1 - confidence level is (Eq. (89) of arXiv:1007.1727).
    """
    level = 1 - confidence_level
    certain = gammainccinv(background + 1, level * gammaincc(background + 1, background)) - background
    return np.asarray(np.hypot(certain, ndtri(1 - level / 2) * error), dtype=np.float64)
