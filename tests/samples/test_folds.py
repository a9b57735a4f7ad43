"""Folds: same answer everywhere, fair shares, events never split."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbkg.samples.folds import assign_folds, event_hash, event_index, validation_mask

MASK = 2**64 - 1


def reference_hash(event_id: tuple[int, ...], salt: str) -> int:
    """The definition in folds.py, in plain integers; SplitMix64's step as Steele, Lea and Flood (2014) print it."""
    value = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "little")
    for part in event_id:
        z = ((value ^ (part & MASK)) + 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        value = z ^ (z >> 31)
    return value


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4), st.text(max_size=20))
def test_hash_is_its_definition(event_id: list[int], salt: str) -> None:
    found = event_hash(np.array([event_id], dtype=np.int64), salt=salt)
    assert int(found[0]) == reference_hash(tuple(event_id), salt)


def test_splitmix_step_is_the_published_one() -> None:
    # first output of SplitMix64 seeded with 1234567: 6457827717110365317 (Rosetta Code, "Pseudo-random numbers/Splitmix64")
    from mlbkg.samples.folds import _mix

    assert int(_mix(np.array([1234567], dtype=np.uint64))[0]) == 6457827717110365317


def test_folds_have_equal_shares() -> None:
    event_id = np.column_stack([np.full(100_000, 7), np.arange(100_000)])
    counts = np.bincount(assign_folds(event_id, n_folds=5, salt="a"), minlength=5)
    expected = 20_000
    assert ((counts - expected) ** 2 / expected).sum() < 18.5  # chi2 with 4 degrees of freedom, 0.1 %


def test_candidates_of_one_event_share_a_fold_and_another_salt_moves_events() -> None:
    event_id = np.repeat(np.arange(1000), 3)[:, None]
    folds = assign_folds(event_id, n_folds=5, salt="a").reshape(-1, 3)
    assert (folds == folds[:, :1]).all()
    other = assign_folds(event_id, n_folds=5, salt="b").reshape(-1, 3)
    assert (folds[:, 0] != other[:, 0]).mean() == pytest.approx(0.8, abs=0.05)


def test_validation_part_has_its_share_in_every_fold() -> None:
    event_id = np.arange(200_000)[:, None]
    held = validation_mask(event_id, fraction=0.1, salt="a")
    folds = assign_folds(event_id, n_folds=5, salt="a")
    for fold in range(5):
        assert held[folds == fold].mean() == pytest.approx(0.1, abs=0.006)  # four binomial errors


def test_event_index_tells_samples_apart() -> None:
    event_id = np.array([[1], [1], [2], [1]])
    index = event_index(event_id, np.array([0, 0, 0, 1], dtype=np.int16))
    assert index[0] == index[1]
    assert len(set(index.tolist())) == 3
