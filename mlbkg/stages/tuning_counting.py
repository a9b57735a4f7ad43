"""The limit that counting candidates in the fit window would give: a quick stand-in for the fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from mlbkg.config.schema import Config
from mlbkg.evaluation.working_point import is_measured, kept, kept_events, thresholds_at
from mlbkg.fitting.base import Window
from mlbkg.stages.training_data import TrainingData
from mlbkg.stages.training_fit import simulated_quantity
from mlbkg.tuning.figures import Ground
from mlbkg.tuning.measured import Measured

Array = NDArray[np.float64]
CUTS = 100
NEWTON_STEPS = 30


@dataclass(frozen=True)
class Counting:
    """Without systematic uncertainties; the median without signal.

    signal, smooth, peaking: ``(n,)`` weights inside the window, zero for others. unit: what all of the simulated signal is
    in the quantity of the limit. deviations: how many standard deviations away the limit is.
    """

    ground: Ground
    signal: Array
    smooth: Array
    peaking: Array
    unit: float
    deviations: float

    @classmethod
    def of(cls, config: Config, data: TrainingData, ground: Ground) -> Counting:
        """Without a section ``fit``, every candidate is inside, and no background peaks."""
        sample = data.sample
        inside, peaks = np.ones(len(sample), dtype=bool), np.zeros(len(sample), dtype=bool)
        if config.fit is not None:
            inside = Window(*config.fit.window).holds(data.values_of(config.fit.variable))
            peaks = data.of_samples(config.fit.peaking.samples if config.fit.peaking else ())
        _, simulated = simulated_quantity(config)
        signal, smooth, peaking = (
            np.where(rows & inside, sample.weight, 0.0) for rows in (ground.signal, ~ground.signal & ~peaks, peaks)
        )
        unit = float(sample.weight[ground.signal].sum()) if simulated is None else simulated
        # the median of CLs without signal is where half of alpha is, Eqs. (85)-(89) of arXiv:1007.1727
        deviations = float(ndtri(1 - (1 - config.limit.confidence_level) / 2))
        return cls(ground, signal, smooth, peaking, unit, deviations)

    def measure(self, margin: Array) -> Measured:
        """At the cut with the smallest limit, which replicas share."""
        limit, threshold = self._best(margin, np.arange(len(margin)))
        passed = margin >= threshold
        smooth, peaking = (float(weight[passed].sum()) for weight in (self.smooth, self.peaking))

        def scaled(signal: Array, smooth_share: Array, peaking_share: Array) -> Array:
            background = smooth * smooth_share + peaking * peaking_share
            return asimov_limit(background, deviations=self.deviations) / signal

        return Measured(limit, limit * self.relative(passed, scaled) / float(scaled(*np.ones((3, 1)))[0]))

    def of_fold(self, rows: NDArray[np.intp], margin: Array) -> float:
        """``margin`` of some rows, which stand for all."""
        return self._best(margin, rows)[0]

    def relative(self, passed: NDArray[np.bool_], scaled: Callable[[Array, Array, Array], Array]) -> Array:
        """``(replicas,)``: ``scaled`` of each replica's efficiency, smooth and peaking background, relative to nominal."""
        total = np.where(self.ground.signal, self.ground.weight, 0.0)
        columns = [np.where(passed, weight, 0.0) for weight in (self.signal, self.smooth, self.peaking)]
        nominal = np.array([column.sum() for column in (*columns, total)])
        sums = self.ground.sums(*columns, total)
        shares = np.divide(sums, nominal, out=np.ones_like(sums), where=nominal > 0)
        return scaled(shares[:, 0] / shares[:, 3], shares[:, 1], shares[:, 2])

    def _best(self, margin: Array, rows: NDArray[np.intp]) -> tuple[float, float]:
        """Smallest limit and its threshold, on rows whose yields are scaled up to all."""
        scale = float(self.ground.weight.sum() / self.ground.weight[rows].sum())
        signal = rows[self.ground.signal[rows]]
        of_signal = np.isin(rows, signal, assume_unique=True)
        levels = thresholds_at(margin[of_signal], self.ground.weight[signal], np.linspace(1, 0, CUTS, endpoint=False))
        event_index = np.unique(self.ground.event_index[rows], return_inverse=True)[1]
        background = (self.smooth + self.peaking)[rows]
        below, variance = kept_events(margin, background, event_index, levels)
        events = scale * kept(margin, self.signal[rows], levels)
        usable = is_measured(below, variance) & (events > 0)
        limits = np.full(len(levels), np.inf)
        limits[usable] = asimov_limit(scale * below[usable], deviations=self.deviations) / events[usable]
        best = int(np.argmin(limits))
        return self.unit * float(limits[best]), float(levels[best])


def asimov_limit(background: Array, *, deviations: float) -> Array:
    """``(n,)``: signal that is ``deviations`` away from none where exactly ``background`` events are counted.

    2 (s - b ln(1 + s/b)) = deviations^2, Eq. (62) of arXiv:1007.1727 for one bin; asymptotic, good from a few events on.
    """
    b = np.maximum(background, 1e-9)
    s = deviations * np.sqrt(b) + deviations**2 / 2
    for _ in range(NEWTON_STEPS):
        s = s - (2 * (s - b * np.log1p(s / b)) - deviations**2) * (b + s) / (2 * s)
    return np.asarray(s, dtype=np.float64)
