"""Scores from an ONNX model through ONNX Runtime; nothing but the file is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import FeatureMismatchError, did_you_mean

BATCH = 10_000
"""Rows per call: large enough that the call costs nothing, small enough to stay in the cache."""


@dataclass(frozen=True)
class Scorer:
    """One session on one model file. ``takes_fold``: the model picks the forest that did not see the event."""

    session: Any
    takes_fold: bool

    def score(self, X: NDArray[np.float32], fold: NDArray[np.int8]) -> NDArray[np.float32]:
        """Signal probability ``(n,)`` of ``X (n, n_features)``; ``fold (n,)`` is used where the model takes it."""
        scores = np.empty(len(X), dtype=np.float32)
        for start in range(0, len(X), BATCH):
            rows = slice(start, start + BATCH)
            feed: dict[str, NDArray[Any]] = {"input": np.ascontiguousarray(X[rows], dtype=np.float32)}
            if self.takes_fold:
                feed["fold"] = fold[rows].astype(np.int64)
            scores[rows] = self.session.run(["output"], feed)[0][:, 0]
        return scores


def open_scorer(model: bytes, *, threads: int) -> Scorer:
    """A session on the bytes of ``model.onnx`` or ``folds.onnx``."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return Scorer(session, takes_fold=any(entry.name == "fold" for entry in session.get_inputs()))


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
