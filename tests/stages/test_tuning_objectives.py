"""What a search makes better, on a small analysis with a fit and a peaking background, and on one that scans masses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from mlbkg.stages.tuning_counting import asimov_limit
from mlbkg.stages.tuning_objectives import measured_from
from mlbkg.tuning.measured import Measured


def test_asimov_limit_solves_its_equation() -> None:
    """Against a root finder; and against s = z sqrt(b) + z^2/2 + ..., its expansion for many events."""
    deviations = float(norm.ppf(0.95))
    background = np.array([0.5, 3.0, 40.0, 1e4, 1e7])
    found = asimov_limit(background, deviations=deviations)
    for b, s in zip(background, found, strict=True):
        root = brentq(lambda x, b=b: 2 * (x - b * np.log1p(x / b)) - deviations**2, 1e-6, 1e5)
        assert s == pytest.approx(root, rel=1e-9)
    assert found[-1] == pytest.approx(deviations * np.sqrt(1e7) + deviations**2 / 3, rel=1e-6)


def test_record_gives_back_what_was_measured() -> None:
    record = {"auc": {"value": 0.9, "replicas": [0.8, None, 1.0]}}
    found = measured_from(record, "auc")
    assert found.value == 0.9
    assert found.estimate.error == pytest.approx(Measured(0.9, np.array([0.8, 1.0])).estimate.error)
    assert replace(found, value=1.0).minus(found).value == pytest.approx(0.1)
