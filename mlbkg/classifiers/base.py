"""The contract of a classifier backend, and the registry of all of them.

A backend is one file: a frozen ``Params``, a function that fits, and a fitted classifier that predicts, says which leaves
an event reaches, and hands its trees on in a form that needs no pickle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlbkg.registry import Params, Registry

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TrainingSet:
    """Features ``X (n, n_features) float32``, labels ``y (n,)`` of 0 and 1, training weights ``weight (n,)`` > 0."""

    X: NDArray[np.float32]
    y: NDArray[np.int8]
    weight: NDArray[np.float64]


class BackendParams(Params):
    """Parameters that every backend has; a backend adds its own."""

    n_estimators: int
    learning_rate: float
    early_stopping_rounds: int | None


class FittedClassifier(Protocol):
    """A trained forest, cut at its best iteration."""

    @property
    def n_features(self) -> int: ...

    @property
    def n_trees(self) -> int: ...

    def predict_margin(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds ``(n,)`` as the library itself gives them."""
        ...

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Signal probability ``(n,)``, the logistic function of the margin."""
        ...

    def predict_leaves(self, X: NDArray[np.float32]) -> NDArray[np.int32]:
        """``(n, n_trees)``: a number per tree that differs between the leaves of that tree."""
        ...

    def gain_importance(self) -> NDArray[np.float64]:
        """``(n_features,)``: total gain of the splits on each feature, summing to one (all zero without a split)."""
        ...

    def to_native_files(self, folder: Path) -> dict[str, Path]:
        """Write the library's own format, never a pickle: native format name -> file."""
        ...


class Fit(Protocol):
    """Minimise the weighted binary log-loss.

    valid: held out for early stopping; without it, or with ``early_stopping_rounds`` None, all rounds are run and kept.
    threads: at most so many are used; the model does not depend on it. Fits may run side by side in Python threads.
    on_round: called with the round, from zero, and the validation loss, NaN without ``valid``; a library that says nothing
    while it fits is reported on afterwards.

    Raises :class:`mlbkg.errors.MlbkgError` or a child for input that cannot be trained on (``mlbkg.classifiers.checks``).
    """

    def __call__(
        self,
        train: TrainingSet,
        *,
        params: Any,
        valid: TrainingSet | None,
        seed: int,
        threads: int,
        on_round: Callable[[int, float], None] | None,
    ) -> FittedClassifier: ...


@dataclass(frozen=True)
class Backend:
    """``params``: class of the settings. ``fit``: see :class:`Fit`. ``load``: the inverse of ``to_native_files``."""

    name: str
    description: str
    params: type[BackendParams]
    fit: Fit
    load: Callable[[Path], FittedClassifier]


BACKENDS: Registry[Backend] = Registry("backend", package="mlbkg.classifiers")
