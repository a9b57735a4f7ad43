"""A model for other programs: rows in, scores out.

>>> from mlbkg.apply import Model
>>> model = Model("models/upsilon1s/model.onnx")
>>> scores = model.score(frame)  # a DataFrame, a dict of arrays, a structured or a plain array
>>> selected = frame[model.passes(frame)]

For simulated events that the model may have been trained on, take ``folds.onnx``, and give the events' numbers:

>>> model = Model("models/upsilon1s/folds.onnx")
>>> scores = model.score(frame, event_id=frame[["__experiment__", "__run__", "__event__"]])
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlbkg.errors import FeatureMismatchError, MlbkgError, UnknownNameError, did_you_mean
from mlbkg.evaluation.threshold_curve import ThresholdCurve
from mlbkg.export.load import LoadedModel, open_model
from mlbkg.export.metadata import FeatureInfo, WorkingPointInfo
from mlbkg.export.session import open_session
from mlbkg.samples.folds import assign_folds
from mlbkg.selection.score import Scorer, is_selected

Rows = Any
"""``(n, n_features)`` numbers in the order of :attr:`Model.features`; or named columns ``(n,)`` in any order, more of them
than are needed: a mapping, a structured array, a DataFrame of pandas or polars, an awkward array of flat records."""


class Model:
    """A model file that has passed the checks of :func:`mlbkg.export.load.open_model`.

    ONNX Runtime is started at the first score, once in each process. Any number of threads may share a model. It is
    pickled as its path and sha256, so that a worker on another machine needs the same file, and says so if it is another.

    threads: that share the rows of one call. sha256: what the file must have, where that is known.
    """

    def __init__(self, path: str | Path, *, threads: int = 1, sha256: str | None = None) -> None:
        self.path = Path(path)
        self.threads = threads
        self._sha256 = sha256
        self._start()
        self._sha256 = self._opened().sha256

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._file: LoadedModel | None = None
        self._scorer: tuple[int, Scorer] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "threads": self.threads, "_sha256": self._sha256}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def __repr__(self) -> str:
        return f"Model({str(self.path)!r})"

    @property
    def features(self) -> tuple[str, ...]:
        """In the order of the input; ``f0``, ``f1``, … where the file does not name them."""
        return tuple(feature.name for feature in self._features())

    @property
    def working_points(self) -> dict[str, WorkingPointInfo]:
        metadata = self._opened().metadata
        return {point.name: point for point in metadata.working_points} if metadata else {}

    @property
    def takes_fold(self) -> bool:
        """Whether each event is scored by the forest that did not see it, so that event ids are needed."""
        return self._opened().takes_fold

    def score(
        self, rows: Rows, *, names: Sequence[str] | None = None, event_id: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """``(n,)`` scores, bit by bit those of ``mlbkg select``.

        names: of the columns of a plain array, which may then be in any order. event_id: ``(n,)`` or ``(n, n_id)`` whole
        numbers, as listed in the config's ``ntuples.event_id``; without it, named columns of these names are taken.

        Raises :class:`FeatureMismatchError` where features are missing, and :class:`MlbkgError` for columns that are not
        numbers or not equally long, and for event ids that are missing, or that the model does not take.
        """
        columns = _named(rows, names)
        X = self._plain(rows) if columns is None else self._matrix(columns)
        return self._running().score(X, self._folds(columns, event_id, len(X)))

    def passes(
        self,
        rows: Rows,
        working_point: str | float | None = None,
        *,
        names: Sequence[str] | None = None,
        event_id: ArrayLike | None = None,
    ) -> NDArray[np.bool_]:
        """``(n,)``: whether the score is at or above a working point of the model (by default its first), or a number.

        Raises as :meth:`score`, and :class:`UnknownNameError` for a working point that the model does not have.
        """
        threshold = working_point if isinstance(working_point, float | int) else self._threshold(working_point)
        scores = self.score(rows, names=names, event_id=event_id)
        if not isinstance(threshold, ThresholdCurve):
            return is_selected(scores, threshold)
        columns = _named(rows, names)
        columns = dict(zip(self.features, np.asarray(rows).T, strict=True)) if columns is None else columns
        if threshold.variable not in columns:
            raise FeatureMismatchError(
                f"the working point is a score that depends on '{threshold.variable}', which the rows do not have",
                where=str(self.path),
                hint="Give named columns, this one among them.",
            )
        return is_selected(scores, threshold, _numbers(columns[threshold.variable], threshold.variable))

    def _opened(self) -> LoadedModel:
        with self._lock:
            if self._file is None:
                self._file = open_model(self.path, sha256=self._sha256)
            return self._file

    def _running(self) -> Scorer:
        """A session does not survive a fork."""
        file = self._opened()
        with self._lock:
            if self._scorer is None or self._scorer[0] != os.getpid():
                scorer = Scorer(open_session(file.content), file.takes_fold, ThreadPoolExecutor(self.threads))
                self._scorer = os.getpid(), scorer
            return self._scorer[1]

    def _features(self) -> tuple[FeatureInfo, ...]:
        file = self._opened()
        return file.metadata.features if file.metadata else tuple(FeatureInfo(f"f{i}") for i in range(file.n_features))

    def _plain(self, rows: Rows) -> NDArray[np.float32]:
        X = _numbers(rows, "an array", n_dimensions=2)
        if X.shape[1] != len(self.features):
            raise FeatureMismatchError(
                f"{self.path.name} takes {len(self.features)} features, the array has {X.shape[1]} columns",
                details=[f"{i:3d} {name}" for i, name in enumerate(self.features)],
                where=str(self.path),
            )
        return X

    def _matrix(self, columns: Mapping[str, Any]) -> NDArray[np.float32]:
        features = self._features()
        chosen = [feature.name if feature.name in columns else feature.column or feature.name for feature in features]
        missing = [name for name in chosen if name not in columns]
        if missing:
            raise FeatureMismatchError(
                f"{len(missing)} of the {len(features)} features of {self.path.name} are missing",
                details=[f"'{name}'{did_you_mean(name, columns)}" for name in missing],
                where=str(self.path),
                hint=f"List them: mlbkg inspect {self.path}",
            )
        found = [_numbers(columns[name], name) for name in chosen]
        if len({len(column) for column in found}) > 1:
            raise MlbkgError(
                "the columns are not equally long",
                details=[f"'{name}' has {len(column):,} rows" for name, column in zip(chosen, found, strict=True)],
            )
        return np.column_stack(found)

    def _folds(self, columns: Mapping[str, Any] | None, event_id: ArrayLike | None, n: int) -> NDArray[np.int8]:
        metadata = self._opened().metadata
        if not self.takes_fold:
            if event_id is not None:
                raise MlbkgError(
                    f"{self.path.name} is the mean of all folds, and takes no event ids",
                    where=str(self.path),
                    hint="For events that it may have been trained on, open folds.onnx.",
                )
            return np.zeros(n, dtype=np.int8)
        if metadata is None:
            raise MlbkgError(f"{self.path} takes folds, and does not say how events get theirs", where=str(self.path))
        if event_id is None and columns is not None and all(name in columns for name in metadata.event_id):
            event_id = np.column_stack([np.asarray(columns[name]) for name in metadata.event_id])
        if event_id is None:
            raise MlbkgError(
                f"{self.path.name} picks the forest that did not see an event by {', '.join(metadata.event_id)}",
                where=str(self.path),
                hint="Give event_id=, or open model.onnx for events that were not trained on.",
            )
        ids = np.asarray(event_id)
        ids = ids[:, None] if ids.ndim == 1 else ids
        if ids.shape != (n, len(metadata.event_id)) or ids.dtype.kind not in "iu":
            raise MlbkgError(
                f"event_id is {ids.dtype} {ids.shape}; whole numbers ({n}, {len(metadata.event_id)}) are needed: "
                + ", ".join(metadata.event_id),
                where=str(self.path),
            )
        return assign_folds(ids.astype(np.int64), n_folds=metadata.n_folds, salt=metadata.salt)

    def _threshold(self, name: str | None) -> float | ThresholdCurve:
        points = self.working_points
        point = points.get(next(iter(points), "") if name is None else name)
        if point is None:
            raise UnknownNameError(
                f"{self.path} has no working point{f' {name!r}{did_you_mean(name, points)}' if name else 's'}",
                details=[repr(known) for known in points],
                where=str(self.path),
                hint="Give a score: model.passes(rows, 0.9)",
            )
        return point.curve or point.threshold


def _named(rows: Rows, names: Sequence[str] | None) -> Mapping[str, Any] | None:
    """Column by name; None for a plain array without names."""
    if isinstance(rows, Mapping):
        return rows
    own: Iterable[str] | None = getattr(getattr(rows, "dtype", None), "names", None)
    if own is None:
        own = getattr(rows, "columns", None)
    if own is None:
        own = getattr(rows, "fields", None) or None
    if own is not None:
        return {str(name): rows[name] for name in own}
    if names is None:
        return None
    array = np.asarray(rows)
    if array.ndim != 2 or array.shape[1] != len(names) or len(set(names)) < len(names):
        raise MlbkgError(f"{len(names)} names do not name the columns of an array of shape {array.shape}, once each")
    return dict(zip(names, array.T, strict=True))


def _numbers(values: Any, name: str, *, n_dimensions: int = 1) -> NDArray[np.float32]:
    """As float32; what is masked is missing, NaN. Raises :class:`MlbkgError` for anything but numbers in a row."""
    try:
        found = values if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    except (TypeError, ValueError) as error:
        raise MlbkgError(f"'{name}' is not a row of numbers: {error}") from error
    if found.ndim != n_dimensions or found.dtype.kind not in "biuf":
        shape = "(n,)" if n_dimensions == 1 else "(n, n_features)"
        raise MlbkgError(
            f"'{name}' is {found.dtype} of shape {found.shape}; numbers of shape {shape} are needed",
            hint="Flatten collections first; a single row x is x[None, :].",
        )
    with np.errstate(over="ignore"):
        single = found.astype(np.float32)
    return single.filled(np.nan) if isinstance(single, np.ma.MaskedArray) else single
