"""Experiments without signal of windows that do not overlap."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from mlbkg.limits.hypotheses import Counts, Experiments


def draw_counts(experiments: Experiments, toys: int, rng: Generator) -> Counts:
    """``(toys, n)``. In each experiment the backgrounds are drawn, too: log-normal about their prediction, by its error in
    each window alone and by each effect in all together; exponential where no simulated background is left."""
    background, error = experiments.background, experiments.background_error
    nothing_left = background == 0
    spread = np.divide(error, background, out=np.zeros(len(background)), where=~nothing_left)
    means = background * np.exp(spread * rng.standard_normal((toys, len(background))))
    for effect in experiments.effects:
        means *= np.exp(rng.standard_normal((toys, 1)) * np.log1p(effect.background))
    means[:, nothing_left] = rng.exponential(error[nothing_left], (toys, int(nothing_left.sum())))
    return rng.poisson(means)
