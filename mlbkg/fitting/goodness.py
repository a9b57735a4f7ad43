"""How well a fitted model describes its data: chi-square in merged bins, likelihood ratio, and p values by toys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import FitError
from mlbkg.fitting.base import Array
from mlbkg.fitting.data import Binned, Data, binned
from mlbkg.fitting.fit import minimise
from mlbkg.fitting.model import Model
from mlbkg.fitting.result import FitResult, Goodness
from mlbkg.fitting.toys import Experiments, chunks, seeds
from mlbkg.parallel import advance, one_thread_each, parallel_map

ENOUGH = 5.0
"""Expected candidates that make a bin's pull about normal; effective ones where candidates have weights."""


@dataclass(frozen=True)
class ToyGoodness:
    """statistic: the likelihood ratio to a perfect model, constraints included. p_value: share of toys with a larger one.

    toys: that were fitted. failed: that were not, and are left out.
    """

    statistic: float
    p_value: float
    p_value_error: float
    toys: int
    failed: int


def goodness(model: Model, result: FitResult, data: Data, *, bins: int) -> Goodness:
    """Pearson's chi-square in ``bins`` bins, neighbours merged until each expects enough candidates.

    Binned data keep their bins. Weighted bins have the errors that their candidates' mean weight squared over mean weight
    gives to the expectation. Constrained parameters take no degree of freedom.
    """
    from scipy.stats import chi2 as chi2_distribution

    counted = data if isinstance(data, Binned) else binned(data, model.window.edges(bins))
    variances = counted.counts if counted.variances is None else counted.variances
    expected = model.expected(counted.edges, result.theta).sum(axis=0)
    first = _merged(counted, expected)
    counts, squares, mu = (np.add.reduceat(values, first) for values in (counted.counts, variances, expected))
    weight = np.divide(squares, counts, out=np.ones(len(counts)), where=(counts > 0) & (counted.variances is not None))
    errors = np.sqrt(weight * np.maximum(mu, 0.0))
    pulls = np.divide(counts - mu, errors, out=np.zeros(len(mu)), where=errors > 0)
    free = sum(not p.fixed and p.constraint is None for p in model.parameters)
    chi2, ndf = float(pulls @ pulls), len(counts) - free
    p_value = float(chi2_distribution.sf(chi2, ndf)) if ndf > 0 else float("nan")
    return Goodness(np.append(counted.edges[first], counted.edges[-1]), counts, errors, mu, pulls, chi2, ndf, p_value)


def likelihood_ratio(counts: Array, expected: Array) -> float:
    """-2 ln of the Poisson likelihood over that of the saturated model (Baker and Cousins, NIM 221 (1984) 437)."""
    from scipy.special import rel_entr

    return float(2 * (expected - counts + rel_entr(counts, expected)).sum())


def goodness_by_toys(
    model: Model,
    result: FitResult,
    data: Data,
    *,
    bins: int,
    toys: int,
    seed: int,
    workers: int = 1,
    on_toy: Callable[[int], None] | None = None,
) -> ToyGoodness:
    """The p value of the fit's likelihood ratio without relying on chi-square's distribution: for few candidates per bin.

    Single candidates are put into ``bins`` bins. Toys are drawn from the fitted model, with constraints that fluctuate.
    Raises :class:`FitError` for weighted data, whose fluctuations a model does not know.
    """
    counted = data if isinstance(data, Binned) else binned(data, model.window.edges(bins))
    if counted.variances is not None:
        raise FitError(
            "toys of weighted candidates cannot be drawn: the model does not know their weights", hint="Use the chi-square."
        )
    statistic = minimise(model.starting_at(result.theta), counted).minimum
    tasks = [_Chunk(model, result.theta, counted.edges, tuple(chunk)) for chunk in chunks(seeds(seed, toys))]
    found = np.concatenate(list(parallel_map(_statistics, tasks, workers=workers, on_progress=on_toy)))
    fitted = found[np.isfinite(found)]
    p_value = float((fitted >= statistic).mean()) if len(fitted) else float("nan")
    error = float(np.sqrt(p_value * (1 - p_value) / max(len(fitted), 1)))
    return ToyGoodness(statistic, p_value, error, toys=len(fitted), failed=toys - len(fitted))


@dataclass(frozen=True)
class _Chunk:
    model: Model
    theta: tuple[float, ...]
    edges: Array
    seeds: Sequence[np.random.SeedSequence]


def _statistics(chunk: _Chunk) -> Array:
    """``(n_toys,)``; NaN for fits that failed."""
    experiments = Experiments(chunk.model.starting_at(chunk.theta), chunk.theta, edges=chunk.edges)
    found = np.full(len(chunk.seeds), np.nan)
    with one_thread_each():
        for index, seed in enumerate(chunk.seeds):
            toy = experiments.draw(np.random.default_rng(seed))
            try:
                found[index] = minimise(toy.model, toy.data).minimum
            except FitError:
                continue
            finally:
                advance(1)
    return found


def _merged(data: Binned, expected: Array) -> NDArray[np.intp]:
    """``(n_merged,)`` first bins of groups that expect :data:`ENOUGH`; the last group takes what is left over."""
    variances = data.counts if data.variances is None else data.variances
    first, counts, squares, mu = [0], 0.0, 0.0, 0.0
    for index in range(len(expected)):
        counts, squares, mu = counts + data.counts[index], squares + variances[index], mu + expected[index]
        worth = 1.0 if data.variances is None else counts / squares if squares > 0 else 0.0
        if mu * worth >= ENOUGH:
            first.append(index + 1)
            counts = squares = mu = 0.0
    return np.array(first[:-1] if len(first) > 1 else first, dtype=np.intp)
