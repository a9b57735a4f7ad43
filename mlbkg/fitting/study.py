"""Bias and coverage of a fit, from toy experiments with known answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlbkg.errors import FitError
from mlbkg.fitting.base import Array
from mlbkg.fitting.fit import fit
from mlbkg.fitting.model import Model
from mlbkg.fitting.toys import Experiments, chunks, seeds
from mlbkg.parallel import advance, one_thread_each, parallel_map


@dataclass(frozen=True)
class StudyPoint:
    """Toy experiments in which the parameter of interest is ``value``.

    toys: that were fitted. failed: that were not, and are left out. pull: (fitted - true) / the MINOS error on the true
    value's side. coverage: share of 68.3 % intervals that hold the true value. bias: mean of fitted - true. ``*_error``:
    statistical, of the toys' number. pulls, fitted: ``(n_toys,)``. first_failure: why the first fit failed, if one did.
    """

    value: float
    toys: int
    failed: int
    mean_pull: float
    mean_pull_error: float
    pull_width: float
    pull_width_error: float
    coverage: float
    coverage_error: float
    bias: float
    bias_error: float
    pulls: Array
    fitted: Array
    first_failure: str = ""


def study(
    model: Model,
    *,
    poi: str,
    values: Sequence[float],
    toys: int,
    seed: int,
    edges: Array | None = None,
    workers: int = 1,
    on_toy: Callable[[int], None] | None = None,
) -> tuple[StudyPoint, ...]:
    """Inject each of ``values`` of the parameter ``poi`` into ``toys`` experiments, all else at the model's starts, and fit.

    edges: bins of the experiments; single candidates without them. The parameter's own bounds are lifted, since at a bound
    there is no pull. The answer is the same for any number of ``workers``. Raises :class:`FitError` where at some value no
    two experiments can be fitted.
    """
    index = model.index(poi)
    free = replace(model.parameters[index], low=-np.inf, high=np.inf)
    unbounded = replace(model, parameters=(*model.parameters[:index], free, *model.parameters[index + 1 :]))
    tasks = [
        _Chunk(unbounded, poi, float(value), edges, tuple(chunk))
        for value, sequence in zip(values, seeds(seed, len(values)), strict=True)
        for chunk in chunks(seeds(sequence, toys))
    ]
    done = list(parallel_map(_fit_chunk, tasks, workers=workers, on_progress=on_toy))
    per_value = len(done) // max(len(values), 1)
    return tuple(
        _point(float(value), [toy for chunk in done[i * per_value : (i + 1) * per_value] for toy in chunk])
        for i, value in enumerate(values)
    )


@dataclass(frozen=True)
class _Chunk:
    model: Model
    poi: str
    value: float
    edges: Array | None
    seeds: Sequence[np.random.SeedSequence]


@dataclass(frozen=True)
class _Fitted:
    """``low``, ``high``: ends of the interval."""

    value: float
    low: float
    high: float


def _fit_chunk(chunk: _Chunk) -> list[_Fitted | str]:
    """A failed fit is its error's text."""
    theta = [chunk.value if p.name == chunk.poi else p.start for p in chunk.model.parameters]
    experiments = Experiments(chunk.model.starting_at(theta), theta, edges=chunk.edges)
    with one_thread_each():
        return [_fitted(experiments, chunk.poi, seed) for seed in chunk.seeds]


def _fitted(experiments: Experiments, poi: str, seed: np.random.SeedSequence) -> _Fitted | str:
    toy = experiments.draw(np.random.default_rng(seed))
    try:
        found = fit(toy.model, toy.data, minos=(poi,))[poi]
    except FitError as error:
        return error.what
    finally:
        advance(1)
    return _Fitted(found.value, found.value + found.error_low, found.value + found.error_high)


def _point(value: float, toys: Sequence[_Fitted | str]) -> StudyPoint:
    fitted = [toy for toy in toys if isinstance(toy, _Fitted)]
    failures = [toy for toy in toys if isinstance(toy, str)]
    if len(fitted) < 2:
        raise FitError(
            f"{len(failures)} of {len(toys)} toy experiments at {value:g} could not be fitted: no bias can be told",
            details=failures[:1],
            hint="Fit the simulation first: mlbkg fit CONFIG.",
        )
    estimates, low, high = np.array([(toy.value, toy.low, toy.high) for toy in fitted]).T
    pulls = (estimates - value) / np.where(estimates > value, estimates - low, high - estimates)
    n = len(fitted)
    width = float(pulls.std(ddof=1))
    coverage = float(((low <= value) & (value <= high)).mean())
    spread = float(estimates.std(ddof=1))
    return StudyPoint(
        value=value,
        toys=n,
        failed=len(failures),
        mean_pull=float(pulls.mean()),
        mean_pull_error=width / np.sqrt(n),
        pull_width=width,
        pull_width_error=width / np.sqrt(2 * (n - 1)),
        coverage=coverage,
        coverage_error=float(np.sqrt(coverage * (1 - coverage) / n)),
        bias=float(estimates.mean() - value),
        bias_error=spread / np.sqrt(n),
        pulls=pulls,
        fitted=estimates,
        first_failure=failures[0] if failures else "",
    )
