"""Selecting: the right fold for every event, the right counts, and nothing lost when a file is bad."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import uproot

from mlbkg.errors import ConfigError, FeatureMismatchError
from mlbkg.evaluation.metrics import auc
from mlbkg.ntuples.write import AtomicRootWriter
from mlbkg.samples.folds import assign_folds
from mlbkg.stages.select import SelectResult, select
from mlbkg.stages.train import train

Small = Callable[..., Path]


LEAK = """
analysis: leak
ntuples: {tree: t, event_id: [event]}
samples:
  - {name: signal, role: signal, files: signal.root}
  - {name: background, role: background, files: background.root}
features: [noise0, noise1, noise2, noise3, noise4, noise5, noise6, noise7]
training:
  folds: 4
  classifiers:
    - {backend: hist_gradient_boosting, n_estimators: 150, max_leaf_nodes: 63, min_samples_leaf: 1, learning_rate: 0.3,
       early_stopping_rounds: null}
evaluation: {bootstrap: 10, permutation_rows: 200}
selection: {working_point: {score: 0.5}, keep: all}
tracking: {enabled: false}
"""


def skim(result: SelectResult, sample: str, *, tree: str = "candidates") -> dict[str, np.ndarray]:
    path = next(file.skim for file in result.files if file.sample == sample)
    with uproot.open(path) as file:
        return file[tree].arrays(library="np")


def test_no_event_is_scored_by_a_model_that_saw_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features without information, and trees deep enough to learn events by heart: a model that saw an event knows its
    label, the others know nothing."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    for number, name in enumerate(("signal", "background")):
        with AtomicRootWriter(f"{name}.root", tree="t") as writer:
            noise = {f"noise{i}": rng.normal(size=2000).astype("f4") for i in range(8)}
            writer.extend({"event": np.arange(2000) + 10_000 * number, **noise})
    Path("leak.yaml").write_text(LEAK, encoding="utf-8")
    trained = train(Path("leak.yaml"), workers=1).trained
    sample, fit = trained.data.sample, trained.fits[0]
    seen = ~np.isnan(fit.seen_margin)
    assert auc(fit.seen_margin[seen], sample.label[seen], sample.weight[seen]) > 0.99
    result = select(Path("leak.yaml"), workers=1)
    scores = [skim(result, name, tree="t")["score"] for name in ("signal", "background")]
    label = np.repeat([1, 0], [len(part) for part in scores]).astype("i1")
    assert len(label) == 4000
    # 2000 on 2000 without any knowledge: the error of the AUC is sqrt((n + m + 1) / 12 n m) = 0.009 (Mann and Whitney, 1947)
    assert abs(auc(np.concatenate(scores).astype("f8"), label, np.ones(4000)) - 0.5) < 0.04


def test_the_skim_is_the_training_s_out_of_fold_score(small_analysis: Small) -> None:
    config = small_analysis()
    trained = train(config, workers=1).trained
    result = select(config, workers=1)
    sample = trained.data.sample
    threshold = trained.evaluations[trained.champion].working_point.threshold
    for name, category in (("signal", 0), ("tau", 2)):
        table = skim(result, name)
        rows = np.flatnonzero(sample.category == category)
        score = 1 / (1 + np.exp(-trained.fits[trained.champion].margin[rows]))
        np.testing.assert_allclose(table["score"], score[score >= threshold], atol=1e-6)
        event_id = np.column_stack([table["__run__"], table["__event__"]]).astype(np.int64)
        assert (assign_folds(event_id, n_folds=3, salt="mlbkg") == table["fold"]).all()


def test_the_cutflow_counts_what_it_says(small_analysis: Small) -> None:
    config = small_analysis()
    train(config, workers=1)
    result = select(config, workers=1)
    flow = {(count.sample, count.cut): count for count in result.cutflow}
    assert flow["qqbar", "read"].events == 2500
    # sigma L / N = 1e-2 nb x 10 /fb x 1e6 / 10000 = 10 a candidate
    assert flow["qqbar", "read"].weighted == pytest.approx(25_000)
    assert flow["qqbar", "read"].error == pytest.approx(10 * np.sqrt(2500))
    with uproot.open("qqbar_0.root") as first, uproot.open("qqbar_1.root") as second:
        passed = sum((file["candidates"]["mass"].array(library="np") > 9.3).sum() for file in (first, second))
    assert flow["qqbar", "mass > 9.3"].events == passed
    last = [count for count in result.cutflow if count.sample == "signal"][-1]
    before = flow["signal", "mass > 9.3"]
    assert last.weighted / before.weighted == pytest.approx(0.8, abs=0.002)
    assert result.to_json()["candidates_read"] == 1500 + 2500 + 800


def test_a_bad_file_is_told_and_the_others_are_written(small_analysis: Small) -> None:
    config = small_analysis()
    train(config, workers=1)
    whole = Path("qqbar_1.root").read_bytes()
    Path("qqbar_1.root").write_bytes(whole[: len(whole) // 2])
    result = select(config, workers=2)
    assert [failure.path for failure in result.failed] == ["qqbar_1.root"]
    assert "qqbar_1.root" in result.failed[0].error
    assert {Path(file.skim).name for file in result.files} == {"signal.root", "qqbar_0.root", "tau.root"}


def test_chosen_branches_and_all_candidates(small_analysis: Small) -> None:
    config = small_analysis(replace={"selection: {": "selection: {branches: [mass, ids], keep: all, "})
    train(config, workers=1)
    result = select(config, workers=1)
    table = skim(result, "tau")
    assert sorted(table) == ["fold", "ids", "mass", "physics_weight", "score"]
    assert len(table["mass"]) == [count for count in result.cutflow if count.sample == "tau"][1].events


def test_a_model_of_other_features_is_refused(small_analysis: Small) -> None:
    config = small_analysis()
    result = train(config, workers=1)
    config.write_text(config.read_text().replace("features: [x, y,", "features: [y, x,"), encoding="utf-8")
    with pytest.raises(FeatureMismatchError, match="not those of the config") as caught:
        select(config, model=result.files.folds_model, workers=1)
    assert caught.value.details[0] == "feature 1 is 'x' in the model and 'y' in the config"


def test_the_mean_model_is_refused_where_it_saw_the_events(small_analysis: Small) -> None:
    config = small_analysis()
    result = train(config, workers=1)
    with pytest.raises(ConfigError, match=r"saw"):
        select(config, model=result.files.model, workers=1)


def test_json_is_what_the_design_binds(small_analysis: Small) -> None:
    config = small_analysis()
    train(config, workers=1)
    answer = json.loads(json.dumps(select(config, workers=1).to_json()))
    assert {"files", "failed", "candidates_read", "candidates_selected", "cutflow", "seconds"} <= answer.keys()
    assert {"cut", "sample", "events", "weighted", "error"} <= answer["cutflow"][0].keys()
