"""The sampler of a study: TPE that draws for a trial what follows from the study's seed and the trial's number alone.

This module imports Optuna when it is imported, which whoever opens a study does.
"""

from __future__ import annotations

from typing import Any

from numpy.random import SeedSequence
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class SeededByTrial(BaseSampler):
    """A tree-structured Parzen estimator, multivariate within groups of parameters that occur together.

    J. Bergstra et al., NeurIPS 24 (2011) 2546; S. Watanabe, arXiv:2304.11127. Optuna's own takes its random numbers one
    after the other: it would draw the same again after each resume, and in each process that shares the study.

    One thread at a time may ask for trials.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._sampler = self._of_trial(0)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._sampler = self._of_trial(trial.number)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def _of_trial(self, number: int) -> BaseSampler:
        drawn = int(SeedSequence([self._seed, number]).generate_state(1)[0])
        return TPESampler(seed=drawn, multivariate=True, group=True, constant_liar=True)
