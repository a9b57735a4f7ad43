"""Whether two classifiers that were measured on the same events differ by more than noise.

Two tests, for two questions. By events: would these models differ on other events? The models are taken as they are. By
folds: would these recipes differ if they were trained again on other events? That asks for more, and finds less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.evaluation.estimates import Array, Estimate, Events
from mlbkg.evaluation.metrics import auc_influence

FEWEST = 2
"""Values that have a spread."""


@dataclass(frozen=True)
class PairedTest:
    """``difference``: one minus the other. ``p_value``: of no difference, two-sided.

    ``significance``: standard deviations of a normal distribution with this p-value, with the sign of the difference.
    """

    difference: Estimate
    p_value: float
    significance: float


@dataclass(frozen=True)
class AucByEvent:
    """An AUC, and what each event adds to its error ``(n_events,)``: :func:`~mlbkg.evaluation.metrics.auc_influence`."""

    value: float
    by_event: Array

    @classmethod
    def of(cls, score: Array, label: NDArray[np.int8], weight: Array, event_index: Events) -> AucByEvent:
        """Raises :class:`WeightError` where weights are not finite or a class has none."""
        value, influence = auc_influence(score, label, weight)
        return cls(value, np.bincount(event_index, weights=influence).astype(np.float64))

    def minus(self, other: AucByEvent) -> PairedTest:
        """Of two scores of the same events, numbered alike (DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988) 837).

        Valid for some ten events of each class and more, where the difference is as good as normal; what both scores make of
        an event is subtracted before it is squared, so that their correlation is known, and events of any weight count.
        """
        difference = self.value - other.value
        error = math.sqrt(float(((self.by_event - other.by_event) ** 2).sum()))
        if error == 0:
            return _without_spread(difference)
        z = difference / error
        return PairedTest(Estimate(difference, error), math.erfc(abs(z) / math.sqrt(2)), z)


def corrected_resampled_t(differences: Array, *, test_over_train: float) -> PairedTest:
    """The corrected resampled t-test (Nadeau, Bengio, Machine Learning 52 (2003) 239, sec. 5), of ``differences (k,)``.

    One difference for each of k trainings, measured on ``test_over_train`` times as many events as trained it: 1 / (k - 1)
    for the folds of a cross-fit. The variance is (1/k + ``test_over_train``) times the spread's, with k - 1 degrees of
    freedom: trainings that share events are no k independent ones, for which it would be 1/k. Derived for random splits into
    training and test; for folds, whose tests do not overlap, it is an approximation on the safe side.

    Raises :class:`ValueError` for fewer than two differences.
    """
    from scipy.special import ndtri, stdtr

    k = len(differences)
    if k < FEWEST:
        raise ValueError(f"{k} differences have no spread; at least {FEWEST} are needed")
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if spread == 0:
        return _without_spread(mean)
    error = spread * math.sqrt(1 / k + test_over_train)
    one_sided = float(stdtr(k - 1, -abs(mean) / error))
    return PairedTest(Estimate(mean, error), 2 * one_sided, math.copysign(float(ndtri(one_sided)), mean))


def _without_spread(difference: float) -> PairedTest:
    """Equal scores, or scores that differ by the same everywhere."""
    if difference == 0:
        return PairedTest(Estimate(0.0, 0.0), 1.0, 0.0)
    return PairedTest(Estimate(difference, 0.0), 0.0, math.copysign(math.inf, difference))
