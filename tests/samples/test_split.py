"""No event trains, stops and is scored at once."""

import numpy as np
import pytest

from mlbkg.errors import EmptySampleError
from mlbkg.samples.folds import assign_folds
from mlbkg.samples.sample import Sample, concatenate
from mlbkg.samples.split import split_folds


def make_sample(n_events: int, candidates_per_event: int = 2) -> Sample:
    event_id = np.repeat(np.arange(n_events), candidates_per_event)[:, None]
    n = len(event_id)
    return Sample(
        feature_names=("a",),
        category_names=("s", "b"),
        features=np.zeros((n, 1), dtype=np.float32),
        label=(event_id[:, 0] % 2).astype(np.int8),
        weight=np.ones(n),
        event_id=event_id,
        fold=assign_folds(event_id, n_folds=5, salt="x"),
        category=(1 - event_id[:, 0] % 2).astype(np.int16),
        spectators={},
    )


def test_parts_are_disjoint_in_events_and_every_event_is_scored_once() -> None:
    sample = make_sample(2000)
    splits = split_folds(sample, n_folds=5, validation_fraction=0.1, salt="x")
    for split in splits:
        events = [set(sample.event_id[rows, 0]) for rows in (split.train, split.valid, split.scored)]
        assert len(set.union(*events)) == sum(map(len, events))
    scored = np.sort(np.concatenate([split.scored for split in splits]))
    assert (scored == np.arange(len(sample))).all()


def test_too_few_events_are_refused_with_every_reason() -> None:
    with pytest.raises(EmptySampleError, match="too few for 5 folds") as caught:
        split_folds(make_sample(6), n_folds=5, validation_fraction=0.1, salt="x")
    assert any("validation part" in detail for detail in caught.value.details)


def test_samples_join_only_with_equal_features() -> None:
    sample = make_sample(4)
    assert len(concatenate([sample, sample])) == 2 * len(sample)
    other = Sample(**{**vars(sample), "feature_names": ("b",)})
    with pytest.raises(ValueError, match="same features"):
        concatenate([sample, other])
