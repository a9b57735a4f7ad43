"""Who trains, who stops the training, and who is scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import EmptySampleError
from mlbkg.samples.folds import validation_mask
from mlbkg.samples.sample import Sample


@dataclass(frozen=True)
class FoldSplit:
    """Row numbers of one fold: its model trains on ``train``, stops early on ``valid``, and scores ``scored``.

    The three are disjoint in events.
    """

    fold: int
    train: NDArray[np.intp]
    valid: NDArray[np.intp]
    scored: NDArray[np.intp]


def split_folds(sample: Sample, *, n_folds: int, validation_fraction: float, salt: str) -> tuple[FoldSplit, ...]:
    """One split per fold. Raises :class:`EmptySampleError` where a part lacks one of the classes."""
    held = validation_mask(sample.event_id, fraction=validation_fraction, salt=salt)
    splits = tuple(
        FoldSplit(
            fold=fold,
            train=np.flatnonzero((sample.fold != fold) & ~held),
            valid=np.flatnonzero((sample.fold != fold) & held),
            scored=np.flatnonzero(sample.fold == fold),
        )
        for fold in range(n_folds)
    )
    problems = [
        f"fold {split.fold}: no {kind} candidate in the {part} part"
        for split in splits
        for part, rows in (("training", split.train), ("validation", split.valid), ("scored", split.scored))
        for kind, label in (("signal", 1), ("background", 0))
        if not (sample.label[rows] == label).any()
    ]
    if problems:
        raise EmptySampleError(
            f"{len(sample)} candidates are too few for {n_folds} folds",
            details=problems,
            where="training.folds",
            hint="Use more events, or fewer folds (training.folds) or a larger training.validation_fraction.",
        )
    return splits
