"""Candidates ready for training: the feature matrix and everything that must travel beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sample:
    """Candidates of one or more samples, row by row.

    features: ``(n_candidates, n_features)`` float32, in the order of ``feature_names``.
    label: ``(n_candidates,)`` int8, 1 signal, 0 background.
    weight: ``(n_candidates,)`` float64, physics weight: sum over a category is its expected yield.
    event_id: ``(n_candidates, n_id)`` int64; candidates of one event have equal rows.
    fold: ``(n_candidates,)`` int8.
    category: ``(n_candidates,)`` int16, index into ``category_names``.
    spectators: name -> ``(n_candidates,)`` float64, never seen by a classifier.
    truth: branch -> ``(n_candidates,)`` float64, masses that the signal was simulated with; NaN for background.
    """

    feature_names: tuple[str, ...]
    category_names: tuple[str, ...]
    features: NDArray[np.float32]
    label: NDArray[np.int8]
    weight: NDArray[np.float64]
    event_id: NDArray[np.int64]
    fold: NDArray[np.int8]
    category: NDArray[np.int16]
    spectators: Mapping[str, NDArray[np.float64]]
    truth: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Sample:
        """The chosen rows (mask or indices), in that order."""
        return Sample(
            feature_names=self.feature_names,
            category_names=self.category_names,
            features=self.features[rows],
            label=self.label[rows],
            weight=self.weight[rows],
            event_id=self.event_id[rows],
            fold=self.fold[rows],
            category=self.category[rows],
            spectators={name: values[rows] for name, values in self.spectators.items()},
            truth={name: values[rows] for name, values in self.truth.items()},
        )

    def with_features(self, names: Sequence[str]) -> Sample:
        """The same candidates with these of their features, in this order."""
        if tuple(names) == self.feature_names:
            return self
        columns = [self.feature_names.index(name) for name in names]
        return replace(self, feature_names=tuple(names), features=np.ascontiguousarray(self.features[:, columns]))


def concatenate(samples: Sequence[Sample]) -> Sample:
    """All rows of samples that have the same features, categories, spectators and truth."""
    first = samples[0]
    if any(s.feature_names != first.feature_names or s.category_names != first.category_names for s in samples):
        raise ValueError("samples to be joined must have the same features and categories")
    return Sample(
        feature_names=first.feature_names,
        category_names=first.category_names,
        features=np.concatenate([s.features for s in samples]),
        label=np.concatenate([s.label for s in samples]),
        weight=np.concatenate([s.weight for s in samples]),
        event_id=np.concatenate([s.event_id for s in samples]),
        fold=np.concatenate([s.fold for s in samples]),
        category=np.concatenate([s.category for s in samples]),
        spectators={name: np.concatenate([s.spectators[name] for s in samples]) for name in first.spectators},
        truth={name: np.concatenate([s.truth[name] for s in samples]) for name in first.truth},
    )
