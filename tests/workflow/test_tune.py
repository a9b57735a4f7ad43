"""`mlbkg tune` from a config to a tuned model: what it finds is used, kept, gone on with and judged without optimism."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mlbkg.config.load import load
from mlbkg.errors import ConfigError, MlbkgError
from mlbkg.stages.select import select
from mlbkg.stages.tune import TuneResult, tune

TUNING = """
tuning:
  objective: {objective}
  trials: {trials}
  folds: 2
  outer_folds: 3
  searches: {searches}
  backends: [xgboost, lightgbm]
  search:
    xgboost: {{n_estimators: 30, learning_rate: {{low: 0.1, high: 0.5, log: true}}, max_bin: 32}}
    lightgbm: {{n_estimators: 30, learning_rate: {{low: 0.1, high: 0.5, log: true}}, max_bin: 31}}
  compare:
    - {{backend: xgboost, name: stump, n_estimators: 5, max_depth: 1}}
selection: {{working_point"""

Small = Callable[..., Path]


def with_tuning(small_analysis: Small, *, objective: str = "auc", trials: int = 8, searches: int = 1, **more: str) -> Path:
    section = TUNING.format(objective=objective, trials=trials, searches=searches)
    return small_analysis(replace={"\nselection: {working_point": section, **more})


def finished(result: TuneResult) -> list[tuple[Any, ...]]:
    return [(trial.number, trial.state, trial.backend, dict(trial.parameters), trial.values) for trial in _trials(result)]


def _trials(result: TuneResult) -> tuple[Any, ...]:
    return result.told.searches[0].trials


def test_winner_is_trained_and_selects(small_analysis: Small) -> None:
    config = with_tuning(small_analysis)
    result = tune(config, workers=1)
    search = result.told.searches[0]
    assert len(search.ended("complete")) + len(search.ended("pruned")) == 8
    assert [trial.start for trial in search.trials[:2]] == ["xgboost", "stump"]
    winner, *others = search.contestants
    assert [other.name for other in others] == ["xgboost", "stump"]
    judged = winner.figures["auc"]
    assert judged.search is not None
    # the same folds, seeds and parameters give the same models as in the trial
    assert judged.search.value == pytest.approx(search.trial(search.winner).values[0], abs=1e-12)
    against_stump = others[1].figures["auc"].to_winner
    assert against_stump is not None
    assert against_stump.value < -3 * against_stump.error
    tuned = load(result.files.tuned_config).config.training.classifiers
    assert [(of.backend, of.parameters) for of in tuned] == [(winner.backend, dict(winner.parameters))]
    assert result.trained is not None
    assert result.trained.trained.best.name == "tuned"
    assert select(config, workers=1).to_json()["candidates_selected"] > 0
    answer = json.loads(json.dumps(result.to_json()))
    assert answer["winner"] == {"backend": winner.backend, **winner.parameters}


def test_serial_study_is_reproduced(small_analysis: Small) -> None:
    first = tune(with_tuning(small_analysis, trials=6), workers=1, then_train=False)
    again = tune(
        with_tuning(small_analysis, trials=6, analysis_name="x") if False else _renamed(), workers=1, then_train=False
    )
    assert finished(first) == finished(again)


def _renamed() -> Path:
    """The same with a study of its own."""
    text = Path("small.yaml").read_text(encoding="utf-8").replace("  folds: 2\n", "  folds: 2\n  study: again\n")
    Path("again.yaml").write_text(text, encoding="utf-8")
    return Path("again.yaml")


def test_study_goes_on_where_it_was_left(small_analysis: Small) -> None:
    config = with_tuning(small_analysis)
    before = tune(config, workers=1, trials=4, then_train=False)
    after = tune(config, workers=1, trials=7, then_train=False)
    assert finished(after)[:4] == finished(before)
    assert len(_trials(after)) == 7
    assert after.study == before.study


def test_held_out_events_have_no_say_in_the_search(small_analysis: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """With labels of the held-out events swapped, every trial is the same, and the honest value is turned round."""
    import mlbkg.stages.tune as stage

    config = with_tuning(small_analysis, trials=5)
    honest = tune(config, workers=1, then_train=False)
    events_of = stage.search_events

    def swapped(*given: Any) -> Any:
        for events in events_of(*given):
            sample = events.judging.sample
            np.subtract(1, sample.label, out=sample.label)
            yield events

    monkeypatch.setattr(stage, "search_events", swapped)
    fooled = tune(_renamed(), workers=1, then_train=False)
    assert finished(fooled) == finished(honest)
    values = [result.told.searches[0].contestants[0].figures["auc"].honest.value for result in (honest, fooled)]
    assert values[1] == pytest.approx(1 - values[0], abs=0.1)
    assert values[1] < 0.5


def test_several_searches_judge_all_events_together(small_analysis: Small) -> None:
    result = tune(with_tuning(small_analysis, trials=4, searches=3), workers=1, then_train=False)
    assert [search.held_out for search in result.told.searches] == [0, 1, 2]
    assert result.told.pooled is not None
    pooled = result.told.pooled[0].figures["auc"].honest
    single = [search.contestants[0].figures["auc"].honest for search in result.told.searches]
    assert pooled.error < min(estimate.error for estimate in single)
    assert pooled.value == pytest.approx(np.mean([estimate.value for estimate in single]), abs=3 * pooled.error)


def test_killed_study_loses_nothing(small_analysis: Small) -> None:
    config = with_tuning(small_analysis, trials=12, **{"tracking: {uri": "tracking: {enabled: false, uri"})
    for number in range(3):
        process = subprocess.Popen([sys.executable, "-c", _RUN, str(config)], stderr=subprocess.DEVNULL)
        _wait_for_trials(1 + number, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    result = tune(config, workers=1, then_train=False)
    assert len([trial for trial in _trials(result) if trial.state != "failed"]) == 12


_RUN = "import sys; from pathlib import Path; from mlbkg.stages.tune import tune; tune(Path(sys.argv[1]), workers=1)"


def _wait_for_trials(number: int, process: subprocess.Popen[bytes]) -> None:
    """Until so many trials are in the journal, or the process has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        journals = list(Path("runs").glob("*/studies/*/study.journal"))
        lines = journals[0].read_text(encoding="utf-8").splitlines() if journals else []
        if sum('"op_code":6' in line.replace(" ", "") for line in lines) >= number:
            return
        time.sleep(0.02)


def test_warm_start_begins_with_the_best_of_another_study(small_analysis: Small) -> None:
    first = tune(with_tuning(small_analysis, trials=5), workers=1, then_train=False)
    text = Path("small.yaml").read_text(encoding="utf-8")
    warm = text.replace("  folds: 2\n", f"  folds: 2\n  study: warm\n  warm_start: [{first.study.name}]\n")
    Path("warm.yaml").write_text(warm, encoding="utf-8")
    second = tune(Path("warm.yaml"), workers=1, trials=6, then_train=False)
    best = first.told.searches[0].best(first.told.goals[0], 1)[0]
    assert any(dict(trial.parameters) == dict(best.parameters) and trial.start for trial in _trials(second))
    Path("warm.yaml").write_text(warm.replace(first.study.name, "wram"), encoding="utf-8")
    with pytest.raises(MlbkgError, match="no finished study 'wram'"):
        tune(Path("warm.yaml"), workers=1, then_train=False)


def test_all_problems_at_once_before_anything_is_read(small_analysis: Small) -> None:
    config = with_tuning(small_analysis)
    whole = yaml.safe_load(config.read_text(encoding="utf-8"))
    whole["tuning"] |= {"objective": "expected_limit", "backends": ["xgbost"], "searches": 9}
    config.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        tune(config)
    told = "\n".join(error.value.details)
    assert all(word in told for word in ("xgbost", "searches", "expected_limit"))
    assert not Path("runs").exists()
