"""``import-…`` and ``export`` from the command line; what they do is tested with the stages."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import xgboost

from mlbkg.cli.models import PROGRAMS
from mlbkg.export.forms.base import FORMS
from mlbkg.export.importers.base import IMPORTERS

Run = Callable[..., Any]
RNG = np.random.default_rng(4)
X = RNG.normal(size=(500, 2)).astype(np.float32)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> xgboost.Booster:
    """Saved as ``old.json`` in the working folder, without names."""
    monkeypatch.chdir(tmp_path)
    settings = {"objective": "binary:logistic", "max_depth": 2, "nthread": 1}
    booster = xgboost.train(settings, xgboost.DMatrix(X, X[:, 0] > X[:, 1]), 5)
    booster.save_model("old.json")
    Path("names.txt").write_text("mass\nenergy\n", encoding="utf-8")
    return booster


def test_there_is_a_command_for_every_program() -> None:
    assert set(PROGRAMS) == set(IMPORTERS)


def test_import(trained: xgboost.Booster, mlbkg: Run) -> None:
    done = mlbkg("import-xgboost", "old.json", "new.onnx", "--features", "names.txt")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"new\.onnx: XGBoost.*, 5 trees, 2 features", done.out)
    assert "mlbkg inspect new.onnx" in done.out
    (scores,) = onnxruntime.InferenceSession("new.onnx").run(["output"], {"input": X})
    assert np.abs(scores[:, 0] - trained.predict(xgboost.DMatrix(X))).max() < 1e-6


def test_import_answers_in_json(trained: xgboost.Booster, mlbkg: Run) -> None:
    done = mlbkg("import-xgboost", "old.json", "new.onnx", "--json")
    assert done.code == 0
    assert done.json["features"] == ["f0", "f1"]
    assert done.json["trees"] == 5
    assert "--features names.txt" in done.err


def test_the_wrong_program_is_told(trained: xgboost.Booster, mlbkg: Run) -> None:
    done = mlbkg("import-fastbdt", "old.json", "new.onnx")
    assert done.code == 1
    assert "old.json" in done.err
    assert not Path("new.onnx").exists()


def test_export(trained: xgboost.Booster, mlbkg: Run) -> None:
    mlbkg("import-xgboost", "old.json", "new.onnx", "--features", "names.txt")
    done = mlbkg("export", "new.onnx", "bdt.h", "--score", "0.5")
    assert (done.code, done.err) == (0, "")
    assert "bdt.h: c-header of new.onnx" in done.out
    assert "selecting at 0.5 and above" in done.out
    assert "bdt_selected" in Path("bdt.h").read_text(encoding="utf-8")


def test_help_of_export_names_every_form(mlbkg: Run) -> None:
    shown = "".join(mlbkg("export", "--help").out.split())  # lines may end within a name
    assert all(name in shown for name in FORMS)
