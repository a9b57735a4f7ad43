"""Scores from an ONNX model through ONNX Runtime; nothing but the file is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import FeatureMismatchError, MlbkgError, did_you_mean
from mlbkg.evaluation.threshold_curve import ThresholdCurve
from mlbkg.export.session import open_session, runtime_errors

BATCH = 10_000
"""Rows per call: large enough that the call costs nothing, small enough to stay in the cache."""


@dataclass(frozen=True)
class Scorer:
    """One session on one model file. ``takes_fold``: the model picks the forest that did not see the event."""

    session: Any
    takes_fold: bool
    pool: ThreadPoolExecutor

    def start(self, X: NDArray[np.float32], fold: NDArray[np.int8]) -> Callable[[], NDArray[np.float32]]:
        """Begin to score ``X (n, n_features)``; the answer waits for the signal probability ``(n,)``.

        ``fold (n,)`` is used where the model takes it.
        """
        batches = [slice(start, start + BATCH) for start in range(0, len(X), BATCH)]
        running = [self.pool.submit(self._score, X[rows], fold[rows]) for rows in batches]

        def wait() -> NDArray[np.float32]:
            return np.concatenate([np.empty(0, dtype=np.float32), *(batch.result() for batch in running)])

        return wait

    def score(self, X: NDArray[np.float32], fold: NDArray[np.int8]) -> NDArray[np.float32]:
        """As :meth:`start`, and wait; one batch is scored by the caller's own thread."""
        return self._score(X, fold) if len(X) <= BATCH else self.start(X, fold)()

    def _score(self, X: NDArray[np.float32], fold: NDArray[np.int8]) -> NDArray[np.float32]:
        feed: dict[str, NDArray[Any]] = {"input": np.ascontiguousarray(X, dtype=np.float32)}
        if self.takes_fold:
            feed["fold"] = fold.astype(np.int64)
        try:
            scores: NDArray[np.float32] = self.session.run(["output"], feed)[0][:, 0]
        except runtime_errors() as error:
            reason = str(error).partition("\n")[0]
            raise MlbkgError(f"the model cannot be applied to {len(X)} rows of {X.shape[1]} features: {reason}") from error
        return scores


@contextmanager
def open_scorer(model: bytes, *, threads: int) -> Iterator[Scorer]:
    """A session on the bytes of ``model.onnx`` or ``folds.onnx``, used by so many threads at a time.

    ``model``: as :func:`mlbkg.export.session.open_session` takes it.
    """
    session = open_session(model)
    pool = ThreadPoolExecutor(threads)
    try:
        yield Scorer(session, any(entry.name == "fold" for entry in session.get_inputs()), pool)
    finally:
        pool.shutdown(cancel_futures=True)


def is_selected(
    score: NDArray[np.float32], threshold: float | ThresholdCurve, values: NDArray[Any] | None = None
) -> NDArray[np.bool_]:
    """``(n,)``. ``values (n,)``: of the variable that a curve depends on. Scores are compared as float32."""
    if isinstance(threshold, ThresholdCurve):
        return np.asarray(score >= threshold(np.asarray(values, dtype=np.float64)))
    return np.asarray(score >= np.float32(threshold))


def require_features(model: Sequence[str], offered: Sequence[str], *, where: str) -> None:
    """Raises :class:`FeatureMismatchError` unless ``offered`` are the model's features in the model's order."""
    if tuple(model) == tuple(offered):
        return
    missing = [name for name in model if name not in offered]
    extra = [name for name in offered if name not in model]
    details = [f"the model needs '{name}'{did_you_mean(name, offered)}" for name in missing]
    details += [f"the config has '{name}', which the model does not know" for name in extra]
    if not details:
        details = [
            f"feature {i + 1} is '{mine}' in the model and '{theirs}' in the config"
            for i, (mine, theirs) in enumerate(zip(model, offered, strict=True))
            if mine != theirs
        ]
    raise FeatureMismatchError(
        f"the features of {where} are not those of the config",
        details=details,
        where=where,
        hint=f"List the model's: mlbkg inspect {where}",
    )
