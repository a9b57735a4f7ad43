"""`mlbkg compare` on two trainings: what is printed, what the page holds, and what is told where something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlbkg.ntuples.read import read_all

Run = Callable[..., Any]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """Absolute: MLflow keeps a database open by its address, and other tests work in other folders."""
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def tracked(tiny: Path, uri: str) -> Path:
    text = tiny.read_text(encoding="utf-8").replace("{enabled: false}", f'{{uri: "{uri}"}}')
    tiny.write_text(text, encoding="utf-8")
    return tiny


@pytest.mark.slow
def test_two_trainings(mlbkg: Run, tracked: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert mlbkg("train", str(tracked), "-q").code == 0
    other = Path("other.yaml")
    other.write_text(tracked.read_text(encoding="utf-8").replace("n_estimators: 5", "n_estimators: 1"), encoding="utf-8")
    assert mlbkg("train", str(other), "-q").code == 0

    page = Path("page.html")
    done = mlbkg("compare", str(tracked), "--html", str(page), "-q")
    assert (done.code, done.err) == (0, "")
    assert "tiny: 2 runs, best first by AUC" in done.out
    assert "AUC minus that of #1; positive is better" in done.out
    assert "1,200 events" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert page.read_text(encoding="utf-8").count("data:image/png;base64,") == 2

    found = mlbkg("compare", "tiny", "--uri", uri, "--json").json
    best, worst = found["runs"]
    assert best["metrics"]["auc"] > worst["metrics"]["auc"]
    assert (best["params"]["xgboost.n_estimators"], worst["params"]["xgboost.n_estimators"]) == ("5", "1")
    assert found["differing_parameters"] == ["xgboost.n_estimators"]
    (difference,) = found["differences"]
    assert (difference["run_id"], difference["minus"], difference["test"]) == (worst["run_id"], best["run_id"], "events")
    assert difference["difference"] == pytest.approx(worst["metrics"]["auc"] - best["metrics"]["auc"], abs=1e-9)
    assert {"run_id", "name", "metrics", "params"} <= best.keys()
    (scores,) = Path("runs").glob(f"tiny/*{best['name'].split()[0]}/01-train/out_of_fold.root")
    assert difference["n"] == len(read_all(scores, ["label"])["label"])

    scores.rename(scores.with_suffix(".gone"))
    (difference,) = mlbkg("compare", "tiny", "--uri", uri, "--json").json["differences"]
    assert (difference["test"], difference["n"]) == ("folds", 2)
    _wrong_questions(mlbkg, uri)


def _wrong_questions(mlbkg: Run, uri: str) -> None:
    for arguments, message, code in (
        (("tinny",), f"no experiment 'tinny' in {uri}; did you mean 'tiny'?", 2),
        (("tiny", "--metric", "acu"), "no run here has a metric 'acu'; did you mean 'auc'?", 2),
        (("tiny", "--filter", "auc > 1"), "MLflow does not understand the filter 'auc > 1'", 2),
        (("tiny", "--filter", "metrics.auc > 1"), "no run of experiment 'tiny' passes the filter 'metrics.auc > 1'", 1),
        (("tiny", "--runs", "nobody"), "no run 'nobody'", 2),
        (("tiny", "--uri", "sqlite:///none.db"), "no tracking store at sqlite:///none.db: there is no such file", 1),
    ):
        done = mlbkg("compare", "--uri", uri, *arguments, "-q")
        assert (done.code, done.out) == (code, "")
        assert done.err.splitlines()[0] == message
    assert not Path("none.db").exists()
