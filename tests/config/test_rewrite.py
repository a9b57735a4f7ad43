from pathlib import Path

import pytest

from mlbkg.config.rewrite import with_classifiers
from mlbkg.config.source import parse

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))
WANTED = [{"backend": "xgboost", "name": "tuned", "max_depth": 3, "learning_rate": 0.0125}]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_only_the_classifiers_of_a_shipped_config_change(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    rewritten = with_classifiers(text, WANTED, header="tuned")
    expected = parse(text).data
    expected["training"]["classifiers"] = WANTED
    assert parse(rewritten).data == expected
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert [line for line in rewritten.splitlines() if line.startswith("#")] == ["# tuned", *comments]


@pytest.mark.parametrize(
    "text",
    [
        "analysis: a\n",
        "analysis: a\ntraining:\n",
        "analysis: a\ntraining: {folds: 3}\n",
        "analysis: a\ntraining:\n  classifiers:\n  - backend: lightgbm\n    max_depth: 2\n\n  folds: 3\nseed: 1\n",
        "analysis: a\ntraining: {classifiers: [{backend: lightgbm}], folds: 3}",
    ],
)
def test_any_way_to_write_the_section(text: str) -> None:
    before, after = parse(text).data, parse(with_classifiers(text, WANTED, header="tuned")).data
    assert after["training"] == {**(before.get("training") or {}), "classifiers": WANTED}
    assert {key: value for key, value in after.items() if key != "training"} == {
        key: value for key, value in before.items() if key != "training"
    }
