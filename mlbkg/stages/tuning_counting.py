"""The limit that counting candidates below the signal's peak would give: a quick stand-in for the fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc, gammainccinv, ndtri

from mlbkg.config.schema import Config
from mlbkg.evaluation.working_point import MINIMUM_EFFECTIVE_BACKGROUND, thresholds_at
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.training_fit import peaking_uncertainty, simulated_quantity
from mlbkg.stages.tuning_yields import Yields, below_peak
from mlbkg.tuning.figures import Draw, Ground, is_known, smallest
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
        """At the cut with the smallest limit; each replica looks for its own."""
        return self._smallest(self.yields, margin, self.yields.ground.all_and_draws())

    def of_fold(self, rows: NDArray[np.intp], margin: Array) -> float:
        """``margin`` of some rows, which stand for all."""
        some = self.yields.part(rows)
        return self._smallest(some, margin, islice(some.ground.all_and_draws(), 1)).value

    def _smallest(self, yields: Yields, margin: Array, draws: Iterable[Draw]) -> Measured:
        """Cuts that keep fewer than 10 effective background events count only where none keeps more."""
        signal, weight = yields.ground.signal, yields.ground.weight
        levels = thresholds_at(margin[signal], weight[signal], np.linspace(1, 0, CUTS, endpoint=False))
        kept = yields.kept(draws, margin, levels)
        background, error = kept.smooth + kept.peaking, self.uncertainty * kept.peaking
        events = (
            self.unit * expected_events(background, error, confidence_level=self.confidence_level) / weight[signal].sum()
        )
        known = is_known(background, kept.variance, at_least=MINIMUM_EFFECTIVE_BACKGROUND)
        return smallest(events, kept.efficiency, known)


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
