"""Every registered backend, whoever wrote it, passes the cases that ship with mlbkg."""

from __future__ import annotations

from mlbkg.classifiers.base import BACKENDS
from mlbkg.testing.classifier_cases import ClassifierCases

for _name in BACKENDS:
    globals()[f"Test_{_name}"] = type(f"Test_{_name}", (ClassifierCases,), {"backend": _name})


def test_the_shipped_backends_are_there() -> None:
    assert {"xgboost", "lightgbm", "hist_gradient_boosting"} <= set(BACKENDS)
