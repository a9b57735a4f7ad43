"""What `mlbkg tune` prints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mlbkg.cli.show_tune import tune_text
from mlbkg.report.tuning_result import TuningTold


@pytest.mark.parametrize("columns", [60, 80])
def test_text_fits_the_terminal(
    make_tuning: Callable[..., TuningTold], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = tune_text(
        make_tuning(judged_by=("auc", "cost")), tuned_config=Path("runs/upsilon1s/studies/auc/result/tuned.yaml")
    )
    assert max(map(len, text.splitlines())) <= 80
    lines = text.splitlines()
    assert lines[-2:] == [
        "figures  runs/upsilon1s/studies/auc/result/figures",
        "config   runs/upsilon1s/studies/auc/result/tuned.yaml",
    ]
    begin = lines.index("The winner, to be written below training.classifiers:") + 1
    pasted = yaml.safe_load("\n".join(lines[begin : lines.index("", begin)]))
    assert pasted == [{"backend": "xgboost", "name": "tuned", "learning_rate": 0.08, "max_depth": 6, "n_estimators": 400}]


def test_the_answer_comes_last(make_tuning: Callable[..., TuningTold]) -> None:
    text = tune_text(make_tuning(), tuned_config=Path("tuned.yaml"))
    assert (
        text.index("Trials") < text.index("Best trials") < text.index("AUC: on events") < text.index("- {backend: xgboost")
    )
