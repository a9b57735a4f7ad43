"""What a prediction costs, from the size of the forests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlbkg.classifiers.base import FittedClassifier

NS_PER_TREE, NS_PER_DECISION = 5.5, 2.7
"""Of ONNX Runtime 1.32 on one thread: least squares to 26 models of 59 to 1,079 trees, x86-64, 2026. Another machine has
other numbers and, nearly, the same order; a clock would give each run of a study another answer."""


def cost_ns(fitted: Sequence[FittedClassifier], features: NDArray[np.float32]) -> float:
    """Of one candidate by one forest, the mean over the folds."""
    return float(np.mean([_cost(forest, features) for forest in fitted]))


def _cost(forest: FittedClassifier, features: NDArray[np.float32]) -> float:
    """A tree of which n leaves are reached asks some log2(n) questions."""
    leaves = forest.predict_leaves(features)
    decisions = sum(np.log2(len(np.unique(leaves[:, tree]))) for tree in range(forest.n_trees))
    return NS_PER_TREE * forest.n_trees + NS_PER_DECISION * float(decisions)
