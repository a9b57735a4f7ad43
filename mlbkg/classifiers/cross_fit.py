"""Train one classifier per fold, so that every candidate is scored by a model that never saw its event.

Fits run side by side in threads, each on one core: the libraries release the interpreter's lock while they train, and
no model depends on the number of threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.base import Backend, BackendParams, FittedClassifier, TrainingSet
from mlbkg.samples.sample import Sample
from mlbkg.samples.split import FoldSplit


@dataclass(frozen=True)
class Contender:
    """A backend with its parameters, under the name that tables and tracking use."""

    label: str
    backend: Backend
    params: BackendParams


@dataclass(frozen=True)
class CrossFit:
    """The folds' models of one contender.

    fitted: model ``k`` never saw an event of fold ``k``.
    margin: ``(n,)`` log-odds, out of fold. seen_margin: ``(n,)`` from a model that trained on the event; NaN for events
    kept for early stopping. curves: per fold, the validation loss after each boosting round.
    """

    contender: Contender
    fitted: tuple[FittedClassifier, ...]
    margin: NDArray[np.float64]
    seen_margin: NDArray[np.float64]
    curves: tuple[tuple[float, ...], ...]
    fit_seconds: float
    predict_seconds: float


def cross_fit(
    contenders: Sequence[Contender],
    sample: Sample,
    weight: NDArray[np.float64],
    splits: Sequence[FoldSplit],
    *,
    seed: int,
    workers: int,
    on_fit: Callable[[], None] | None = None,
) -> tuple[CrossFit, ...]:
    """Train every contender on every fold. ``weight``: ``(n,)`` training weights.

    After the first error and after Ctrl-C, running fits end with their round, where their library reports rounds.
    """
    jobs = [(contender, split) for contender in contenders for split in splits]
    stopping = threading.Event()

    def run(job: tuple[Contender, FoldSplit]) -> _Fit:
        done = _fit(*job, sample, weight, seed=seed, n_folds=len(splits), stopping=stopping)
        if on_fit:
            on_fit()
        return done

    with ThreadPoolExecutor(workers) as pool:
        try:
            fits = list(pool.map(run, jobs))
        except BaseException:
            stopping.set()
            pool.shutdown(cancel_futures=True)
            raise
    return tuple(
        _joined(contender, fits[i * len(splits) : (i + 1) * len(splits)], splits, sample)
        for i, contender in enumerate(contenders)
    )


def fit_fold(
    contender: Contender,
    split: FoldSplit,
    sample: Sample,
    weight: NDArray[np.float64],
    *,
    seed: int,
    on_round: Callable[[int, float], None] | None = None,
) -> FittedClassifier:
    """The model of one fold, on one thread."""
    return contender.backend.fit(
        _training_set(sample, weight, split.train),
        params=contender.params,
        valid=_training_set(sample, weight, split.valid),
        seed=_seed(seed, contender.label, split.fold),
        threads=1,
        on_round=on_round,
    )


class _StoppedError(Exception):
    """Ends a fit whose result nobody waits for."""


@dataclass(frozen=True)
class _Fit:
    fitted: FittedClassifier
    scored: NDArray[np.float64]
    seen_rows: NDArray[np.intp]
    seen: NDArray[np.float64]
    curve: tuple[float, ...]
    fit_seconds: float
    predict_seconds: float


def _fit(
    contender: Contender,
    split: FoldSplit,
    sample: Sample,
    weight: NDArray[np.float64],
    *,
    seed: int,
    n_folds: int,
    stopping: threading.Event,
) -> _Fit:
    curve: list[float] = []

    def on_round(_: int, loss: float) -> None:
        if stopping.is_set():
            raise _StoppedError
        curve.append(loss)

    begin = time.perf_counter()
    fitted = fit_fold(contender, split, sample, weight, seed=seed, on_round=on_round)
    fit_end = time.perf_counter()
    # each candidate is scored once by a model that saw it: that of the fold before its own
    seen_rows = split.train[sample.fold[split.train] == (split.fold + 1) % n_folds]
    scored = fitted.predict_margin(sample.features[split.scored])
    seen = fitted.predict_margin(sample.features[seen_rows])
    return _Fit(fitted, scored, seen_rows, seen, tuple(curve), fit_end - begin, time.perf_counter() - fit_end)


def _training_set(sample: Sample, weight: NDArray[np.float64], rows: NDArray[np.intp]) -> TrainingSet:
    return TrainingSet(sample.features[rows], sample.label[rows], weight[rows])


def _seed(seed: int, label: str, fold: int) -> int:
    return int(np.random.SeedSequence([seed, crc32(label.encode()), fold]).generate_state(1)[0] >> 1)


def _joined(contender: Contender, fits: Sequence[_Fit], splits: Sequence[FoldSplit], sample: Sample) -> CrossFit:
    margin = np.empty(len(sample))
    seen_margin = np.full(len(sample), np.nan)
    for fit, split in zip(fits, splits, strict=True):
        margin[split.scored] = fit.scored
        seen_margin[fit.seen_rows] = fit.seen
    return CrossFit(
        contender=contender,
        fitted=tuple(fit.fitted for fit in fits),
        margin=margin,
        seen_margin=seen_margin,
        curves=tuple(fit.curve for fit in fits),
        fit_seconds=sum(fit.fit_seconds for fit in fits),
        predict_seconds=sum(fit.predict_seconds for fit in fits),
    )
