"""Which runs are compared, and by which test; runs that cannot be compared say why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from scipy.stats import t as student

from mlbkg.errors import ConfigError, MlbkgError, UnknownNameError
from mlbkg.evaluation.distributions import distribution, score_edges
from mlbkg.evaluation.estimates import Estimate, efficiency, to_plain
from mlbkg.evaluation.metrics import auc, roc_curve
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.report.compared_runs import Difference, NotComparable
from mlbkg.stages.compare import place_of
from mlbkg.stages.compare_choice import Choice, Chosen, choose
from mlbkg.stages.compare_differences import differences_between, scores_of, why_not_comparable
from mlbkg.stages.compare_page import write_page
from mlbkg.stages.progress import NoProgress
from mlbkg.tracking.query import FoundRun, FoundRuns, TrackingStore

ATTACK = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"


def run(name: str, *, began: float = 0.0, parent: str | None = None, **told: Mapping[str, Any]) -> FoundRun:
    return FoundRun(
        run_id=f"id-{name}",
        name=name,
        status="FINISHED",
        began=began,
        parent=parent,
        metrics=told.get("metrics", {}),
        params={"folds": "5", **told.get("params", {})},
        tags={"stage": "train", "champion": "xgboost", "events_sha256": "e", "features_sha256": "f", **told.get("tags", {})},
        datasets={"signal": "s", "qqbar": "q", **told.get("datasets", {})},
    )


@dataclass
class Store:
    """Answers as a tracking store does, for one experiment."""

    held: Sequence[FoundRun]
    folds: Mapping[tuple[str, str], tuple[float, ...]]
    files: Mapping[str, str]

    def runs(
        self, experiment_id: str, *, asked: str = "", order: str = "", at_most: int | None = None, nested: bool = False
    ) -> FoundRuns:
        there = [of for of in self.held if nested or of.parent is None] if asked != "nothing" else []
        metric = order.split("`")[1] if "metrics" in order else None
        sign = 1 if order.endswith("ASC") else -1
        there.sort(key=lambda of: sign * of.metrics.get(metric, -sign * np.inf) if metric else -of.began)
        return FoundRuns(tuple(there[:at_most]), more=at_most is not None and len(there) > at_most)

    def named(self, experiment_id: str, name: str) -> tuple[FoundRun, ...]:
        return tuple(of for of in self.held if name in (of.run_id, of.name)) or tuple(
            of for of in self.held if of.name.startswith(name)
        )

    def steps(self, run_id: str, metric: str) -> tuple[float, ...]:
        return self.folds.get((run_id, metric), ())

    def artifact(self, run_id: str, path: str, folder: Path) -> Path | None:
        if path != "tables/evaluation.json" or run_id not in self.files:
            return None
        copy = folder / "evaluation.json"
        copy.write_text(self.files[run_id], encoding="utf-8")
        return copy


def store(*held: FoundRun, folds: Any = (), files: Any = ()) -> TrackingStore:
    return cast(TrackingStore, Store(held, dict(folds), dict(files)))


def chosen(*held: FoundRun, **choice: Any) -> Chosen:
    return choose(store(*held), "1", Choice(**choice), experiment="upsilon1s")


GOOD = run("good", began=1, metrics={"auc": 0.95, "log_loss": 0.3, "xgboost/auc": 0.95})
BAD = run("bad", began=3, metrics={"auc": 0.8, "log_loss": 0.5})
BROKEN = run("broken", began=4, metrics={"seconds": 3.0})
LATE = run("late", began=5, metrics={"auc": 0.9, "log_loss": 0.4})
TRIAL = run("trial", began=6, parent="id-study", metrics={"auc": 0.99})
EVERY = (GOOD, BAD, BROKEN, LATE, TRIAL)


def names(found: Chosen) -> list[str]:
    return [of.name for of in found.runs]


def test_the_best_comes_first():
    found = chosen(*EVERY)
    assert names(found) == ["good", "late", "bad", "broken"]
    assert [of.number for of in found.runs] == [1, 2, 3, 4]
    assert (found.sort, found.against, found.more) == ("auc", 1, False)
    assert found.metrics == ("auc", "log_loss")
    assert names(chosen(*EVERY, sort="log_loss")) == ["good", "late", "bad", "broken"]
    assert names(chosen(*EVERY, trials=True))[0] == "trial"


def test_a_part_of_many_runs():
    many = [run(f"run {i:02d}", began=i, metrics={"auc": 0.5 + ((7 * i) % 40) / 100}) for i in range(40)]
    found = chosen(*many, limit=3)
    assert [of.metrics["auc"] for of in found.runs] == pytest.approx([0.89, 0.88, 0.87])
    assert found.more
    latest = chosen(*many, last=4)
    assert sorted(names(latest)) == ["run 36", "run 37", "run 38", "run 39"]
    few = chosen(*many, last=10, limit=2)
    assert (len(few.runs), few.more) == (2, True)
    own = [replace(of, metrics={"own": of.metrics["auc"]}) for of in many]
    assert chosen(*own, sort="own", limit=1).runs[0].metrics["own"] == pytest.approx(0.89)


def test_runs_by_name():
    found = chosen(*EVERY, runs=["trial", "id-bad", "b"])
    assert names(found) == ["trial", "bad", "broken"]
    found = chosen(*EVERY, runs=["bad"], against="good")
    assert (names(found), found.against) == (["good", "bad"], 1)
    with pytest.raises(UnknownNameError, match="no run 'goood'; did you mean 'good'") as caught:
        chosen(*EVERY, runs=["goood"])
    assert "late (id-late)" in str(caught.value)
    with pytest.raises(ConfigError, match="--against 'b' is 2 runs"):
        chosen(*EVERY, against="b")


def test_metrics_by_name():
    assert chosen(*EVERY, metrics=["seconds", "xgboost/auc"]).metrics == ("seconds", "xgboost/auc")
    with pytest.raises(UnknownNameError, match="no run here has a metric 'acu'; did you mean 'auc'") as caught:
        chosen(*EVERY, metrics=["acu"])
    assert "there is: auc, log_loss, seconds" in str(caught.value)
    assert "in groups, as 'xgboost/auc': xgboost" in str(caught.value)
    with pytest.raises(UnknownNameError, match="no run here has a metric 'a`b'"):
        chosen(*[run(f"run {i}", began=i, metrics={"auc": 0.5}) for i in range(40)], sort="a`b")


def test_nothing_to_compare():
    with pytest.raises(MlbkgError, match="experiment 'upsilon1s' has no runs yet"):
        chosen()
    with pytest.raises(MlbkgError, match="passes the filter 'nothing'"):
        chosen(*EVERY, asked="nothing")


def test_no_signs_that_move_a_cursor():
    name = "evil\x1b[2J\nname"
    found = chosen(run(name, params={"features": "a\tb"}, metrics={"auc": 0.5}))
    assert found.runs[0].name == "evil [2J name"
    assert found.runs[0].params["features"] == "a b"


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (run("b"), None),
        (run("b", tags={"events_sha256": "x"}, params={"folds": "3"}), "other folds: 5, not 3"),
        (run("b", tags={"events_sha256": "x"}, datasets={"qqbar": "r", "tau": "t"}), "other candidates: qqbar, tau"),
        (run("b", tags={"events_sha256": "x", "features_sha256": "g"}), "other candidates, or folds"),
        (run("b", tags={"events_sha256": "x"}), "folds by another salt"),
        (run("b", tags={"events_sha256": ""}), "folds not known"),
        (run("b", parent="id-study"), "a search has part of the events"),
    ],
)
def test_why_runs_are_not_comparable(other: FoundRun, reason: str | None):
    assert why_not_comparable(run("a"), other) == reason


def test_trials_of_one_search_are_comparable():
    one, other, stranger = run("a", parent="s"), run("b", parent="s"), run("c", parent="t")
    assert why_not_comparable(one, other) is None
    assert why_not_comparable(one, stranger) == "another search"


def between(found: Sequence[FoundRun], *, folds: Any = (), metric: str = "auc", folder: Path | None = None) -> Any:
    return differences_between(
        found,
        store(*found, folds=folds),
        metric=metric,
        against=1,
        folders=[folder] if folder else [],
        progress=NoProgress(),
    )


FOLDED = {"metrics": {"auc": 0.9, "auc_by_fold": 0.9, "log_loss_by_fold": 0.3}}


def test_by_folds():
    """By hand: 0.01, 0.03, 0.02 have mean 0.02 and spread 0.01; error 0.01 sqrt(1/3 + 1/2), 2 degrees of freedom."""
    runs = [run("a", **FOLDED), run("b", **FOLDED), run("c")]
    folds = {("id-a", "auc_by_fold"): (0.9, 0.9, 0.9), ("id-b", "auc_by_fold"): (0.91, 0.93, 0.92)}
    found = between(runs, folds=folds)
    difference = found.between[2, 1]
    assert isinstance(difference, Difference)
    assert (difference.by, difference.n, found.metric) == ("folds", 3, "auc")
    assert difference.paired.difference.value == pytest.approx(0.02)
    assert difference.paired.difference.error == pytest.approx(0.01 * np.sqrt(1 / 3 + 1 / 2))
    assert difference.paired.p_value == pytest.approx(2 * student.sf(2 / np.sqrt(5 / 6), 2))
    assert found.between[3, 1] == found.between[2, 3] == NotComparable("no AUC by fold")


def test_which_metric_is_tested():
    assert between([run("a", **FOLDED), run("b", **FOLDED)], metric="log_loss").metric == "log_loss"
    assert between([run("a", **FOLDED), run("b", **FOLDED)], metric="expected_limit").metric == "auc"
    assert between([run("a"), run("b")], metric="expected_limit").metric == "auc"
    limits = {"metrics": {"expected_limit_by_fold": 0.3}}
    assert between([run("a", **limits), run("b", **limits)], metric="expected_limit").metric == "auc"


def write_scores(folder: Path, name: str, score: np.ndarray, *, label: np.ndarray, weight: np.ndarray) -> FoundRun:
    """A run folder with two candidates of each event."""
    told = f"runs/upsilon1s/{name}"
    path = folder / told / "01-train" / "out_of_fold.root"
    path.parent.mkdir(parents=True)
    n = len(label)
    columns = {
        "__run__": np.ones(n, dtype=np.int32), "__event__": np.arange(n) // 2,
        "fold": (np.arange(n) // 2 % 5).astype(np.int32), "label": label.astype(np.int32), "physics_weight": weight,
        "score_xgboost": score.astype(np.float32),
    }  # fmt: skip
    with AtomicRootWriter(path, tree="out_of_fold", metadata={"champion": "xgboost"}) as writer:
        writer.extend(columns)
    return run(name, tags={"run_folder": told}, **FOLDED)


def test_by_events_where_the_scores_are_at_hand(tmp_path: Path):
    rng = np.random.default_rng(1)
    label = np.repeat(np.arange(500) % 2, 2)
    weight = rng.uniform(0.5, 1.5, 1000)
    truth = label + rng.normal(size=1000)
    scores = [truth, truth + rng.normal(size=1000), rng.normal(size=1000)]
    runs = [
        write_scores(tmp_path, name, score.astype(np.float32), label=label, weight=weight)
        for name, score in zip("abc", scores, strict=True)
    ]
    gone = run("d", tags={"run_folder": "runs/upsilon1s/d"}, **FOLDED)
    folds = {(f"id-{name}", "auc_by_fold"): values for name, values in {"a": (0.9, 0.8), "d": (0.8, 0.75)}.items()}
    found = between([*runs, gone], folds=folds, folder=tmp_path)
    difference = found.between[3, 1]
    assert (difference.by, difference.n) == ("events", 500)
    exact = [auc(score.astype(np.float32).astype(float), label, weight) for score in scores]
    assert difference.paired.difference.value == pytest.approx(exact[2] - exact[0])
    assert difference.paired.significance < -5
    assert found.between[2, 3].paired.significance > 5
    assert found.between[4, 1].by == "folds"


def test_other_candidates_in_the_files_are_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    label = np.repeat(np.arange(50) % 2, 2)
    runs = [
        write_scores(tmp_path, name, np.arange(100.0), label=of, weight=np.ones(100))
        for name, of in (("a", label), ("b", 1 - label))
    ]
    found = between(runs, folder=tmp_path)
    assert found.between[2, 1] == NotComparable("no AUC by fold")
    assert "holds other candidates than were logged" in caplog.text


def test_a_store_cannot_name_files_elsewhere(tmp_path: Path):
    label = np.repeat(np.arange(50) % 2, 2)
    there = write_scores(tmp_path / "elsewhere", "a", np.arange(100.0), label=label, weight=np.ones(100))
    here = tmp_path / "here"
    here.mkdir()
    told = there.tags["run_folder"]
    assert scores_of(there, [here]) is None
    for outside in (f"../elsewhere/{told}", str(tmp_path / "elsewhere" / told), ""):
        assert scores_of(replace(there, tags={**there.tags, "run_folder": outside}), [here]) is None
    assert scores_of(there, [here, tmp_path / "elsewhere"]) is not None


def evaluation(seed: int) -> str:
    """What a training writes of its champion, as far as the page reads it."""
    rng = np.random.default_rng(seed)
    label, weight, event = (np.arange(2000) % 2).astype(np.int8), np.ones(2000), np.arange(2000)
    score = 1 / (1 + np.exp(-(label + rng.normal(size=2000))))
    scores = distribution(
        "score", score, label, weight, np.zeros(2000, dtype=np.int16), category_names=("all",), event_index=event,
        edges=score_edges(score, bins=20), unit="",
    )  # fmt: skip
    kept = {kind: efficiency((score > 0.5)[label == kind], weight[label == kind], event[label == kind]) for kind in (0, 1)}
    roc = roc_curve(score, label, weight)
    found = {
        "name": "xgboost",
        "ranking": {"auc": Estimate(roc.auc, 0.01), "roc": roc},
        "working_point": {"signal_efficiency": kept[1], "background_efficiency": kept[0]},
        "scores": scores,
    }
    return json.dumps({"champion": "xgboost", "classifiers": [to_plain(found)]})


def test_the_page_holds_what_was_found_and_runs_nothing(tmp_path: Path):
    held = [
        run("first", metrics={"auc": 0.9, "auc_by_fold": 0.9}, params={"xgboost.depth": "4"}),
        run(ATTACK, metrics={"auc": 0.8, ATTACK: 1.0}, params={"xgboost.depth": ATTACK, ATTACK: "1"}),
        run("third", metrics={"auc": 0.7}),
        run("fourth", metrics={"auc": 0.6}),
    ]
    files = {
        "id-first": evaluation(1),
        f"id-{ATTACK}": evaluation(2),
        "id-third": '{"champion": "other", "classifiers": []}',
    }
    folds = {(f"id-{held[0].name}", "auc_by_fold"): (0.9, 0.8)}
    reading = store(*held, files=files, folds=folds)
    found = choose(reading, "1", Choice(), experiment=ATTACK)
    differences = differences_between(
        found.found, reading, metric=found.sort, against=found.against, folders=[], progress=NoProgress()
    )
    page = tmp_path / "page.html"
    left_out = write_page(found, differences, reading, page, experiment=ATTACK, uri="sqlite:///x.db", progress=NoProgress())
    assert left_out == (
        "Not drawn: #3; another version of mlbkg wrote evaluation.json",
        "Not drawn: #4; no evaluation.json there",
    )
    text = page.read_text(encoding="utf-8")
    assert text.count("<script>") == 1
    assert "onerror=alert(1)>" not in text
    assert "&lt;script&gt;alert(" in text
    assert text.count("data:image/png;base64,") == 2
    assert "script-src &#39;sha256-" in text or "script-src 'sha256-" in text
    assert "no evaluation.json there" in text
    assert "id-first" in text


def test_a_page_without_curves(tmp_path: Path):
    found = chosen(GOOD)
    reading = store(GOOD)
    differences = differences_between([GOOD], reading, metric="auc", against=1, folders=[], progress=NoProgress())
    page = tmp_path / "page.html"
    write_page(found, differences, reading, page, experiment="upsilon1s", uri="x", progress=NoProgress())
    text = page.read_text(encoding="utf-8")
    assert "There is one run only." in text
    assert "data:image" not in text


def test_where_an_experiment_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert place_of("upsilon1s", None) == ("upsilon1s", "sqlite:///mlflow.db")
    assert place_of("upsilon1s", "http://host:5000") == ("upsilon1s", "http://host:5000")
    config = (
        "analysis: tiny\nntuples: {tree: t, event_id: [event]}\nsamples:\n"
        "  - {name: s, role: signal, files: s.root}\n  - {name: b, role: background, files: b.root}\n"
        "features: [x]\ntraining: {folds: 2, classifiers: [{backend: xgboost}]}\n"
        "selection: {working_point: {signal_efficiency: 0.5}}\n"
    )
    Path("tiny.yaml").write_text(f"{config}tracking: {{uri: 'sqlite:///other.db'}}\n", encoding="utf-8")
    assert place_of("tiny.yaml", None) == ("tiny", "sqlite:///other.db")
    assert place_of("tiny.yaml", "http://host:5000") == ("tiny", "http://host:5000")
    Path("named.yaml").write_text(f"{config}tracking: {{experiment: ours}}\n", encoding="utf-8")
    assert place_of("named.yaml", None) == ("ours", "sqlite:///mlflow.db")
    with pytest.raises(ConfigError, match=r"no config 'none\.yaml'"):
        place_of("none.yaml", None)
