"""Every registered backend, whoever wrote it, passes the cases that ship with mlbkg."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mlbkg.classifiers.base import BACKENDS
from mlbkg.testing.classifier_cases import ClassifierCases

for _name in BACKENDS:
    globals()[f"Test_{_name}"] = type(f"Test_{_name}", (ClassifierCases,), {"backend": _name})


class TestXGBoostLeafByLeaf(ClassifierCases):
    backend = "xgboost"
    params: ClassVar[Mapping[str, Any]] = {**ClassifierCases.params, "grow_policy": "lossguide", "max_leaves": 12}


def test_the_shipped_backends_are_there() -> None:
    assert {"xgboost", "lightgbm", "hist_gradient_boosting"} <= set(BACKENDS)
