"""What a training sees: candidates of all samples, training weights, folds."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.config.schema import Config, Training
from mlbkg.errors import MlbkgError
from mlbkg.samples.cuts import CutCount
from mlbkg.samples.folds import assign_folds, event_index
from mlbkg.samples.load import load_samples
from mlbkg.samples.sample import Sample
from mlbkg.samples.source import Recipe, SampleSource
from mlbkg.samples.split import FoldSplit, split_folds
from mlbkg.samples.weights import NegativeWeightReport, apply_negative_policy, balance, flatten
from mlbkg.selection.apply import total_entries
from mlbkg.stages.progress import Progress
from mlbkg.stages.sources import sources_of, training_recipe_of
from mlbkg.stages.training_masses import SearchedSignal, searched_signal

log = logging.getLogger(__name__)

ROLES = ("signal", "background")


@dataclass(frozen=True)
class Events:
    """rows: ``(m,)``, rising, all candidates of some events. share: of all events, by how they were chosen."""

    rows: NDArray[np.intp]
    share: float


@dataclass(frozen=True)
class TrainingData:
    """``weight``: ``(n,)`` training weights, zero where a row is not trained on. ``event_index``: ``(n,)``, per sample.

    compared: the same candidates with the features that are only compared; None where there are none.
    fingerprints: sample -> sha256 over its candidates, features, ids, weights and true masses. rows: sample -> its
    candidates, which stand together, in this order. searched: what a scan is for; None without the section ``scan``.
    """

    sample: Sample
    compared: Sample | None
    weight: NDArray[np.float64]
    event_index: NDArray[np.int64]
    splits: tuple[FoldSplit, ...]
    cutflow: tuple[CutCount, ...]
    negative_weights: dict[str, NegativeWeightReport]
    fingerprints: dict[str, str]
    rows: dict[str, int]
    searched: SearchedSignal | None

    def of_samples(self, names: Collection[str]) -> NDArray[np.bool_]:
        """``(n,)``: which rows are candidates of these samples."""
        return np.repeat([name in names for name in self.rows], list(self.rows.values()))

    def values_of(self, name: str) -> NDArray[np.float64]:
        """``(n,)`` values of a feature or spectator."""
        sample = self.sample
        if name in sample.spectators:
            return sample.spectators[name]
        return sample.features[:, sample.feature_names.index(name)].astype(np.float64)

    def part(self, events: Events, *, folds: int, salt: str, validation_fraction: float) -> TrainingData:
        """The candidates of some events, with yields, but not fluctuations, of all, and folds of their own.

        Raises :class:`EmptySampleError` where they are too few for the folds.
        """
        of_sample = np.repeat(np.arange(len(self.rows)), list(self.rows.values()))[events.rows]
        sample = self.sample.take(events.rows)
        sample = replace(
            sample,
            weight=sample.weight / events.share,
            fold=assign_folds(sample.event_id, n_folds=folds, salt=salt),
        )
        weight = self.weight[events.rows]
        splits = split_folds(sample, n_folds=folds, validation_fraction=validation_fraction, salt=salt)
        return replace(
            self,
            sample=sample,
            compared=None,
            weight=weight,
            event_index=np.unique(self.event_index[events.rows], return_inverse=True)[1],
            splits=tuple(_without(split, weight > 0) for split in splits),
            rows=dict(zip(self.rows, np.bincount(of_sample, minlength=len(self.rows)).tolist(), strict=True)),
            searched=self.searched.part(events.rows, share=events.share) if self.searched else None,
        )


def load_training_data(config: Config, *, workers: int, progress: Progress) -> TrainingData:
    """From the samples' files; raises what :func:`read_training_data` raises."""
    sources = sources_of(config, roles=ROLES)
    advance = progress.step("read, cut, compute features", total=total_entries(sources), unit="entries")
    return read_training_data(config, sources, training_recipe_of(config), workers=workers, on_rows=advance)


def read_training_data(
    config: Config,
    sources: Sequence[SampleSource],
    recipe: Recipe,
    *,
    workers: int,
    on_rows: Callable[[int], None] | None = None,
) -> TrainingData:
    """``recipe``: with the features that are only compared.

    Raises what reading raises, and :class:`WeightError` for weights that no classifier can train on, and for signal of which
    not every mass can be searched for.
    """
    settings = config.training
    loaded = load_samples(sources, recipe, n_folds=settings.folds, salt=settings.salt, workers=workers, on_rows=on_rows)
    _refuse_infinities(loaded.sample, loaded.source, names=[source.name for source in sources])
    _tell_what_says_nothing(loaded.sample)
    sample = loaded.sample.with_features([feature.name for feature in config.features])
    compared = [feature.name for feature in config.evaluation.compare_features]
    weight, kept = sample.weight.copy(), np.ones(len(sample), dtype=bool)
    reports, fingerprints, rows = {}, {}, {}
    for number, source in enumerate(sources):
        mine = np.flatnonzero(loaded.source == number)
        weight[mine], kept[mine], reports[source.name] = apply_negative_policy(
            sample.weight[mine], settings.negative_weights, sample=source.name
        )
        fingerprints[source.name] = fingerprint(sample, slice(mine[0], mine[-1] + 1))
        rows[source.name] = len(mine)
    searched = searched_signal(config, sources, sample, loaded.source) if config.scan else None
    trained = np.zeros(len(sample))
    trained[kept] = _training_weights(weight[kept], sample.take(kept), settings)
    splits = split_folds(
        sample, n_folds=settings.folds, validation_fraction=settings.validation_fraction, salt=settings.salt
    )
    return TrainingData(
        sample=sample,
        compared=loaded.sample.with_features(compared) if compared else None,
        weight=trained,
        event_index=event_index(sample.event_id, loaded.source),
        splits=tuple(_without(split, kept) for split in splits),
        cutflow=loaded.cutflow,
        negative_weights={name: report for name, report in reports.items() if report.n_negative},
        fingerprints=fingerprints,
        rows=rows,
        searched=searched,
    )


def _refuse_infinities(sample: Sample, source: NDArray[np.int16], *, names: Sequence[str]) -> None:
    """Raises :class:`MlbkgError`; a classifier would refuse them, too, but knows no names."""
    details, first = [], ""
    for i, feature in enumerate(sample.feature_names):
        found = np.bincount(source[np.isinf(sample.features[:, i])], minlength=len(names))
        for number in map(int, np.flatnonzero(found)):
            first = first or feature
            n = np.count_nonzero(source == number)
            details.append(f"feature '{feature}': {found[number]} of {n} candidates of sample '{names[number]}'")
    if details:
        raise MlbkgError(
            "features hold values that are infinite, or too large for float32",
            details=details,
            where=first,
            hint=f'Cut these candidates away, or call them missing: expression: "where(isfinite({first}), {first}, nan)"',
        )


def _tell_what_says_nothing(sample: Sample) -> None:
    for i, feature in enumerate(sample.feature_names):
        values = sample.features[:, i]
        if np.isnan(values).all():
            log.warning("feature '%s' is NaN for every candidate: it tells the classifiers nothing", feature)
        elif (values == values[0]).all():
            log.warning("feature '%s' is %g for every candidate: it tells the classifiers nothing", feature, values[0])
    for name, spectator in sample.spectators.items():
        if not np.isfinite(spectator[sample.label == 0]).any():
            log.warning("spectator '%s' has no value for any background candidate: its shape cannot be watched", name)


def fingerprint(sample: Sample, rows: slice) -> str:
    """sha256 of what the rows hold: equal for equal candidates, whatever file they came from."""
    digest = hashlib.sha256("\n".join(sample.feature_names).encode())
    columns: tuple[NDArray[Any], ...] = (sample.features, sample.event_id, sample.weight, *sample.truth.values())
    for column in columns:
        digest.update(np.ascontiguousarray(column[rows]).data)
    return digest.hexdigest()


def _training_weights(weight: NDArray[np.float64], sample: Sample, settings: Training) -> NDArray[np.float64]:
    """Of the candidates that are trained on, whose weights are positive."""
    if settings.flatten:
        truth = np.column_stack([sample.truth[name] for name in settings.flatten])
        weight = flatten(weight, sample.label, truth, names=settings.flatten)
    return balance(weight, sample.label) if settings.balance_classes else weight * (len(weight) / weight.sum())


def _without(split: FoldSplit, kept: NDArray[np.bool_]) -> FoldSplit:
    return replace(split, train=split.train[kept[split.train]], valid=split.valid[kept[split.valid]])
