"""The cutflow of a selection: the cuts of the training, then the working point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mlbkg.samples.cuts import CutCount


@dataclass(frozen=True)
class Cutflow:
    """Every cut of every sample, in order; ``category`` of each sample for sums."""

    counts: tuple[CutCount, ...]
    category_of: dict[str, str]

    @property
    def samples(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(count.sample for count in self.counts))

    def of(self, sample: str) -> tuple[CutCount, ...]:
        return tuple(count for count in self.counts if count.sample == sample)

    def by_category(self) -> tuple[CutCount, ...]:
        """Sums over the samples of one category, step by step; ``sample`` then holds the category."""
        summed: dict[tuple[str, int], CutCount] = {}
        for sample in self.samples:
            category = self.category_of[sample]
            for step, count in enumerate(self.of(sample)):
                before = summed.get((category, step))
                summed[category, step] = _renamed(count, category) if before is None else _added(before, count)
        return tuple(summed.values())


def merge_counts(parts: Iterable[Sequence[CutCount]]) -> tuple[CutCount, ...]:
    """Step-by-step sums over the files of one sample."""
    total: tuple[CutCount, ...] = ()
    for part in parts:
        total = tuple(map(_added, total, part)) if total else tuple(part)
    return total


def _added(a: CutCount, b: CutCount) -> CutCount:
    bounds = [part.upper_90 for part in (a, b) if part.upper_90 is not None]
    return CutCount(
        cut=a.cut if a.cut == b.cut else f"{a.cut} / {b.cut}",
        sample=a.sample,
        events=a.events + b.events,
        weighted=a.weighted + b.weighted,
        error=math.hypot(a.error, b.error),
        upper_90=max(bounds) if bounds and a.events + b.events == 0 else None,
    )


def _renamed(count: CutCount, name: str) -> CutCount:
    return replace(count, sample=name)
