from pathlib import Path

import numpy as np
import pytest

from mlbkg.config.load import load
from mlbkg.config.schema import Config
from mlbkg.stages.progress import NoProgress
from mlbkg.stages.training_data import TrainingData, load_training_data
from mlbkg.stages.tuning_data import SearchEvents, judged_by_all, key_of_study, search_events

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def config() -> Config:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return load(Path("configs/higgs.yaml")).config


@pytest.fixture(scope="module")
def data(config: Config) -> TrainingData:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return load_training_data(config, workers=1, progress=NoProgress())


@pytest.fixture(scope="module")
def searches(data: TrainingData, config: Config) -> list[SearchEvents]:
    return list(search_events(data, config))


def test_every_event_judges_one_search_and_is_seen_by_the_others(data: TrainingData, searches: list[SearchEvents]) -> None:
    rows = np.concatenate([events.rows for events in searches])
    assert sorted(rows) == list(range(len(data.sample)))
    for events in searches:
        assert not _events(events.searched) & _events(events.judging)
        assert len(events.searched.sample) + len(events.judging.sample) == len(data.sample)


def test_each_part_stands_for_all_events(data: TrainingData, searches: list[SearchEvents]) -> None:
    for part in (part for events in searches for part in (events.searched, events.judging)):
        # a quarter of 20,000 events: the yield of a class fluctuates by sqrt(0.75 / 2500) = 1.7 %
        for label in (0, 1):
            ratio = (
                part.sample.weight[part.sample.label == label].sum() / data.sample.weight[data.sample.label == label].sum()
            )
            assert ratio == pytest.approx(1, abs=0.07)
        assert sum(part.rows.values()) == len(part.sample)
        assert part.of_samples(["signal"]).sum() == (part.sample.label == 1).sum()


def test_folds_of_a_trial_part_the_searched_events(searches: list[SearchEvents], config: Config) -> None:
    for events in searches:
        scored = np.concatenate([split.scored for split in events.searched.splits])
        assert sorted(scored) == list(range(len(events.searched.sample)))
        assert len(events.searched.splits) == config.tuning.folds
        for split in events.searched.splits:
            assert not set(split.train) & (set(split.scored) | set(split.valid))


def test_all_searches_together_judge_every_event(data: TrainingData, config: Config) -> None:
    together = judged_by_all(data, config)
    assert together.sample.weight.sum() == pytest.approx(data.sample.weight.sum())
    np.testing.assert_array_equal(together.sample.features, data.sample.features)


def test_key_knows_what_values_depend_on(data: TrainingData, config: Config) -> None:
    key = key_of_study(data, config)
    more_trials = config.model_copy(update={"tuning": config.tuning.model_copy(update={"trials": 7})})
    other_folds = config.model_copy(update={"tuning": config.tuning.model_copy(update={"folds": 7})})
    assert key_of_study(data, more_trials) == key
    assert key_of_study(data, other_folds) != key


def _events(data: TrainingData) -> set[tuple[int, int]]:
    return set(zip(data.sample.event_id[:, 0].tolist(), data.sample.label.tolist(), strict=True))
