"""The report of a run tells of the study that its classifier comes from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlbkg.config.load import load
from mlbkg.config.schema import Config
from mlbkg.errors import MlbkgError
from mlbkg.report.html import Folded, Paragraph, Picture
from mlbkg.report.style import Caption
from mlbkg.report.tables import Table
from mlbkg.report.tuning_figures import draw_tuning
from mlbkg.report.tuning_result import TuningTold
from mlbkg.stages.report_tuning import finished_studies, tuning_section

Maker = Callable[..., TuningTold]
CONFIG = """\
analysis: tiny
samples:
  - {{name: signal, role: signal, files: signal.root}}
  - {{name: background, role: background, files: background.root}}
features: [x]
training: {{classifiers: [{classifier}]}}
"""
TUNED = "{backend: xgboost, name: tuned, learning_rate: 0.08, max_depth: 6, n_estimators: 400}"


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def config(classifier: str = TUNED) -> Config:
    Path("tiny.yaml").write_text(CONFIG.format(classifier=classifier), encoding="utf-8")
    return load(Path("tiny.yaml")).config


def kept(name: str, told: TuningTold, *, age: int, figures: bool = False, **more: Any) -> None:
    """The result of a study, ``age`` seconds old."""
    folder = Path("runs/tiny/studies") / name / "result"
    folder.mkdir(parents=True)
    path = folder / "tuning.json"
    path.write_text(json.dumps({**told.to_json(), **more}), encoding="utf-8")
    os.utime(path, (1.7e9 - age, 1.7e9 - age))
    if figures:
        draw_tuning(told, folder / "figures", caption=Caption("", None))


def test_no_study_no_section() -> None:
    assert tuning_section(config()) is None


def test_the_study_that_the_classifier_comes_from(make_tuning: Maker) -> None:
    other = make_tuning()
    kept("auc-111111", make_tuning(judged_by=("auc", "cost")), age=60, figures=True)
    kept("auc-222222", TuningTold.from_json(_with_winner(other.to_json(), max_depth=3)), age=0)
    told = tuning_section(config())
    assert told is not None
    first, *blocks = told.blocks
    assert first == Paragraph("The study auc-111111 searched by AUC; its winner is trained here.")
    assert blocks[-1] == Paragraph("Other studies of this analysis: auc-222222.", kind="note")
    assert [block.title for block in blocks if isinstance(block, Table)] == ["AUC", "Cost [ns]"]
    assert sum(isinstance(block, Picture) for block in blocks) == 2
    folded = [block for block in blocks if isinstance(block, Folded)]
    assert [len([b for b in block.blocks if isinstance(b, Picture)]) for block in folded] == [0, 4]
    (fact,) = told.facts
    # one error of 0.0006, the error of the difference being 0.4 of that
    assert (fact.value, fact.about) == ("0.00060 ± 0.00024", "AUC, against 'default' on unseen events; 2.5 σ")


def test_the_latest_study_where_none_made_the_classifier(make_tuning: Maker) -> None:
    kept("old", make_tuning(), age=60)
    kept("new", make_tuning(("expected_limit", "cost"), searches=2), age=0)
    assert [study.name for study in finished_studies("tiny")] == ["new", "old"]
    told = tuning_section(config("{backend: xgboost}"))
    assert told is not None
    assert told.blocks[0] == Paragraph("The study new searched by expected limit, cost; its winner is not trained here.")
    assert told.facts == ()


def test_a_result_of_another_version(make_tuning: Maker) -> None:
    kept("auc-111111", make_tuning(), age=0, goals=[{"name": "auc"}])
    with pytest.raises(MlbkgError, match=r"auc-111111/result/tuning.json was not written by this version"):
        tuning_section(config())


def _with_winner(content: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    winner = content["searches"][0]["contestants"][0]
    winner["parameters"] = {**winner["parameters"], **parameters}
    return content
