"""A newcomer adds a feature, a backend or an analysis by one file: done here, on a copy of the package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FEATURE = '''
"""How far the two daughters are apart in pseudorapidity."""

import numpy as np

from mlbkg.features.base import Columns, feature


@feature(
    "deltaEta",
    unit="",
    needs=("daughter0_px", "daughter0_py", "daughter0_pz", "daughter1_px", "daughter1_py", "daughter1_pz"),
    description="difference of the daughters' pseudorapidities",
)
def delta_eta(columns: Columns) -> np.ndarray:
    eta = [
        np.arcsinh(columns[f"daughter{i}_pz"] / np.hypot(columns[f"daughter{i}_px"], columns[f"daughter{i}_py"]))
        for i in (0, 1)
    ]
    return eta[0] - eta[1]
'''

BACKEND = '''
"""One-split trees of XGBoost."""

from mlbkg.classifiers.base import BACKENDS, Backend
from mlbkg.classifiers.xgboost import XGBoostParams, fit, load


class StumpParams(XGBoostParams):
    max_depth: int = 1


BACKENDS.add("stumps", Backend("stumps", "boosted stumps", StumpParams, fit, load))
'''


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package in an empty folder, which ``python -m`` there finds first."""
    shutil.copytree(ROOT / "mlbkg", tmp_path / "mlbkg", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def mlbkg(folder: Path, *arguments: str) -> dict:
    program = "from mlbkg.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments, "--json"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_feature_is_one_file(copy: Path) -> None:
    (copy / "mlbkg" / "features" / "delta_eta.py").write_text(FEATURE, encoding="utf-8")
    listed = {row["name"]: row for row in mlbkg(copy, "features")["features"]}
    assert listed["deltaEta"]["description"] == "difference of the daughters' pseudorapidities"


def test_a_backend_is_one_file(copy: Path) -> None:
    (copy / "mlbkg" / "classifiers" / "stumps.py").write_text(BACKEND, encoding="utf-8")
    listed = {row["name"]: row for row in mlbkg(copy, "backends")["backends"]}
    assert listed["stumps"]["parameters"]["max_depth"]["default"] == 1


def test_an_analysis_is_one_file(copy: Path) -> None:
    shutil.copytree(ROOT / "tests" / "data", copy / "tests" / "data")
    (copy / "mine.yaml").write_text(
        """
analysis: mine
ntuples: {event_id: [__entry__]}
samples:
  - {name: signal, role: signal, files: tests/data/Higgs_data.root, tree: sig_tree}
  - {name: top, role: background, files: tests/data/Higgs_data.root, tree: bkg_tree}
features: [m_bb, m_wwbb, {name: ratio, expression: "m_bb / m_wwbb"}]
training:
  folds: 2
  classifiers: [{backend: xgboost, n_estimators: 10}]
evaluation: {bootstrap: 10, permutation_rows: 200}
tracking: {enabled: false}
""",
        encoding="utf-8",
    )
    trained = mlbkg(copy, "train", "mine.yaml")
    assert 0.6 < trained["backends"]["xgboost"]["auc"] < 0.8
