"""What a prediction costs: from the forest's size, which is exact and the same everywhere, and by the clock."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.base import FittedClassifier
from mlbkg.export.forest import Forest
from mlbkg.export.metadata import FeatureInfo, ModelMetadata
from mlbkg.export.native import load_forest
from mlbkg.export.onnx import build_model
from mlbkg.export.session import open_session

Rows = NDArray[np.float32]

NS_PER_TREE, NS_PER_DECISION, NS_PER_NODE = 3.0, 3.3, 0.065
"""Of ONNX Runtime 1.32 on one thread: least squares to 19 models of 50 to 1,000 trees with 4 to 200 leaves, x86-64, 2026,
which they meet to 5 %. Another machine has other numbers and, nearly, the same ratios; a clock would give each run of a
study, and each of the machines that share one, another answer."""
TURNS = 5


def forest_of(fitted: FittedClassifier) -> Forest:
    """As it is exported. Raises :class:`MlbkgError` for one that no ONNX file can hold."""
    with tempfile.TemporaryDirectory() as scratch:
        ((name, path),) = fitted.to_native_files(Path(scratch)).items()
        return load_forest(name, path)


def predicted_ns(forest: Forest, features: Rows) -> float:
    """Of one candidate. features: ``(n, n_features)`` of candidates as they come.

    Trees are visited, questions asked on the way to their leaves, and nodes kept in the processor's caches.
    """
    decisions = decisions_per_row(forest, features)
    return NS_PER_TREE * forest.n_trees + NS_PER_DECISION * decisions + NS_PER_NODE * forest.n_nodes


def assumed_ns(forest: Forest) -> float:
    """As :func:`predicted_ns`, without candidates: each side of a split is taken half of the time."""
    share, decisions = np.zeros(forest.n_nodes), 0.0
    share[forest.tree_offset[:-1]] = 1
    for split, left, right in forest.levels():
        decisions += float(share[split].sum())
        share[left] = share[right] = share[split] / 2
    return NS_PER_TREE * forest.n_trees + NS_PER_DECISION * decisions + NS_PER_NODE * forest.n_nodes


def decisions_per_row(forest: Forest, features: Rows) -> float:
    """Comparisons on the way from all roots to the leaves, the mean over the rows."""
    root = np.tile(forest.tree_offset[:-1], len(features))
    row, node, decisions = np.repeat(np.arange(len(features)), forest.n_trees), root, 0
    while True:
        splits = forest.feature[node] >= 0
        root, row, node = root[splits], row[splits], node[splits]
        if not len(node):
            return decisions / len(features)
        decisions += len(node)
        value, threshold = features[row, forest.feature[node]], forest.threshold[node]
        smaller = value < threshold if forest.op == "<" else value <= threshold
        left = np.where(np.isnan(value), forest.missing_left[node], smaller)
        node = root + np.where(left, forest.left[node], forest.right[node])


def measured_ns(forests: Sequence[Forest], features: Rows) -> float:
    """Of one candidate by one forest in ONNX Runtime, the mean over the forests: time of this thread, the least of five."""
    return float(np.mean([_measured(forest, features) for forest in forests]))


def _measured(forest: Forest, features: Rows) -> float:
    session, seconds = open_session(build_model([forest], _nameless(forest))), []
    for _ in range(TURNS):
        begin = time.thread_time()
        session.run(["output"], {"input": features})
        seconds.append(time.thread_time() - begin)
    return 1e9 * min(seconds) / len(features)


def _nameless(forest: Forest) -> ModelMetadata:
    """Of a model that is only timed."""
    return ModelMetadata(
        analysis="timed",
        title="",
        backend="",
        features=tuple(FeatureInfo(f"f{number}") for number in range(forest.n_features)),
        n_folds=1,
        salt="",
        event_id=(),
        working_points=(),
        class_prior=0.5,
        config={},
        data_fingerprints={},
        versions={},
    )
